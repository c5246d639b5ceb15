"""The vocabulary that neuron formulas are written in, for NumPy.

Formulas use only these functions, arithmetic, ``abs`` and comparisons. Each engine supplies its
own implementation: this one works on arrays and on single numbers, element by element;
`nengo_jit.engines.cpu.toolchain.llvm.elementary` makes the same names work inside compiled
loops, and `bind` takes them from another array library.

In formulas, write numbers with a decimal point (``1.0``, not ``1``): engines give such numbers
the precision of the simulation.

No function checks its arguments. `where` selects between two values that are both computed, so
the one that is not selected may be infinite or not a number, with the warnings that NumPy gives.
"""

from __future__ import annotations

from functools import lru_cache
from types import FunctionType, ModuleType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Value: TypeAlias = float | NDArray[np.float64]  # of a single neuron, or of each of a population
Condition: TypeAlias = bool | NDArray[np.bool_]  # of the same


def where(condition: Condition, if_true: Any, if_false: Any) -> Value:
    """``if_true`` where ``condition`` holds, ``if_false`` elsewhere; both are computed."""
    return np.where(condition, if_true, if_false)


def exp(x: Value) -> Value:
    """The exponential function of ``x``."""
    return np.exp(x)


def expm1(x: Value) -> Value:
    """``exp(x) - 1``, precise near zero."""
    return np.expm1(x)


def log1p(x: Value) -> Value:
    """``log(1 + x)``, precise near zero; minus infinity at -1 and NaN below."""
    return np.log1p(x)


def tanh(x: Value) -> Value:
    """The hyperbolic tangent of ``x``."""
    return np.tanh(x)


def floor(x: Value) -> Value:
    """The largest integer not above ``x``, as a floating-point number."""
    return np.floor(x)


def maximum(a: Value, b: Value) -> Value:
    """The larger of ``a`` and ``b``; NaN if one of them is.

    A constant should come first: that takes one instruction.
    """
    return np.maximum(a, b)


def minimum(a: Value, b: Value) -> Value:
    """The smaller of ``a`` and ``b``; NaN if one of them is. A constant should come first."""
    return np.minimum(a, b)


def clip(x: Value, low: Value, high: Value) -> Value:
    """``x``, but not below ``low`` and not above ``high``; NaN if ``x`` is."""
    return np.minimum(np.maximum(x, low), high)


@lru_cache(maxsize=256)
def bind(step: FunctionType, library: ModuleType) -> FunctionType:
    """A formula on the arrays of another library than NumPy.

    Parameters
    ----------
    step : function
        A function in this vocabulary, which may call others like it by their global names.
    library : module
        Has the functions of the Python array API standard, such as `jax.numpy`. It may want an
        array among the arguments of ``where``; formulas see to that if their parameters are arrays.

    Returns
    -------
    function
        The same function, with another vocabulary.
    """
    if step.__module__ == __name__:
        names: dict[str, object] = {"np": library}
    else:
        referred = {name: step.__globals__.get(name) for name in step.__code__.co_names}
        functions = {name: f for name, f in referred.items() if isinstance(f, FunctionType)}
        names = {name: bind(function, library) for name, function in functions.items()}
    names = {**step.__globals__, **names}
    return FunctionType(step.__code__, names, step.__name__, step.__defaults__, step.__closure__)
