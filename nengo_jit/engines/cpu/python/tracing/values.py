"""What a Python function's values are while it is traced.

Values that are known are themselves: numbers, strings, functions, modules. Lists and tuples are
lists and tuples of values. What is known only when the function runs is a `Number` in a register,
or an `Array` of registers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from types import CodeType, MethodType
from typing import Any, TypeAlias

import numpy as np
from nengo.params import FrozenObject

Value: TypeAlias = object
"""A value during tracing.

What is known is the object itself: a number, a string, a function, a module. A list or tuple has
values as its elements. Everything else is an `Unknown`.
"""

MOST_NUMBERS = 10_000  # of an array; with more, it is not calling Python that takes long

# The types that a number in a register can have in Python, with a number of that type.
SAMPLES: dict[type, Any] = {
    float: 1.0,
    int: 1,
    bool: True,
    np.float64: np.float64(1),
    np.int64: np.int64(1),
    np.bool_: np.bool_(True),
}
SCALARS = {np.dtype(kind): kind for kind in (np.float64, np.int64, np.bool_)}
OF_USERS = (FrozenObject, MethodType, partial)  # objects that may be called or have attributes
INTEGERS = (int, np.int64)
BOOLEANS = (bool, np.bool_)


class Unsupported(Exception):  # noqa: N818  it is no error
    """What a function does that only Python can do, in words that go on from "the function"."""


def reason_of(problem: Exception) -> str:
    """Why a function stays in Python, in words that go on from "the function"."""
    if isinstance(problem, Unsupported):
        return str(problem)
    return f"cannot be compiled ({type(problem).__name__}: {problem})"


def check_count(n: float) -> None:
    """See that an array, or a list, does not become too large.

    Raises
    ------
    Unsupported
        If it does.
    """
    if not n <= MOST_NUMBERS:
        raise Unsupported("makes a large array or list")


class Unknown:
    """What is known only when the function runs."""


@dataclass(eq=False)
class LocalFunction(Unknown):
    """A function that the traced function defines."""

    code: CodeType
    namespace: dict[str, Any]
    defaults: Any = ()
    keyword_defaults: Any = field(default_factory=dict)
    closure: Any = ()


@dataclass(frozen=True)
class Number(Unknown):
    """A number in a register.

    Attributes
    ----------
    register : int
        Which one.
    type : type
        What the number is in Python, one of `SAMPLES`.
    """

    register: int
    type: type


class Array(Unknown):
    """An array of registers.

    Arrays of registers have the layout in memory that the array has in NumPy, on which it depends
    what is a view, and in which order NumPy computes. Views are views: of the arrays of the
    registers' numbers. Selecting, reshaping and joining arrays, and writing to them, is therefore
    done by NumPy while tracing, and costs nothing when the function runs.

    Parameters
    ----------
    registers : numpy.ndarray of int
        In the array's shape; writing to it changes the array.
    dtype : numpy.dtype
        What the numbers are in Python.
    writeable : bool
        Whether the function may write to it.

    Raises
    ------
    Unsupported
        If it is large.
    """

    def __init__(self, registers: np.ndarray, dtype: Any, writeable: bool = True):
        check_count(registers.size)
        self._registers = registers
        self.dtype = np.dtype(dtype)
        self.writeable = writeable

    @property
    def registers(self) -> np.ndarray:
        """numpy.ndarray of int: in the array's shape; writing to it changes the array."""
        return self._registers

    def of(self, registers: Any) -> Array:
        """A part of this array."""
        return Array(registers, self.dtype, self.writeable)

    @property
    def sample(self) -> np.ndarray:
        """numpy.ndarray: an array of this type and number of dimensions."""
        return np.ones((1,) * self.registers.ndim, self.dtype)

    def __len__(self) -> int:
        return len(self.registers)


class LiveArray(Array):
    """An array that exists outside of the function, and is read and written where it is.

    Parameters
    ----------
    memory : numpy.ndarray
        The array.
    load : callable
        Called without arguments when the numbers are first needed; returns their registers.
    """

    def __init__(self, memory: np.ndarray, load: Callable[[], np.ndarray]):
        super().__init__(np.empty(0, np.int64), memory.dtype, memory.flags.writeable)
        self.memory = memory
        self.before: np.ndarray | None = None
        self._load = load

    @property
    def registers(self) -> np.ndarray:
        """numpy.ndarray of int: in the array's shape; writing to it changes the array."""
        if self.before is None:
            self._registers = self._load()
            self.before = self._registers.copy()
        return self._registers

    @property
    def is_loaded(self) -> bool:
        """bool: whether the numbers are in registers."""
        return self.before is not None

    @property
    def has_changed(self) -> bool:
        """bool: whether the function has written to it."""
        return self.before is not None and not np.array_equal(self._registers, self.before)


def type_of(value: Any) -> type:
    """The type of a value that is a single number.

    Raises
    ------
    Unsupported
        If it is not one of `SAMPLES`.
    """
    kind = value.type if isinstance(value, Number) else type(value)
    if kind not in SAMPLES:
        raise Unsupported(f"calculates with {described(value)}")
    return kind


def is_scalar(value: Any) -> bool:
    """Whether a value is a single number."""
    return isinstance(value, Number) or type(value) in SAMPLES


def is_known(value: Any) -> bool:
    """Whether nothing about a value, and what is done to it, depends on when the function runs.

    Objects of users' classes never are: what they do is written in methods of their own.
    """
    if isinstance(value, (list, tuple)):
        return all(map(is_known, value))
    if isinstance(value, slice):
        return is_known((value.start, value.stop, value.step))
    return not isinstance(value, (Unknown, *OF_USERS))


def described(value: Any) -> str:
    """What a value is, in words."""
    if isinstance(value, Array):
        return f"an array of {value.dtype}"
    name = (value.type if isinstance(value, Number) else type(value)).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def laid_out_as_of(*arrays: np.ndarray) -> np.ndarray:
    """An array for what NumPy computes of arrays element by element, in the layout it chooses."""
    flags: Any = [["readonly"]] * len(arrays) + [["writeonly", "allocate"]]
    with np.nditer((*arrays, None), ["zerosize_ok"], flags, order="K") as iterator:
        return iterator.operands[-1]
