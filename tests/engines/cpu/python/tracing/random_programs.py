"""Random programs: functions of nodes and of connections, which compiled give Python's bits.

Programs have statements, loops, branches, lists, iterators, arrays, views of them in all layouts,
and arrays outside of the function that several calls share. ``python random_programs.py FIRST
COUNT`` runs some of them; so does ``make fuzz-python``.
"""

from __future__ import annotations

import math
import random
import sys

import numpy as np
from both_ways import N_STEPS, SIZE, SPECIAL, Case, inputs_of

from nengo_jit.engines.cpu.python.functions import WORTH_TRACING

CONSTANTS = ["0", "1", "2", "-3", "True", "0.0", "-0.0", "0.5", "-1.25", "3.7", "1e-3", "np.pi"]
NUMBERS = {
    0: [*CONSTANTS, "t", "n0", "n1", "n2", "x[0]", "x[-1]", "PAIR[1]", "NESTED[1][0]"],
    1: [
        *("-({n})", "abs({n})", "float({n})", "int({n}) % 7", "round({n})", "(not {n})"),
        *("({n}) ** 2", "math.sin({n})", "math.exp(-abs({n}))", "np.tanh({n})", "np.exp({n})"),
        *("(({n}) + ({n}))", "(({n}) - ({n}))", "(({n}) * ({n}))", "(({n}) / ({n}))"),
        *("(({n}) // ({n}))", "(({n}) % ({n}))", "min({n}, {n})", "max({n}, {n})"),
        *("(({n}) < ({n}))", "(({n}) >= ({n}))", "(({n}) and ({n}))", "(({n}) or ({n}))"),
        *("(({n}) if ({n}) > 0 else ({n}))", "helper({n})", "helper({n}, {n})"),
        *("({v})[{i}]", "({v})[int(abs({n})) % 4]", "({m})[{i}, {i}]", "({m})[{i}][{i}]"),
        *("np.sum({v})", "np.sum({w})", "np.dot({v}, {v})", "({v}).copy() @ ({v})", "np.prod({v})"),
        *("np.linalg.norm({w})", "np.mean({v})", "np.max({v})", "({w}).min()", "np.argmax({v})"),
        *("({m}).ravel()[{k}]", "({m}).T.ravel()[{k}]", "len({w})", "({w})[0]", "({w})[-1]"),
        *("len({l})", "sum({l})", "max({l} + [{n}])", "({l} + [{n}])[0]", "({l} + [t])[-1]"),
        *("next(it, {n})", "sum(it)", "len(list(it))", "sum({n} for q in {l})", "any({v} > 0)"),
        *("any(q > {n} for q in it)", "(PAIR is PAIR)", "(NESTED[0] is NESTED[1])", "S[{i}]"),
        *("M[int(abs({n})) % 4][{i}]", "isinstance({n}, float)", "callable(helper)"),
        *(
            "np.float32({n})",
            "F[{i}]",
            "({v}).astype(np.float32)[{i}]",
            "np.sum({f})",
            "np.max({f})",
        ),
        *("np.dot({f}, {f})", "np.mean({f})", "np.linalg.norm({f})", "math.sin(({f})[{i}])"),
        *("np.sum(({v})[v0 > {c}])", "np.mean(({v})[v1 > {c}])", "len(np.flatnonzero({v}))"),
        *("np.median({v})", "np.std({m})", "({m}).sum()", "np.any(({m}) > {n})", "np.all({v})"),
        *("np.take({v}, {i})", "(l0 is l1)", "np.dot({v}, 0)[{i}]", "np.where({n}, {n}, {n})"),
    ],
}
VECTORS = {
    0: ["x", "v0", "v1", "M[1]", "M[:, 2]", "M.T[3]", "S", "W[0, ::2]", "W[3, ::-2]", "m0[{i}]"],
    1: [
        *("-({v})", "({v}) + ({v})", "({v}) * ({n})", "({v}) - ({v})", "({v}) / ({v})"),
        *("np.sin({v})", "np.exp({v})", "np.abs({v}) ** 1.7", "({v}) ** 2", "np.sqrt({v})"),
        *("np.log(np.abs({v}) + 0.1)", "np.power(np.abs({v}), {c})", "np.tanh({v})", "({v})[::-1]"),
        *("({m})[{i}]", "({m})[:, {i}]", "({m}).T[{i}]", "np.diag({m})", "({m}) @ ({v})"),
        *("({m})[np.array([int({n}) % 4])].ravel()", "({v}).clip({c}, {n})", "np.round({v})"),
        *("np.dot({m}, {v})", "({m}).T @ ({v})", "W[:, ::2] @ ({v})", "np.roll({v}, {i})"),
        *("({m}).sum(axis={i} % 2)", "np.fft.ifft(np.fft.fft({v}) * {c}).real", "np.cumsum({v})"),
        *("({v})[np.argsort({v})]", "np.einsum('ij,j->i', {m}, {v})", "({v}) @ ({m})"),
        *("np.roll({v}, int({n}))", "({v})[[2, 0, 1, 3]]", "np.array([{n}, {n}, {n}, {n}])"),
        *("np.concatenate([({v})[:2], ({v})[2:]])", "({v}).copy()", "np.asarray({v})"),
        *("np.array({v})", "np.full(4, {n})", "np.zeros(4)", "np.arange(4) * ({n})", "np.ones(4)"),
        *("np.where(({v}) > {n}, {v}, {v})", "np.maximum({v}, {n})", "np.clip({v}, -1, {n})"),
        *("({m}).ravel()[{i}:{i} + 8:2]", "({m}).reshape(2, 8)[1, ::2]", "(({v}) > 0) * 1.0"),
        *("np.arctan2({v}, {v})", "np.hypot({v}, {n})", "np.minimum({v}, {v})", "np.sign({v})"),
        *("np.append(({v})[1:], {n})", "np.array([q * 2 for q in {v}])", "({v}) // ({n})"),
        *("np.array([p + q for p, q in zip({v}, {v})])", "np.array(list(reversed({v})))"),
        *("M[int(abs({n})) % 4]", "({m})[int(abs({n})) % 4]", "np.atleast_1d({v})"),
        *("({v}).astype(int)", "({v}) % ({v})", "np.repeat({w}, 4)[:4]", "np.zeros_like({v})"),
    ],
}
SINGLES = {
    0: ["F", "f0", "F[::-1]", "f0[1:]"],
    1: [
        *("({v}).astype(np.float32)", "-({f})", "({f}) + ({f})", "({f}) * ({f})", "({f}) / ({n})"),
        *("({f}) - ({c})", "({f}) * F[{i}]", "({f}) ** 2", "np.sqrt(np.abs({f}))", "np.exp({f})"),
        *(
            "np.tanh({f})",
            "np.sin({f})",
            "np.log(np.abs({f}) + 1)",
            "np.expm1({f})",
            "np.square({f})",
        ),
        *("np.clip({f}, -1, {c})", "np.maximum({f}, {c})", "np.where(({f}) > {n}, {f}, {f})"),
        *(
            "({f}) % ({f})",
            "({f}) // {c}",
            "np.floor({f})",
            "np.abs({f}) ** {c}",
            "(({f}) > {c}) * F",
        ),
        *("(M @ ({v})).astype(np.float32)", "M.astype(np.float32) @ F", "np.arctan2({f}, {f})"),
        *(
            "({f}).clip(0, {c})",
            "np.reciprocal({f})",
            "np.power(np.abs({f}), {f})",
            "np.repeat(F, 5)",
        ),
    ],
}
MATRICES = {
    0: ["m0", "m1", "M", "M.T", "m0.T", "W[:, ::2]", "W[:, 4:]"],
    1: [
        *("({m}).T", "({m}) + ({m})", "({m}).T * ({m})", "({m}) * ({n})", "({m}) - ({v})"),
        *("({m}) @ ({m})", "np.dot({m}, {m})", "(({m}) * {n}) @ W[:, ::2]", "M @ M.T"),
        *("np.outer({v}, {v})", "np.diag({v})", "({m}).copy()", "np.array({m})", "-({m})"),
        *("np.zeros((4, 4))", "np.vstack([{v}, {v}, {v}, {v}])", "np.exp({m})", "({m})[::-1]"),
        *("np.abs({m}) ** 0.3", "({m})[:, ::-1]", "np.zeros_like({m})", "np.copy({m})"),
        *("np.where(({m}) > {n}, {m}, {m})", "np.power(np.abs({m}), {c})", "({m}).reshape(4, 4)"),
        *("np.log(np.abs({m}) + 0.1)", "np.maximum({m}, ({m}).T)", "np.tanh({m})", "({m}) + {v}"),
        *("({v})[:, None] + ({v})", "np.arctan2({m}, {m})", "({m}).T.copy()", "np.eye(4)"),
        *("({m}).ravel().reshape(4, 4)", "({m})[[3, 1, 0, 2]]", "np.ones_like({m}) * {n}"),
    ],
}
VIEWS = {
    0: ["w0", "x[1:]", "v0[::2]", "v1[::-1]", "m0[:, 1]", "m0.ravel()", "S[:2]", "M[0]", "W[1]"],
    1: [
        *("({v})[{i}:]", "({v})[:{i}]", "({w})[::2]", "({w})[::-1]", "({m}).ravel()", "-({w})"),
        *("({m}).T.ravel()[::3]", "({w}) * ({n})", "np.sin({w})", "np.concatenate([{w}, {v}])"),
        *("np.flip({w})", "np.tile({v}, 2)", "({m})[1:, {i}]", "W[{i}, 1::3]", "np.cos({w})"),
        *("({w})[1:-1]", "np.abs({w}) ** 2.3", "np.ravel({m})", "np.repeat({v}, 2)"),
    ],
}
LISTS = {
    0: ["l0", "l1", "[t, 1.0]", "[]", "list(PAIR)"],
    1: [
        *("[{n}, {n}]", "[q * 2 for q in {l}]", "list({v})", "({v}).tolist()", "({l} + {l})[:20]"),
        *("[q for q in {v} if q > {n}]", "list(it)", "[q + i for i, q in enumerate({v})]"),
        *("list(reversed({l}))", "[a * b for a, b in zip({l}, it)]", "({l})[::2]"),
    ],
}
ITERATORS = {
    0: ["iter(l0[:9])", "iter(x)"],
    1: [
        *(
            "zip_of({v}, ({l})[:9])",
            "iter(list({l}))",
            "(q * 2 for q in {v})",
            "reversed({v})",
            "counted(({l})[:9])",
        ),
        *("yielded({v})", "(q for q in it)", "iter({v})"),
    ],
}
KINDS = {
    "n": NUMBERS,
    "f": SINGLES,
    "v": VECTORS,
    "m": MATRICES,
    "w": VIEWS,
    "l": LISTS,
    "it": ITERATORS,
}
NAMES = {"n": ["n0", "n1", "n2"], "f": ["f0"], "v": ["v0", "v1"], "m": ["m0", "m1"], "w": ["w0"]}
NAMES |= {"l": ["l0", "l1"], "it": ["it"]}
SIMPLE = [
    *("{v}[{v} > {n}] += {n}", "{v}[v0 > {c}] = v1[v0 > {c}]", "{m}[m0 > {n}] *= {n}"),
    *("{v}[v1 < t] -= v0[v1 < t] * {n}", "S[v0 > 0] += {n}", "{v}[int({n}) % 4] = {n}"),
    *("{m}[int({n}) % 4] = {v}", "{m}[np.array([int({n}) % 4])] = {v}", "M[int({n}) % 4] += {n}"),
    *("M[M > {c}] -= {n}", "{v}[np.argmax({v})] = {n}", "{v}[int({n})] += {n}"),
    *("{v}[v1 > {n}] = np.exp(v0[v1 > {n}])", "{m}[v0 > {n}] += {v}", "{m}[:, v1 > {c}] = {n}"),
    *("{m}[int({n}) % 4] *= {n}", "{m}[np.argmax(v0), :] += {v}", "{v}[np.where(v0 > {c})] = {n}"),
    *("{m}[m0 > {c}] = np.tanh(m1[m0 > {c}]) * {n}", "M[int({n}) % 4] = {v}", "S[int({n})] = {n}"),
    *("np.multiply({v}, {n}, out=v0)", "{v}[np.argsort(v1)] = {v}", "np.copyto(v1, {v})"),
    *("{v}[{i}] = {n}", "{v}[:2] = ({v})[2:]", "{v}[1:] = ({v})[:-1]", "{v}[{v} > {n}] = {n}"),
    *("{v} += {n}", "{v} *= {v}", "{v}[::2] -= {n}", "{v}[...] = {v}", "{v} **= 2"),
    *("{m}[{i}] = {v}", "{m}[:, {i}] = {n}", "{m} += ({m}).T", "{m}[{i}, {i}] = {n}", "{m} *= {n}"),
    *("{m}.T[{i}] = {v}", "{m}.ravel()[{k}] = {n}", "{m}.T.ravel()[{k}] = {n}"),
    *("{m}.reshape(2, 8)[1, {i}] = {n}", "{w}[:1] = {n}", "{w}[-1] = {n}", "{w} *= {n}"),
    *("{l}.append({n})", "{l}.extend(({l})[:3])", "{l}.insert(0, {n})", "{l}.reverse()"),
    *("{n} += {n}", "{n} *= {n}", "{n} -= {n}", "{v}.fill({n})", "S[{i}] = {n}", "S[:] = {v}"),
    *(
        "F[:] = {v}",
        "F[:] *= {f}",
        "F[:] += {n}",
        "F[{i}] = {n}",
        "f0 += {f}",
        "f0 -= {v}",
        "f0[1:] *= {n}",
    ),
    *("S[1:] += {n}", "x[{i}] = {n}", "{m}[int(abs({n})) % 4][{i}] = {n}"),
]

