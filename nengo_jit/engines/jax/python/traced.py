"""Operators with Python code that has been traced, so that it need not be called in each step."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from dataclasses import dataclass
from dis import get_instructions
from types import CodeType

import numpy as np

from nengo_jit.engines.cpu.program.mentions import MAX_OBJECTS, code_of, reached
from nengo_jit.engines.cpu.python.instructions import Opcode
from nengo_jit.engines.cpu.python.tracing import Guards, Unsupported, written
from nengo_jit.engines.cpu.python.tracing.instruction import LOADS, STORES, Memory
from nengo_jit.engines.cpu.python.tracing.tape import Writer
from nengo_jit.engines.jax.blocks import Blocks, Region
from nengo_jit.engines.jax.python.program import Program
from nengo_jit.ir.base import Operator, Step
from nengo_jit.ir.memory import SignalDict
from nengo_jit.ir.python import SimPyFunc
from nengo_jit.regions import pointer

HANDLES = "PUSH_EXC_INFO"  # begins what a function does after an error, which tapes do not have
MOST_BYTES = 1 << 24  # of an array of the user's, which is copied to the device in each call


@dataclass(frozen=True)
class Dependencies:
    """What functions depend on: integers in memory by their addresses, and names."""

    words: dict[int, int]
    names: Guards

    @property
    def is_right(self) -> bool:
        """bool: whether all is as it was during tracing."""
        word = ctypes.c_ssize_t.from_address
        if not all(word(address).value == value for address, value in self.words.items()):
            return False
        return not self.names.have_changed()


@dataclass(frozen=True)
class Traced:
    """What the tracer has found of an operator's step.

    Attributes
    ----------
    operator : Operator
        The operator.
    own : list of numpy.ndarray
        The arrays of its signals.
    writer : Writer
        What it computes.
    watched : Guards
        What it reads that may be rebound.
    reasons : list of str
        Why some paths need Python; each continues "it ...".
    """

    operator: Operator
    own: list[np.ndarray]
    writer: Writer
    watched: Guards
    reasons: list[str]

    @classmethod
    def of(cls, operator: Operator, step: Step, signals: SignalDict) -> Traced:
        """Trace the step of an operator.

        Raises
        ------
        Unsupported
            If only Python can execute it.
        """
        own = [signals[each] for each in operator.all_signals if not each.sparse]
        return cls(operator, own, *written(step, own))

    @property
    def is_right(self) -> bool:
        """bool: whether all that it depends on is as it was during tracing."""
        return dependencies_of([self]).is_right

    @property
    def users(self) -> list[np.ndarray]:
        """List of numpy.ndarray: arrays of the user's that it reads or writes."""
        return [each for each in self.writer.relied_on if not _is_among(each, self.own)]

    @property
    def written_of_users(self) -> list[np.ndarray]:
        """List of numpy.ndarray: arrays of the user's that it writes."""
        stored = (
            each.result for each in self.writer.instructions if each.opcode in STORES.values()
        )
        arrays = [each.array for each in stored if isinstance(each, Memory)]
        return [each for each in arrays if each is not None and not _is_among(each, self.own)]

    @property
    def is_of_time(self) -> bool:
        """bool: whether the operator is a function of time alone, which writes only its output."""
        operator = self.operator
        if not isinstance(operator, SimPyFunc) or operator.output is None or operator.x_passed:
            return False
        return not (operator.output.readonly or self.written_of_users)

    @property
    def is_total(self) -> bool:
        """bool: whether all paths are on the tape, but those that end with an error."""
        if any(each.opcode == Opcode.REDO for each in self.writer.instructions):
            return False
        found = reached(code_of(self.operator))
        codes = [each for each in found if isinstance(each, CodeType)]
        names = (each.opname for code in codes for each in get_instructions(code))
        return len(found) < MAX_OBJECTS and HANDLES not in names


