"""Instructions that iterate and jump. Their handlers return the offset to jump to, or None."""

from __future__ import annotations

import dis
from collections.abc import Iterator

from nengo_jit.engines.cpu.python.tracing.bytecode.frame import NULL, Frame, Handler, handles
from nengo_jit.engines.cpu.python.tracing.iterators import Iteration, iterate
from nengo_jit.engines.cpu.python.tracing.truths import truth


@handles("GET_ITER")
def _get_iter(frame: Frame, instruction: dis.Instruction) -> None:
    value = frame.stack.pop()
    is_iterator = isinstance(value, Iteration)
    frame.stack.append(value if is_iterator else iterate(frame.tracer, value))


@handles("FOR_ITER")
def _for_iter(frame: Frame, instruction: dis.Instruction) -> int | None:
    iterator = frame.stack[-1]
    assert isinstance(iterator, Iterator)
    value = next(iterator, NULL)
    if value is NULL:
        frame.stack.pop()
        return _target(instruction)
    frame.stack.append(value)
    return None


def _target(instruction: dis.Instruction) -> int:
    return int(instruction.argval)


@handles("JUMP_FORWARD", "JUMP_BACKWARD", "JUMP_BACKWARD_NO_INTERRUPT")
def _jump(frame: Frame, instruction: dis.Instruction) -> int:
    return _target(instruction)


def _pop_jump_if(expected: bool) -> Handler:
    def jump(frame: Frame, instruction: dis.Instruction) -> int | None:
        is_true = truth(frame.tracer, frame.stack.pop())
        return _target(instruction) if is_true is expected else None

    return jump


def _pop_jump_if_none(expected: bool) -> Handler:
    def jump(frame: Frame, instruction: dis.Instruction) -> int | None:
        is_none = frame.stack.pop() is None
        return _target(instruction) if is_none is expected else None

    return jump


def _jump_or_pop(expected: bool) -> Handler:
    def jump(frame: Frame, instruction: dis.Instruction) -> int | None:
        if truth(frame.tracer, frame.stack[-1]) is expected:
            return _target(instruction)
        frame.stack.pop()
        return None

    return jump


for _direction in ("", "FORWARD_", "BACKWARD_"):  # Python 3.11 has instructions for each direction
    _name = f"POP_JUMP_{_direction}IF_"
    handles(f"{_name}TRUE")(_pop_jump_if(True))
    handles(f"{_name}FALSE")(_pop_jump_if(False))
    handles(f"{_name}NONE")(_pop_jump_if_none(True))
    handles(f"{_name}NOT_NONE")(_pop_jump_if_none(False))
handles("JUMP_IF_TRUE_OR_POP")(_jump_or_pop(True))
handles("JUMP_IF_FALSE_OR_POP")(_jump_or_pop(False))
