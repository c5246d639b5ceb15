"""Make the parts of a group from its instructions: where operands are, and what is checked.

An operand that repeats a number, a row or a column (`Opcode.SPREAD`) needs no part if the blocks
are pieces of rows: it is a number or a piece of the row. If blocks are several rows, and there is a
number for each row, the part that reads it can be executed row by row. Otherwise a part makes the
operand, if possible once for all blocks.

Results must be finite, see `nengo_jit.engines.cpu.python.tape_vm`. They are checked only where a
number that is not finite would not reach another result of the group that is checked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nengo_jit.engines.cpu.python.instructions import Mode, Opcode
from nengo_jit.engines.cpu.python.tape_vm import MANY
from nengo_jit.engines.cpu.python.tracing.flow import Flow
from nengo_jit.engines.cpu.python.tracing.instruction import (
    LOADS,
    Group,
    GroupPart,
    Instruction,
    LoopCall,
    Memory,
    Place,
    Registers,
    Slot,
)
from nengo_jit.engines.cpu.python.tracing.pairs import joined
from nengo_jit.engines.cpu.python.tracing.reads import MODES

BLOCK = 512  # elements; a few slots of this size fit into the first cache

TAKES_ARRAYS = {Opcode.REMAINDER, Opcode.FLOOR_DIVIDE}  # of both operands
PACKED = {Opcode.PACK, Opcode.LOOP_SHORT}  # results are float32, side by side
CAN_ROUND = {Opcode.ADD, Opcode.SUBTRACT, Opcode.MULTIPLY, Opcode.DIVIDE, Opcode.SQRT}
NUMBERS = {Mode.NUMBER, Mode.ROWS}
LOOPS = {Opcode.LOOP, Opcode.LOOP_SHORT}
LISTS = {Opcode.POSITIONS}
COMPARISONS = {Opcode.LESS, Opcode.LESS_EQUAL, Opcode.EQUAL, Opcode.NOT_EQUAL}
BOOLEAN = COMPARISONS | {Opcode.AND, Opcode.OR, Opcode.NOT}
FINITE = BOOLEAN | {Opcode.SELECT, Opcode.SPREAD, Opcode.LOAD_BOOLEANS, *PACKED}
FINITE |= {Opcode.AT_LEAST, Opcode.AT_MOST}
# Results are not finite if an operand is not
PASSES_ON = {Opcode.ADD, Opcode.SUBTRACT, Opcode.MULTIPLY, Opcode.NEGATIVE, Opcode.ABSOLUTE}
PASSES_ON |= {Opcode.SQRT, Opcode.SHORT, Opcode.INTEGER, Opcode.MOVE}
PASSES_ON |= {Opcode.FLOOR, Opcode.CEIL, Opcode.TRUNC, Opcode.RINT}


def group_of(
    members: Mapping[int, Instruction],
    instructions: Sequence[Instruction],
    flow: Flow,
    inner: set[int],
    stores: Mapping[int, int],
) -> Group:
    """Make a group.

    Parameters
    ----------
    members : mapping of (int, Instruction)
        Its instructions by their index on the tape, with registers that are numbered anew.
    instructions : sequence of Instruction
        The tape.
    flow : Flow
        Its definitions and readings.
    inner : set of int
        The instructions with results that have no registers.
    stores : mapping of (int, int)
        The stores that the group does itself, by the instructions with the results. If there are
        any, the group is known not to fail.
    """
    builder = _Builder(members, instructions, flow, inner, stores)
    for index in members:
        builder.add(index)
    return builder.finish()


def elements_of(instruction: Instruction) -> int:
    """How many elements an instruction works on."""
    return instruction.n - (instruction.opcode == Opcode.POSITIONS)


class _Builder:
    """A group that is being made; parameters as of `group_of`."""

    def __init__(
        self,
        members: Mapping[int, Instruction],
        instructions: Sequence[Instruction],
        flow: Flow,
        inner: set[int],
        stores: Mapping[int, int],
    ):
        self._members, self._instructions = members, instructions
        self._flow, self._inner, self._stores = flow, inner, stores
        self._shape, self._at_once = _divided(list(members.values()))
        self._first: list[GroupPart] = []
        self._parts: list[GroupPart] = []
        self._places: dict[int, Place] = {}  # of results, by the index of the instruction
        self._filled: dict[int, Place] = {}  # slots filled with the number in a register
        self._n_slots = 0
        self._free: list[Slot] = []
        self._rounded = self._find_rounded()
        self._last = {  # readers; those of stored results come after all members
            index: max((each.reader for each in flow.readings[index]), default=index)
            for index in members
        }

    def _find_rounded(self) -> dict[int, int]:
        """Instructions with results that only `Opcode.SHORT` reads, and that instruction."""
        found: dict[int, int] = {}
        for index, instruction in self._members.items():
            readings = self._flow.readings[index]
            if instruction.opcode in CAN_ROUND and index in self._inner and len(readings) == 1:
                reader = self._members.get(readings[0].reader)
                if reader is not None and reader.opcode == Opcode.SHORT:
                    found[index] = readings[0].reader
        return found

    def finish(self) -> Group:
        """The group, once all members are added."""
        for index, store in self._stores.items():
            self._store(index, self._instructions[store])
        first, parts = tuple(self._first), joined(self._parts)
        return Group(self._shape, self._at_once, first, parts, self._n_slots)

    def add(self, index: int) -> None:
        """Add an instruction."""
        instruction = self._members[index]
        opcode = instruction.opcode
        if opcode == Opcode.SPREAD:
            if index not in self._inner:  # otherwise where it is read
                self._spread(index)
        elif opcode in LOADS.values():
            self._load(index, instruction)
        elif opcode in LOOPS:
            self._loop(index, instruction)
        elif opcode == Opcode.POSITIONS:
            self._list_positions(index, instruction)
        elif index not in self._rounded.values():
            self._elementwise(index, instruction)
        for other in (*self._flow.read[index], index):
            place = self._places.get(other)
            if self._last.get(other) == index and place is not None:
                self._release(place)

    def _store(self, index: int, store: Instruction) -> None:
        """Store results, once no part reads what was in memory before."""
        memory = store.result
        assert isinstance(memory, Memory)
        is_short = store.opcode == Opcode.STORE_SHORT
        opcode, mode = (
            (Opcode.PACK, Mode.SHORT_ELEMENTS) if is_short else (Opcode.MOVE, Mode.ELEMENTS)
        )
        if index not in self._places:  # spread
            self._spread(index)
        source = self._places[index]
        if source == Place(memory, mode):
            return
        self._parts.append(GroupPart(opcode, False, Place(memory, mode), (source,)))

    # Where operands and results are

    def _result(self, index: int) -> Place:
        """The place of the results of an instruction."""
        store = self._stores.get(index)
        if store is not None and self._may_write_at_once(index, self._instructions[store]):
            memory = self._instructions[store].result
            assert isinstance(memory, Memory)
            place = Place(memory, Mode.ELEMENTS)
        elif index in self._inner:
            place = Place(self._slot(), Mode.FIXED)
        else:
            instruction = self._members[index]
            assert isinstance(instruction.result, int)
            is_packed = instruction.opcode in PACKED
            place = Place(instruction.result, Mode.SHORT_ELEMENTS if is_packed else Mode.ELEMENTS)
        self._places[index] = place
        return place

    def _may_write_at_once(self, index: int, store: Instruction) -> bool:
        """Whether results can be written to memory when they are computed.

        Parts could not read them there, since they may be in its shadow, nor what was there before.
        """
        loaded = (each.operands for each in self._members.values() if each.opcode in LOADS.values())
        is_read = len(self._flow.readings[index]) > 1
        return store.opcode == Opcode.STORE and not is_read and (store.result,) not in loaded

    def _slot(self, is_kept: bool = False) -> Slot:
        if self._free and not is_kept:
            return self._free.pop()
        self._n_slots += 1
        return Slot(self._n_slots - 1)

    def _release(self, place: Place) -> None:
        if isinstance(place.start, Slot) and all(part.result != place for part in self._first):
            self._free.append(place.start)

    def _add_first(self, source: int, steps: tuple[int, int, int]) -> Place:
        """Add a part that fills a slot before the first block; returns its place."""
        result, place = Place(self._slot(is_kept=True), Mode.FIXED), Place(source, Mode.FIXED)
        part = GroupPart(Opcode.SPREAD, False, result, (place,), steps)
        self._first.append(part)
        return result

    def _place(self, index: int, operand: int, moved: Registers) -> Place:
        """Where an operand is: a number, if it is one, or all elements.

        Parameters
        ----------
        index : int
            The instruction.
        operand : int
            Its first register on the tape.
        moved : Registers
            The operand, with registers numbered anew.
        """
        source = self._flow.source(index, operand)
        if source is None or source not in self._members:
            return Place(moved.first, Mode.ELEMENTS if moved.stride else Mode.NUMBER)
        if source not in self._places:
            number = self._spread_as_operand(source)
            if number is not None:
                return number
            self._spread(source)
        return self._places[source]

    def _elements(self, place: Place, source: int | None) -> Place:
        """The elements of an operand that may be a number."""
        if place.mode not in NUMBERS:
            return place
        if place.mode == Mode.ROWS:
            assert source is not None
            return self._spread(source)
        assert isinstance(place.start, int)
        if place.start not in self._filled:
            steps = 0, 0, self._shape[0] * self._shape[1]
            self._filled[place.start] = self._add_first(place.start, steps)
        return self._filled[place.start]

    # Operands that are spread

    def _spread_as_operand(self, index: int) -> Place | None:
        """What stands for results of `Opcode.SPREAD` without a part that makes them."""
        (source, step_of_rows, columns) = self._members[index].operands
        assert isinstance(source, Registers)
        is_of_rows, is_one_row = columns == self._shape[1], self._at_once[0] == 1
        steps = source.stride, step_of_rows
        if steps == (0, 0):
            return Place(source.first, Mode.NUMBER)
        if steps == (0, 1) and is_of_rows and (is_one_row or self._is_read_once(index)):
            return Place(source.first, Mode.ROWS)
        if steps == (1, 0) and is_of_rows and is_one_row:
            return Place(source.first, Mode.COLUMNS)
        return None

    def _is_read_once(self, index: int) -> bool:
        """Whether results are read once, by an instruction that can be executed row by row."""
        readers = [each.reader for each in self._flow.readings[index]]
        is_wide = self._shape[1] > MANY  # otherwise that takes longer
        takes_rows = self._instructions[readers[0]].opcode not in TAKES_ARRAYS | LOOPS | LISTS
        return len(readers) == 1 and is_wide and takes_rows

    def _spread(self, index: int) -> Place:
        """Add a part that makes the results of `Opcode.SPREAD`."""
        (source, step_of_rows, columns) = self._members[index].operands
        assert isinstance(source, Registers)
        assert isinstance(step_of_rows, int) and isinstance(columns, int)
        steps = source.stride, step_of_rows, columns
        are_rows_equal = step_of_rows == 0 and columns == self._at_once[1]  # so are blocks
        if index in self._inner and are_rows_equal:
            self._places[index] = self._add_first(source.first, steps)
        else:
            result, place = self._result(index), Place(source.first, Mode.FIXED)
            part = GroupPart(Opcode.SPREAD, False, result, (place,), steps)
            self._parts.append(part)
        return self._places[index]

    # Instructions of other kinds

    def _load(self, index: int, instruction: Instruction) -> None:
        opcode, (memory,) = instruction.opcode, instruction.operands
        assert isinstance(memory, Memory)
        source = Place(memory, MODES[opcode])
        is_checked = self._is_checked(index, opcode)
        if opcode == Opcode.LOAD and index in self._inner and index not in self._stores:
            self._places[index] = source
            if is_checked:
                self._parts.append(GroupPart(Opcode.CHECK, True, source, ()))
            return
        self._parts.append(GroupPart(opcode, is_checked, self._result(index), (source,)))

    def _list_positions(self, index: int, instruction: Instruction) -> None:
        (moved,), (condition,) = instruction.operands, self._instructions[index].operands
        assert isinstance(moved, Registers) and isinstance(condition, Registers)
        assert isinstance(instruction.result, int)
        place = self._place(index, condition.first, moved)
        place = self._elements(place, self._flow.source(index, condition.first))
        result = Place(instruction.result, Mode.FIXED)
        steps = elements_of(instruction), 0, 0
        self._parts.append(GroupPart(Opcode.POSITIONS, False, result, (place,), steps))

    def _loop(self, index: int, instruction: Instruction) -> None:
        (call,), (whole,) = instruction.operands, self._instructions[index].operands
        assert isinstance(call, LoopCall) and isinstance(whole, LoopCall)
        opcode = instruction.opcode
        places = []
        for before, span in zip(whole.inputs, call.inputs):
            place = self._place(index, before.first, Registers(span.first, span.stride))
            if span.stride:
                place = self._elements(place, self._flow.source(index, before.first))
                if opcode == Opcode.LOOP_SHORT and place.mode == Mode.ELEMENTS:
                    place = Place(place.start, Mode.SHORT_ELEMENTS)
            places.append(place)
        a, b, c = (*call.steps[:-1], 0, 0)[:3]
        self._parts.append(
            GroupPart(
                opcode,
                self._is_checked(index, opcode),
                self._result(index),
                tuple(places),
                (a, b, c),
                (call.function, call.data),
            )
        )

    def _elementwise(self, index: int, instruction: Instruction) -> None:
        opcode = instruction.opcode
        places, sources = [], []
        for before, moved in zip(self._instructions[index].operands, instruction.operands):
            assert isinstance(before, Registers) and isinstance(moved, Registers)
            place = self._place(index, before.first, moved)
            if opcode == Opcode.UNPACK and place.mode == Mode.ELEMENTS:
                place = Place(place.start, Mode.SHORT_ELEMENTS)
            places.append(place)
            sources.append(self._flow.source(index, before.first))
        if opcode in TAKES_ARRAYS:
            places = [self._elements(*each) for each in zip(places, sources)]
        is_rounded = index in self._rounded
        target = self._rounded.get(index, index)
        is_checked = self._is_checked(target, self._members[target].opcode)
        result = self._result(target)
        self._parts.append(
            GroupPart(opcode, is_checked, result, tuple(places), is_rounded=is_rounded)
        )

    def _is_checked(self, index: int, opcode: Opcode) -> bool:
        if opcode in FINITE or self._stores:
            return False
        readers = [each.reader for each in self._flow.readings[index]]
        opcodes = {self._instructions[reader].opcode for reader in readers}
        if opcode in LOADS.values() and opcodes <= COMPARISONS:
            return False  # NumPy compares anything, without a warning
        return not any(
            reader in self._members and self._members[reader].opcode in PASSES_ON
            for reader in readers
        )


def _divided(members: Sequence[Instruction]) -> tuple[tuple[int, int], tuple[int, int]]:
    """The shape of the matrix of elements, and of a block."""
    n = columns = elements_of(members[0])
    for each in members:
        width = each.operands[-1] if each.opcode == Opcode.SPREAD else n
        if isinstance(width, int) and 1 < width < n:
            columns = width
            break
    shape = n // columns, columns
    if columns > BLOCK // 2:
        n_pieces = -(-columns // BLOCK)
        return shape, (1, min(columns, 8 * -(-columns // (8 * n_pieces))))
    return shape, (min(shape[0], BLOCK // columns), columns)