HEAD = """
def make():
    S = np.array([0.5, -1.0, 2.0, 0.25])
    F = np.array([0.3, -1.7, 2.5, 1e-3], np.float32)
    M = np.array(MATRIX)
    W = np.array(WIDE)

    def helper(a, b=0.5):
        if a > b:
            return a - b
        return a * b

    def yielded(values):
        for value in values:
            if value > 1:
                yield value * 2
            else:
                yield value

    def zip_of(a, b):
        for p, q in zip(a, b):
            yield p + q

    def counted(values):
        return (i * q for i, q in enumerate(values, 1))

    def function({arguments}):
        n0, n1, n2 = t, x[1], 0.5
        v0, v1 = x * 2, np.array([t, 1.0, -1.0, x[0]])
        m0, m1 = np.outer(x, v1), M * t
        w0 = v0[1:]
        f0 = F * 0.7
        l0, l1 = [t, x[2]], []
        it = iter(list(l0))
"""


class Writer:
    """Writes a random program."""

    def __init__(self, rng: random.Random, size_out: int, is_node: bool):
        self.rng = rng
        arguments = "t, x" if is_node else "x, t=0.75"
        self.lines = [HEAD.replace("{arguments}", arguments)]
        self.n_loops = 0
        for _ in range(rng.randint(1, 7)):
            self.statement("        ", 2)
        self.add("        ", f"return {self.result(size_out)}")
        self.add("    ", "return function")
        self.text = "\n".join(self.lines)

    def add(self, indent: str, line: str) -> None:
        self.lines.append(indent + line)

    def fill(self, template: str, depth: int) -> str:
        """Put random parts in the places of a template."""
        parts = template.replace("{i}", "\0").split("\0")
        text = parts[0] + "".join(str(self.rng.randrange(SIZE)) + part for part in parts[1:])
        while "{" in text:
            before, _, rest = text.partition("{")
            kind, _, after = rest.partition("}")
            if kind == "k":
                chosen = str(self.rng.randrange(SIZE * SIZE))
            elif kind == "c":
                chosen = self.rng.choice(["0.3", "1.7", "2.0", "-1.5", "0.5", "3.0"])
            else:
                chosen = self.expression(kind, depth - 1)
            text = before + chosen + after
        return text

    def expression(self, kind: str, depth: int) -> str:
        level = 0 if depth <= 0 or self.rng.random() < 0.3 else 1
        return self.fill(self.rng.choice(KINDS[kind][level]), depth)

    def condition(self) -> str:
        symbol = self.rng.choice(["<", ">", "<=", ">=", "==", "!="])
        return f"{self.expression('n', 1)} {symbol} {self.expression('n', 1)}"

    def target(self, template: str) -> str:
        """Put a variable's name in the first place of a template."""
        start, _, rest = template.partition("{")
        kind, _, after = rest.partition("}")
        if start:
            return template
        return self.rng.choice(NAMES[kind]) + after

    def statement(self, indent: str, depth: int) -> None:
        inner = indent + "    "
        choice = self.rng.random()
        if choice < 0.35 or (depth == 0 and choice > 0.7):
            kind = self.rng.choice(list(NAMES))
            name = self.rng.choice(NAMES[kind])
            self.add(indent, f"{name} = {self.expression(kind, 2)}")
        elif choice < 0.7:
            self.add(indent, self.fill(self.target(self.rng.choice(SIMPLE)), 2))
        elif choice < 0.85:
            self.add(indent, f"if {self.condition()}:")
            self.block(inner, depth - 1)
            if self.rng.random() < 0.5:
                self.add(indent, "else:")
                self.block(inner, depth - 1)
        else:
            self.loop(indent, depth)

    def loop(self, indent: str, depth: int) -> None:
        inner = indent + "    "
        self.n_loops += 1
        header = self.rng.choice(
            [
                *(
                    "for n1 in {v}:",
                    "for n1 in ({l})[:5]:",
                    "for n2 in range({i}):",
                    "for n1 in it:",
                ),
                *(
                    "for n2, n1 in enumerate({v}):",
                    "for n1, n2 in zip({v}, {v}):",
                    "for v1 in {m}:",
                ),
                *("for n1, n2 in zip(it, {w}):", "for n1 in reversed({v}):", "for n1 in {w}:"),
            ]
        )
        self.add(indent, self.fill(header, 1))
        self.block(inner, depth - 1)
        if self.rng.random() < 0.4:
            self.add(inner, f"if {self.condition()}:")
            self.add(inner + "    ", self.rng.choice(["break", "continue", "break"]))
            self.block(inner, 0)

    def block(self, indent: str, depth: int) -> None:
        for _ in range(self.rng.randint(1, 3)):
            self.statement(indent, depth)
        if self.rng.random() < 0.05:
            self.add(indent, f"return {self.result(0)}")

    def result(self, size_out: int) -> str:
        if size_out == 0:
            return "0.0"
        if size_out == SIZE:
            return self.expression("v", 2)
        if size_out == 1:
            return self.expression("n", 2)
        return "[" + ", ".join(self.expression("n", 2) for _ in range(size_out)) + "]"