@dataclass(frozen=True)
class Taped:
    """An operator that runs on the device by its program.

    Attributes
    ----------
    program : Program
        What it computes.
    constants : (n,) numpy.ndarray
        Its first argument.
    places : tuple of (Region or numpy.ndarray)
        For each array of the program: elements of a block, or the values of a constant.
    flag : Region
        The element that is set in a step that needs Python.
    """

    program: Program
    constants: np.ndarray
    places: tuple[Region | np.ndarray, ...]
    flag: Region

    @property
    def blocks(self) -> set[int]:
        """Set of int: the blocks that it reads or writes, besides its flag."""
        return {each.block for each in self.places if isinstance(each, Region)}

    @property
    def facts(self) -> tuple[object, ...]:
        """Tuple: equal for tapes that are lowered alike."""
        places = (
            each.tobytes()
            if isinstance(each, np.ndarray)
            else (each.block, each.elements.tobytes())
            for each in (*self.places, self.flag)
        )
        return self.program, self.constants.tobytes(), *places


class Tapes:
    """Makes operators that run on the device by their programs.

    Parameters
    ----------
    blocks : Blocks
        Gets a block for the flags, and one for each array of the user's.
    most : int
        Most operators.
    checked : set of Program
        Programs that the device is known to compute; gets others.

    Attributes
    ----------
    flags : int
        The block of the flags.
    shared : set of int
        The blocks of arrays of the user's.
    """

    def __init__(self, blocks: Blocks, most: int, checked: set[Program]):
        blocks.detach()
        self._blocks, self._checked = blocks, checked
        self.flags = blocks.add_flags(most)
        self.shared: set[int] = set()
        self._n = 0

    def make(self, traced: Traced) -> Taped:
        """Make the program of an operator, and find its arrays.

        Raises
        ------
        Unsupported
            If the device cannot compute it.
        """
        program = Program(traced.writer.instructions)
        constants = traced.writer.constant_values
        if program not in self._checked:
            program.check(len(constants))
            self._checked.add(program)
        places = [self._place(each, traced.own) for each in program.memories]
        if any(isinstance(places[number], np.ndarray) for number in program.written):
            raise Unsupported("writes to a signal that is read-only")
        flag = Region(self.flags, np.array(self._n))
        self._n += 1
        return Taped(program, constants, tuple(places), flag)

    def _place(self, memory: Memory, own: list[np.ndarray]) -> Region | np.ndarray:
        array, region = memory.array, self._blocks.locate(memory.address, memory.size)
        assert array is not None
        if not _is_among(array, own):
            if region is not None:
                raise Unsupported("reads signals that are not its own")
            return self._attached(array)
        return np.array(array).ravel() if region is None else region

    def _attached(self, array: np.ndarray) -> Region:
        """Return the elements of an array of the user's; what owns its memory gets a block."""
        owner = _owner_of(array)
        if not self._is_fit(owner, array.dtype):
            owner = array
        if not self._is_fit(owner, array.dtype):
            raise Unsupported("reads a large array, or one that is not contiguous")
        for number in self.shared:
            block = self._blocks.host[number]
            first = (pointer(array) - pointer(block)) // array.itemsize
            if array.dtype == block.dtype and 0 <= first <= block.size - array.size:
                return Region(number, first + np.arange(array.size))
            if np.may_share_memory(block, owner):
                raise Unsupported("reads an array in two ways")
        self.shared.add(self._blocks.attach(owner))
        return self._attached(array)

    @staticmethod
    def _is_fit(array: np.ndarray, dtype: np.dtype) -> bool:
        is_small = array.nbytes <= MOST_BYTES and array.flags.forc
        return is_small and array.dtype == dtype and dtype.name in LOADS


def _owner_of(array: np.ndarray) -> np.ndarray:
    """Return the outermost base that is an array, also through views by `as_strided`."""
    owner, base = array, array.base
    while base is not None:
        owner = base if isinstance(base, np.ndarray) else owner
        base = getattr(base, "base", None)
    return owner


def dependencies_of(traced: Iterable[Traced]) -> Dependencies:
    """Collect what functions depend on."""
    words: dict[int, int] = {}
    names = Guards()
    for each in traced:
        words.update(each.writer.headers)
        names.update(each.watched)
    return Dependencies(words, names)


def _is_among(array: np.ndarray, own: list[np.ndarray]) -> bool:
    return any(np.may_share_memory(array, each) for each in own)
