"""Calls of functions, and what functions find outside of themselves, while they are traced."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
from nengo.params import FrozenObject, Parameter

import nengo_jit.engines.cpu.python.tracing.of_python  # noqa: F401  whose functions are then listed
from nengo_jit.engines.cpu.python.tracing.bytecode import (
    IS_KNOWN_PYTHON,
    Frame,
    is_ours,
)
from nengo_jit.engines.cpu.python.tracing.functions import METHODS, call_known, is_listed
from nengo_jit.engines.cpu.python.tracing.guards import MISSING
from nengo_jit.engines.cpu.python.tracing.iterators import Iteration
from nengo_jit.engines.cpu.python.tracing.of_numpy import ATTRIBUTES, attribute_of
from nengo_jit.engines.cpu.python.tracing.operators import check_nesting, known
from nengo_jit.engines.cpu.python.tracing.tracer import Traced, Tracer
from nengo_jit.engines.cpu.python.tracing.values import (
    SAMPLES,
    Array,
    LocalFunction,
    Number,
    Unknown,
    Unsupported,
    described,
    is_known,
    reason_of,
)

LIST_METHODS = ("append", "extend", "insert", "pop", "reverse")
SPECIAL = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR | inspect.CO_ITERABLE_COROUTINE


@dataclass
class BoundMethod(Unknown):
    """A method of a value, which is not called yet."""

    owner: Any
    name: str


class Interpreter:
    """Carries out functions; ``interpreter.call(function, args, kwargs)`` is the way in.

    Parameters
    ----------
    tracer : Tracer
        Writes down what is computed.
    """

    def __init__(self, tracer: Tracer):
        self.tracer = tracer
        self.active: list[CodeType] = []
        self._tuples: dict[int, tuple[Any, Any]] = {}  # lifted, by what they are outside

    def lift(self, value: Any, name: str) -> Any:
        """A value from outside of the function as a traced value.

        Parameters
        ----------
        value : object
            The value.
        name : str
            What it is called, in words.

        Raises
        ------
        Unsupported
            If it is something that may have a state, such as a list.
        """
        if isinstance(value, np.ndarray):
            return self.tracer.live(value, name)
        if type(value) is tuple:
            return self._lift_tuple(value, name)
        if value is None or type(value) in SAMPLES or type(value) in (str, np.dtype, slice):
            return value
        if type(value) in (complex, bytes) or type(value) in np.sctypeDict.values():
            return value
        if type(value) is BuiltinFunctionType and isinstance(value.__self__, np.ndarray):
            return BoundMethod(self.lift(value.__self__, name), value.__name__)
        kinds = (FunctionType, BuiltinFunctionType, ModuleType, type, np.ufunc, partial)
        if isinstance(value, (*kinds, FrozenObject, MethodType)):
            return value
        if type(value) is type(np.sum):
            return value
        if callable(value):
            raise Unsupported(f"is {described(value)}, an object with a state")
        raise Unsupported(f"reads {name}, {described(value)}")

    def _lift_tuple(self, values: tuple[Any, ...], name: str) -> tuple[Any, ...]:
        """A tuple from outside: the same one each time, and itself if its elements are."""
        if id(values) not in self._tuples:
            lifted = tuple(self.lift(each, f"an element of {name}") for each in values)
            is_same = all(a is b for a, b in zip(lifted, values))
            self._tuples[id(values)] = values if is_same else lifted, values
        return self._tuples[id(values)][0]

    def call(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a function, of whatever kind."""
        if type(function) is partial:
            self.tracer.watched.add_object(function)
            given = {k: self.lift(v, f"the argument `{k}`") for k, v in function.keywords.items()}
            args = (*(self.lift(each, "an argument") for each in function.args), *args)
            return self.call(self.lift(function.func, "a function"), args, {**given, **kwargs})
        if isinstance(function, FunctionType) and not is_listed(function):
            if not is_ours(function.__globals__):
                self.tracer.watched.add_object(function)
            function = LocalFunction(
                function.__code__,
                function.__globals__,
                function.__defaults__ or (),
                function.__kwdefaults__ or {},
                function.__closure__ or (),
            )
        if isinstance(function, LocalFunction):
            return self._run(function, args, kwargs)
        if isinstance(function, MethodType):
            owner = function.__self__
            if type(owner).__module__.startswith("numpy.random"):
                raise Unsupported("uses numpy.random")
            if not isinstance(owner, FrozenObject) and type(owner) is not type:
                raise Unsupported(
                    f"calls `{function.__func__.__qualname__}`, a method of an object with a state"
                )
            return self.call(function.__func__, (owner, *args), kwargs)
        if isinstance(function, BoundMethod):
            return self._call_method(function.owner, function.name, args, kwargs)
        name = getattr(function, "__name__", type(function).__name__)
        return call_known(self.tracer, function, args, kwargs, name)

    def _run(self, function: LocalFunction, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        code = function.code
        if code in self.active:
            raise Unsupported(f"calls itself (`{code.co_name}`)")
        if code.co_flags & SPECIAL:
            raise Unsupported("is a coroutine")
        frame = Frame(self, function, self._bind(function, args, dict(kwargs)))
        is_generator = code.co_flags & inspect.CO_GENERATOR
        return Iteration(frame.generate()) if is_generator else frame.run()

    def _bind(self, function: LocalFunction, args: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Give arguments the names of parameters."""
        code = function.code
        n, names = code.co_argcount, code.co_varnames
        bound = dict(zip(names[:n], args))
        n_all = n + code.co_kwonlyargcount
        if code.co_flags & inspect.CO_VARARGS:
            bound[names[n_all]] = tuple(args[n:])
            n_all += 1
        elif len(args) > n:
            raise Unsupported(f"is called with {len(args)} arguments in place of {n}")
        if code.co_flags & inspect.CO_VARKEYWORDS:
            raise Unsupported("takes any keywords")
        for name in names[code.co_posonlyargcount : n + code.co_kwonlyargcount]:
            if name in kwargs and name not in bound:
                bound[name] = kwargs.pop(name)
        if kwargs:
            raise Unsupported(f"is called with the argument `{next(iter(kwargs))}`")
        defaults = dict(zip(names[n - len(function.defaults) : n], function.defaults))
        for name, value in {**defaults, **function.keyword_defaults}.items():
            if name not in bound:
                bound[name] = self._default(name, value)
        for name in names[: n + code.co_kwonlyargcount]:
            if name not in bound:
                raise Unsupported(f"is called without the argument `{name}`")
        return bound

    def _default(self, name: str, value: Any) -> Any:
        is_traced = isinstance(value, Unknown)
        return value if is_traced else self.lift(value, f"the default argument `{name}`")

    def _call_method(self, owner: Any, name: str, args: Any, kwargs: Any) -> Any:
        if isinstance(owner, list) and name in LIST_METHODS:
            if name in ("insert", "pop") and not is_known(args[:1]):
                raise Unsupported(f"calls `{name}` of a list with what it computes")
            if name == "extend" and not isinstance(args[0], (list, tuple)):
                raise Unsupported(f"extends a list by {described(args[0])}")
            result = known(getattr(owner, name), *args, **kwargs)
            if any(isinstance(each, (list, tuple)) for each in args):
                check_nesting(owner)
            return result
        if isinstance(owner, np.generic) and name in METHODS and not (args or kwargs):
            return known(getattr(owner, name))
        method = METHODS.get(name)
        if method is None:
            raise Unsupported(f"calls the method `{name}` of {described(owner)}")
        if isinstance(owner, Number) and name != "item":
            raise Unsupported(f"calls the method `{name}` of a number")
        try:
            return method(self.tracer, owner, *args, **kwargs)
        except TypeError as error:
            raise Unsupported(f"calls `{name}` in a way that is not known ({error})") from None

    def attribute(self, owner: Any, name: str) -> Any:
        """An attribute of a value."""
        if isinstance(owner, Array) and name in ATTRIBUTES:
            return attribute_of(self.tracer, owner, name)
        if isinstance(owner, (Array, Number, np.generic)) and name in METHODS:
            return BoundMethod(owner, name)
        if isinstance(owner, list) and name in LIST_METHODS:
            return BoundMethod(owner, name)
        if isinstance(owner, Array) and callable(getattr(np.ndarray, name, None)):
            raise Unsupported(f"calls the method `{name}` of {described(owner)}")
        if isinstance(owner, ModuleType):
            self.tracer.watched.add_name(vars(owner), name)
            if type(owner) is not ModuleType or name not in vars(owner):
                raise Unsupported(f"reads `{owner.__name__}.{name}`, which it may compute")
            return self.lift(vars(owner)[name], f"`{owner.__name__}.{name}`")
        if isinstance(owner, FrozenObject):
            return self._attribute_of_frozen(owner, name)
        if type(owner) is type and not hasattr(type, name):
            return self._attribute_of_class(owner, name)
        raise Unsupported(f"reads the attribute `{name}` of {described(owner)}")

    def _attribute_of_frozen(self, owner: Any, name: str) -> Any:
        where = f"`{name}` of {described(owner)}"
        if type(owner).__getattribute__ is not object.__getattribute__:
            raise Unsupported(f"reads {where}, which it may compute")
        self.tracer.watched.add_object(type(owner))
        for namespace in (vars(owner), *map(vars, type(owner).__mro__)):
            self.tracer.watched.add_name(namespace, name)
        found = inspect.getattr_static(owner, name, MISSING)
        if isinstance(found, FunctionType):
            return MethodType(found, owner)
        if isinstance(found, Parameter):
            return self.lift(getattr(owner, name), where)  # which cannot change
        if found is not MISSING and not hasattr(found, "__get__"):
            return self.lift(found, where)
        raise Unsupported(f"reads {where}")

    def _attribute_of_class(self, owner: type, name: str) -> Any:
        where = f"`{owner.__name__}.{name}`"
        self.tracer.watched.add_object(owner)
        for base in owner.__mro__:
            self.tracer.watched.add_name(vars(base), name)
            if name in vars(base):
                found = vars(base)[name]
                if isinstance(found, classmethod):
                    return MethodType(found.__func__, owner)
                if isinstance(found, staticmethod):
                    return self.lift(found.__func__, where)
                if hasattr(found, "__get__") and not isinstance(found, FunctionType):
                    break
                return self.lift(found, where)
        raise Unsupported(f"reads {where}")


def trace(step: Callable[[], Any], own: Sequence[np.ndarray] = ()) -> Traced:
    """Trace a function of no arguments; it is not called.

    Parameters
    ----------
    step : callable
        Such as what an operator's ``make_step`` returns.
    own : sequence of numpy.ndarray
        Arrays that are known to stay as they are, such as those of the operator's signals. Of
        others the tape makes sure each time.

    Returns
    -------
    Traced

    Raises
    ------
    Unsupported
        If only Python can carry it out, or if anything else goes wrong; with the reason.
    """
    if not IS_KNOWN_PYTHON:
        raise Unsupported("would need a version of Python from 3.11 to 3.13")

    def run(tracer: Tracer) -> None:
        interpreter = Interpreter(tracer)
        interpreter.call(interpreter.lift(step, "the function"), (), {})

    try:
        return Tracer(run, own).trace()
    except Exception as problem:
        raise Unsupported(reason_of(problem)) from None
