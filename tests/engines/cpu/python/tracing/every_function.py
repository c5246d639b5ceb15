"""Every function that may be compiled, with random arguments: compiled it gives Python's bits.

Arguments are numbers of all types, huge integers, negative zeros and infinities among them; arrays
of all layouts, with no elements and with one, views, and arrays outside of the function.
``python every_function.py FIRST COUNT`` makes some of the calls; so does ``make fuzz-python``.
"""

from __future__ import annotations

import math
import operator
import random
import sys
from typing import Any

import numpy as np
from both_ways import N_STEPS, SPECIAL, Case, inputs_of

from nengo_jit.engines.cpu.python.functions import WORTH_TRACING
from nengo_jit.engines.cpu.python.tracing.functions import FUNCTIONS, METHODS, PURE
from nengo_jit.engines.cpu.python.tracing.interpreter import LIST_METHODS
from nengo_jit.engines.cpu.python.tracing.of_numpy import ATTRIBUTES
from nengo_jit.engines.cpu.python.tracing.ufuncs import CLIP

OPERANDS = {
    "number": [
        *("t", "x[0]", "x[1]", "x[-1]", "x.sum()", "(x[2] > t)", "int(x[1] * 3)", "round(t * 100)"),
        *(
            "-x[2]",
            "x[3] * 0.0",
            "x[0] * 1e308",
            "np.int64(3)",
            "np.bool_(True)",
            "np.float64(-0.0)",
        ),
        *("0", "1", "-7", "True", "-0.0", "0.5", "3.7", "1e300", "1e-310", "2**53", "-(2**53) - 1"),
        *(
            "2**63",
            "10**400",
            "float('inf')",
            "float('nan')",
            "np.argmax(x)",
            "G[1]",
            "K[0]",
            "B[1]",
        ),
        *("F[1]", "H[2, 1]", "np.float32(0.1)", "np.float32(t)", "x.astype(np.float32)[2]"),
    ],
    "vector": [
        *(
            "x",
            "v",
            "w",
            "x[::-1]",
            "v[::2]",
            "x[1:]",
            "v[:0]",
            "x[:1]",
            "m[1]",
            "m[:, 1]",
            "m.T[0]",
        ),
        *(
            "m.ravel()",
            "m.T.ravel()",
            "Q[:, 2]",
            "(x > 0)",
            "x.astype(int)",
            "[x[0], t, 1]",
            "(t, 2.0)",
        ),
        *("F", "F[::-1]", "F[1:]", "F[::2]", "F[:0]", "F[:1]", "H[1]", "H[:, 2]", "F * 1e-30"),
        *("x.astype(np.float32)", "v.astype(np.float32)[::-1]", "np.repeat(F, 6)", "F * x"),
        *("G", "G[::-1]", "G[1:]", "K", "K[::2]", "B", "S", "np.arange(4)", "np.zeros(0)", "[]"),
        *(
            "np.array([t])",
            "np.concatenate([x, v])",
            "v[[2, 0, 1, 3]]",
            "(x > t) * 1",
            "-v",
            "x * 0.0",
        ),
        *("np.array([-0.0, 0.0, -1.0, t])", "np.full(4, -0.0)", "np.array([1e300, t, -1e300, 0])"),
        *(
            "np.linspace(0, 1, 20) * t",
            "np.repeat(x, 5)",
            "np.repeat(x, 5)[::-1]",
            "x.copy()",
            "m[0, 1:]",
        ),
    ],
    "matrix": [
        *("H", "H.T", "H[:, ::2]", "H[1:]", "m.astype(np.float32)", "m.T.astype(np.float32)"),
        *(
            "m",
            "m.T",
            "m[:, ::-1]",
            "m[::2]",
            "m[:, :1]",
            "m[:1]",
            "m[:, :0]",
            "m[:0]",
            "m[::-1].T",
        ),
        *(
            "np.outer(x, v)",
            "(m > 0)",
            "m.T.copy()",
            "Q",
            "Q.T",
            "Q[:, ::2]",
            "m[None]",
            "-m.T",
            "[x, v]",
        ),
        *("m.reshape(2, 2, 4)", "m.astype(int)", "np.zeros((4, 4))", "np.eye(4)", "m[:, [0, 2]]"),
        *("np.vstack([x, x[::-1], v, v])", "m[1:, 1:]", "np.abs(m).T", "m * 0.0", "m[:2, :2].T"),
    ],
    "index": ["0", "1", "2", "-1", "3"],
    "constant": ["0", "1", "2", "-1", "0.5", "2.5", "-0.0", "7", "3", "1e3"],
    "type": [
        "float",
        "int",
        "bool",
        "np.float64",
        "np.float32",
        "np.ndarray",
        "(int, float)",
        "type(t)",
    ],
    "list": ["[x[0], t, 1]", "[]", "[t]", "list(x)", "v.tolist()", "[x[1] > 0, 2]", "list(G)"],
    "shape": [
        "4",
        "(2, 2)",
        "0",
        "(1, 4)",
        "(4, 1)",
        "-1",
        "(2, -1)",
        "(4, 4)",
        "1",
        "(2, 0)",
        "16",
    ],
}
OPERANDS["array"] = OPERANDS["vector"] + OPERANDS["matrix"]
OPERANDS["any"] = OPERANDS["number"] + OPERANDS["array"]
ARGUMENTS = {name: f"({{{name}}})" for name in OPERANDS}

