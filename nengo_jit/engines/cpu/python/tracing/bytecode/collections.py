"""Instructions that make lists, tuples and slices, and unpack them."""

from __future__ import annotations

import dis

from nengo_jit.engines.cpu.python.tracing.bytecode.frame import Frame, argument, handles
from nengo_jit.engines.cpu.python.tracing.conversions import (
    check_nesting,
)
from nengo_jit.engines.cpu.python.tracing.iterators import elements
from nengo_jit.engines.cpu.python.tracing.values import Unsupported, Value

INTRINSIC_LIST_TO_TUPLE = 6


@handles("BUILD_TUPLE")
def _build_tuple(frame: Frame, instruction: dis.Instruction) -> None:
    frame.stack.append(tuple(_elements(frame, argument(instruction))))


@handles("BUILD_LIST")
def _build_list(frame: Frame, instruction: dis.Instruction) -> None:
    frame.stack.append(_elements(frame, argument(instruction)))


def _elements(frame: Frame, n: int) -> list[Value]:
    values = frame.pop(n)
    if any(isinstance(value, (list, tuple)) for value in values):
        check_nesting(values)
    return values


@handles("BUILD_SLICE")
def _build_slice(frame: Frame, instruction: dis.Instruction) -> None:
    frame.stack.append(slice(*frame.pop(argument(instruction))))


@handles("LIST_EXTEND")
def _list_extend(frame: Frame, instruction: dis.Instruction) -> None:
    target = frame.stack[-1 - argument(instruction)]
    assert isinstance(target, list)
    target.extend(elements(frame.tracer, frame.stack.pop()))
    check_nesting(target)


@handles("LIST_APPEND")
def _list_append(frame: Frame, instruction: dis.Instruction) -> None:
    value = frame.stack.pop()
    target = frame.stack[-argument(instruction)]
    assert isinstance(target, list)
    target.append(value)
    if isinstance(value, (list, tuple)):
        check_nesting(target)


@handles("LIST_TO_TUPLE")
def _list_to_tuple(frame: Frame, instruction: dis.Instruction) -> None:
    values = frame.stack.pop()
    assert isinstance(values, list)
    frame.stack.append(tuple(values))


@handles("CALL_INTRINSIC_1")
def _call_intrinsic_1(frame: Frame, instruction: dis.Instruction) -> None:
    if argument(instruction) != INTRINSIC_LIST_TO_TUPLE:
        raise Unsupported(f"uses the instruction {instruction.opname} {instruction.arg}")
    _list_to_tuple(frame, instruction)


@handles("UNPACK_SEQUENCE")
def _unpack_sequence(frame: Frame, instruction: dis.Instruction) -> None:
    values, n = elements(frame.tracer, frame.stack.pop()), argument(instruction)
    if len(values) != n:
        raise Unsupported(f"unpacks {len(values)} values into {n} variables")
    frame.stack += values[::-1]
