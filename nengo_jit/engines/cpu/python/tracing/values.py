"""The values of a Python function while it is traced.

A number that is known only when the function runs is a `Number` in a register, or an element of an
`Array` of registers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from types import CodeType, MethodType
from typing import ClassVar, TypeAlias

import numpy as np
from nengo.params import FrozenObject
from numpy.typing import DTypeLike

Value: TypeAlias = object
"""A value during tracing.

A value that is known is the object itself: a number, a string, a function, a module. Lists and
tuples have values as elements. Everything else is an `Unknown`.
"""
Scalar: TypeAlias = float | np.generic
"""A single number, or a boolean, that is known."""

MOST_ITEMS = 10_000  # of a list; tracing handles them one by one
MOST_ELEMENTS = 500_000  # of an array; with more, tracing takes long, and NumPy is as fast

# The types that a number in a register can have in Python, with an example of each
SAMPLES: dict[type, Scalar] = {
    float: 1.0,
    int: 1,
    bool: True,
    np.float64: np.float64(1),
    np.float32: np.float32(1),
    np.int64: np.int64(1),
    np.bool_: np.bool_(True),
}
SCALARS = {np.dtype(kind): kind for kind in (np.float64, np.float32, np.int64, np.bool_)}
OF_USERS = (FrozenObject, MethodType, partial)  # objects with methods or functions of users
INTEGERS = (int, np.int64)
BOOLEANS = (bool, np.bool_)


class Unsupported(Exception):  # noqa: N818  it is no error
    """The function does what only Python can do. The message continues "the function ..."."""


def reason_of(problem: Exception) -> str:
    """Why a function stays in Python; continues "the function ..."."""
    if isinstance(problem, Unsupported):
        return str(problem)
    return f"cannot be compiled ({type(problem).__name__}: {problem})"


def check_count(n: float) -> None:
    """Check the number of elements of an array.

    Raises
    ------
    Unsupported
        If there are too many.
    """
    if not n <= MOST_ELEMENTS:
        raise Unsupported("makes a large array or list")


def check_length(n: float) -> None:
    """Check the number of items of a list, tuple or range.

    Raises
    ------
    Unsupported
        If there are too many.
    """
    if not n <= MOST_ITEMS:
        raise Unsupported("makes a large array or list")


class Unknown:
    """A value that is known only when the function runs, or that has no object yet.

    Attributes
    ----------
    text : str
        What it is, if it has no type in Python.
    """

    text: ClassVar[str] = ""


@dataclass(eq=False)
class LocalFunction(Unknown):
    """A function that the traced function defines."""

    code: CodeType
    namespace: dict[str, object]
    defaults: tuple[Value, ...] = ()
    keyword_defaults: dict[str, Value] = field(default_factory=dict)
    closure: tuple[object, ...] = ()


@dataclass(frozen=True)
class Super(Unknown):
    """What `super` returns.

    Attributes
    ----------
    after : type
        The class after which attributes are looked up, in the order of the object's class.
    owner : FrozenObject
        The object.
    """

    after: type
    owner: FrozenObject


@dataclass(frozen=True)
class Number(Unknown):
    """A number in a register.

    Attributes
    ----------
    register : int
        Which one.
    type : type
        Its type in Python, one of `SAMPLES`.
    """

    register: int
    type: type


class Array(Unknown):
    """An array of registers.

    ``registers`` has the layout in memory that the array has in NumPy. Layout decides what is a
    view, and in which order NumPy computes. A view in NumPy is a view of ``registers`` here.
    Therefore NumPy itself selects, reshapes, joins and assigns during tracing, on the numbers of
    registers, and none of that costs anything when the function runs.

    Parameters
    ----------
    registers : numpy.ndarray of int
        In the array's shape. To assign to it is to assign to the array.
    dtype : numpy.dtype
        The array's type in Python.
    writeable : bool
        Whether the function may write to it.

    Raises
    ------
    Unsupported
        If it is large.
    """

    def __init__(self, registers: np.ndarray, dtype: DTypeLike, writeable: bool = True):
        check_count(registers.size)
        self._registers = registers
        self.dtype = np.dtype(dtype)
        self.writeable = writeable

    @property
    def registers(self) -> np.ndarray:
        """numpy.ndarray of int: in the array's shape."""
        return self._registers

    @property
    def shape(self) -> tuple[int, ...]:
        """Tuple of int: the array's shape; of arrays outside of the function, without loading."""
        return self.registers.shape

    def of(self, registers: np.ndarray) -> Array:
        """A part of this array, with the same type."""
        return Array(registers, self.dtype, self.writeable)

    @property
    def sample(self) -> np.ndarray:
        """numpy.ndarray: an array with this type and number of dimensions."""
        return np.ones((1,) * len(self.shape), self.dtype)

    def __len__(self) -> int:
        return self.shape[0]