# How functions are called, if not on anything at all; f stands for the function
OF_SHAPES = ["f({any}, {shape})", "f({array}, {shape})"]
ALONG = ["f({array}, {index})", "f({array}, axis={index})", "f({matrix}, {index})"]
JOINED = ["f([{vector}, {vector}])", "f(({matrix}, {matrix}))", "f([{vector}, {vector}, {vector}])"]
REDUCED = ["f({vector})", "f({array})"]
OF_TWO_NUMBERS = ["f({number}, {number})"]
OF_ELEMENTS = ["f({array})", "f({list})", "f(q > 0 for q in {vector})", "f({number}, {number})"]
LISTED = ["f({array})", "f({list})", "f(zip({vector}, {list}))"]
ITERATED = ["list(f({array}))", "next(f({vector}), {number})", "sum(f({list}))"]
IN_PARTS = ["f({array}, 2)[0]", "f({vector}, {index})[-1]"]
CALLS: dict[Any, list[str]] = {
    **dict.fromkeys((all, any, max, min, sum), OF_ELEMENTS),
    **dict.fromkeys((list, tuple), LISTED),
    **dict.fromkeys((iter, reversed), ITERATED),
    **dict.fromkeys((pow, divmod, math.pow), OF_TWO_NUMBERS),
    **dict.fromkeys((math.atan2, math.fmod, math.copysign), OF_TWO_NUMBERS),
    next: ["f(iter({array}))", "f(iter({list}), {number})"],
    enumerate: ["[i * q for i, q in f({array})]", "list(f({list}, {index}))[-1]"],
    zip: ["[p + q for p, q in f({array}, {vector})]", "list(f({list}, {vector}, {list}))[-1]"],
    isinstance: ["f({any}, {type})", "f({list}, list)"],
    callable: ["f({any})", "f(helper)", "f(float)"],
    type: ["f({any}) is {type}", "f({any}) == f({any})", "f({number})({constant})"],
    float: ["f({number})", "f({array})", "f()", "f('1.5')"],
    math.log: ["f({number})", "f({number}, {number})"],
    np.array: ["f({any})", "f({any}, {type})", "f([{any}, {any}])", "f([{vector}, {vector}])"],
    np.asarray: ["f({any})", "f({any}, {type})", "f({list})"],
    np.full: ["f({shape}, {number})"],
    np.where: [
        "f({any}, {any}, {any})",
        "v[f(v > {number})]",
        "f({array} > {number}, {array}, {any})",
    ],
    np.empty_like: ["f({array}).size"],
    np.copyto: ["[f(v, {any}), 0][1]", "[f(m, {array}), 0][1]"],
    np.putmask: ["[f(v, v > {number}, {any}), 0][1]", "[f(m, m > 0, {vector}), 0][1]"],
    np.place: ["[f(v, v > {number}, {vector}), 0][1]"],
    np.put: ["[f(v, {index}, {number}), 0][1]", "[f(m, [0, 3], {vector}), 0][1]"],
    np.fill_diagonal: ["[f(m, {number}), 0][1]", "[f({matrix}, 1), 0][1]"],
    CLIP: ["f({any}, {number}, {number})", "f({array}, {any}, {any})"],
    super: ["f({number}, {number})"],
    np.nonzero: ["v[f({vector})[0]]", "m[f({matrix})].sum()", "f({vector})[0].size"],
    np.flatnonzero: ["len(f({array}))", "np.sum(x[f({vector})])"],
    np.clip: ["f({any}, {number}, {number})", "f({any}, {any}, {any})"],
    np.round: ["f({any})", "f({any}, {index})"],
    np.count_nonzero: ["f({any})", "f({array})"],
    np.append: ["f({any}, {any})"],
    np.outer: ["f({vector}, {vector})", "f({any}, {any})"],
    np.dot: [
        "f({matrix}, {matrix})",
        "f({vector}, {vector})",
        "f({matrix}, {vector})",
        "f({any}, {any})",
    ],
    np.diag: ["f({array})", "f({array}, {index})"],
    np.linalg.norm: REDUCED,
    np.delete: ["f({vector}, {index})", "f({matrix}, {index}, {index})"],
    np.take: ["f({vector}, {index})", "f({matrix}, [0, 1], {index})", "f({array}, {vector})"],
    np.roll: ["f({array}, {index})", "f({array}, int({number}))", "f({matrix}, {index}, {index})"],
    np.moveaxis: ["f({matrix}, {index}, {index})"],
    np.swapaxes: ["f({matrix}, {index}, {index})"],
    np.expand_dims: ALONG,
    np.flip: ["f({array})", *ALONG],
    np.squeeze: ["f({array})", *ALONG],
    np.transpose: ["f({array})", "f({matrix}, (1, 0))"],
    np.repeat: ["f({array}, {index})", "f({matrix}, {index}, {index})"],
    np.tile: ["f({array}, {index})", "f({array}, (2, 1))"],
    np.reshape: OF_SHAPES,
    np.broadcast_to: OF_SHAPES,
    **dict.fromkeys((np.split, np.array_split), IN_PARTS),
    **dict.fromkeys((np.concatenate, np.hstack, np.vstack, np.stack, np.column_stack), JOINED),
    **dict.fromkeys((np.sum, np.prod, np.max, np.min, np.mean), REDUCED),
    **dict.fromkeys((np.argmax, np.argmin, np.any, np.all), REDUCED),
}
SYMBOLS = {
    operator.add: "+",
    operator.sub: "-",
    operator.mul: "*",
    operator.truediv: "/",
    operator.floordiv: "//",
    operator.mod: "%",
    operator.pow: "**",
    operator.matmul: "@",
    operator.and_: "&",
    operator.or_: "|",
    operator.xor: "^",
    operator.lshift: "<<",
    operator.lt: "<",
    operator.le: "<=",
    operator.gt: ">",
    operator.ge: ">=",
    operator.eq: "==",
    operator.ne: "!=",
    operator.rshift: ">>",
    operator.is_: "is",
}
UNARY = {operator.neg: "-", operator.pos: "+", operator.invert: "~", operator.not_: "not "}
OF_METHODS = {
    "astype": ["{array}.astype({type})"],
    "clip": ["({array}).clip({number}, {number})", "({any}).clip({constant}, {any})"],
    "round": ["({any}).round()", "({array}).round({index})"],
    "dot": ["({vector}).dot({any})", "({matrix}).dot({vector})"],
    "fill": ["fill({array}, {number})"],
    "item": ["({any}).item()", "x[:1].item()", "np.array([{number}]).item()"],
    "repeat": ["({array}).repeat({index})"],
    "reshape": ["({array}).reshape({shape})", "({matrix}).reshape(2, -1)"],
    "swapaxes": ["({matrix}).swapaxes({index}, {index})"],
    "transpose": ["({array}).transpose()", "({matrix}).transpose(1, 0)"],
}
OF_LISTS = {
    "append": "l.append({number})",
    "extend": "l.extend({array})",
    "insert": "l.insert({index}, {number})",
    "pop": "l.append(l.pop())",
    "reverse": "l.reverse()",
}
IN_PLACE = [
    *(
        "v[v > {number}] = np.exp(w[v > {number}])",
        "m[v > 0] += {vector}",
        "m[:, x > 0] *= {number}",
    ),
    *(
        "v[x > 0] = np.tanh(v[x > 0]) / w[x > 0]",
        "m[m > 0] = np.log1p(m[m > 0])",
        "m[x > t] = {any}",
    ),
    *("F[F > 0] = np.exp(F[F > 0])", "v[v > 0] = np.sum(x[v > 0])", "v[np.where(x > 0)] = {any}"),
    *("m[int({number})] += {vector}", "S[int({number})] = {number}", "H[int({number})] = {any}"),
    *("v[[2, 0]] = {any}", "v[np.argsort(x)] = {vector}", "m[int({number}), 1] = {number}"),
    *("np.add(v, {any}, out=v)", "np.outer(v, x, out=m)", "np.clip(v, 0, {number}, out=v)"),
    *("np.add.at(v, np.array([1, 1]), {any})", "m[np.nonzero(m > 0)] = {number}", "m[...] += m.T"),
    *("v[...] = m.sum(axis={index})", "v[...] = np.mean(m, axis=1)", "m /= m.sum(axis=1)[:, None]"),
    *("v[...] = np.fft.ifft(np.fft.fft(v) * {vector}).real", "v[...] = np.einsum('ij,j->i', m, v)"),
    *("m @= m.T", "v[...] = np.dot({matrix}, v)", "v[...] = np.linalg.norm({matrix}, axis=1)"),
    *("v[x > 0] = v[x > 0].astype(int)", "v[:] = np.std({matrix})", "v[...] = np.cumsum({vector})"),
    *("v[v > {number}] += {number}", "v[w > {number}] *= v[w > {number}]", "w[v > t] = v[v > t]"),
    *("m[m > {number}] -= m[m > {number}] * {number}", "m[m > 0] = m.T[m > 0]", "K[v > 0] += 1"),
    *("F[v > {number}] += {number}", "F[F > 0] = v[F > 0]", "v[(v > 0) & (x < t)] /= {number}"),
    *("v[int({number})] = {number}", "m[int({number})] = {any}", "F[np.argmax(x)] = {number}"),
    *("v[np.array([int({number})])] = {any}", "m[(x[:1] > 0) * 2 - 1] = {any}", "H[K[:1]] = {any}"),
    *("m[K[1:2] * int({number})] += v", "m.T[int({number})] = {vector}", "v[:1] = v[K[2:3]]"),
    *(
        "v[{index}] = {number}",
        "v[:2] = {any}",
        "w[1:] = w[:-1]",
        "w[:-1] = v[:3]",
        "m[{index}] = {any}",
    ),
    *(
        "m.T[:, {index}] = {any}",
        "m[:] = m.T",
        "S[...] = {any}",
        "S[::-1] = S",
        "m.ravel()[:] = {number}",
    ),
    *("m.T.ravel()[:4] = {any}", "v[v > {number}] = {number}", "m[:, ::2] = {any}", "K[:] = {any}"),
    *(
        "B[:] = {any}",
        "m[1:, 1:] += m[:-1, :-1]",
        "v += {any}",
        "m *= {any}",
        "w -= w[::-1]",
        "S **= 2",
    ),
    *(
        "F[:] = {any}",
        "F[{index}] = {number}",
        "F[...] += {any}",
        "H[...] *= {any}",
        "F[...] /= {any}",
        "F[...] **= 2",
    ),
    *(
        "H[...] = m",
        "H.T[1:] -= {vector}",
        "m[...] += H",
        "F[...] *= {number}",
        "F[F > {number}] = {number}",
    ),
    *("K += 1", "m @= m", "v //= {number}", "v %= {number}", "S /= {any}", "m.T[...] = {any}"),
]

