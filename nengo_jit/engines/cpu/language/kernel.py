"""What a kernel is: a function of one row, whose columns have names and types.

A kernel is written as a function of ``memory`` and of the columns of a row, which are 64-bit
integers: mostly addresses and sizes. How each column is annotated says what it means, and so how
rows are joined, divided between threads and weighed. The compiler puts the loop over all rows of a
table around it (`nengo_jit.engines.cpu.toolchain.compiler`).

Rows are made by `Kernel.row`, which refuses a row that lacks a column, has one too many, or has
anything but an integer in one. A type checker finds the same, and that an address is an address.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cache, cached_property
from inspect import Parameter, get_annotations, signature
from itertools import chain
from typing import (
    Annotated,
    Any,
    Concatenate,
    Generic,
    NewType,
    ParamSpec,
    cast,
)

import numpy as np

from nengo_jit.engines.cpu.language.primitives import Memory, Signature
from nengo_jit.ir.memory import address

P = ParamSpec("P")

Role = Enum("Role", "IN OUT IN_OUT BYTES ROWS DISTANCE COUNT FACTOR OWN WHOLE OTHER")

# What a column may say; anything else is an `Address` or a plain ``int``.

Address = NewType("Address", int)
"""An address that is the same for all elements of a row."""
In = Annotated[Address, Role.IN]
"""Address of the first of n elements that are read."""
Out = Annotated[Address, Role.OUT]
"""Address of the first of n elements that are written."""
InOut = Annotated[Address, Role.IN_OUT]
"""Address of the first of n elements that are read and written."""
BytesOf = Annotated[Address, Role.BYTES]
"""Address of n bytes, one for each element."""
RowsOf = Annotated[Address, Role.ROWS]
"""Address of the first of n rows of a matrix, which lie at a `Distance`, one for each element."""
Distance = Annotated[int, Role.DISTANCE]
"""Bytes from a row of `RowsOf` to the next."""
Count = Annotated[int, Role.COUNT]
"""The number n of elements that a row is about."""
Factor = Annotated[int, Role.FACTOR]
"""How much work an element is."""
Own = Annotated[Address, Role.OWN]
"""Address of memory that no other row writes to, whose size is not n."""
Whole = Annotated[Address, Role.WHOLE]
"""Address of n elements that are written by one thread: the row cannot be divided."""

# A function that makes rows of a kernel. Models have a million of them, so it has to be quick.
MAKE_ROW = """
def row(*, {names}):
    if not ({types} is _int):
        _refuse({names})
    return _Row(_kernel, ({names},))
"""
MOVING = (Role.IN, Role.OUT, Role.IN_OUT)  # by an element for an element
OF_ELEMENTS = {*MOVING, Role.BYTES, Role.ROWS, Role.WHOLE}
WRITTEN = (Role.OUT, Role.OWN, Role.WHOLE)  # what tells where a row writes to

start = cast(Callable[[np.ndarray], Address], address)
"""Address of an array's first element."""


def offset(address: int, n_bytes: int) -> Address:
    """The address that lies some bytes after another one."""
    return Address(address + n_bytes)


class Columns:
    """The columns of a kernel's rows.

    Parameters
    ----------
    function : callable
        ``function(memory, ...)``, with an annotation for each parameter: see above.

    Attributes
    ----------
    names : tuple of str
        What they are called.
    roles : tuple of Role
        What they mean.
    count, factor, target : int or None
        Which one is the `Count`, which the `Factor`, and which says where a row writes to: the
        first `Out`, `Own` or `Whole`. None if there is no such column.
    is_divisible : bool
        Whether a row can be divided between its elements.
    is_whole : bool
        Whether what a row writes must not be divided, though other rows may write there, too.
    has_status : bool
        Whether the function returns a status.

    Raises
    ------
    TypeError
        If the function is not a kernel's.
    """

    def __init__(self, function: Callable[..., Any]):
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
        self._distance = self._only(Role.DISTANCE)
        if (self._distance is None) is (Role.ROWS in self.roles):
            self._refuse("RowsOf and Distance need each other")
        if self.count is None and not OF_ELEMENTS.isdisjoint(self.roles):
            self._refuse("it has a column for n elements, but no Count")
        written = [i for i, role in enumerate(self.roles) if role in WRITTEN]
        self.target = written[0] if written else None
        self.is_whole = Role.WHOLE in self.roles
        self.is_divisible = Role.OUT in self.roles

    def _refuse(self, reason: str) -> None:
        raise TypeError(f"'{self._name}' cannot be a kernel: {reason}")

    def _role_of(self, name: str, hints: dict[str, Any]) -> Role:
        hint = hints.get(name)
        roles = [each for each in getattr(hint, "__metadata__", ()) if isinstance(each, Role)]
        if not roles and hint not in (int, Address):
            self._refuse(f"the column {name} has no type that says what it means")
        return roles[0] if roles else Role.OTHER

    def _only(self, role: Role) -> int | None:
        if self.roles.count(role) > 1:
            self._refuse(f"it has more than one {role.name.capitalize()}")
        return self.roles.index(role) if role in self.roles else None

    def steps(self, values: Any, itemsize: int) -> list[tuple[int, Any]]:
        """Which columns grow with each element that a row goes on, and by how much.

        Parameters
        ----------
        values : tuple of int or (n_columns, n_rows) numpy.ndarray
            What stands in each column.
        itemsize : int
            Bytes of an element.
        """
        by_role = dict.fromkeys(MOVING, itemsize) | {Role.BYTES: 1}
        if self._distance is not None:
            by_role[Role.ROWS] = values[self._distance]
        return [(i, by_role[role]) for i, role in enumerate(self.roles) if role in by_role]


