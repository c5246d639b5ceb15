"""Instructions as the tracer writes them, before registers have addresses.

Registers are numbered from zero, constants from `CONSTANTS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

import numpy as np

from nengo_jit.engines.cpu.python.instructions import Mode, Opcode
from nengo_jit.ir.memory import address, align

CONSTANTS = 1 << 40  # the number of the first constant
LINE = 8  # registers in a cache line

# Opcodes by the type of the numbers in memory
LOADS = {
    "float64": Opcode.LOAD,
    "float32": Opcode.LOAD_SHORT,
    "int64": Opcode.LOAD_INTEGERS,
    "bool": Opcode.LOAD_BOOLEANS,
}
STORES = {
    "float64": Opcode.STORE,
    "float32": Opcode.STORE_SHORT,
    "int64": Opcode.STORE_INTEGERS,
    "bool": Opcode.STORE_BOOLEANS,
}


class Registers(NamedTuple):
    """As many registers as the instruction has elements; one register if the stride is zero."""

    first: int
    stride: int


class Span(NamedTuple):
    """A number of registers."""

    first: int
    stride: int
    size: int


@dataclass(frozen=True)
class Memory:
    """An array outside of the registers.

    Attributes
    ----------
    address : int
        Of the first element; the array must be contiguous, see `Writer.rely_on`.
    size : int
        Number of elements.
    array : numpy.ndarray or None
        The array itself.
    """

    address: int
    size: int
    array: np.ndarray | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of(cls, array: np.ndarray) -> Memory:
        """The memory of an array."""
        return cls(address(array), array.size, array)


@dataclass(frozen=True)
class LoopCall:
    """A call of the inner loop of a NumPy ufunc.

    Attributes
    ----------
    function, data : int
        Addresses of the loop and of its data.
    sizes : tuple of int
        The loop's dimensions, such as the number of elements.
    steps : tuple of int
        Strides (bytes) of inputs and result.
    inputs : tuple of Span
        The registers that it reads.
    """

    function: int
    data: int
    sizes: tuple[int, ...]
    steps: tuple[int, ...]
    inputs: tuple[Span, ...]


@dataclass(frozen=True)
class Sources:
    """Registers in any order, for `Opcode.GATHER`."""

    registers: tuple[int, ...]


@dataclass(frozen=True)
class Positions:
    """Where a condition holds: the registers of the result of `Opcode.POSITIONS`.

    Attributes
    ----------
    first : int
        The first register. They hold integers, of which those after the last position are unused.
    size : int
        Number of elements of the condition.
    """

    first: int
    size: int

    @property
    def count(self) -> int:
        """int: the register that has the number of positions."""
        return self.first + self.size


@dataclass(frozen=True)
class PythonCall:
    """A call of Python within a tape, which computes numbers of numbers.

    Attributes
    ----------
    bind : callable
        ``bind(arguments, result)`` gets arrays of registers. It returns a function that computes
        the last one of the others, and returns whether it could.
    key : tuple
        Two calls with equal keys do the same.
    inputs : tuple of Span
        The registers of each argument.
    """

    bind: Callable[[list[np.ndarray], np.ndarray], Callable[[], bool]] = field(
        compare=False, repr=False
    )
    key: tuple[object, ...]
    inputs: tuple[Span, ...]


@dataclass(frozen=True)
class Slot:
    """Memory for one block of a group's elements."""

    number: int


@dataclass(frozen=True)
class Place:
    """An operand or a result of a part: its first element, and where it is for other blocks."""

    start: int | Memory | Slot
    mode: Mode


@dataclass(frozen=True)
class GroupPart:
    """An elementwise instruction in a group.

    Attributes
    ----------
    opcode : Opcode
        What it does.
    is_checked : bool
        Whether all results must be finite.
    result : Place
        Where the result goes.
    operands : tuple of Place
        What it reads.
    steps : tuple of int
        Of `Opcode.SPREAD`: step, step of rows, and number of columns; of loops, the steps (bytes);
        of `Opcode.POSITIONS`: how many there may be, and zeros.
    call : tuple of int
        Addresses of a ufunc's inner loop and of its data.
    is_rounded : bool
        Whether results are rounded to single precision.
    then : Opcode, optional
        What is done with the results, as the first operand, and with the last operand here. Both
        results are rounded, or none.
    """

    opcode: Opcode
    is_checked: bool
    result: Place
    operands: tuple[Place, ...]
    steps: tuple[int, int, int] = (0, 0, 0)
    call: tuple[int, int] = (0, 0)
    is_rounded: bool = False
    then: Opcode | None = None


@dataclass(frozen=True)
class Group:
    """Elementwise instructions that are executed together, block by block.

    Attributes
    ----------
    shape : tuple of int
        Rows and columns of the matrix of elements.
    at_once : tuple of int
        Rows and columns of a block.
    first : tuple of GroupPart
        Parts that are executed once, before the first block.
    parts : tuple of GroupPart
        Parts that are executed for each block.
    n_slots : int
        How many slots the parts use.
    """

    shape: tuple[int, int]
    at_once: tuple[int, int]
    first: tuple[GroupPart, ...]
    parts: tuple[GroupPart, ...]
    n_slots: int

    @property
    def pitch(self) -> int:
        """int: elements from one slot to the next; operands that adjoin might seem to overlap."""
        return align(self.at_once[0] * self.at_once[1], LINE) + LINE


Operand: TypeAlias = Registers | Memory | LoopCall | Sources | Positions | PythonCall | Group | int


@dataclass(frozen=True)
class Instruction:
    """An instruction.

    Attributes
    ----------
    opcode : Opcode
        What it does.
    n : int
        Number of elements of the result.
    result : int or Memory
        Where the result goes; an integer is the first register.
    operands : tuple
        ============================ =========================================================
        Opcode                       Operands
        ============================ =========================================================
        BRANCH                       Registers, and the index of the target
        COMMIT                       the Memory that is compared with Python
        FUNCTION, FUNCTION_OF_TWO    Registers for each argument, the function's address
        LOOP, LOOP_SHORT             a LoopCall
        CALL                         a PythonCall
        POSITIONS                    Registers of the condition; n counts one more
        PUT                          Registers, Registers of the new elements, Positions
        PACK, UNPACK                 Registers; packed numbers have as many as unpacked ones
        LOAD...                      Memory
        STORE...                     Registers; and Registers of a row's index, to store a row
        GATHER                       Sources
        LOOKUP                       Registers or Memory of the table, Registers of the index,
                                     number of rows
        ROLL                         Registers, Registers of the shift
        FIND                         Registers, Registers of the number, how many elements
        TAKE                         Registers, Positions
        LARGEST                      Registers or Memory, and how many numbers
        SPREAD                       Registers of the first element, with the step of columns; the
                                     step of rows, and the number of columns
        GROUP                        a Group
        others                       Registers for each operand
        ============================ =========================================================
    positions : Positions or None
        The instruction computes only as many elements as there are positions; n is the most.
        ``STORE...`` stores them at these positions.
    """

    opcode: Opcode
    n: int = 0
    result: int | Memory = 0
    operands: tuple[Operand, ...] = ()
    positions: Positions | None = None


def scalar(register: int) -> Registers:
    """One register as an operand."""
    return Registers(register, 0)