HEAD = """
def make():
    S, K, B = np.array([0.5, -1.0, 2.0, 0.25]), np.arange(4), np.array([True, False, False, True])
    F, H = np.array([0.3, -1.7, 2.5e7, -0.0], np.float32), np.array(SINGLE)

    def helper(a):
        return a

    def fill(a, b):
        a.fill(b)
        return a

    def each_of(a):
        if isinstance(a, np.ndarray):
            return np.ravel(a).tolist()
        return [a]

    def function({arguments}):
        v = x * 1.5 - t
        w = v[:]
        m = np.outer(v, x)
        l = [t, x[0]]
"""
TAIL = """
        if isinstance(result, (list, tuple)):
            numbers = []
            for part in result:
                numbers = numbers + each_of(part)
        else:
            numbers = each_of(result)
        numbers = numbers + [len(numbers)] + each_of(F) + each_of(H)[4:7]
        numbers = numbers + each_of(v) + each_of(m)[:6] + l[:3]
        return (numbers + [0.0] * SIZE_OUT)[:SIZE_OUT]

    return function
"""
SIZE_OUT = 50


def name_of(function: Any) -> str | None:
    """What a function is called in a program; None if it is one of ours."""
    if function is np.linalg.norm:
        return "np.linalg.norm"
    if function is CLIP:
        return "CLIP"
    for module, prefix in ((math, "math."), (np, "np."), (__builtins__, "")):
        names = module if isinstance(module, dict) else vars(module)
        for name in (getattr(function, "__name__", ""), "abs"):
            if names.get(name) is function:
                return prefix + name
    return None


