"""Execute the instructions of a tape, along all of its paths, as operations of JAX."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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
    Positions,
    Sources,
    Span,
)
from nengo_jit.engines.cpu.python.tracing.instruction import Registers as Operand
from nengo_jit.engines.jax.python.operations import (
    ELEMENTWISE,
    REDUCTIONS,
    counterpart,
    function_at,
)
from nengo_jit.engines.jax.python.registers import Registers

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


class Path:
    """Executes instructions from one on, along a path and those that part from it.

    Parameters
    ----------
    instructions : tuple of Instruction
        The tape.
    checked : frozenset of int
        Instructions with results that must be finite.
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
        checked: frozenset[int],
        registers: Registers,
        memories: Memories,
        masks: dict[int, jax.Array],
    ):
        self._instructions, self._checked, self._registers = instructions, checked, registers
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
                self._compute(instruction, index in self._checked)
            index += 1

    def _both(self, instruction: Instruction, index: int) -> tuple[Memories, jax.Array]:
        """Execute both paths, and select: they are short, and a device cannot jump well."""
        condition, target = instruction.operands
        assert isinstance(target, int)
        is_true = self._read(condition, 1)[0] != 0
        first, second = (
            Path(
                self._instructions,
                self._checked,
                self._registers.copy(),
                tuple(self._memories),
                self._masks,
            )
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

    def _compute(self, instruction: Instruction, is_checked: bool) -> None:
        opcode, n = instruction.opcode, instruction.n
        if opcode in ELEMENTWISE:
            values = ELEMENTWISE[opcode](*(self._read(each, n) for each in instruction.operands))
        else:
            values = OTHERS[opcode](self, instruction)
        values = jnp.broadcast_to(values, (n,)).astype(float)
        if is_checked:
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
            key = part.key  # `part.registers` may have been assigned to since then
            numbers = np.frombuffer(key, int) if isinstance(key, bytes) else np.array(key)
            return jnp.reshape(self._registers.read(numbers).astype(part.kind), part.shape)
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


OTHERS: dict[Opcode, Callable[[Path, Instruction], jax.Array]] = {
    **{opcode: Path._load for opcode in Opcode if Opcode.LOAD <= opcode <= Opcode.LOAD_BOOLEANS},
    Opcode.FUNCTION: Path._function,
    Opcode.FUNCTION_OF_TWO: Path._function,
    Opcode.LOOP: Path._loop,
    Opcode.LOOP_SHORT: Path._loop,
    Opcode.CALL: Path._call,
    Opcode.POSITIONS: Path._positions,
    Opcode.PUT: Path._put,
    Opcode.TAKE: Path._take,
    Opcode.PACK: Path._packed,
    Opcode.UNPACK: Path._packed,
    Opcode.GATHER: Path._gather,
    Opcode.LOOKUP: Path._look_up,
    Opcode.ROLL: Path._roll,
    Opcode.FIND: Path._find,
    Opcode.SPREAD: Path._spread,
}


def _product(call: LoopCall, first: jax.Array, second: jax.Array) -> jax.Array:
    """The product of two matrices, each of which may be stored by columns."""
    _, m, n, p = call.sizes
    item = call.steps[-1]  # bytes
    a = jnp.reshape(first, (m, n)) if call.steps[4] == item else jnp.reshape(first, (n, m)).T
    b = jnp.reshape(second, (n, p)) if call.steps[6] == item else jnp.reshape(second, (p, n)).T
    return jnp.ravel(a @ b)
