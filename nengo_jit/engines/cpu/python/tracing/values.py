"""The values of a Python function while it is traced.

A number that is known only when the function runs is a `Number` in a register, or an element of an
`Array` of registers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from types import CodeType, MethodType
from typing import Any, TypeAlias

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
    """A value that is known only when the function runs, or that has no object yet."""


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


@dataclass(frozen=True)
class Chosen:
    """The elements of an array where a condition holds that the function computes.

    The condition may be one of whole rows, or of other parts of the array: it has some of the
    array's axes, from the first of them on.

    Attributes
    ----------
    shape : tuple of int
        The array's shape.
    axis, n_axes : int
        The first of the condition's axes, and how many these are.
    condition : numpy.ndarray of int
        The registers of the condition, in the array's shape.
    key : bytes
        Its contents.
    """

    shape: tuple[int, ...]
    axis: int
    n_axes: int
    condition: np.ndarray = field(compare=False, repr=False)
    key: bytes = field(repr=False)

    def spread(self, registers: np.ndarray) -> np.ndarray:
        """Repeat registers, as NumPy does for the elements that are chosen, in the array's shape.

        Raises
        ------
        Unsupported
            If they have another element for each one where the condition holds.
        """
        n_dimensions = len(self.shape) - self.n_axes + 1
        shape = (1,) * (n_dimensions - registers.ndim) + registers.shape
        if len(shape) > n_dimensions or shape[self.axis] != 1:
            raise Unsupported("calculates with elements that a condition selects, and an array")
        rest = shape[self.axis + 1 :]
        registers = registers.reshape(*shape[: self.axis], *(1,) * self.n_axes, *rest)
        try:
            return np.broadcast_to(registers, self.shape)
        except ValueError:
            raise Unsupported("calculates with arrays of shapes that cannot be broadcast") from None


@dataclass(eq=False)
class Selection(Unknown):
    """A copy of elements that are chosen by a condition.

    Attributes
    ----------
    array : Array
        A vector as long as if the condition held everywhere. Its first elements are the copy.
    chosen : Chosen
        Which elements they are.
    """

    array: Array
    chosen: Chosen


@dataclass(eq=False)
class Indices(Unknown):
    """Indices of elements where a condition holds, along one axis.

    Attributes
    ----------
    condition : Array
        The condition.
    axis : int
        Which axis.
    """

    condition: Array
    axis: int


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
    replace : callable
        ``replace(registers, index, row)`` replaces a row of registers.

    Attributes
    ----------
    before : numpy.ndarray or None
        Registers of the elements as they were loaded.
    rows : list of tuple of int and numpy.ndarray
        Rows that have been assigned before the elements were loaded: the register with the index,
        which is in range and not negative, and the row's registers.
    """

    def __init__(
        self,
        memory: np.ndarray,
        load: Callable[[], np.ndarray],
        replace: Callable[[np.ndarray, int, np.ndarray], None],
    ):
        is_writeable = memory.flags.writeable and memory.flags.forc
        super().__init__(np.empty(0, np.int64), memory.dtype, is_writeable)
        self.memory = memory
        self.before: np.ndarray | None = None
        self.rows: list[tuple[int, np.ndarray]] = []
        self._load, self._replace = load, replace

    @property
    def registers(self) -> np.ndarray:
        """numpy.ndarray of int: in the array's shape."""
        if self.before is None:
            self._registers = self._load()
            self.before = self._registers.copy()
            for index, row in self.rows:
                self._replace(self._registers, index, row)
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
    if isinstance(value, Selection):
        return "elements that a condition selects"
    if isinstance(value, Indices):
        return "indices that it computes"
    name = (value.type if isinstance(value, Number) else type(value)).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def laid_out_as_of(*arrays: np.ndarray) -> np.ndarray:
    """An empty array in the layout that NumPy chooses for the result of an elementwise function."""
    flags: list[Any] = [*(["readonly"] for _ in arrays), ["writeonly", "allocate"]]
    with np.nditer((*arrays, None), ["zerosize_ok"], flags, order="K") as iterator:
        return iterator.operands[-1]


def share_memory(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether arrays have an element in common; also true if that takes long to find out."""
    try:
        return np.shares_memory(a, b, max_work=MOST_ITEMS)
    except np.exceptions.TooHardError:
        return True


def span_of(array: np.ndarray) -> tuple[np.ndarray, int]:
    """All memory from an array's first element, or from its last, to the other one.

    Returns
    -------
    numpy.ndarray, int
        The memory as a vector, and the index of the array's first element in it.
    """
    reaches = [(n - 1) * step // array.itemsize for n, step in zip(array.shape, array.strides)]
    if not array.size or array.flags.c_contiguous:
        return array, 0
    start = array[tuple(slice(-1, None) if step < 0 else slice(1) for step in array.strides)]
    n = sum(map(abs, reaches)) + 1
    span = np.lib.stride_tricks.as_strided(start.reshape(-1), (n,), (array.itemsize,))
    return span, -sum(min(each, 0) for each in reaches)


def laid_out_as(array: np.ndarray, registers: np.ndarray) -> np.ndarray:
    """Registers, which are in the order of memory, in the shape and layout of an array."""
    steps = [step // array.itemsize * registers.itemsize for step in array.strides]
    return np.lib.stride_tricks.as_strided(registers, array.shape, steps)