columns_of = cache(Columns)


@dataclass(slots=True, repr=False)
class Row:
    """What a kernel is to work on: a value for each of its columns.

    Made by `Kernel.row`; the values are not checked here.

    Attributes
    ----------
    kernel : Kernel
        What works on it.
    values : tuple of int
        In the order of the columns; ``row[name]`` is the value of one.
    """

    kernel: Kernel[...]
    values: tuple[int, ...]

    def __getitem__(self, name: str) -> int:
        return self.values[self.kernel.columns.names.index(name)]

    def __repr__(self) -> str:
        columns = zip(self.kernel.columns.names, self.values)
        return f"{self.kernel.name}({', '.join(f'{name}={value}' for name, value in columns)})"

    def by(self, kernel: Kernel[...]) -> Row:
        """The same row for a variant of its kernel, see `Kernel.but`."""
        return Row(kernel, self.values)

    @property
    def target(self) -> int:
        """int: the address that is written to; only of kernels whose rows tell."""
        place = self.kernel.columns.target
        assert place is not None
        return self.values[place]

    @property
    def size(self) -> int:
        """int: how many elements there are; 1 if that is not known."""
        place = self.kernel.columns.count
        return 1 if place is None else self.values[place]

    @property
    def work(self) -> float:
        """float: about how long it takes (nanoseconds)."""
        kernel, place = self.kernel, self.kernel.columns.factor
        factor = 1 if place is None else self.values[place]
        return kernel.cost_of_row + kernel.cost * self.size * factor

    def part(self, first: int, n: int, itemsize: int) -> Row:
        """The row for ``n`` of its elements.

        Parameters
        ----------
        first : int
            The first of them.
        n : int
            How many.
        itemsize : int
            Bytes of an element.
        """
        columns, values = self.kernel.columns, list(self.values)
        for i, step in columns.steps(self.values, itemsize):
            values[i] += first * step
        if columns.count is not None:
            values[columns.count] = n
        return Row(self.kernel, tuple(values))


@dataclass(frozen=True, eq=False)
class Routine:
    """A function that is compiled.

    Attributes
    ----------
    function : callable
        ``function(memory, address) -> status``, in the subset of Python that Numba compiles.
    reassociate : bool
        Whether sums may be added up in any order, so that they can be vectorised.
    contract : bool
        Whether a product and a sum may be rounded at once. Where the same is computed by
        different kernels in the first and in later steps it must not be.
    exact : bool
        Whether every operation must be rounded as written, with the sign of each zero.
    """

    function: Callable[..., Any]
    reassociate: bool = False
    contract: bool = True
    exact: bool = False

    @property
    def name(self) -> str:
        """str: what it is called."""
        return self.function.__name__

    @property
    def code(self) -> Callable[..., Any]:
        """Callable: what is compiled."""
        return self.function

    @cached_property
    def signature(self) -> Signature:
        """Signature: what the compiler is told of it."""
        return Signature(self.name)