def entries() -> list[tuple[str, list[str]]]:
    """Everything that may be compiled, by name, and how it is used."""
    found = []
    ufuncs = [each for each in vars(np).values() if isinstance(each, np.ufunc)]
    for function in dict.fromkeys([*FUNCTIONS, *PURE, *ufuncs]):
        name = name_of(function)
        if name is None:
            continue
        arguments = getattr(function, "nin", 1)
        templates = list(CALLS.get(function, ["f(" + ", ".join(["{any}"] * arguments) + ")"]))
        if function in PURE:
            templates += ["f({constant})", "f({constant}, {constant})", "f({shape})"]
        found.append((name, [each.replace("f(", name + "(", 1) for each in templates]))
    for name in METHODS:
        found.append((f".{name}", OF_METHODS.get(name, [f"({{any}}).{name}()"])))
    for name in ATTRIBUTES:
        found.append(
            (f".{name}", [f"({{array}}).{name}", f"({{array}}).{name} == ({{any}}).{name}"])
        )
    for symbol in SYMBOLS.values():
        templates = [
            "({matrix}) %s ({matrix})",
            "({any}) %s ({any})",
            "({array}) %s ({array})",
            "({number}) %s ({number})",
        ]
        found.append((symbol, [each.replace("%s", symbol) for each in templates]))
    found += [(symbol, [f"{symbol}({{any}})"]) for symbol in UNARY.values()]
    found += [(f"list.{name}", [OF_LISTS[name]]) for name in LIST_METHODS]
    found += [(template, [template]) for template in IN_PLACE]
    return sorted(found)