class Program(Case):
    """A random program, with what it is given.

    Attributes
    ----------
    text : str
        The program, which defines ``make``.
    inputs : (n, SIZE) numpy.ndarray
        What the function is called with.
    """

    def __init__(self, seed: int):
        rng = random.Random(seed)
        self.is_node = rng.random() < 0.6
        self.size_out = rng.choice([1, 2, SIZE])
        self.text = Writer(rng, self.size_out, self.is_node).text
        numbers = np.random.RandomState(seed % 2**32)
        n = N_STEPS if self.is_node else WORTH_TRACING
        self.inputs = inputs_of(seed, n, SPECIAL, rng.choice([0.0, 0.1, 0.3]))
        numbers = np.random.RandomState(seed % 2**32)
        matrices = {"MATRIX": numbers.randn(SIZE, SIZE), "WIDE": numbers.randn(SIZE, 2 * SIZE)}
        pairs = {"PAIR": (1.0, 2.5), "NESTED": ((1.0, 2.0), (-3.0, 4.0))}
        self.names = {"np": np, "math": math, **matrices, **pairs}


def run(seed: int) -> bool:
    """Check the program of a seed; tells whether it was compiled."""
    program = Program(seed)
    try:
        return program.check()
    except BaseException:
        print(program.text)
        raise


if __name__ == "__main__":
    first, count = map(int, sys.argv[1:])
    print(sum(map(run, range(first, first + count))), "compiled")
