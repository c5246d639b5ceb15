"""Which functions of JAX do what the instructions of a tape do.

Tapes refer to NumPy's and the C library's functions by their addresses.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import cache
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from nengo_jit.engines.cpu.python.instructions import Opcode
from nengo_jit.engines.cpu.python.tape_vm import LARGEST_INTEGER
from nengo_jit.engines.cpu.python.tracing import Unsupported
from nengo_jit.engines.cpu.python.tracing.addresses import c_function, loop_of
from nengo_jit.engines.cpu.python.tracing.ufuncs import CLIP

Function: TypeAlias = Callable[..., Any]

# Names in `math`, and in `jax.numpy`
OF_C = {
    **{name: name for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh", "exp", "expm1")},
    **{name: name for name in ("log", "log1p", "log2", "log10", "fmod", "copysign")},
    **{name: f"arc{name[1:]}" for name in ("asin", "acos", "atan", "asinh", "acosh", "atanh")},
    "atan2": "arctan2",
    "pow": "power",
}
LOOPS = (
    *("absolute", "add", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh"),
    *("cbrt", "ceil", "copysign", "cos", "cosh", "deg2rad", "degrees", "divide", "exp", "exp2"),
    *("expm1", "fabs", "floor", "fmax", "fmin", "fmod", "heaviside", "hypot", "log", "log10"),
    *("log1p", "log2", "logaddexp", "logaddexp2", "matmul", "maximum", "minimum", "multiply"),
    *("negative", "nextafter", "power", "rad2deg", "radians", "reciprocal", "rint"),
    *("sin", "sinh", "sqrt", "square", "subtract", "tan", "tanh", "trunc"),
)
OPERATORS = ("add", "getitem", "matmul", "mul", "neg", "sub", "truediv")
# Functions of NumPy that JAX may compute differently, by more than rounding
OTHERWISE = {"argpartition", "choose", "eigh", "lexsort", "partition", "qr", "svd", "take"}
OTHERWISE |= {"take_along_axis"}


def _remainder(a: jax.Array, b: jax.Array) -> jax.Array:
    """``a % b``, with Python's sign of zero."""
    rest = jnp.fmod(a, b)
    rest = jnp.where(_differ(rest, b), rest + b, rest)
    return jnp.where(rest == 0, jnp.copysign(0.0, b), rest)


def _divided_down(a: jax.Array, b: jax.Array) -> jax.Array:
    """``a // b``, with Python's sign of zero; infinity if b is zero."""
    rest = jnp.fmod(a, b)
    quotient = (a - rest) / b - _differ(rest, b)
    floor = jnp.floor(quotient)
    whole = jnp.where(quotient - floor > 0.5, floor + 1.0, floor)
    whole = jnp.where(quotient == 0, jnp.copysign(0.0, a / b), whole)
    return jnp.where(b == 0, jnp.inf, whole)


def _differ(rest: jax.Array, b: jax.Array) -> jax.Array:
    """Whether a remainder has not the sign of the divisor."""
    return (rest != 0) & ((b < 0) != (rest < 0))


def _sign(a: jax.Array) -> jax.Array:
    """The sign of a number; it has no negative zero."""
    return jnp.where(a == 0, 0.0, jnp.sign(a))


def _whole(a: jax.Array) -> jax.Array:
    """A whole number; it has no negative zero."""
    return jnp.where(jnp.abs(a) < LARGEST_INTEGER, jnp.where(a == 0, 0.0, a), jnp.inf)


