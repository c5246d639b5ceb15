"""See that a tape is well formed, before it is put into memory.

The kernel that performs tapes trusts them: a jump to nowhere, or a register beyond the last one,
would be read as whatever lies there. The rules are checked on the instructions as they were
written, along every path. Tapes only jump forward, so that one pass from the first instruction to
the last one sees all paths; and ways never meet, so that each path has a `COMMIT` of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from nengo_jit.engines.cpu.python import tape_vm as op
from nengo_jit.engines.cpu.python.tracing.values import Unsupported

CONSTANTS = 1 << 40  # the number of the first constant; registers are numbered from zero
LOADS = (op.LOAD, op.LOAD_SHORT, op.LOAD_INTEGERS, op.LOAD_BOOLEANS)
STORES = (op.STORE, op.STORE_SHORT, op.STORE_INTEGERS, op.STORE_BOOLEANS)
OF_ONE = {op.MOVE, op.NEGATIVE, op.ABSOLUTE, op.SQRT, op.FLOOR, op.CEIL, op.TRUNC, op.RINT}
OF_ONE |= {op.INTEGER, op.NOT, op.SHORT}
N_OPERANDS = dict.fromkeys(range(op.MOVE, op.SHORT + 1), 2)
N_OPERANDS |= dict.fromkeys(OF_ONE, 1)
N_OPERANDS[op.SELECT] = 3
SIDE_BY_SIDE = set(range(op.LESS, op.SELECT + 1))  # operands, where there are more than `MANY`

Span = tuple[int, int, int]  # the first register, the distance to the next, and how many


class Malformed(Unsupported):
    """A tape breaks a rule; in words that go on from "the function"."""

    def __init__(self, problem: str):
        super().__init__(f"has a malformed tape, which {problem}")


def verify(instructions: Sequence[Sequence[Any]], n_registers: int, n_constants: int) -> None:
    """Check a tape.

    Parameters
    ----------
    instructions : sequence
        As `nengo_jit.engines.cpu.python.tracing.tape.Writer.write` takes them.
    n_registers, n_constants : int
        How many there are.

    Raises
    ------
    Malformed
        If a branch does not lead forward to an instruction, an instruction cannot be reached or
        can be reached in two ways, a path has no end, a register is read before it is written,
        an operand does not exist, or memory is written that is not compared with Python, or
        before it is known that the tape gets to its end.
    """
    waiting: dict[int, np.ndarray] = {}  # which registers have been written where branches arrive
    written: np.ndarray | None = np.zeros(n_registers, bool)
    compared: Sequence[Any] | None = None  # memory that may be written, if the path is complete
    for place, instruction in enumerate(instructions):
        operation, n, result = instruction[:3]
        arriving = waiting.pop(place, None)
        if written is not None and arriving is not None:
            raise Malformed("has an instruction that can be reached in two ways")
        written = arriving if written is None else written
        if written is None:
            raise Malformed("has an instruction that cannot be reached")
        is_last = operation == op.RETURN or operation in STORES
        if is_last and compared is None:
            raise Malformed("writes to memory, or ends, before its path is complete")
        if compared is not None and not is_last:
            raise Malformed("goes on after its path is complete")
        if operation in STORES and compared is not None and result not in compared:
            raise Malformed("writes to memory that is not compared with Python")
        for span in _reads(instruction):
            _check_read(span, written, n_constants)
        if operation in (op.RETURN, op.REDO):
            written = compared = None
        elif operation == op.COMMIT:
            compared = instruction[3:]
        elif operation == op.BRANCH:
            if not place < n < len(instructions):
                raise Malformed("jumps to nowhere")
            if n in waiting:
                raise Malformed("has an instruction that can be reached in two ways")
            waiting[n] = written.copy()
        elif operation not in STORES:
            if not (isinstance(result, int) and 0 <= result <= n_registers - n and n >= 0):
                raise Malformed("writes to a register that does not exist")
            written[result : result + n] = True
    if written is not None:
        raise Malformed("has no end")


def _check_read(span: Span, written: np.ndarray, n_constants: int) -> None:
    first, step, count = span
    if count <= 0:
        return
    low, high = sorted((first, first + step * (count - 1)))
    if low >= CONSTANTS and high < CONSTANTS + n_constants:
        return
    if not 0 <= low <= high < len(written):
        raise Malformed("reads a register that does not exist")
    if not written[low : high + 1 : abs(step) or 1].all():
        raise Malformed("reads a register before it is written")


def _reads(instruction: Sequence[Any]) -> Iterator[Span]:
    """The registers that an instruction reads."""
    operation, n, result, *operands = instruction
    if operation in (op.RETURN, op.REDO, op.COMMIT):
        return
    if operation == op.BRANCH:
        yield operands[0][0], 0, 1
    elif operation in LOADS:
        _expect(operands[0].size == n)
    elif operation in STORES:
        _expect(result.size == n)
        yield _span(operands[0], n)
    elif operation in (op.FUNCTION, op.FUNCTION_OF_TWO):
        _expect(n == 1 and len(operands) == (2 if operation == op.FUNCTION else 3))
        yield from (_span(operand, 1) for operand in operands[:-1])
    elif operation == op.LOOP:
        _, sizes, steps, *inputs = operands
        if len(sizes) == 1:  # element by element
            _expect(all(8 * each[1] == step for each, step in zip(inputs, steps)))
            _expect(all(each[2] == sizes[0] or not each[1] for each in inputs))
            _expect(n == (sizes[0] if steps[-1] else 1))
        yield from inputs
    elif operation == op.GATHER:
        _expect(len(operands[0]) == n)
        yield from ((register, 0, 1) for register in operands[0])
    elif operation == op.LOOKUP:
        table, key, n_rows = operands
        if isinstance(table, tuple):
            _expect(table[1] == 1 and n_rows > 0)
            yield _span(table, n * n_rows)
        else:
            _expect(table.size == n * n_rows)
        yield _span(key, 1)
    elif operation == op.ROLL:
        _expect(n > 0 and operands[0][1] == 1)
        yield _span(operands[0], n)
        yield _span(operands[1], 1)
    else:
        _expect(len(operands) == N_OPERANDS.get(operation))
        if n > op.MANY and operation in SIDE_BY_SIDE:
            _expect(all(operand[1] == 1 for operand in operands))
        yield from (_span(operand, n) for operand in operands)


def _span(operand: Any, n: int) -> Span:
    return operand[0], operand[1], n


def _expect(is_so: bool) -> None:
    if not is_so:
        raise Malformed("has an instruction with operands that do not fit")
