"""Types for the arrays that operators compute on, and for the library that they come from.

Any library will do that follows the Python array API standard, such as NumPy and `jax.numpy`.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, Protocol, TypeAlias

Namespace: TypeAlias = ModuleType  # of an array library: has the functions of the standard
Operand: TypeAlias = Any  # of arithmetic with an array: another array or a number


class Array(Protocol):
    """The part of an array that operators use."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Tuple of int: number of elements along each dimension."""

    @property
    def ndim(self) -> int:
        """int: number of dimensions."""

    @property
    def dtype(self) -> Any:
        """Type of the elements, one of the library's."""

    @property
    def T(self) -> Array:  # noqa: N802  # the name that the standard gives it
        """Array: the transposed matrix."""

    def __getitem__(self, key: Any, /) -> Array: ...
    def __add__(self, other: Operand, /) -> Array: ...
    def __radd__(self, other: Operand, /) -> Array: ...
    def __sub__(self, other: Operand, /) -> Array: ...
    def __mul__(self, other: Operand, /) -> Array: ...
    def __rmul__(self, other: Operand, /) -> Array: ...
    def __rtruediv__(self, other: Operand, /) -> Array: ...
    def __mod__(self, other: Operand, /) -> Array: ...
    def __matmul__(self, other: Operand, /) -> Array: ...
    def __neg__(self) -> Array: ...
