"""Which registers an instruction reads.

`READS` has a function for each opcode, which also checks the operands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from nengo_jit.engines.cpu.python.instructions import Mode, Opcode
from nengo_jit.engines.cpu.python.tape_vm import MANY
from nengo_jit.engines.cpu.python.tracing.instruction import (
    LOADS,
    STORES,
    Group,
    Instruction,
    LoopCall,
    Memory,
    Operand,
    Positions,
    PythonCall,
    Registers,
    Slot,
    Sources,
    Span,
)
from nengo_jit.engines.cpu.python.tracing.values import Unsupported

ELEMENTWISE = [each for each in Opcode if each >= Opcode.MOVE]
OF_ONE = {
    Opcode.MOVE,
    Opcode.NEGATIVE,
    Opcode.ABSOLUTE,
    Opcode.SQRT,
    Opcode.FLOOR,
    Opcode.CEIL,
    Opcode.TRUNC,
    Opcode.RINT,
    Opcode.INTEGER,
    Opcode.NOT,
    Opcode.SHORT,
}
MODES = {
    Opcode.LOAD: Mode.ELEMENTS,
    Opcode.LOAD_INTEGERS: Mode.ELEMENTS,
    Opcode.LOAD_SHORT: Mode.SHORT_ELEMENTS,
    Opcode.LOAD_BOOLEANS: Mode.BYTES,
}  # how memory is read in groups
IN_GROUPS = {*ELEMENTWISE, *MODES, Opcode.SPREAD, Opcode.CHECK, Opcode.LOOP, Opcode.LOOP_SHORT}
IN_GROUPS |= {Opcode.PACK, Opcode.UNPACK, Opcode.POSITIONS}
ONLY_IN_GROUPS = {Opcode.SPREAD, Opcode.CHECK}
N_OPERANDS = dict.fromkeys(ELEMENTWISE, 2) | dict.fromkeys(OF_ONE, 1) | {Opcode.SELECT: 3}


class Malformed(Unsupported):
    """A tape breaks a rule. The message continues "the function ..."."""

    def __init__(self, problem: str):
        super().__init__(f"has a malformed tape, which {problem}")


def reads(instruction: Instruction) -> Iterator[Span]:
    """The registers that an instruction reads; also checks its operands."""
    yield from READS[instruction.opcode](instruction)
    for each in dict.fromkeys((*instruction.operands, instruction.positions)):
        if isinstance(each, Positions):
            yield Span(each.first, 1, each.size + 1)


def _nothing(instruction: Instruction) -> Iterator[Span]:
    return iter(())


def _branch_reads(instruction: Instruction) -> Iterator[Span]:
    condition, _ = _operands(instruction, 2)
    yield _span(condition, 1)


def _load_reads(instruction: Instruction) -> Iterator[Span]:
    (memory,) = _operands(instruction, 1)
    expect(isinstance(memory, Memory) and memory.size == instruction.n)
    return _nothing(instruction)


def _store_reads(instruction: Instruction) -> Iterator[Span]:
    source, *index = instruction.operands
    memory, n = instruction.result, instruction.n
    if not isinstance(memory, Memory) or len(index) > 1:
        raise Malformed(UNFIT)
    expect(memory.size % n == 0 if index else memory.size == n)
    if instruction.positions is not None:
        expect(not index and instruction.positions.size == n)
    yield _span(source, n)
    yield from (_span(each, 1) for each in index)


def _function_reads(instruction: Instruction) -> Iterator[Span]:
    n_arguments = 1 if instruction.opcode == Opcode.FUNCTION else 2
    *arguments, function = _operands(instruction, n_arguments + 1)
    expect(instruction.n == 1 and isinstance(function, int))
    yield from (_span(argument, 1) for argument in arguments)


def _loop_reads(instruction: Instruction) -> Iterator[Span]:
    (call,) = _operands(instruction, 1)
    if not isinstance(call, LoopCall):
        raise Malformed(UNFIT)
    if len(call.sizes) == 1:  # element by element
        (size,) = call.sizes
        item = 4 if instruction.opcode == Opcode.LOOP_SHORT else 8  # bytes
        expect(all(item * each.stride == step for each, step in zip(call.inputs, call.steps)))
        expect(all(each.size == size or not each.stride for each in call.inputs))
        expect(instruction.n == (size if call.steps[-1] else 1))
    yield from call.inputs


def _call_reads(instruction: Instruction) -> Iterator[Span]:
    (call,) = _operands(instruction, 1)
    if not isinstance(call, PythonCall):
        raise Malformed(UNFIT)
    for each in call.inputs:
        expect(each.stride == 1 or each.size <= 1)
        yield each


def _positions_reads(instruction: Instruction) -> Iterator[Span]:
    (condition,) = _operands(instruction, 1)
    span = _span(condition, instruction.n - 1)
    expect(span.stride == 1 and instruction.n > 1)
    yield span


def _put_reads(instruction: Instruction) -> Iterator[Span]:
    whole, values, positions = _operands(instruction, 3)
    expect(isinstance(positions, Positions) and positions.size == instruction.n)
    yield _span(whole, instruction.n)
    yield _span(values, instruction.n)


def _take_reads(instruction: Instruction) -> Iterator[Span]:
    whole, positions = _operands(instruction, 2)
    expect(isinstance(positions, Positions) and positions.size == instruction.n)
    expect(positions == instruction.positions)
    yield _span(whole, instruction.n)


def _find_reads(instruction: Instruction) -> Iterator[Span]:
    values, number, size = _operands(instruction, 3)
    if not isinstance(size, int):
        raise Malformed(UNFIT)
    span = _span(values, size)
    expect(instruction.n == 1 and span.stride == 1 and size > 0)
    yield span
    yield _span(number, 1)


def _pack_reads(instruction: Instruction) -> Iterator[Span]:
    (source,) = _operands(instruction, 1)
    yield _span(source, instruction.n)


def _unpack_reads(instruction: Instruction) -> Iterator[Span]:
    for span in _pack_reads(instruction):
        expect(span.stride == 1 or instruction.n == 1)
        yield span


def _gather_reads(instruction: Instruction) -> Iterator[Span]:
    (sources,) = _operands(instruction, 1)
    if not isinstance(sources, Sources):
        raise Malformed(UNFIT)
    expect(len(sources.registers) == instruction.n)
    yield from runs_of(sources)


def runs_of(sources: Sources) -> Iterator[Span]:
    """Registers as spans, of neighbours if possible."""
    registers = np.array(sources.registers, np.int64)
    ends = np.flatnonzero(np.diff(registers) != 1) + 1
    for first, last in zip((0, *ends.tolist()), (*ends.tolist(), len(registers))):
        if last > first:
            yield Span(int(registers[first]), 1, last - first)


def _lookup_reads(instruction: Instruction) -> Iterator[Span]:
    table, key, n_rows = _operands(instruction, 3)
    if not isinstance(n_rows, int):
        raise Malformed(UNFIT)
    size = instruction.n * n_rows
    if isinstance(table, Memory):
        expect(table.size == size)
    else:
        span = _span(table, size)
        expect(span.stride == 1 and n_rows > 0)
        yield span
    yield _span(key, 1)


def _largest_reads(instruction: Instruction) -> Iterator[Span]:
    source, n = _operands(instruction, 2)
    if not isinstance(n, int):
        raise Malformed(UNFIT)
    expect(instruction.n == 1)
    if isinstance(source, Memory):
        expect(source.size == n)
    else:
        yield _span(source, n)


def _roll_reads(instruction: Instruction) -> Iterator[Span]:
    values, shift = _operands(instruction, 2)
    span = _span(values, instruction.n)
    expect(span.stride == 1 and instruction.n > 0)
    yield span
    yield _span(shift, 1)


def _spread_reads(instruction: Instruction) -> Iterator[Span]:
    source, step_of_rows, columns = _operands(instruction, 3)
    if not isinstance(source, Registers):
        raise Malformed(UNFIT)
    yield from _matrix_reads(source, step_of_rows, columns, instruction.n)


def _matrix_reads(
    source: Registers, step_of_rows: Operand, columns: Operand, n: int
) -> Iterator[Span]:
    if not isinstance(step_of_rows, int) or not isinstance(columns, int):
        raise Malformed(UNFIT)
    expect(columns > 0 and n % columns == 0)
    rows = n // columns
    if step_of_rows == 0:
        yield Span(source.first, source.stride, columns)
    elif source.stride == 0:
        yield Span(source.first, step_of_rows, rows)
    else:
        for row in range(rows):
            yield Span(source.first + row * step_of_rows, source.stride, columns)


def _elementwise_reads(instruction: Instruction) -> Iterator[Span]:
    opcode, n = instruction.opcode, instruction.n
    spans = [_span(operand, n) for operand in _operands(instruction, N_OPERANDS[opcode])]
    expect(n <= MANY or all(span.stride in (0, 1) for span in spans))
    yield from spans


def _group_reads(instruction: Instruction) -> Iterator[Span]:
    """What a group reads, but for the results of its own parts."""
    (group,) = _operands(instruction, 1)
    if not isinstance(group, Group):
        raise Malformed(UNFIT)
    (rows, columns), (most_rows, most_columns) = group.shape, group.at_once
    n = rows * columns
    expect(instruction.n == n > 0 and 0 < most_rows <= rows and 0 < most_columns <= columns)
    expect(most_rows == 1 or most_columns == columns)
    counts = {Mode.NUMBER: 1, Mode.ROWS: rows, Mode.COLUMNS: columns}
    filled: set[Slot] = set()
    made: set[int] = set()  # first registers of results
    kept = {part.result.start for part in group.first}
    for number, part in enumerate((*group.first, *group.parts)):
        expect(part.opcode in IN_GROUPS)
        for place in part.operands:
            start, mode = place.start, place.mode
            if isinstance(start, Slot):
                expect(start in filled and mode == Mode.FIXED)
            elif isinstance(start, Memory):
                expect(start.size == n and mode in MODES.values())
            elif part.opcode == Opcode.SPREAD:
                step, step_of_rows, width = part.steps
                yield from _matrix_reads(Registers(start, step), step_of_rows, width, n)
            elif start not in made:
                expect(mode in (*counts, Mode.ELEMENTS, Mode.SHORT_ELEMENTS))
                yield Span(start, 0 if mode == Mode.NUMBER else 1, counts.get(mode, n))
        result = part.result.start
        if isinstance(result, Slot):
            expect(result.number < group.n_slots and part.result.mode == Mode.FIXED)
            expect(number < len(group.first) or result not in kept)
            filled.add(result)
        elif part.opcode == Opcode.POSITIONS:
            expect(part.result.mode == Mode.FIXED and part.steps[0] == n)
        elif isinstance(result, int):
            expect(part.result.mode in (Mode.ELEMENTS, Mode.SHORT_ELEMENTS))
            made.add(result)
        else:
            expect(result.size == n and part.result.mode in MODES.values())


def is_only_in_groups(instruction: Instruction) -> bool:
    """Whether an instruction may only be a part of a group."""
    opcode = instruction.opcode
    is_large = opcode >= Opcode.MOVE and instruction.n > MANY and instruction.positions is None
    return opcode in ONLY_IN_GROUPS or is_large


UNFIT = "has an instruction with operands that do not fit"


def _operands(instruction: Instruction, n: int) -> tuple[Operand, ...]:
    expect(len(instruction.operands) == n)
    return instruction.operands


def _span(operand: Operand, n: int) -> Span:
    if not isinstance(operand, Registers):
        raise Malformed(UNFIT)
    return Span(*operand, n)


def expect(is_so: bool) -> None:
    """Check something of operands; raises `Malformed` if it is not so."""
    if not is_so:
        raise Malformed(UNFIT)


READS: dict[Opcode, Callable[[Instruction], Iterator[Span]]] = {
    Opcode.RETURN: _nothing,
    Opcode.REDO: _nothing,
    Opcode.COMMIT: _nothing,
    Opcode.BRANCH: _branch_reads,
    Opcode.FUNCTION: _function_reads,
    Opcode.FUNCTION_OF_TWO: _function_reads,
    Opcode.LOOP: _loop_reads,
    Opcode.LOOP_SHORT: _loop_reads,
    Opcode.CALL: _call_reads,
    Opcode.POSITIONS: _positions_reads,
    Opcode.PUT: _put_reads,
    Opcode.TAKE: _take_reads,
    Opcode.FIND: _find_reads,
    Opcode.PACK: _pack_reads,
    Opcode.UNPACK: _unpack_reads,
    Opcode.GATHER: _gather_reads,
    Opcode.LOOKUP: _lookup_reads,
    Opcode.ROLL: _roll_reads,
    Opcode.LARGEST: _largest_reads,
    Opcode.SPREAD: _spread_reads,
    Opcode.CHECK: _nothing,
    Opcode.GROUP: _group_reads,
    **dict.fromkeys(LOADS.values(), _load_reads),
    **dict.fromkeys(STORES.values(), _store_reads),
    **dict.fromkeys(ELEMENTWISE, _elementwise_reads),
}
