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
from types import FunctionType
from typing import Any

import numpy as np


def where(condition: Any, if_true: Any, if_false: Any) -> Any:
    """``if_true`` where ``condition`` holds, ``if_false`` elsewhere; both are computed."""
    return np.where(condition, if_true, if_false)


def exp(x: Any) -> Any:
    """The exponential function of ``x``."""
    return np.exp(x)


def expm1(x: Any) -> Any:
    """``exp(x) - 1``, precise near zero."""
    return np.expm1(x)


def log1p(x: Any) -> Any:
    """``log(1 + x)``, precise near zero; minus infinity at -1 and NaN below."""
    return np.log1p(x)


def tanh(x: Any) -> Any:
    """The hyperbolic tangent of ``x``."""
    return np.tanh(x)


def floor(x: Any) -> Any:
    """The largest integer not above ``x``, as a floating-point number."""
    return np.floor(x)


def maximum(a: Any, b: Any) -> Any:
    """The larger of ``a`` and ``b``; NaN if one of them is.

    A constant should come first: that takes one instruction.
    """
    return np.maximum(a, b)


def minimum(a: Any, b: Any) -> Any:
    """The smaller of ``a`` and ``b``; NaN if one of them is. A constant should come first."""
    return np.minimum(a, b)


def clip(x: Any, low: Any, high: Any) -> Any:
    """``x``, but not below ``low`` and not above ``high``; NaN if ``x`` is."""
    return np.minimum(np.maximum(x, low), high)


@lru_cache(maxsize=256)
def bind(step: Any, library: Any) -> Any:
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
        names: dict[str, Any] = {"np": library}
    else:
        referred = {name: step.__globals__.get(name) for name in step.__code__.co_names}
        functions = {name: f for name, f in referred.items() if isinstance(f, FunctionType)}
        names = {name: bind(function, library) for name, function in functions.items()}
    names = {**step.__globals__, **names}
    return FunctionType(step.__code__, names, step.__name__, step.__defaults__, step.__closure__)
