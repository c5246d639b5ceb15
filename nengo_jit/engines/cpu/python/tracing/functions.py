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

from nengo_jit.engines.cpu.python.tracing.operators import call_ufunc, constant, known
from nengo_jit.engines.cpu.python.tracing.tracer import Tracer
from nengo_jit.engines.cpu.python.tracing.values import (
    Unsupported,
    check_count,
    described,
    is_known,
)

Implementation = Callable[..., Any]
FUNCTIONS: dict[Any, Implementation] = {}
METHODS: dict[str, Implementation] = {}

# Functions that make arrays, with the number of elements that they make
SIZES: dict[Any, Callable[..., float]] = {
    np.zeros: lambda shape, dtype=None: _size(shape),
    np.ones: lambda shape, dtype=None: _size(shape),
    np.full: lambda shape, fill_value, dtype=None: _size(shape),
    np.eye: lambda N, M=None, k=0, dtype=None: _size((N, N if M is None else M)),
    np.identity: lambda n, dtype=None: _size((n, n)),
    np.linspace: lambda start, stop, num=50, endpoint=True: _size((num, *np.shape(start))),
    np.logspace: lambda start, stop, num=50, endpoint=True, base=10.0: _size((num,)),
    np.arange: lambda start, stop=None, step=1, dtype=None: (
        start if stop is None else (stop - start) / step
    ),
}
# Functions that depend on nothing but their arguments, for arguments that are known
PURE = {
    *SIZES,
    *(f for f in vars(math).values() if isinstance(f, BuiltinFunctionType)),
    *(abs, bool, divmod, float, int, len, max, min, range, round, sum, str, complex),
    *(np.float64, np.int64, np.bool_, slice),
}
PURE -= {math.factorial, math.comb, math.perm, math.prod}


def _size(shape: Any) -> int:
    return math.prod(shape) if isinstance(shape, (list, tuple)) else shape


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
        is_of_numpy = getattr(np, function.__name__, None) is function
        if kwargs or not is_of_numpy:
            raise Unsupported(f"calls `{name}` in a way that is not known")
        return call_ufunc(tracer, function, *args)
    try:
        is_pure = function in PURE
        implementation = FUNCTIONS.get(function)
    except TypeError:
        raise Unsupported(f"calls {described(function)}") from None
    if is_pure and is_known(args) and is_known(tuple(kwargs.values())):
        if function in SIZES:
            check_count(known(lambda: float(SIZES[function](*args, **kwargs))))
        elif function is not range and function is not len:
            for each in (*args, *kwargs.values()):
                check_count(len(each) if isinstance(each, range) else 0)
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
