"""Functions that are not traced themselves, since it is known what they do.

What a function does to traced values is an implementation, which has the tracer and the call's
arguments as parameters. `of_python` and `of_numpy` have those that there are.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import BuiltinFunctionType
from typing import Any

import numpy as np

from nengo_jit.engines.cpu.tracing.operators import (
    MOST_ELEMENTS,
    call_ufunc,
    check_size,
    constant,
    known,
)
from nengo_jit.engines.cpu.tracing.tracer import Tracer
from nengo_jit.engines.cpu.tracing.values import Unsupported, described, is_known

Implementation = Callable[..., Any]
FUNCTIONS: dict[Any, Implementation] = {}
METHODS: dict[str, Implementation] = {}

# Functions that depend on nothing but their arguments, for arguments that are known
MAKERS = {np.linspace, np.logspace, np.zeros, np.ones, np.full, np.eye, np.identity, np.arange}
PURE = MAKERS | {
    *(f for f in vars(math).values() if isinstance(f, BuiltinFunctionType)),
    *(abs, bool, divmod, float, int, len, max, min, range, round, sum, str, complex),
    *(np.float64, np.int64, np.bool_, slice),
}
PURE -= {math.factorial, math.comb, math.perm, math.prod}


def stands_for(*functions: Any) -> Callable[[Implementation], Implementation]:
    """Decorator: what functions do to traced values."""

    def register(implementation: Implementation) -> Implementation:
        FUNCTIONS.update(dict.fromkeys(functions, implementation))
        return implementation

    return register


def method(name: str) -> Callable[[Implementation], Implementation]:
    """Decorator: what a method of arrays, and of NumPy's numbers, does."""

    def register(implementation: Implementation) -> Implementation:
        METHODS[name] = implementation
        return implementation

    return register


def is_listed(function: Any) -> bool:
    """Whether a function is not traced itself: it is known what it does, or it is NumPy's."""
    is_of_numpy = str(getattr(function, "__module__", "")).split(".")[0] == "numpy"
    return is_of_numpy or function in FUNCTIONS or function in PURE


def call_known(tracer: Tracer, function: Any, args: Any, kwargs: Any, name: str) -> Any:
    """Call a function that is not traced itself.

    Raises
    ------
    Unsupported
        If it is not known what it does.
    """
    if isinstance(function, np.ufunc) and function not in FUNCTIONS:
        if kwargs or getattr(np, function.__name__, None) is not function:
            raise Unsupported(f"calls `{name}` in a way that is not known")
        return call_ufunc(tracer, function, *args)  # type: ignore[arg-type]
    try:
        is_pure = function in PURE
        implementation = FUNCTIONS.get(function)
    except TypeError:
        raise Unsupported(f"calls {described(function)}") from None
    if is_pure and is_known(args) and is_known(tuple(kwargs.values())):
        if function in MAKERS:
            check_size((*args, *kwargs.values()), MOST_ELEMENTS)
        if function is np.arange and len(args) == 3 and abs(args[2]) < 1 / MOST_ELEMENTS:
            raise Unsupported("makes a large array")
        return constant(tracer, known(function, *args, **kwargs))
    if implementation is not None:
        try:
            return implementation(tracer, *args, **kwargs)
        except TypeError as error:
            raise Unsupported(f"calls `{name}` in a way that is not known ({error})") from None
    owner = getattr(function, "__self__", None)
    if type(owner).__module__.startswith("numpy.random"):
        raise Unsupported("uses numpy.random")
    if isinstance(function, type) or hasattr(function, "__name__"):
        raise Unsupported(f"calls `{name}`")
    raise Unsupported(f"calls `{name}`, {described(function)}")
