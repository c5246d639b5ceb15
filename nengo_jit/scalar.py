"""The functions that neuron formulas are written with, in NumPy.

Formulas use only these functions, arithmetic, ``abs`` and comparisons. Each engine supplies its own
implementation. The one here works elementwise on arrays and on single numbers.
`nengo_jit.engines.cpu.toolchain.llvm.elementary` compiles the same names into loops, and `bind`
takes them from another array library.

In formulas, write numbers with a decimal point (``1.0``, not ``1``): engines give such numbers
the precision of the simulation.

The functions do not check their arguments. `where` computes both values, so the one that it does
not select may be infinite or NaN, with NumPy's warnings.
"""

from __future__ import annotations

from functools import lru_cache
from types import FunctionType, ModuleType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Value: TypeAlias = float | NDArray[np.float64]  # of one neuron, or of a population
Condition: TypeAlias = bool | NDArray[np.bool_]


def where(condition: Condition, if_true: Any, if_false: Any) -> Value:
    """Select ``if_true`` where ``condition`` holds, else ``if_false``; both are computed."""
    return np.where(condition, if_true, if_false)


def above(x: Value, threshold: Value) -> Condition:
    """Return ``x > threshold``, for the condition of a spike.

    Training gives it a surrogate gradient, see `nengo_jit.training.surrogates`; comparisons that
    are written with operators have none.
    """
    return np.greater(x, threshold)


def reached(x: Value, threshold: Value) -> Condition:
    """Return ``x >= threshold``, for the condition of a spike; see `above`."""
    return np.greater_equal(x, threshold)


def exp(x: Value) -> Value:
    """Return the exponential function of ``x``."""
    return np.exp(x)


def expm1(x: Value) -> Value:
    """Return ``exp(x) - 1``, precise near zero."""
    return np.expm1(x)


def log1p(x: Value) -> Value:
    """Return ``log(1 + x)``, precise near zero; minus infinity at -1 and NaN below."""
    return np.log1p(x)


def tanh(x: Value) -> Value:
    """Return the hyperbolic tangent of ``x``."""
    return np.tanh(x)


def floor(x: Value) -> Value:
    """Return the largest integer not above ``x``, as a floating-point number."""
    return np.floor(x)


def maximum(a: Value, b: Value) -> Value:
    """Return the larger of ``a`` and ``b``; NaN if one of them is.

    Put a constant first: the call then compiles to one instruction.
    """
    return np.maximum(a, b)


def minimum(a: Value, b: Value) -> Value:
    """Return the smaller of ``a`` and ``b``; NaN if one of them is. Put a constant first."""
    return np.minimum(a, b)


def clip(x: Value, low: Value, high: Value) -> Value:
    """Limit ``x`` to the range from ``low`` to ``high``; NaN if ``x`` is."""
    return np.minimum(np.maximum(x, low), high)


@lru_cache(maxsize=256)
def bind(step: FunctionType, library: ModuleType) -> FunctionType:
    """Return a formula that works on the arrays of another library.

    Parameters
    ----------
    step : function
        A formula, which may call other formulas by their global names.
    library : module
        A library with the functions of the Python array API standard, such as `jax.numpy`. Its
        ``where`` may need an array among its arguments: pass the parameters as arrays.

    Returns
    -------
    function
        The same function, with the library's functions.
    """
    if step.__module__ == __name__:
        names: dict[str, object] = {"np": library}
    else:
        referred = {name: step.__globals__.get(name) for name in step.__code__.co_names}
        functions = {name: f for name, f in referred.items() if isinstance(f, FunctionType)}
        names = {name: bind(function, library) for name, function in functions.items()}
    names = {**step.__globals__, **names}
    return FunctionType(step.__code__, names, step.__name__, step.__defaults__, step.__closure__)