ELEMENTWISE: dict[Opcode, Function] = {
    Opcode.MOVE: lambda a: a,
    Opcode.ADD: jnp.add,
    Opcode.SUBTRACT: jnp.subtract,
    Opcode.MULTIPLY: jnp.multiply,
    Opcode.DIVIDE: jnp.divide,
    Opcode.REMAINDER: _remainder,
    Opcode.FLOOR_DIVIDE: _divided_down,
    Opcode.NEGATIVE: jnp.negative,
    Opcode.ABSOLUTE: jnp.abs,
    Opcode.SQRT: jnp.sqrt,
    Opcode.FLOOR: jnp.floor,
    Opcode.CEIL: jnp.ceil,
    Opcode.TRUNC: jnp.trunc,
    Opcode.RINT: jnp.round,
    Opcode.INTEGER: _whole,
    Opcode.LESS: jnp.less,
    Opcode.LESS_EQUAL: jnp.less_equal,
    Opcode.EQUAL: jnp.equal,
    Opcode.NOT_EQUAL: jnp.not_equal,
    Opcode.AND: jnp.logical_and,
    Opcode.OR: jnp.logical_or,
    Opcode.NOT: jnp.logical_not,
    Opcode.SELECT: lambda a, b, c: jnp.where(c != 0, a, b),
    Opcode.SHORT: lambda a: lax.reduce_precision(a, 8, 23),
    Opcode.AT_LEAST: lambda a, b: jnp.where(a < b, b, a),
    Opcode.AT_MOST: lambda a, b: jnp.where(b < a, b, a),
}
ALWAYS_FINITE = {each for each in ELEMENTWISE if Opcode.LESS <= each <= Opcode.NOT}
# What makes infinity, or "not a number", of operands that are not finite
HANDING_ON = {Opcode.MOVE, Opcode.ADD, Opcode.SUBTRACT, Opcode.MULTIPLY, Opcode.NEGATIVE}
HANDING_ON |= {Opcode.ABSOLUTE, Opcode.SHORT}
REDUCTIONS: dict[Function, tuple[Function, float]] = {
    jnp.add: (jnp.sum, 0.0),
    jnp.multiply: (jnp.prod, 1.0),
    jnp.maximum: (jnp.max, -np.inf),
    jnp.minimum: (jnp.min, np.inf),
}


@cache
def _by_address() -> dict[tuple[int, int] | int, Function]:
    found: dict[tuple[int, int] | int, Function] = {}
    for name in LOOPS:
        ufunc: np.ufunc = getattr(np, name)
        for letter in "fd":
            signature = f"{letter * ufunc.nin}->{letter}"
            if signature in ufunc.types:
                found[loop_of(ufunc, signature)] = getattr(jnp, name)
    for letter in "fd":
        found[loop_of(np.sign, f"{letter}->{letter}")] = _sign
        found[loop_of(CLIP, f"{3 * letter}->{letter}")] = jnp.clip
    for name, ours in OF_C.items():
        found[c_function(name)] = getattr(jnp, ours)
    return found


def function_at(address: tuple[int, int] | int) -> Function:
    """Return what JAX has in place of the code at an address.

    Parameters
    ----------
    address : int or tuple of int
        Address of a function of the C library, or those of a ufunc's loop and its data.

    Raises
    ------
    Unsupported
        If it has nothing.
    """
    try:
        return _by_address()[address]
    except KeyError:
        raise Unsupported("calls a function that the device does not have") from None


def counterpart(function: Any) -> Function:
    """Return the function of JAX with the name and meaning of one of NumPy's.

    Raises
    ------
    Unsupported
        If there is none.
    """
    name = getattr(function, "__name__", "")
    if name in OTHERWISE:
        raise Unsupported(f"calls `{name}`, which is not the same on the device")
    owner = getattr(function, "__self__", None)
    if name == "reduce" and isinstance(owner, np.ufunc) and owner.__name__ in LOOPS:
        reduce: Function = getattr(jnp, owner.__name__).reduce
        return reduce
    if name in OPERATORS and getattr(operator, name) is function:
        same: Function = getattr(operator, name)  # JAX's arrays have these, too
        return same
    for theirs, ours in ((np, jnp), (np.linalg, jnp.linalg), (np.fft, jnp.fft)):
        if getattr(theirs, name, None) is function and hasattr(ours, name):
            found: Function = getattr(ours, name)
            return found
    if getattr(np.ndarray, name, None) is function and hasattr(jax.Array, name):
        return lambda array, *args, **kwargs: getattr(array, name)(*args, **kwargs)
    raise Unsupported(f"calls `{name or function}`, which the device does not have")