class Row(Array):
    """A row of an array at an index that is known only when the function runs.

    It is a view in NumPy, and a copy here.

    Parameters
    ----------
    registers : numpy.ndarray of int
        The copy.
    whole : Array
        The array.
    index : int
        The register with the index.
    """

    def __init__(self, registers: np.ndarray, whole: Array, index: int):
        super().__init__(registers, whole.dtype, writeable=False)
        self.whole = whole
        self.index = index


class LiveArray(Array):
    """An array that exists outside of the function, which reads and writes it in place.

    Parameters
    ----------
    memory : numpy.ndarray
        The array.
    load : callable
        Loads the elements when they are first needed; returns their registers.

    Attributes
    ----------
    before : numpy.ndarray or None
        Registers of the elements as they were loaded.
    rows : list of tuple of int and numpy.ndarray
        Rows that have been assigned before the elements were loaded: the register with the index,
        which is in range and not negative, and the row's registers.
    replace : callable or None
        ``replace(registers, index, row)`` replaces a row of registers; None if no row has been
        assigned.
    """

    def __init__(self, memory: np.ndarray, load: Callable[[], np.ndarray]):
        is_writeable = memory.flags.writeable and memory.flags.forc
        super().__init__(np.empty(0, np.int64), memory.dtype, is_writeable)
        self.memory = memory
        self.before: np.ndarray | None = None
        self.rows: list[tuple[int, np.ndarray]] = []
        self.replace: Callable[[np.ndarray, int, np.ndarray], None] | None = None
        self._load = load

    @property
    def registers(self) -> np.ndarray:
        """numpy.ndarray of int: in the array's shape."""
        if self.before is None:
            self._registers = self._load()
            self.before = self._registers.copy()
            for index, row in self.rows:
                assert self.replace is not None
                self.replace(self._registers, index, row)
        return self._registers

    @property
    def shape(self) -> tuple[int, ...]:
        return self.memory.shape

    @property
    def is_loaded(self) -> bool:
        """bool: whether the elements are in registers."""
        return self.before is not None

    @property
    def has_changed(self) -> bool:
        """bool: whether the function has assigned to it."""
        if self.before is None:
            return bool(self.rows)
        return not np.array_equal(self._registers, self.before)


def type_of(value: Value) -> type:
    """The type of a single number.

    Raises
    ------
    Unsupported
        If the type is not one of `SAMPLES`.
    """
    kind = value.type if isinstance(value, Number) else type(value)
    if kind not in SAMPLES:
        raise Unsupported(f"calculates with {described(value)}")
    return kind


def is_scalar(value: Value) -> bool:
    """Whether a value is a single number."""
    return isinstance(value, Number) or type(value) in SAMPLES


def is_known(value: Value) -> bool:
    """Whether operations on a value can be carried out during tracing.

    They cannot on objects of users' classes, whose methods have to be traced.
    """
    if isinstance(value, (list, tuple)):
        return all(map(is_known, value))
    if isinstance(value, slice):
        return is_known((value.start, value.stop, value.step))
    return not isinstance(value, (Unknown, *OF_USERS))


def described(value: Value) -> str:
    """What a value is, with an article."""
    if isinstance(value, Array):
        return f"an array of {value.dtype}"
    if isinstance(value, Unknown) and value.text:
        return value.text
    name = (value.type if isinstance(value, Number) else type(value)).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"
