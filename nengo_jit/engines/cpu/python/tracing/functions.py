"""The table of functions that have an implementation for traced values, and are not traced.

An implementation takes the tracer and the arguments of the call. They are in `of_python` and
`of_numpy`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import BuiltinFunctionType
from typing import TypeAlias, TypeVar

import numpy as np

from nengo_jit.engines.cpu.python.tracing.conversions import (
    constant,
    known,
)
from nengo_jit.engines.cpu.python.tracing.foreign import call_numpy
from nengo_jit.engines.cpu.python.tracing.indexing import change, change_by
from nengo_jit.engines.cpu.python.tracing.numpy_calls import may_be_called
from nengo_jit.engines.cpu.python.tracing.operators import (
    call_ufunc,
)
from nengo_jit.engines.cpu.python.tracing.tracer import Tracer
from nengo_jit.engines.cpu.python.tracing.values import (
    Array,
    Unsupported,
    Value,
    check_count,
    check_length,
    described,
    is_known,
)

Implementation: TypeAlias = Callable[..., Value]
Registered = TypeVar("Registered", bound=Implementation)
FUNCTIONS: dict[object, Implementation] = {}
METHODS: dict[str, Implementation] = {}

# Functions that make arrays, with the number of elements of the result
SIZES: dict[object, Callable[..., float]] = {
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
# Functions that are called during tracing, if all arguments are known
PURE: set[object] = {
    *SIZES,
    *(f for f in vars(math).values() if isinstance(f, BuiltinFunctionType)),
    *(abs, bool, divmod, float, int, len, max, min, range, round, sum, str, complex),
    *(np.float64, np.float32, np.int64, np.bool_, slice),
}
PURE -= {math.factorial, math.comb, math.perm, math.prod}


def _size(shape: int | Sequence[int]) -> int:
    return shape if isinstance(shape, int) else math.prod(shape)


def stands_for(*functions: object) -> Callable[[Registered], Registered]:
    """Decorator: register the implementation of functions."""

    def register(implementation: Registered) -> Registered:
        FUNCTIONS.update(dict.fromkeys(functions, implementation))
        return implementation

    return register


def method(name: str) -> Callable[[Registered], Registered]:
    """Decorator: register the implementation of a method of arrays and of NumPy scalars."""

    def register(implementation: Registered) -> Registered:
        METHODS[name] = implementation
        return implementation

    return register


def is_listed(function: object) -> bool:
    """Whether a function is not traced itself: it has an implementation, or is NumPy's."""
    is_of_numpy = str(getattr(function, "__module__", "")).split(".")[0] == "numpy"
    return is_of_numpy or function in FUNCTIONS or function in PURE


def call_known(
    tracer: Tracer, function: Value, args: tuple[Value, ...], kwargs: dict[str, Value], name: str
) -> Value:
    """Call a function that is not traced itself.

    Raises
    ------
    Unsupported
        If it has no implementation, or none for these arguments.
    """
    if "out" in kwargs:
        return _into(tracer, function, args, kwargs, name)
    if (
        type(function) is BuiltinFunctionType
        and isinstance(function.__self__, np.ufunc)
        and name == "at"
        and isinstance(args[0], Array)
        and not kwargs
    ):
        change_by(tracer, args[0], function, args[1:])
        return None
    try:
        return _call_implementation(tracer, function, args, kwargs, name)
    except Unsupported:
        is_partial = isinstance(function, np.ufunc) and "where" in kwargs  # leaves some undefined
        if is_partial or not may_be_called(function) or not callable(function):
            raise
        with suppress(Unsupported):
            return call_numpy(tracer, function, args, kwargs)
        raise


def _into(
    tracer: Tracer, function: Value, args: tuple[Value, ...], kwargs: dict[str, Value], name: str
) -> Value:
    """Call a function that puts its result into an array."""
    rest = {key: value for key, value in kwargs.items() if key != "out"}
    out = kwargs["out"]
    if isinstance(out, tuple) and len(out) == 1:
        (out,) = out
    if out is None:
        return call_known(tracer, function, args, rest, name)
    result = call_known(tracer, function, args, rest, name)
    if not isinstance(out, Array):
        raise Unsupported(f"calls `{name}` with arguments that are not supported")
    is_ufunc = isinstance(function, np.ufunc) or function is np.clip
    change(tracer, out, result, "same_kind" if is_ufunc else "no")
    return out


def _call_implementation(
    tracer: Tracer, function: Value, args: tuple[Value, ...], kwargs: dict[str, Value], name: str
) -> Value:
    if isinstance(function, np.ufunc) and function not in FUNCTIONS:
        is_of_numpy = getattr(np, function.__name__, None) is function
        if kwargs or not is_of_numpy:
            raise Unsupported(f"calls `{name}` with arguments that are not supported")
        return call_ufunc(tracer, function, *args)
    try:
        is_pure = function in PURE
        implementation = FUNCTIONS.get(function)
    except TypeError:
        raise Unsupported(f"calls {described(function)}") from None
    if is_pure and callable(function) and is_known(args) and is_known(tuple(kwargs.values())):
        if function in SIZES:
            check_count(known(lambda: float(SIZES[function](*args, **kwargs))))
        elif function is not range and function is not len:
            for each in (*args, *kwargs.values()):
                check_length(len(each) if isinstance(each, range) else 0)
        return constant(tracer, known(function, *args, **kwargs))
    if implementation is not None:
        try:
            return implementation(tracer, *args, **kwargs)
        except TypeError:
            raise Unsupported(f"calls `{name}` with arguments that are not supported") from None
    owner = getattr(function, "__self__", None)
    if type(owner).__module__.startswith("numpy.random"):
        raise Unsupported("uses numpy.random")
    if isinstance(function, type) or hasattr(function, "__name__"):
        raise Unsupported(f"calls `{name}`")
    raise Unsupported(f"calls `{name}`, {described(function)}")
