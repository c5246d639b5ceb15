"""Calls, attributes and outside values of functions, while they are traced."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import TypeAlias

import numpy as np
from nengo.params import FrozenObject, Parameter

import nengo_jit.engines.cpu.python.tracing.of_conditions
import nengo_jit.engines.cpu.python.tracing.of_python  # noqa: F401  (they register functions)
from nengo_jit.engines.cpu.python.tracing.bytecode import IS_KNOWN_PYTHON, Frame, is_ours
from nengo_jit.engines.cpu.python.tracing.conversions import (
    check_nesting,
    known,
)
from nengo_jit.engines.cpu.python.tracing.foreign import Foreign, call_numpy
from nengo_jit.engines.cpu.python.tracing.functions import METHODS, call_known, is_listed
from nengo_jit.engines.cpu.python.tracing.guards import MISSING, Guards
from nengo_jit.engines.cpu.python.tracing.iterators import Iteration
from nengo_jit.engines.cpu.python.tracing.numpy_calls import METHODS as NUMPY_METHODS
from nengo_jit.engines.cpu.python.tracing.numpy_calls import OF_UFUNCS
from nengo_jit.engines.cpu.python.tracing.of_numpy import ATTRIBUTES, attribute_of
from nengo_jit.engines.cpu.python.tracing.reductions import count_of
from nengo_jit.engines.cpu.python.tracing.selections import Indices, Selection
from nengo_jit.engines.cpu.python.tracing.tape import Writer
from nengo_jit.engines.cpu.python.tracing.traced import Traced
from nengo_jit.engines.cpu.python.tracing.tracer import Tracer
from nengo_jit.engines.cpu.python.tracing.values import (
    SAMPLES,
    Array,
    LocalFunction,
    Number,
    Super,
    Unknown,
    Unsupported,
    Value,
    described,
    is_known,
    reason_of,
)

Arguments: TypeAlias = tuple[Value, ...]
Keywords: TypeAlias = dict[str, Value]

OF_SELECTIONS = ("astype", "clip", "copy", "mean", "round", "sum")
LIST_METHODS = ("append", "extend", "insert", "pop", "reverse")
SPECIAL = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR | inspect.CO_ITERABLE_COROUTINE


@dataclass
class BoundMethod(Unknown):
    """A method of a traced value."""

    owner: Value
    name: str


class Interpreter:
    """Executes functions on traced values; `call` is the entry point.

    Parameters
    ----------
    tracer : Tracer
        Writes the tape.

    Attributes
    ----------
    active : list of CodeType
        The functions that are being executed, the innermost last.
    """

    def __init__(self, tracer: Tracer):
        self.tracer = tracer
        self.active: list[CodeType] = []
        # Lifted tuples and their originals, by the original's identity
        self._tuples: dict[int, tuple[tuple[Value, ...], tuple[object, ...]]] = {}

    def lift(self, value: object, name: str) -> Value:
        """Convert a value from outside of the function to a traced value.

        Parameters
        ----------
        value : object
            The value.
        name : str
            What to call it in error messages.

        Raises
        ------
        Unsupported
            If it may have a state, as a list has.
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
            raise Unsupported(f"is {described(value)}, an object with state")
        raise Unsupported(f"reads {name}, {described(value)}")

    def _lift_tuple(self, values: tuple[object, ...], name: str) -> tuple[Value, ...]:
        """Lift a tuple; returns the same object each time, as Python would."""
        if id(values) not in self._tuples:
            lifted = tuple(self.lift(each, f"an element of {name}") for each in values)
            is_same = all(a is b for a, b in zip(lifted, values))
            self._tuples[id(values)] = values if is_same else lifted, values
        return self._tuples[id(values)][0]

    def call(self, function: Value, args: Arguments, kwargs: Keywords) -> Value:
        """Call a function of any kind."""
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
                    f"calls `{function.__func__.__qualname__}`, a method of an object with state"
                )
            return self.call(function.__func__, (owner, *args), kwargs)
        if isinstance(function, BoundMethod):
            return self._call_method(function.owner, function.name, args, kwargs)
        name = getattr(function, "__name__", type(function).__name__)
        return call_known(self.tracer, function, args, kwargs, name)

    def _run(self, function: LocalFunction, args: Arguments, kwargs: Keywords) -> Value:
        code = function.code
        if code in self.active:
            raise Unsupported(f"calls itself (`{code.co_name}`)")
        if code.co_flags & SPECIAL:
            raise Unsupported("is a coroutine")
        frame = Frame(self, function, self._bind(function, args, dict(kwargs)))
        is_generator = code.co_flags & inspect.CO_GENERATOR
        return Iteration(frame.generate()) if is_generator else frame.run()

    def _bind(self, function: LocalFunction, args: Arguments, kwargs: Keywords) -> Keywords:
        """Bind arguments to the names of parameters."""
        code = function.code
        n, names = code.co_argcount, code.co_varnames
        bound: Keywords = dict(zip(names[:n], args))
        n_all = n + code.co_kwonlyargcount
        if code.co_flags & inspect.CO_VARARGS:
            bound[names[n_all]] = tuple(args[n:])
            n_all += 1
        elif len(args) > n:
            raise Unsupported(f"is called with {len(args)} arguments in place of {n}")
        if code.co_flags & inspect.CO_VARKEYWORDS:
            raise Unsupported("takes arbitrary keyword arguments")
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

    def _default(self, name: str, value: object) -> Value:
        is_traced = isinstance(value, Unknown)
        return value if is_traced else self.lift(value, f"the default argument `{name}`")

    def _call_method(self, owner: Value, name: str, args: Arguments, kwargs: Keywords) -> Value:
        if isinstance(owner, list) and name in LIST_METHODS:
            if name in ("insert", "pop") and not is_known(args[:1]):
                raise Unsupported(f"calls `{name}` of a list with a value that it computes")
            if name == "extend" and not isinstance(args[0], (list, tuple)):
                raise Unsupported(f"extends a list by {described(args[0])}")
            result = known(getattr(owner, name), *args, **kwargs)
            if any(isinstance(each, (list, tuple)) for each in args):
                check_nesting(owner)
            return result
        if isinstance(owner, np.generic) and name in METHODS and not (args or kwargs):
            return known(getattr(owner, name))
        if "out" in kwargs:
            raise Unsupported(f"calls the method `{name}` with arguments that are not supported")
        try:
            return self._call_implementation(owner, name, args, kwargs)
        except Unsupported:
            if not isinstance(owner, (Array, Foreign)) or name not in NUMPY_METHODS:
                raise
            with suppress(Unsupported):
                method = getattr(np.ndarray, name)
                return call_numpy(self.tracer, method, (owner, *args), kwargs)
            raise

    def _call_implementation(
        self, owner: Value, name: str, args: Arguments, kwargs: Keywords
    ) -> Value:
        method = METHODS.get(name)
        if method is None:
            raise Unsupported(f"calls the method `{name}` of {described(owner)}")
        if isinstance(owner, Number) and name != "item":
            raise Unsupported(f"calls the method `{name}` of a number")
        try:
            return method(self.tracer, owner, *args, **kwargs)
        except TypeError:
            raise Unsupported(f"calls `{name}` with arguments that are not supported") from None

    def attribute(self, owner: Value, name: str) -> Value:
        """An attribute of a value."""
        if isinstance(owner, Array) and name in ATTRIBUTES:
            return attribute_of(self.tracer, owner, name)
        if isinstance(owner, (Array, Number, np.generic)) and name in METHODS:
            return BoundMethod(owner, name)
        if isinstance(owner, list) and name in LIST_METHODS:
            return BoundMethod(owner, name)
        if isinstance(owner, (Selection, Indices)):
            return self._attribute_of_selection(owner, name)
        if isinstance(owner, Foreign):
            return self._attribute_of_foreign(owner, name)
        if isinstance(owner, Array) and name in NUMPY_METHODS:
            return BoundMethod(owner, name)
        if type(owner) is np.ufunc and name in (*OF_UFUNCS, "at"):
            return getattr(owner, name)
        if isinstance(owner, Array) and callable(getattr(np.ndarray, name, None)):
            raise Unsupported(f"calls the method `{name}` of {described(owner)}")
        if isinstance(owner, ModuleType):
            self.tracer.watched.add_name(vars(owner), name)
            if type(owner) is not ModuleType or name not in vars(owner):
                raise Unsupported(f"reads `{owner.__name__}.{name}`, which the module may compute")
            return self.lift(vars(owner)[name], f"`{owner.__name__}.{name}`")
        if isinstance(owner, FrozenObject):
            return self._attribute_of_frozen(owner, name)
        if isinstance(owner, Super):
            return self._attribute_of_super(owner, name)
        if type(owner) is type and not hasattr(type, name):
            return self._attribute_of_class(owner, name)
        raise Unsupported(f"reads the attribute `{name}` of {described(owner)}")

    def _attribute_of_selection(self, owner: Selection | Indices, name: str) -> Value:
        if name in OF_SELECTIONS and isinstance(owner, Selection):
            return BoundMethod(owner, name)
        if name == "size":
            return count_of(self.tracer, owner)
        raise Unsupported(f"reads the attribute `{name}` of {described(owner)}")

    def _attribute_of_foreign(self, owner: Foreign, name: str) -> Value:
        if name in ("real", "imag", "T"):
            return call_numpy(self.tracer, getattr, (owner, name), {})
        if name in ATTRIBUTES and isinstance(owner.sample, np.ndarray):
            return getattr(owner.sample, name)
        if name in NUMPY_METHODS:
            return BoundMethod(owner, name)
        raise Unsupported(f"reads the attribute `{name}` of {described(owner.sample)}")

    def _attribute_of_frozen(self, owner: FrozenObject, name: str) -> Value:
        where = f"`{name}` of {described(owner)}"
        if type(owner).__getattribute__ is not object.__getattribute__:
            raise Unsupported(f"reads {where}, which the object may compute")
        self.tracer.watched.add_object(type(owner))
        for namespace in (vars(owner), *map(vars, type(owner).__mro__)):
            self.tracer.watched.add_name(namespace, name)
        found = inspect.getattr_static(owner, name, MISSING)
        if isinstance(found, FunctionType):
            return MethodType(found, owner)
        if isinstance(found, Parameter):
            return self.lift(getattr(owner, name), where)  # it cannot change
        if found is not MISSING and not hasattr(found, "__get__"):
            return self.lift(found, where)
        raise Unsupported(f"reads {where}")

    def _attribute_of_super(self, owner: Super, name: str) -> Value:
        """A method, as `super` finds it."""
        classes = type(owner.owner).__mro__
        self.tracer.watched.add_object(type(owner.owner))
        for base in classes[classes.index(owner.after) + 1 :]:
            self.tracer.watched.add_name(vars(base), name)
            if name in vars(base):
                found = vars(base)[name]
                if not isinstance(found, FunctionType):
                    break
                return MethodType(found, owner.owner)
        raise Unsupported(f"reads `{name}` of `super()`")

    def _attribute_of_class(self, owner: type, name: str) -> Value:
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


