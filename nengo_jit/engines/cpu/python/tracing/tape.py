"""Write tapes: lists of instructions for the kernel `nengo_jit.engines.cpu.python.tape_vm`.

`Writer.finish` gives registers, constants and arrays their addresses.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from nengo_jit.engines.cpu.language.primitives import FLOAT64
from nengo_jit.engines.cpu.python.blocks import perform_group
from nengo_jit.engines.cpu.python.instructions import (
    WIDTH,
    Field,
    Head,
)
from nengo_jit.engines.cpu.python.objects import header_of
from nengo_jit.engines.cpu.python.tape_vm import MANY
from nengo_jit.engines.cpu.python.tracing.arena import Arena
from nengo_jit.engines.cpu.python.tracing.assembler import Assembler
from nengo_jit.engines.cpu.python.tracing.conditions import simplified
from nengo_jit.engines.cpu.python.tracing.grouping import grouped
from nengo_jit.engines.cpu.python.tracing.guards import Words
from nengo_jit.engines.cpu.python.tracing.instruction import (
    CONSTANTS,
    LINE,
    Instruction,
)
from nengo_jit.engines.cpu.python.tracing.values import Unsupported
from nengo_jit.engines.cpu.python.tracing.verify import verify
from nengo_jit.engines.cpu.toolchain.kernel_cache import address_of
from nengo_jit.ir.memory import address, align

MOST_NUMBERS = 8_000_000  # computed along a path; it takes half a second to trace as many
MOST_REGISTERS = 2_000_000  # and constants: some megabytes
N_PROOFS = 20  # how often each path is compared with Python before its results are used
INTERVAL = 1000  # after that, one of this many calls is compared, of a tape and of each path


class Tape:
    """A tape in memory.

    Parameters
    ----------
    code : (n, WIDTH) numpy.ndarray of int64
        The head and the instructions.
    has_changed : (1,) numpy.ndarray of int64
        Set to 1 when the tape finds that a guarded integer has changed.
    compared : dict of (int, list of tuple of numpy.ndarray)
        For each `COMMIT`, by its index in the code, the arrays that are compared with Python, and
        their shadows.
    written : list of numpy.ndarray
        The arrays that it stores to.
    kept : object
        Owners of all memory that the instructions refer to.

    Attributes
    ----------
    address : int
        Address of the head.
    written : list of numpy.ndarray
        The arrays that it stores to.
    """

    def __init__(
        self,
        code: np.ndarray,
        has_changed: np.ndarray,
        compared: dict[int, list[tuple[np.ndarray, np.ndarray]]],
        written: list[np.ndarray],
        kept: object,
    ):
        self.address = address(code)
        self.code = code
        self._has_changed = has_changed.data
        self.written = written
        self._compared = compared
        self._kept = has_changed, kept

    @property
    def has_changed(self) -> bool:
        """bool: whether the tape has found that an array, a variable or the like was replaced."""
        return bool(self._has_changed[0])

    @contextmanager
    def all_compared(self) -> Iterator[None]:
        """Context in which all calls are compared with Python."""
        head = self.code[0]
        interval = head[Head.INTERVAL]
        head[[Head.N_LEFT, Head.INTERVAL]] = 0, 1
        try:
            yield
        finally:
            head[[Head.N_LEFT, Head.INTERVAL]] = interval - 1, interval

    def difference(self, path: int) -> tuple[object, object]:
        """The results of the tape and of Python along a path, where they differ.

        Parameters
        ----------
        path : int
            Address of the path's `COMMIT`, which has just been compared.

        Returns
        -------
        tuple
            The first two numbers that differ.
        """
        for array, shadow in self._compared[self._index(path)]:
            numbers = array.ravel(order="K")
            differ = [bits.reshape(-1, array.itemsize) for bits in map(_bits, (numbers, shadow))]
            places = np.flatnonzero((differ[0] != differ[1]).any(axis=1))
            if places.size:
                return shadow[places[0]].item(), numbers[places[0]].item()
        return "one value", "another one"  # overwritten since the comparison

    def trust(self, path: int) -> str:
        """A sentence on which earlier results a difference along a path calls in question."""
        commit = self.code[self._index(path)]
        if commit[Field.N_EQUAL] < self.code[0, Head.N_PROOFS]:
            return "None of its results on this path had been used."
        interval = self.code[0, Head.INTERVAL]
        return f"Up to {interval - 1} earlier results may be wrong, too."

    def _index(self, path: int) -> int:
        return int(path - self.address) // (8 * WIDTH)


def _bits(array: np.ndarray) -> np.ndarray:
    return array.view(np.uint8)


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
        self._numbers: dict[bytes, int] = {}  # of constants
        self._headers: list[tuple[int, int]] = []
        self._held: list[object] = []
        self._instructions: list[Instruction] = []

    def __len__(self) -> int:
        return len(self._instructions)

    @property
    def instructions(self) -> Sequence[Instruction]:
        """Sequence of Instruction: the tape."""
        return self._instructions

    @property
    def constant_values(self) -> np.ndarray:
        """numpy.ndarray: the values of all registers from `constants`."""
        return np.array(self._constants)

    @property
    def headers(self) -> Words:
        """List of tuple of int: integers in the headers of arrays, and their values."""
        return self._headers

    @property
    def relied_on(self) -> list[np.ndarray]:
        """List of numpy.ndarray: arrays that are used in place, see `rely_on`."""
        return [each for each in self._held if isinstance(each, np.ndarray)]

    def constants(self, values: ArrayLike) -> int:
        """The first of the registers that hold constants.

        Raises
        ------
        Unsupported
            If there would be too many.
        """
        array = np.asarray(values, np.float64).ravel()
        key = array.tobytes()
        if key not in self._numbers:
            if len(self._constants) + array.size > MOST_REGISTERS:
                raise Unsupported("has too many constants")
            self._numbers[key] = CONSTANTS + len(self._constants)
            self._constants += array.tolist()
        return self._numbers[key]

    def constant(self, register: int) -> float:
        """The value of a register from `constants`."""
        return self._constants[register - CONSTANTS]

    def allocate(self, n: int) -> int:
        """Allocate n registers; returns the first.

        Raises
        ------
        Unsupported
            If there would be too many.
        """
        first = align(self.n_registers, LINE) if n > MANY else self.n_registers
        if first + n > MOST_NUMBERS:
            raise Unsupported("computes too many numbers")
        self.n_registers = first + n
        self._most = max(self._most, self.n_registers)
        return first

    def rely_on(self, array: np.ndarray, held: list[object]) -> None:
        """Note that the tape uses an array in place.

        Parameters
        ----------
        array : numpy.ndarray
            The tape ends at once if the array's memory, shape or type has been replaced.
        held : list
            Keeps the memory of the array's bases where it is, see `nengo_jit.ir.memory.hold`.
        """
        if not any(array is each for each in self._held):
            self._headers += header_of(array)
            self._held += [array, *held]

    def keep(self, value: object) -> None:
        """Keep an object that owns memory for as long as the tape exists."""
        self._held.append(value)

    def write(self, instruction: Instruction) -> None:
        """Append an instruction."""
        self._instructions.append(instruction)

    def is_written(self, index: int, instruction: Instruction) -> bool:
        """Whether an instruction equals the one at an index."""
        return self._instructions[index : index + 1] == [instruction]

    def target(self, index: int) -> int:
        """The target of the branch at an index."""
        target = self._instructions[index].operands[1]
        assert isinstance(target, int)
        return target

    def remove(self, index: int) -> None:
        """Remove all instructions from an index on."""
        del self._instructions[index:]

    def set_target(self, index: int) -> None:
        """Let the branch at an index lead to the instruction that comes next."""
        branch = self._instructions[index]
        operands = branch.operands[0], len(self)
        self._instructions[index] = replace(branch, operands=operands)

    def finish(self, words: Words) -> Tape:
        """Put the tape into memory.

        Parameters
        ----------
        words : list of tuple of int
            Addresses of further integers that the tape relies on, and their values, see `Guards`.

        Raises
        ------
        Malformed
            If it breaks a rule, see `verify`.
        Unsupported
            If it needs too many registers.
        """
        one = self.constants(1.0)
        instructions = simplified(self._instructions, self.constant)
        instructions, n_registers = grouped(instructions, one)
        if n_registers > MOST_REGISTERS:
            raise Unsupported("computes too many numbers")
        verify(instructions, n_registers, len(self._constants))
        countdown = 0 if N_PROOFS else INTERVAL - 1
        guards = [*self._headers, *words]
        guarded, values = zip(*guards) if guards else ((), ())
        size = (1 + len(instructions)) * WIDTH
        arena = Arena(size + n_registers + len(self._constants) + 2 * len(guards))
        code = arena.take(size).reshape(-1, WIDTH)
        head = code[0]
        head[Head.N_GUARDS] = len(guarded)
        head[Head.GUARDED], head[Head.VALUES] = arena.words(guarded), arena.words(values)
        has_changed = arena.take(1)
        head[Head.HAS_CHANGED] = address(has_changed)
        assembler = Assembler(instructions, n_registers, self._constants, countdown, arena)
        for i, instruction in enumerate(instructions, 1):
            code[i] = assembler.encode(i, instruction)
        head[Head.N_PROOFS] = N_PROOFS
        head[Head.PERFORM_GROUP] = address_of(perform_group, FLOAT64)
        head[Head.N_LEFT], head[Head.INTERVAL] = INTERVAL - 1, INTERVAL
        kept = assembler.kept, arena, self._held
        return Tape(code, has_changed, assembler.compared, assembler.written, kept)
