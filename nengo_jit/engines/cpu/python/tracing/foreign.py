"""Calls of NumPy from a tape, for what the tape's own instructions cannot compute.

Such a call takes registers and fills registers, so the tape goes on after it. Values between calls
may be of any type, such as complex numbers: they have no registers, and are computed when a call
needs them.
"""

from __future__ import annotations

import _thread
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from nengo_jit.engines.cpu.language.primitives import FLOAT64
from nengo_jit.engines.cpu.python.errstate import RAISING
from nengo_jit.engines.cpu.python.instructions import Opcode
from nengo_jit.engines.cpu.python.tape_vm import LARGEST_INTEGER
from nengo_jit.engines.cpu.python.tracing.instruction import PythonCall, Span
from nengo_jit.engines.cpu.python.tracing.strides import empty_with
from nengo_jit.engines.cpu.python.tracing.tracer import Tracer
from nengo_jit.engines.cpu.python.tracing.values import (
    SAMPLES,
    SCALARS,
    Array,
    LiveArray,
    Number,
    Unknown,
    Unsupported,
    Value,
    described,
    is_known,
)

Function: TypeAlias = Callable[..., object]
Compute: TypeAlias = Callable[[Sequence[object]], Any]  # of the values of all leaves


@dataclass(frozen=True)
class Leaf:
    """A number or an array that a call takes from registers, or an array that it reads in place.

    Attributes
    ----------
    kind : type or numpy.dtype
        A number's type in Python, or an array's.
    shape, strides : tuple of int
        Of the array; strides in elements.
    key : object
        The registers, or the identity of the array.
    """

    kind: type | np.dtype
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    key: object
    registers: np.ndarray = field(compare=False, repr=False)
    memory: np.ndarray | None = field(compare=False, repr=False)

    def empty(self) -> np.ndarray:
        """A new array with this layout."""
        return empty_with(self.shape, self.strides, np.dtype(self.kind))


@dataclass(frozen=True)
class Call:
    """An expression: a call of a function on leaves, other calls, values that are known, and lists.

    Attributes
    ----------
    function : callable
        The function.
    args : tuple
        Its arguments.
    names : tuple of str
        Names of the last ones.
    """

    function: Function
    args: tuple[object, ...]
    names: tuple[str, ...]


@dataclass(frozen=True)
class Items:
    """A list or tuple in an expression."""

    kind: type
    items: tuple[object, ...]


@dataclass(eq=False)
class Foreign(Unknown):
    """A value that only NumPy computes.

    Attributes
    ----------
    expression : Call
        How.
    sample : object
        An example.
    """

    expression: Call
    sample: object


def call_numpy(
    tracer: Tracer, function: Function, args: Sequence[Value], kwargs: dict[str, Value]
) -> Value:
    """Call a function of NumPy's that only computes, and that is not compiled.

    Parameters
    ----------
    tracer : Tracer
        Writes the call, unless the result is a `Foreign`.
    function : callable
        The function. Its result must have a type and a shape that do not depend on numbers.
    args, kwargs
        Its arguments.

    Raises
    ------
    Unsupported
        If it takes arguments of other types, returns others, or raises an error for samples.
    """
    if tracer.is_counting:
        raise Unsupported("calls NumPy on elements that a condition selects")
    values = [*args, *kwargs.values()]
    samples = [_sample_of(tracer, value) for value in values]
    given, named = samples[: len(args)], dict(zip(kwargs, samples[len(args) :]))
    try:
        with np.errstate(all="ignore"):
            sample = function(*given, **named)
    except Exception as error:
        raise Unsupported(f"raises {type(error).__name__}: {error}") from None
    parts = tuple(_part(tracer, value) for value in values)
    call = Call(function, parts, tuple(kwargs))
    is_view = any(np.may_share_memory(sample, each) for each in _arrays(samples, sample))
    if isinstance(sample, (tuple, list)):
        return type(sample)(_element(tracer, call, sample, i) for i in range(len(sample)))
    return _result(tracer, call, sample, is_view)


def _element(tracer: Tracer, call: Call, sample: Sequence[object], i: int) -> Value:
    return _result(tracer, Call(_pick, (call, i), ()), sample[i], False)


def _pick(values: Sequence[object], i: int) -> object:
    return values[i]


def _arrays(values: Sequence[object], result: object) -> Iterator[np.ndarray]:
    """The arrays among values, if the result is an array, too."""
    if isinstance(result, np.ndarray):
        for each in values:
            if isinstance(each, np.ndarray):
                yield each