@dataclass(frozen=True, eq=False)
class Kernel(Routine, Generic[P]):
    """A function that is compiled to work through the rows of a table.

    Attributes
    ----------
    function : callable
        ``function(memory, ...)``, of the columns of a row; see `Columns`. What it returns, if
        anything, is a status: if it is not zero, the rows after that one are left out.
    loop : callable, optional
        ``loop(memory, rows)``, which is compiled in place of the function. For kernels that have
        to look at several rows: they are a structured array, with the columns as fields.
    cost, cost_of_row : float
        About how long an element takes (nanoseconds; per `Factor`, if there is one), and a row
        besides its elements.
    stage : int
        Kernels of a higher stage read what others wrote on the same level.
    when : str
        In which steps the kernel is used: "always"; "first", in the first one after a reset, and
        after somebody may have changed what is in memory; "later", in all others; or "after", when
        somebody looks at signals after the latest step.
    columns : Columns
        The columns of a row.
    """

    loop: Callable[..., Any] | None = None
    cost: float = 0.3
    cost_of_row: float = 0.0
    stage: int = 0
    when: str = "always"
    columns: Columns = field(init=False)
    _variants: dict[tuple[Any, ...], Kernel[P]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", columns_of(self.function))
        object.__setattr__(self, "_variants", {})

    @property
    def code(self) -> Callable[..., Any]:
        return self.loop or self.function

    @cached_property
    def signature(self) -> Signature:
        """Signature: what the compiler is told of it."""
        columns = self.columns
        return Signature(self.name, columns.names, self.loop is not None, columns.has_status)

    def but(self, **options: Any) -> Kernel[P]:
        """The same kernel with other options, such as ``stage``; the same one for the same."""
        key = tuple(sorted(options.items()))
        if key not in self._variants:
            self._variants[key] = replace(self, **options)
        return self._variants[key]

    @cached_property
    def row(self) -> Callable[P, Row]:
        """Callable: makes a `Row` of a value for each column, by its name.

        It raises a TypeError, which names kernel and column, if a column is missing, if there is
        no such column, or if a value is not an ``int``.
        """
        names = self.columns.names
        source = MAKE_ROW.format(
            names=", ".join(names), types=" is ".join(f"_type({name})" for name in names)
        )
        used = {"_type": type, "_int": int, "_Row": Row, "_kernel": self, "_refuse": self._refuse}
        made: dict[str, Any] = {}
        exec(source, used, made)
        make_row = made["row"]
        make_row.__qualname__ = f"{self.name}.row"
        return cast(Callable[P, Row], make_row)

    def _refuse(self, *values: Any) -> None:
        for name, value in zip(self.columns.names, values):
            if type(value) is not int:
                kind = type(value).__name__
                raise TypeError(
                    f"{self.name}.row() wants an int for '{name}', not {kind}: {value!r}"
                )

    def place(self, name: str) -> int:
        """Where a column stands in a table of one row, see `table_of`."""
        return 1 + self.columns.names.index(name)

    def fuse(self, rows: list[Row], itemsize: int) -> list[Row]:
        """Join rows that go on where the one before ends, with the same in all other columns.

        Parameters
        ----------
        rows : list of Row
            All of this kernel.
        itemsize : int
            Bytes of an element.
        """
        count = self.columns.count
        if count is None or len(rows) < 2:
            return rows
        table = np.array([row.values for row in rows], dtype=np.int64)
        sizes, ends = table[:, count], table[:-1].copy()
        for i, step in self.columns.steps(ends.T, itemsize):
            ends[:, i] += sizes[:-1] * step
        ends[:, count] = sizes[1:]
        goes_on = (ends == table[1:]).all(axis=1)
        firsts = np.flatnonzero(np.concatenate([[True], ~goes_on]))
        fused = table[firsts]
        fused[:, count] = np.add.reduceat(sizes, firsts)
        return [Row(self, tuple(values)) for values in fused.tolist()]


def kernel(
    **options: Any,
) -> Callable[[Callable[Concatenate[Memory, P], int | None]], Kernel[P]]:
    """Decorator that makes a function of a row's columns a `Kernel`; for the options see there."""
    return lambda function: Kernel(function, **options)


def routine(**options: Any) -> Callable[[Callable[[Memory, Any], Any]], Routine]:
    """Decorator that makes a function of an address a `Routine`; for the options see there."""
    return lambda function: Routine(function, **options)


def table_of(rows: Iterable[Row]) -> np.ndarray:
    """Rows of one kernel as a table: their number, then all of them one after the other.

    Raises
    ------
    ValueError
        If they are of several kernels.
    """
    rows = list(rows)
    kernels = {row.kernel for row in rows}
    if len(kernels) > 1:
        raise ValueError(
            f"A table has rows of one kernel, not of {sorted(k.name for k in kernels)}"
        )
    values = [row.values for row in rows]
    return np.array([len(values), *chain.from_iterable(values)], dtype=np.int64)
