"""Write tapes: lists of instructions for the kernel `nengo_jit.engines.cpu.kernels.tape`.

Registers are numbered from zero, constants from `CONSTANTS`. Addresses are known when a tape is
`finished <Writer.finish>`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nengo_jit.builder.signal import address
from nengo_jit.engines.cpu.kernels.tape import GATHER, LOOP, WIDTH
from nengo_jit.engines.cpu.objects import header_of
from nengo_jit.engines.cpu.tracing.values import Unsupported
from nengo_jit.engines.cpu.tracing.verify import CONSTANTS, verify

MOST_NUMBERS = 200_000  # registers, and constants: a few megabytes


@dataclass(frozen=True)
class Memory:
    """An array outside of the registers.

    Attributes
    ----------
    address : int
        Where it is; it must be contiguous, see `Writer.rely_on`.
    size : int
        How many numbers it has.
    """

    address: int
    size: int

    @classmethod
    def of(cls, array: np.ndarray) -> Memory:
        """The memory of an array."""
        return cls(address(array), array.size)


class Tape:
    """Instructions in memory.

    Parameters
    ----------
    arrays : sequence of numpy.ndarray
        Instructions, a number that is set if an array is not what it was, and whatever else the
        instructions refer to.
    held : list
        What keeps other memory where it is.

    Attributes
    ----------
    address : int
        Of the beginning.
    """

    def __init__(self, arrays: Sequence[np.ndarray], held: list[Any]):
        self.address = address(arrays[0])
        self._has_moved = arrays[1].data
        self._kept = arrays, held  # which must live as long as this does

    @property
    def has_moved(self) -> bool:
        """bool: whether an array has been found to be in another place or of another shape."""
        return bool(self._has_moved[0])


class Writer:
    """Writes a tape.

    Attributes
    ----------
    n_registers : int
        How many registers are in use. Instructions along different branches may use the same.
    """

    def __init__(self) -> None:
        self.n_registers = 0
        self._most = 0
        self._constants: list[float] = []
        self._numbers: dict[bytes, int] = {}
        self._headers: list[tuple[int, int]] = []
        self._held: list[Any] = []
        self._instructions: list[list[Any]] = []

    def __len__(self) -> int:
        return len(self._instructions)

    def constants(self, values: Any) -> int:
        """The first of the registers that hold constants.

        Raises
        ------
        Unsupported
            If there would be too many.
        """
        array = np.asarray(values, np.float64).ravel()
        key = array.tobytes()
        if key not in self._numbers:
            if len(self._constants) + array.size > MOST_NUMBERS:
                raise Unsupported("has too many constants")
            self._numbers[key] = CONSTANTS + len(self._constants)
            self._constants += array.tolist()
        return self._numbers[key]

    def constant(self, register: int) -> float:
        """What a register from `constants` holds."""
        return self._constants[register - CONSTANTS]

    def allocate(self, n: int) -> int:
        """The first of n registers that are not in use.

        Raises
        ------
        Unsupported
            If there would be too many.
        """
        first = self.n_registers
        if first + n > MOST_NUMBERS:
            raise Unsupported("computes too many numbers")
        self.n_registers += n
        self._most = max(self._most, self.n_registers)
        return first

    def rely_on(self, array: np.ndarray, held: list[Any]) -> None:
        """Note that an array is used where it lies.

        Parameters
        ----------
        array : numpy.ndarray
            Which one; the tape ends at once if its memory or its shape have been replaced.
        held : list
            What keeps the memory of other arrays, that it is a view of, where it is.
        """
        if not any(array is each for each in self._held):
            self._headers += header_of(array)
            self._held += [array, *held]

    def write(self, operation: int, n: int, result: Any, *operands: Any) -> None:
        """Write an instruction.

        Parameters
        ----------
        operation : int
            Which one, see `nengo_jit.engines.cpu.kernels.tape`.
        n : int
            Number of elements.
        result : int or Memory
            The first register of the result.
        *operands
            Pairs of registers and distances, objects in memory, or plain integers. For a loop of
            NumPy: addresses of the loop and its data, sizes, steps (bytes), and for each input
            the first register, the distance to the next, and how many there are. For gathering:
            the registers.
        """
        self._instructions.append([operation, n, result, *operands])

    def is_written(self, place: int, operation: int, n: int, result: Any, *operands: Any) -> bool:
        """Whether an instruction stands at a place; parameters are those of `write`."""
        return self._instructions[place : place + 1] == [[operation, n, result, *operands]]

    def target(self, instruction: int) -> int:
        """Where a branch that has been written leads to."""
        return int(self._instructions[instruction][1])

    def remove(self, place: int) -> None:
        """Take back all instructions from a place on."""
        del self._instructions[place:]

    def set_target(self, instruction: int) -> None:
        """Let a branch that has been written lead to the instruction that comes next."""
        self._instructions[instruction][1] = len(self)

    def finish(self) -> Tape:
        """Put the tape into memory.

        Raises
        ------
        Malformed
            If it is not well formed.
        """
        verify(self._instructions, self._most, len(self._constants))
        registers = np.zeros(max(self._most, 1))
        constants = np.array(self._constants or [0.0])
        starts = address(registers), address(constants)
        kept: list[np.ndarray] = []

        def place(register: int) -> int:
            if register >= CONSTANTS:
                return starts[1] + 8 * (register - CONSTANTS)
            return starts[0] + 8 * register

        def words(*values: Any) -> int:
            kept.append(np.array(values, np.int64))
            return address(kept[-1])

        has_moved = np.zeros(1, np.int64)
        code = np.zeros((1 + len(self), WIDTH), np.int64)
        places, values = zip(*self._headers) if self._headers else ((), ())
        code[0, :4] = len(places), words(*places), words(*values), address(has_moved)
        for line, (operation, n, result, *operands) in zip(code[1:], self._instructions):
            line[0], line[1] = operation, n
            line[2] = result.address if isinstance(result, Memory) else place(result)
            if operation == LOOP:
                (function, data), sizes, steps, *inputs = operands
                arguments = words(*(place(first) for first, _, _ in inputs), line[2])
                line[3:8] = function, arguments, words(*sizes), words(*steps), data
            elif operation == GATHER:
                line[3] = words(*map(place, operands[0]))
            else:
                line[3:9:2] = line[2]  # operands that are not used must exist, too
                for i, operand in enumerate(operands):
                    if isinstance(operand, tuple):
                        line[3 + 2 * i : 5 + 2 * i] = place(operand[0]), operand[1]
                    else:
                        line[3 + 2 * i] = getattr(operand, "address", operand)
        return Tape([code.ravel(), has_moved, registers, constants, *kept], self._held)