def trace(
    step: Callable[[], object],
    own: Sequence[np.ndarray] = (),
    inspect: Callable[[Writer], None] | None = None,
) -> Traced:
    """Trace a function without arguments, and without calling it.

    Parameters
    ----------
    step : callable
        Such as what an operator's ``make_step`` returns.
    own : sequence of numpy.ndarray
        Arrays that cannot move, such as those of the operator's signals. Before each call, the tape
        checks all others.
    inspect : callable, optional
        Looks at the tape before it is put into memory, and may raise `Unsupported`.

    Returns
    -------
    Traced

    Raises
    ------
    Unsupported
        With the reason, if only Python can execute the function, or if tracing fails.
    """
    writer, watched, reasons = written(step, own)
    try:
        if inspect is not None:
            inspect(writer)
        tape = writer.finish(watched.words())
    except Exception as problem:
        raise Unsupported(reason_of(problem)) from None
    return Traced(tape, reasons, watched)


def written(
    step: Callable[[], object], own: Sequence[np.ndarray] = ()
) -> tuple[Writer, Guards, list[str]]:
    """Trace a function like `trace`, but put no tape into memory.

    Returns
    -------
    Writer
        Has the instructions.
    Guards
        What the function reads that may be rebound.
    list of str
        Why some paths end with a call of the function in Python.
    """
    if not IS_KNOWN_PYTHON:
        raise Unsupported("can be compiled by Python 3.11 to 3.13 only")

    def run(tracer: Tracer) -> None:
        interpreter = Interpreter(tracer)
        interpreter.call(interpreter.lift(step, "the function"), (), {})

    tracer = Tracer(run, own)
    try:
        reasons = tracer.trace()
    except Exception as problem:
        raise Unsupported(reason_of(problem)) from None
    return tracer.writer, tracer.watched, reasons
