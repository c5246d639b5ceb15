"""Write tapes: lists of instructions for the kernel `nengo_jit.engines.cpu.python.tape_vm`.

Registers are numbered from zero, constants from `CONSTANTS`. Addresses are known when a tape is
`finished <Writer.finish>`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np

from nengo_jit.engines.cpu.python import tape_vm as op
from nengo_jit.engines.cpu.python.objects import header_of
from nengo_jit.engines.cpu.python.tape_vm import WIDTH
from nengo_jit.engines.cpu.python.tracing.values import Unsupported
from nengo_jit.engines.cpu.python.tracing.verify import CONSTANTS, verify
from nengo_jit.ir.memory import address

MOST_NUMBERS = 200_000  # registers, and constants: a few megabytes
N_PROOFS = 20  # how often each path is compared with Python before it is believed
INTERVAL = 1000  # one of how many calls is compared after that, of a tape and of each path


@dataclass(frozen=True)
class Memory:
    """An array outside of the registers.

    Attributes
    ----------
    address : int
        Where it is; it must be contiguous, see `Writer.rely_on`.
    size : int
        How many numbers it has.
    array : numpy.ndarray or None
        The array itself.
    """

    address: int
    size: int
    array: Any = field(default=None, compare=False, repr=False)

    @classmethod
    def of(cls, array: np.ndarray) -> Memory:
        """The memory of an array."""
        return cls(address(array), array.size, array)


class Tape:
    """Instructions in memory.

    Parameters
    ----------
    code : (n, WIDTH) numpy.ndarray of int64
        The head and the instructions.
    has_moved : (1,) numpy.ndarray of int64
        Is set if an array is not what it was.
    compared : dict of (int, list of tuple of numpy.ndarray)
        For each `COMMIT`, by its place in the code, the arrays that are compared with Python, and
        their shadows.
    written : list of numpy.ndarray
        What it writes to.
    kept : object
        What the instructions refer to, and what keeps other memory where it is.

    Attributes
    ----------
    address : int
        Of the beginning.
    written : list of numpy.ndarray
        What it writes to.
    """

    def __init__(
        self,
        code: np.ndarray,
        has_moved: np.ndarray,
        compared: dict[int, list[tuple[np.ndarray, np.ndarray]]],
        written: list[np.ndarray],
        kept: Any,
    ):
        self.address = address(code)
        self.code = code
        self._has_moved = has_moved.data
        self.written = written
        self._compared = compared
        self._kept = has_moved, kept  # which must live as long as this does

    @property
    def has_moved(self) -> bool:
        """bool: whether an array has been found to be in another place or of another shape."""
        return bool(self._has_moved[0])

    @contextmanager
    def all_compared(self) -> Iterator[None]:
        """Context in which all calls are compared with Python."""
        head = self.code[0]
        interval = head[op.INTERVAL]
        head[[op.N_LEFT, op.INTERVAL]] = 0, 1
        try:
            yield
        finally:
            head[[op.N_LEFT, op.INTERVAL]] = interval - 1, interval

    def difference(self, path: int) -> tuple[Any, Any]:
        """What the tape has computed along a path, and what Python has.

        Parameters
        ----------
        path : int
            Address of the path's `COMMIT`, which has just been compared.

        Returns
        -------
        tuple
            The first numbers that differ.
        """
        for array, shadow in self._compared[self._place(path)]:
            numbers = array.reshape(-1)
            differ = [bits.reshape(-1, array.itemsize) for bits in map(_bits, (numbers, shadow))]
            places = np.flatnonzero((differ[0] != differ[1]).any(axis=1))
            if places.size:
                return shadow[places[0]].item(), numbers[places[0]].item()
        return "one value", "another one"  # which is gone

    def trust(self, path: int) -> str:
        """What a difference says about values that the simulation has used, in a sentence."""
        commit = self.code[self._place(path)]
        if commit[op.N_EQUAL] < self.code[0, op.N_PROOFS]:
            return "No value had been taken from it where it goes this way."
        interval = self.code[0, op.INTERVAL]
        return f"Up to {interval - 1} values before may have been wrong, too."

    def _place(self, path: int) -> int:
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
            Which one, see `nengo_jit.engines.cpu.python.tape_vm`.
        n : int
            Number of elements.
        result : int or Memory
            The first register of the result.
        *operands
            Pairs of registers and distances, objects in memory, or plain integers. For a loop of
            NumPy: addresses of the loop and its data, sizes, steps (bytes), and for each input
            the first register, the distance to the next, and how many there are. For gathering:
            the registers. For `COMMIT`: all memory that is compared with Python.
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
        code[0, [op.N_LEFT, op.N_PROOFS, op.INTERVAL]] = INTERVAL - 1, N_PROOFS, INTERVAL
        shadows: dict[int, np.ndarray] = {}  # by the identity of the array
        compared, written = {}, []
        for i, (operation, n, result, *operands) in enumerate(self._instructions, 1):
            line = code[i]
            line[0], line[1] = operation, n
            line[2] = result.address if isinstance(result, Memory) else place(result)
            if operation == op.LOOP:
                (function, data), sizes, steps, *inputs = operands
                arguments = words(*(place(first) for first, _, _ in inputs), line[2])
                line[3:8] = function, arguments, words(*sizes), words(*steps), data
            elif operation == op.GATHER:
                line[3] = words(*map(place, operands[0]))
            elif operation == op.COMMIT:
                arrays = [each.array for each in operands]
                pairs = [
                    (array, shadows.setdefault(id(array), np.empty(array.size, array.dtype)))
                    for array in arrays
                ]
                compared[i] = pairs
                spans = [(address(array), address(shadow), array.nbytes) for array, shadow in pairs]
                line[op.COUNTDOWN] = 0 if N_PROOFS else INTERVAL - 1
                line[[op.N_SPANS, op.SPANS]] = len(spans), words(*chain(*spans))
            else:
                line[3:9:2] = line[2]  # operands that are not used must exist, too
                for k, operand in enumerate(operands):
                    if isinstance(operand, tuple):
                        line[3 + 2 * k : 5 + 2 * k] = place(operand[0]), operand[1]
                    else:
                        line[3 + 2 * k] = getattr(operand, "address", operand)
            if isinstance(result, Memory):
                written.append(result.array)
                line[op.SHADOW] = address(shadows[id(result.array)])
        return Tape(code, has_moved, compared, written, (registers, constants, kept, self._held))
