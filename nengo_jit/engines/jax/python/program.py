"""The program of a tape: its instructions as a pure function of arrays, which JAX can trace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp

from nengo_jit.engines.cpu.python.instructions import Opcode
from nengo_jit.engines.cpu.python.tracing import Unsupported
from nengo_jit.engines.cpu.python.tracing.flow import Flow
from nengo_jit.engines.cpu.python.tracing.foreign import Call, Items, Leaf
from nengo_jit.engines.cpu.python.tracing.instruction import (
    STORES,
    Instruction,
    Memory,
    PythonCall,
)
from nengo_jit.engines.cpu.python.tracing.strides import span_of
from nengo_jit.engines.jax.compilation import as_given
from nengo_jit.engines.jax.python.operations import (
    ALWAYS_FINITE,
    HANDING_ON,
)
from nengo_jit.engines.jax.python.path import Cell, InPlace, Memories, Path
from nengo_jit.engines.jax.python.registers import Registers

MOST_INSTRUCTIONS = 600  # XLA compiles as many in two seconds, and twice as many in eight


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
        self._checked = _to_check(instructions)
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
        path = Path(self._instructions, self._checked, Registers(constants), memories, {})
        results, is_lost = path.run(0)
        return (*(jnp.ravel(results[number]) for number in self.written), is_lost)


def _to_check(instructions: Sequence[Instruction]) -> frozenset[int]:
    """The instructions with results that must be found to be finite.

    If another one without a branch in between makes infinity, or "not a number", of such operands,
    it is enough to check that one.
    """
    flow = Flow(instructions)
    checked, end = set(), len(instructions)  # the next branch, or the end of the path
    for index in reversed(range(len(instructions))):
        opcode = instructions[index].opcode
        if opcode in (Opcode.BRANCH, Opcode.RETURN, Opcode.REDO):
            end = index
        elif opcode not in ALWAYS_FINITE and opcode not in STORES.values():
            readers = [each for each in flow.readings[index] if each.reader < end]
            if not any(_hands_on(instructions[each.reader]) and each.is_whole for each in readers):
                checked.add(index)
    return frozenset(checked)


def _hands_on(instruction: Instruction) -> bool:
    return instruction.opcode in HANDING_ON and instruction.positions is None
