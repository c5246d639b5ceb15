"""Instructions that move values on the operand stack, and those that do nothing here."""

from __future__ import annotations

import dis

from nengo_jit.engines.cpu.python.tracing.bytecode.frame import NULL, Frame, argument, handles


@handles("CACHE", "EXTENDED_ARG", "NOP", "PRECALL", "RESUME", "TO_BOOL")
def _nothing(frame: Frame, instruction: dis.Instruction) -> None:
    pass


@handles("PUSH_NULL")
def _push_null(frame: Frame, instruction: dis.Instruction) -> None:
    frame.stack.append(NULL)


@handles("POP_TOP", "END_FOR")
def _pop_top(frame: Frame, instruction: dis.Instruction) -> None:
    frame.stack.pop()


@handles("COPY")
def _copy(frame: Frame, instruction: dis.Instruction) -> None:
    frame.stack.append(frame.stack[-argument(instruction)])


@handles("SWAP")
def _swap(frame: Frame, instruction: dis.Instruction) -> None:
    stack, n = frame.stack, argument(instruction)
    stack[-1], stack[-n] = stack[-n], stack[-1]
