"""The columns of a kernel's rows: their names, and what they mean.

The annotation of each column says what it means, and so how rows are joined, how they are divided
between threads, and how much work they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from functools import cache
from inspect import Parameter, get_annotations, signature
from typing import Annotated, Any, NoReturn

import numpy as np

from nengo_jit.engines.cpu.language.primitives import Address, Memory

Role = Enum("Role", "IN OUT IN_OUT BYTES ROWS OUT_ROWS DISTANCE COUNT FACTOR OWN WHOLE OTHER")

# Types of columns. A plain `Address` or ``int`` is the same for all elements of a row.

In = Annotated[Address, Role.IN]
"""Address of the first of n elements that are read."""
Out = Annotated[Address, Role.OUT]
"""Address of the first of n elements that are written."""
InOut = Annotated[Address, Role.IN_OUT]
"""Address of the first of n elements that are read and written."""
BytesOf = Annotated[Address, Role.BYTES]
"""Address of n bytes, one for each element."""
RowsOf = Annotated[Address, Role.ROWS]
"""Address of the first of n rows of a matrix, one for each element; their stride is `Distance`."""
OutRows = Annotated[Address, Role.OUT_ROWS]
"""Address of the first of n rows of a matrix that are written; their stride is `Distance`."""
Distance = Annotated[int, Role.DISTANCE]
"""Stride of `RowsOf` and `OutRows` (bytes)."""
Count = Annotated[int, Role.COUNT]
"""The number n of elements of a row."""
Factor = Annotated[int, Role.FACTOR]
"""Work per element."""
Own = Annotated[Address, Role.OWN]
"""Address of memory that no other row writes to, whose size is not n."""
Whole = Annotated[Address, Role.WHOLE]
"""Address of n elements that one thread writes: the row cannot be split."""

ELEMENTWISE = (Role.IN, Role.OUT, Role.IN_OUT)
OF_ELEMENTS = {*ELEMENTWISE, Role.BYTES, Role.ROWS, Role.OUT_ROWS, Role.WHOLE}
WRITTEN = (Role.OUT, Role.OUT_ROWS, Role.OWN, Role.WHOLE)


class Columns:
    """The columns of a kernel's rows.

    Parameters
    ----------
    function : callable
        ``function(memory, ...)``, with an annotation for each parameter: see above.

    Attributes
    ----------
    names : tuple of str
        Names of the columns.
    roles : tuple of Role
        Meaning of each column.
    count, factor, target : int or None
        Index of the `Count`, of the `Factor`, and of the column with the address that a row writes
        to: the first `Out`, `OutRows`, `Own` or `Whole`. None if there is no such column.
    matrix, distance : int or None
        Index of the `RowsOf` and of the `Distance`, if there are any.
    writes_rows : bool
        Whether the target is the first of n rows of a matrix.
    is_divisible : bool
        Whether a row can be split between its elements.
    is_whole : bool
        Whether a row cannot be split, though other rows may write to the same n elements.
    has_status : bool
        Whether the function returns a status.

    Raises
    ------
    TypeError
        If the function cannot be a kernel.
    """

    def __init__(self, function: Callable[..., object]):
        self._name = function.__name__
        parameters = list(signature(function).parameters.values())
        hints = get_annotations(function, eval_str=True)
        if not parameters or hints.get(parameters[0].name) is not Memory:
            self._refuse(f"of {function.__name__}{signature(function)}, the first must be Memory")
        del parameters[0]
        if not parameters:
            self._refuse("it has no columns")
        if hints.get("return", float) not in (int, None):
            self._refuse("it must return None, or a status")
        self.has_status = hints["return"] is int
        for each in parameters:
            if each.kind is not Parameter.POSITIONAL_OR_KEYWORD or each.default is not each.empty:
                self._refuse(f"{each} cannot be a column")
        self.names = tuple(each.name for each in parameters)
        self.roles = tuple(self._role_of(name, hints) for name in self.names)
        self.count, self.factor = self._only(Role.COUNT), self._only(Role.FACTOR)
        self.matrix, self.distance = self._only(Role.ROWS), self._only(Role.DISTANCE)
        if (self.distance is None) is not {Role.ROWS, Role.OUT_ROWS}.isdisjoint(self.roles):
            self._refuse("rows of a matrix and Distance need each other")
        if self.count is None and not OF_ELEMENTS.isdisjoint(self.roles):
            self._refuse("it has a column for n elements, but no Count")
        written = [i for i, role in enumerate(self.roles) if role in WRITTEN]
        self.target = written[0] if written else None
        self.is_whole = Role.WHOLE in self.roles
        self.writes_rows = Role.OUT_ROWS in self.roles
        self.is_divisible = self.writes_rows or Role.OUT in self.roles

    def _refuse(self, reason: str) -> NoReturn:
        raise TypeError(f"'{self._name}' cannot be a kernel: {reason}")

    def _role_of(self, name: str, hints: Mapping[str, object]) -> Role:
        hint = hints.get(name)
        roles = [each for each in getattr(hint, "__metadata__", ()) if isinstance(each, Role)]
        if not roles and hint not in (int, Address):
            self._refuse(f"the column {name} has no type that says what it means")
        return roles[0] if roles else Role.OTHER

    def _only(self, role: Role) -> int | None:
        if self.roles.count(role) > 1:
            self._refuse(f"it has more than one {role.name.capitalize()}")
        return self.roles.index(role) if role in self.roles else None

    def steps(self, values: Sequence[int] | np.ndarray, itemsize: int) -> list[tuple[int, Any]]:
        """Columns that advance from one element of a row to the next, and by how much.

        Parameters
        ----------
        values : tuple of int or (n_columns, n_rows) numpy.ndarray
            The values of a row, or of several.
        itemsize : int
            Bytes of an element.

        Returns
        -------
        list of tuple of int
            Index of each such column and its step; the step is an array if there are several rows.
        """
        by_role = dict.fromkeys(ELEMENTWISE, itemsize) | {Role.BYTES: 1}
        if self.distance is not None:
            by_role |= dict.fromkeys((Role.ROWS, Role.OUT_ROWS), values[self.distance])
        return [(i, by_role[role]) for i, role in enumerate(self.roles) if role in by_role]


columns_of = cache(Columns)