def _result(tracer: Tracer, call: Call, sample: Any, is_view: bool) -> Value:
    """The result of a call: in registers, if they can hold its type."""
    if next(_leaves(call), None) is None:
        return tracer.array(sample) if isinstance(sample, np.ndarray) else sample
    if isinstance(sample, np.ndarray) and sample.dtype in SCALARS:
        first = _write(tracer, call, sample)
        strides = tuple(each // sample.itemsize for each in sample.strides)
        registers = empty_with(sample.shape, strides, np.dtype(np.int64))
        registers[...] = np.arange(first, first + sample.size).reshape(sample.shape)
        return Array(registers, sample.dtype, writeable=not is_view)
    if type(sample) in SAMPLES:
        return Number(_write(tracer, call, sample), type(sample))
    if isinstance(sample, (np.ndarray, np.generic, complex)):
        return Foreign(call, sample)
    raise Unsupported(f"calls `{_name(call.function)}`, which returns {described(sample)}")


def _name(function: Function) -> str:
    return str(getattr(function, "__name__", function))


def _write(tracer: Tracer, call: Call, sample: Any) -> int:
    """Write a call; returns the first register of its result."""
    size = int(np.size(sample))
    if not size:
        raise Unsupported(f"calls `{_name(call.function)}`, which returns an empty array")
    leaves = list(dict.fromkeys(_leaves(call)))
    inputs = []
    for leaf in leaves:
        if leaf.memory is None:
            first = tracer.contiguous(leaf.registers)[0]
            inputs.append(Span(first, 1, leaf.registers.size))
    program = _Program(leaves, _compiled(call, leaves), sample)
    return tracer.compute(Opcode.CALL, PythonCall(program.bind, (call,), tuple(inputs)), n=size)


def _leaves(part: object) -> Iterator[Leaf]:
    if isinstance(part, Leaf):
        yield part
    elif isinstance(part, (Call, Items)):
        for each in part.args if isinstance(part, Call) else part.items:
            yield from _leaves(each)


def _compiled(part: object, leaves: list[Leaf]) -> Compute:
    """A function that computes an expression."""
    if isinstance(part, Leaf):
        index = leaves.index(part)
        return lambda values: values[index]
    if isinstance(part, Items):
        kind, items = part.kind, [_compiled(each, leaves) for each in part.items]
        return lambda values: kind(each(values) for each in items)
    if isinstance(part, Call):
        function, names = part.function, part.names
        args = [_compiled(each, leaves) for each in part.args]
        n = len(args) - len(names)
        if names:
            named = [*zip(names, args[n:])]
            return lambda values: function(
                *[each(values) for each in args[:n]], **{k: v(values) for k, v in named}
            )
        return lambda values: function(*[each(values) for each in args])
    return lambda values: part


class _Program:
    """An expression that fills registers.

    Parameters
    ----------
    leaves : list of Leaf
        What it takes.
    compute : callable
        Computes it of their values.
    sample : object
        An example of the result.
    """

    def __init__(self, leaves: list[Leaf], compute: Compute, sample: Any):
        self._leaves, self._compute = leaves, compute
        self._type, self._shape = type(sample), np.shape(sample)
        self._dtype = np.asarray(sample).dtype

    def bind(self, registers: list[np.ndarray], result: np.ndarray) -> Callable[[], bool]:
        """A function that takes the leaves from some registers, and fills others.

        It returns whether it could. If not, the step is called in Python, which raises or warns.
        """
        values: list[object] = []
        copies: list[tuple[np.ndarray, np.ndarray]] = []
        numbers: list[tuple[int, Callable[[float], object], np.ndarray]] = []
        sources = iter(registers)
        for i, leaf in enumerate(self._leaves):
            if leaf.memory is not None:
                values.append(leaf.memory)
                continue
            source = next(sources)
            if isinstance(leaf.kind, type):
                values.append(None)
                numbers.append((i, leaf.kind, source))
                continue
            copy, source = leaf.empty(), source.reshape(leaf.shape)
            if leaf.kind == FLOAT64 and copy.flags.c_contiguous:
                values.append(source)
            else:
                values.append(copy)
                copies.append((copy, source))
        compute, filled = self._compute, result.reshape(self._shape)
        is_of_integers = self._dtype.kind == "i"

        def run() -> bool:
            try:
                for copy, source in copies:
                    copy[...] = source
                for i, kind, source in numbers:
                    values[i] = kind(source.item())
                found = RAISING.call(compute, values)
                if type(found) is not self._type or np.shape(found) != self._shape:
                    return False
                if isinstance(found, (np.ndarray, np.generic)) and found.dtype != self._dtype:
                    return False
                filled[...] = found
                return not is_of_integers or bool((abs(filled) <= LARGEST_INTEGER).all())
            except KeyboardInterrupt:
                _thread.interrupt_main()  # again, where it can be raised
            except Exception:
                pass
            return False

        return run


def _part(tracer: Tracer, value: Value) -> object:
    """A value as part of an expression."""
    if isinstance(value, Foreign):
        return value.expression
    if isinstance(value, Number):
        register = np.array(value.register)
        return Leaf(value.type, (), (), value.register, register, None)
    if isinstance(value, LiveArray) and not value.has_changed:
        memory = value.memory
        return Leaf(value.dtype, memory.shape, (), id(memory), np.empty(0, np.int64), memory)
    if isinstance(value, Array):
        registers = value.registers
        strides = tuple(each // registers.itemsize for each in registers.strides)
        return Leaf(value.dtype, registers.shape, strides, registers.tobytes(), registers, None)
    if isinstance(value, (list, tuple)):
        return Items(type(value), tuple(_part(tracer, each) for each in value))
    if not is_known(value):
        raise Unsupported(f"calls NumPy on {described(value)}")
    return value


def _sample_of(tracer: Tracer, value: Value) -> object:
    """An example of a value, with the layout that it has; the value itself if it is known."""
    if isinstance(value, Foreign):
        return value.sample
    if isinstance(value, Number):
        return SAMPLES[value.type]
    if isinstance(value, LiveArray) and not value.has_changed:
        return value.memory
    if isinstance(value, Array):
        if not value.registers.size:
            raise Unsupported("calls NumPy on an empty array")
        leaf = _part(tracer, value)
        assert isinstance(leaf, Leaf)
        sample = leaf.empty()
        if tracer.is_known(value.registers):
            sample[...] = tracer.known(value.registers)
        elif value.dtype.kind == "f":
            sample[...] = np.random.RandomState(0).uniform(0.5, 1.5, sample.shape)
        else:
            sample[...] = 0
        return sample
    if isinstance(value, (list, tuple)):
        return type(value)(_sample_of(tracer, each) for each in value)
    if not is_known(value):
        raise Unsupported(f"calls NumPy on {described(value)}")
    return value