ENTRIES = entries()
POWERS = {"pow", "**"}
HUGE = {"2**53", "-(2**53) - 1", "2**63", "10**400", "int(x[1] * 3)"}


class Call(Case):
    """Some uses of an entry, one after the other.

    Parameters
    ----------
    seed : int
        The number of the entry, and then of the use.
    """

    def __init__(self, seed: int):
        rng = random.Random(seed)
        self.is_node = rng.random() < 0.7
        self.size_out = SIZE_OUT
        self.name, templates = ENTRIES[seed % len(ENTRIES)]
        template = rng.choice(templates)
        for kind, choices in OPERANDS.items():
            while f"{{{kind}}}" in template:
                operand = rng.choice(choices)
                if self.name in POWERS and template.count("{") == 1 and operand in HUGE:
                    operand = "3"  # Python would compute for ever
                if operand[0].isdigit():  # which may be followed by a dot
                    operand = f"({operand})"
                template = template.replace(f"{{{kind}}}", operand, 1)
        is_statement = self.name in IN_PLACE or self.name.startswith("list.")
        line = f"{template}\n        result = v" if is_statement else f"result = {template}"
        head = HEAD.replace("{arguments}", "t, x" if self.is_node else "x, t=0.75")
        self.text = f"{head}        {line}{TAIL}"
        special = [*SPECIAL, 2.0**53, -(2.0**53), 1e308, 5e-324, 3.0, -7.0]
        n = N_STEPS if self.is_node else WORTH_TRACING
        self.inputs = inputs_of(seed, n, special, rng.choice([0.0, 0.2, 0.5]))
        numbers = np.random.RandomState(seed % 2**32)
        arrays = {"G": numbers.randn(4), "Q": numbers.randn(4, 4)}
        arrays["SINGLE"] = numbers.randn(4, 4).astype(np.float32)
        self.names = {"np": np, "math": math, "CLIP": CLIP, "SIZE_OUT": SIZE_OUT, **arrays}


def run(seed: int) -> bool:
    """Check the call of a seed; tells whether it was compiled."""
    call = Call(seed)
    try:
        return call.check()
    except BaseException:
        print(call.text)
        raise


if __name__ == "__main__":
    first, count = map(int, sys.argv[1:])
    print(sum(map(run, range(first, first + count))), "compiled")
