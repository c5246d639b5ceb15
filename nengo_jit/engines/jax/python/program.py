"""The program of a tape: its instructions as a pure function of arrays, which JAX can trace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from nengo_jit.engines.cpu.python.instructions import Opcode
from nengo_jit.engines.cpu.python.tape_vm import LARGEST_INTEGER
from nengo_jit.engines.cpu.python.tracing import Unsupported
from nengo_jit.engines.cpu.python.tracing.foreign import Call, Items, Leaf
from nengo_jit.engines.cpu.python.tracing.instruction import (
    STORES,
    Instruction,
    LoopCall,
    Memory,
    Positions,
    PythonCall,
    Sources,
    Span,
)
from nengo_jit.engines.cpu.python.tracing.instruction import Registers as Operand
from nengo_jit.engines.cpu.python.tracing.strides import span_of
from nengo_jit.engines.jax.compilation import as_given
from nengo_jit.engines.jax.python.operations import (
    ALWAYS_FINITE,
    ELEMENTWISE,
    REDUCTIONS,
    counterpart,
    function_at,
)
from nengo_jit.engines.jax.python.registers import Registers

MOST_INSTRUCTIONS = 2000  # XLA takes about a millisecond for each
Memories: TypeAlias = tuple[jax.Array, ...]


@dataclass(frozen=True)
class Cell:
    """The number of an array that a program reads or writes, in place of its address."""

    number: int
    dtype: str
    size: int


@dataclass(frozen=True)
class InPlace:
    """An array in an expression of NumPy's functions, which is read where it is.

    Attributes
    ----------
    cell : Cell
        The array.
    shape, steps : tuple of int
        Its shape, and its strides in elements.
    offset : int
        Its first element.
    """

    cell: Cell
    shape: tuple[int, ...]
    steps: tuple[int, ...]
    offset: int

    def view(self, values: jax.Array) -> jax.Array:
        """Return the array, given the values in the cell."""
        contiguous = np.cumprod((1, *self.shape[:0:-1]))[::-1]
        if values.size == np.prod(self.shape) and self.steps == tuple(contiguous):
            return jnp.reshape(values, self.shape)
        indices = np.indices(self.shape, sparse=True)
        steps = (each * step for each, step in zip(indices, self.steps))
        return values[sum(steps, np.array(self.offset))]


class Program:
    """A function that returns the arrays after a call: ``program(xp, constants, *memories)``.

    It also returns whether the call needs Python: because the path is none of the tape's, or since
    a result is not finite, so that NumPy warns or raises. Programs with equal instructions are
    equal.

    Parameters
    ----------
    instructions : sequence of Instruction
        The tape.

    Attributes
    ----------
    memories : list of Memory
        The arrays.
    written : list of int
        Which of them are written.

    Raises
    ------
    Unsupported
        If JAX cannot compute the same.
    """

    def __init__(self, instructions: Sequence[Instruction]):
        if len(instructions) > MOST_INSTRUCTIONS:
            raise Unsupported("has a long tape")
        self.memories: list[Memory] = []
        self._cells: dict[Memory, Cell] = {}
        self._instructions = tuple(map(self._without_addresses, instructions))
        stores = [each for each in instructions if each.opcode in STORES.values()]
        numbers = {self._cell(each.result).number for each in stores}
        self.written = sorted(numbers)
        self._hash = hash(tuple((each.opcode, each.n) for each in self._instructions))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Program):
            return NotImplemented
        return self is other or self._instructions == other._instructions

    def _cell(self, value: object) -> Cell:
        assert isinstance(value, Memory) and value.array is not None
        if value not in self._cells:
            name = value.array.dtype.name
            self._cells[value] = Cell(len(self.memories), name, value.size)
            self.memories.append(value)
        return self._cells[value]

    def _without_addresses(self, instruction: Instruction) -> Instruction:
        def changed(value: Any) -> Any:
            return self._cell(value) if isinstance(value, Memory) else value

        if instruction.opcode == Opcode.COMMIT:
            return replace(instruction, operands=())
        if instruction.opcode == Opcode.CALL:
            (call,) = instruction.operands
            assert isinstance(call, PythonCall)
            expression: Any = self._expression(call.key[0])
            return replace(instruction, operands=(expression,))
        operands = tuple(map(changed, instruction.operands))
        return replace(instruction, result=changed(instruction.result), operands=operands)

    def _expression(self, part: object) -> object:
        """Return an expression without addresses."""
        if isinstance(part, Leaf) and part.memory is not None:
            span, offset = span_of(part.memory)
            steps = tuple(each // part.memory.itemsize for each in part.memory.strides)
            return InPlace(self._cell(Memory.of(span)), part.shape, steps, offset)
        if isinstance(part, Call):
            return replace(part, args=tuple(map(self._expression, part.args)))
        if isinstance(part, Items):
            return replace(part, items=tuple(map(self._expression, part.items)))
        return part

    def check(self, n_constants: int) -> None:
        """Check that JAX can trace the program.

        Raises
        ------
        Unsupported
            If it cannot.
        """
        arrays = [(n_constants, "float64")]
        arrays += [(cell.size, cell.dtype) for cell in self._cells.values()]
        like = [jax.ShapeDtypeStruct((size,), dtype) for size, dtype in arrays]
        try:
            with as_given():
                jax.eval_shape(lambda *values: self(jnp, *values), *like)
        except Unsupported:
            raise
        except Exception as error:  # of any kind: Python makes the call instead
            raise Unsupported(f"cannot run on the device ({type(error).__name__})") from None

    def __call__(self, xp: object, constants: jax.Array, *memories: jax.Array) -> Memories:
        path = _Path(self._instructions, Registers(constants), memories, {})
        results, is_lost = path.run(0)
        return (*(jnp.ravel(results[number]) for number in self.written), is_lost)


class _Path:
    """Executes instructions from one on, along a path and those that part from it.

    Parameters
    ----------
    instructions : tuple of Instruction
        The tape.
    registers : Registers
        What has been computed.
    memories : tuple of jax.Array
        The arrays.
    masks : dict of (int, jax.Array)
        Where conditions hold, by the first register of their positions. Elements that a condition
        selects stay where they are among all.
    """

    def __init__(
        self,
        instructions: tuple[Instruction, ...],
        registers: Registers,
        memories: Memories,
        masks: dict[int, jax.Array],
    ):
        self._instructions, self._registers = instructions, registers
        self._memories, self._masks = list(memories), masks
        self._is_lost: jax.Array = jnp.zeros((), bool)

    def run(self, index: int) -> tuple[Memories, jax.Array]:
        """Return the arrays, and whether Python has to make the call."""
        while True:
            instruction = self._instructions[index]
            opcode = instruction.opcode
            if opcode == Opcode.RETURN:
                return tuple(self._memories), self._is_lost
            if opcode == Opcode.REDO:
                return tuple(self._memories), jnp.ones((), bool)
            if opcode == Opcode.BRANCH:
                return self._both(instruction, index)
            if opcode in STORES.values():
                self._store(instruction)
            elif opcode != Opcode.COMMIT:
                self._compute(instruction)
            index += 1

    def _both(self, instruction: Instruction, index: int) -> tuple[Memories, jax.Array]:
        """Execute both paths, and select: they are short, and a device cannot jump well."""
        condition, target = instruction.operands
        assert isinstance(target, int)
        is_true = self._read(condition, 1)[0] != 0
        first, second = (
            _Path(self._instructions, self._registers.copy(), tuple(self._memories), self._masks)
            for _ in range(2)
        )
        (ours, lost), (theirs, lost_there) = first.run(index + 1), second.run(target)
        chosen = [a if a is b else jnp.where(is_true, a, b) for a, b in zip(ours, theirs)]
        return tuple(chosen), self._is_lost | jnp.where(is_true, lost, lost_there)

    def _store(self, instruction: Instruction) -> None:
        source, *index = instruction.operands
        cell, n = instruction.result, instruction.n
        assert isinstance(cell, Cell)
        values = jnp.broadcast_to(self._read(source, n), (n,)).astype(cell.dtype)
        if index:
            rows = jnp.reshape(self._memories[cell.number], (-1, n))
            row = self._read(index[0], 1)[0].astype(int)
            values = rows.at[row].set(values).ravel()
        self._memories[cell.number] = values

    def _compute(self, instruction: Instruction) -> None:
        opcode, n = instruction.opcode, instruction.n
        if opcode in ELEMENTWISE:
            values = ELEMENTWISE[opcode](*(self._read(each, n) for each in instruction.operands))
        else:
            values = OTHERS[opcode](self, instruction)
        values = jnp.broadcast_to(values, (n,)).astype(float)
        if opcode not in ALWAYS_FINITE:
            is_right = jnp.isfinite(values)
            if instruction.positions is not None and n > 1:
                is_right |= ~self._masks[instruction.positions.first]
            self._is_lost |= ~jnp.all(is_right)
        assert isinstance(instruction.result, int)
        self._registers.write(instruction.result, values)

    def _read(self, operand: object, n: int) -> jax.Array:
        """Read an operand with ``n`` elements; one element if all are the same."""
        assert isinstance(operand, Operand)
        first, stride = operand
        return self._registers.read(first + stride * np.arange(n if stride else 1))

    def _read_span(self, span: Span) -> jax.Array:
        return self._read(Operand(span.first, span.stride), span.size)

    # What instructions compute that are not elementwise

    def _load(self, instruction: Instruction) -> jax.Array:
        (cell,) = instruction.operands
        assert isinstance(cell, Cell)
        return self._loaded(cell)

    def _loaded(self, cell: Cell) -> jax.Array:
        values = jnp.ravel(self._memories[cell.number])
        if cell.dtype != "int64":
            return values.astype(float)
        return jnp.where(jnp.abs(values) < LARGEST_INTEGER, values.astype(float), jnp.inf)

    def _function(self, instruction: Instruction) -> jax.Array:
        *arguments, address = instruction.operands
        assert isinstance(address, int)
        values: jax.Array = function_at(address)(*(self._read(each, 1) for each in arguments))
        return values

    def _loop(self, instruction: Instruction) -> jax.Array:
        (call,) = instruction.operands
        assert isinstance(call, LoopCall)
        function = function_at((call.function, call.data))
        precision = np.float32 if instruction.opcode == Opcode.LOOP_SHORT else np.float64
        values = [self._read_span(each).astype(precision) for each in call.inputs]
        if len(call.sizes) == 4:
            return _product(call, *values)
        if len(call.sizes) == 1 and call.steps[-1]:
            result: jax.Array = function(*values)
            return result
        if function not in REDUCTIONS or len(call.sizes) != 1:
            raise Unsupported("reduces an array in a way that the device does not")
        combine, neutral = REDUCTIONS[function]
        start, elements = values
        if instruction.positions is not None:
            mask = self._masks[instruction.positions.first]
            elements = jnp.where(mask, elements, neutral)
        combined: jax.Array = combine(jnp.concatenate([start[:1], elements]))
        return combined

    def _call(self, instruction: Instruction) -> jax.Array:
        (expression,) = instruction.operands
        return jnp.ravel(jnp.asarray(self._evaluate(expression)))

    def _evaluate(self, part: object) -> Any:
        """Compute an expression of NumPy's functions."""
        if isinstance(part, Leaf):
            numbers = self._registers.read(part.registers).astype(part.kind)
            return jnp.reshape(numbers, part.shape)
        if isinstance(part, InPlace):
            return part.view(jnp.ravel(self._memories[part.cell.number]))
        if isinstance(part, Items):
            return part.kind(map(self._evaluate, part.items))
        if not isinstance(part, Call):
            return part
        values = list(map(self._evaluate, part.args))
        n = len(values) - len(part.names)
        return counterpart(part.function)(*values[:n], **dict(zip(part.names, values[n:])))

    def _positions(self, instruction: Instruction) -> jax.Array:
        (condition,) = instruction.operands
        mask = jnp.broadcast_to(self._read(condition, instruction.n - 1), (instruction.n - 1,)) != 0
        assert isinstance(instruction.result, int)
        self._masks[instruction.result] = mask
        count = jnp.sum(mask, dtype=float)[None]
        return jnp.concatenate([jnp.zeros(mask.shape), count])

    def _put(self, instruction: Instruction) -> jax.Array:
        whole, values, positions = instruction.operands
        assert isinstance(positions, Positions)
        mask, n = self._masks[positions.first], instruction.n
        return jnp.where(mask, self._read(values, n), self._read(whole, n))

    def _take(self, instruction: Instruction) -> jax.Array:
        return self._read(instruction.operands[0], instruction.n)

    def _packed(self, instruction: Instruction) -> jax.Array:
        values = self._read(instruction.operands[0], instruction.n)
        rounded: jax.Array = ELEMENTWISE[Opcode.SHORT](values)
        return rounded

    def _gather(self, instruction: Instruction) -> jax.Array:
        (sources,) = instruction.operands
        assert isinstance(sources, Sources)
        if instruction.positions is not None:
            raise Unsupported("rearranges elements that a condition selects")
        return self._registers.read(np.array(sources.registers))

    def _look_up(self, instruction: Instruction) -> jax.Array:
        table, index, n_rows = instruction.operands
        assert isinstance(n_rows, int)
        n = instruction.n
        whole = self._loaded(table) if isinstance(table, Cell) else self._read(table, n * n_rows)
        number = self._read(index, 1)[0].astype(int)
        number = jnp.where(number < 0, number + n_rows, number)
        self._is_lost |= (number < 0) | (number >= n_rows)
        return jnp.reshape(whole, (n_rows, n))[jnp.clip(number, 0, n_rows - 1)]

    def _roll(self, instruction: Instruction) -> jax.Array:
        source, shift = instruction.operands
        return jnp.roll(self._read(source, instruction.n), self._read(shift, 1)[0].astype(int))

    def _find(self, instruction: Instruction) -> jax.Array:
        source, number, size = instruction.operands
        assert isinstance(size, int)
        found = self._read(source, size) == self._read(number, 1)
        return jnp.where(jnp.any(found), jnp.argmax(found), jnp.inf)

    def _spread(self, instruction: Instruction) -> jax.Array:
        source, step_of_rows, columns = instruction.operands
        assert isinstance(source, Operand)
        assert isinstance(step_of_rows, int) and isinstance(columns, int)
        rows = np.arange(instruction.n // columns)[:, None] * step_of_rows
        return self._registers.read(source.first + rows + np.arange(columns) * source.stride)


OTHERS: dict[Opcode, Callable[[_Path, Instruction], jax.Array]] = {
    **{opcode: _Path._load for opcode in Opcode if Opcode.LOAD <= opcode <= Opcode.LOAD_BOOLEANS},
    Opcode.FUNCTION: _Path._function,
    Opcode.FUNCTION_OF_TWO: _Path._function,
    Opcode.LOOP: _Path._loop,
    Opcode.LOOP_SHORT: _Path._loop,
    Opcode.CALL: _Path._call,
    Opcode.POSITIONS: _Path._positions,
    Opcode.PUT: _Path._put,
    Opcode.TAKE: _Path._take,
    Opcode.PACK: _Path._packed,
    Opcode.UNPACK: _Path._packed,
    Opcode.GATHER: _Path._gather,
    Opcode.LOOKUP: _Path._look_up,
    Opcode.ROLL: _Path._roll,
    Opcode.FIND: _Path._find,
    Opcode.SPREAD: _Path._spread,
}


def _product(call: LoopCall, first: jax.Array, second: jax.Array) -> jax.Array:
    """The product of two matrices, each of which may be stored by columns."""
    _, m, n, p = call.sizes
    item = call.steps[-1]  # bytes
    a = jnp.reshape(first, (m, n)) if call.steps[4] == item else jnp.reshape(first, (n, m)).T
    b = jnp.reshape(second, (n, p)) if call.steps[6] == item else jnp.reshape(second, (p, n)).T
    return jnp.ravel(a @ b)
