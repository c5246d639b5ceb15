"""Kernels: compiled functions of one row of a table, whose columns have names and types.

A kernel is written as a function of ``memory`` and of the columns of a row, which are 64-bit
integers: mostly addresses and sizes (`nengo_jit.engines.cpu.language.columns`). The compiler adds
the loop over all rows of a table (`nengo_jit.engines.cpu.toolchain.compiler`).

`Kernel.row` makes rows. It refuses a row that lacks a column, has an unknown one, or has anything
but an integer in one. A type checker finds the same, and that an address is an `Address`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from typing import Any, Concatenate, Generic, ParamSpec, cast

import numpy as np

from nengo_jit.engines.cpu.language.columns import Columns, columns_of
from nengo_jit.engines.cpu.language.primitives import Address, Memory, Signature
from nengo_jit.ir.memory import address

P = ParamSpec("P")

# Source of `Kernel.row`. Models have a million rows, so it has to be fast.
MAKE_ROW = """
def row(*, {names}):
    if not ({types} is _int):
        _refuse({names})
    return _Row(_kernel, ({names},))
"""

start = cast(Callable[[np.ndarray], Address], address)
"""Address of an array's first element."""


def offset(address: int, n_bytes: int) -> Address:
    """The address some bytes after another one."""
    return Address(address + n_bytes)


@dataclass(slots=True, repr=False)
class Row:
    """Arguments of a kernel: a value for each of its columns.

    Made by `Kernel.row`; the values are not checked here.

    Attributes
    ----------
    kernel : Kernel
        The kernel.
    values : tuple of int
        The values, in the order of the columns; ``row[name]`` is the value of one.
    """

    kernel: Kernel[...]
    values: tuple[int, ...]

    def __getitem__(self, name: str) -> int:
        return self.values[self.kernel.columns.names.index(name)]

    def __repr__(self) -> str:
        columns = zip(self.kernel.columns.names, self.values)
        return f"{self.kernel.name}({', '.join(f'{name}={value}' for name, value in columns)})"

    def for_kernel(self, kernel: Kernel[...]) -> Row:
        """The same row for a variant of its kernel, see `Kernel.variant`."""
        return Row(kernel, self.values)

    @property
    def target(self) -> Address:
        """Address: where the row writes to; only of kernels with a `Columns.target`."""
        index = self.kernel.columns.target
        assert index is not None
        return Address(self.values[index])

    @property
    def size(self) -> int:
        """int: number of elements; 1 if there is no `Count`."""
        index = self.kernel.columns.count
        return 1 if index is None else self.values[index]

    def step(self, itemsize: int) -> int:
        """Bytes from where an element is written to where the next one is."""
        columns = self.kernel.columns
        if not columns.writes_rows:
            return itemsize
        assert columns.distance is not None
        return self.values[columns.distance]

    @property
    def work(self) -> float:
        """float: estimated time (nanoseconds)."""
        kernel, index = self.kernel, self.kernel.columns.factor
        factor = 1 if index is None else self.values[index]
        return kernel.cost_of_row + kernel.cost * self.size * factor

    def part(self, first: int, n: int, itemsize: int) -> Row:
        """The row for ``n`` of its elements.

        Parameters
        ----------
        first : int
            Index of the first of them.
        n : int
            Number of elements.
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
        Whether sums may be reassociated, so that they can be vectorised.
    contract : bool
        Whether a product and a sum may be contracted, that is, rounded once. Must be False if
        different kernels compute the same value in the first and in later steps.
    exact : bool
        Whether every operation is rounded as written, and the sign of zeros is kept.
    """

    function: Callable[..., object]
    reassociate: bool = False
    contract: bool = True
    exact: bool = False

    @property
    def name(self) -> str:
        """str: name of the function."""
        return self.function.__name__

    @property
    def code(self) -> Callable[..., object]:
        """Callable: the function that is compiled."""
        return self.function

    @cached_property
    def signature(self) -> Signature:
        """Signature: name, parameters and result, for the compiler."""
        return Signature(self.name)


@dataclass(frozen=True, eq=False)
class Kernel(Routine, Generic[P]):
    """A function that is compiled to process the rows of a table.

    Attributes
    ----------
    function : callable
        ``function(memory, ...)``, of the columns of a row; see `Columns`. May return a status: the
        rows after the first status that is not zero are skipped.
    loop : callable, optional
        ``loop(memory, rows)``, which is compiled in place of the function. For kernels that need
        several rows at once: ``rows`` is a structured array, with the columns as fields.
    cost, cost_of_row : float
        Estimated time of an element (nanoseconds; per `Factor`, if there is one), and the overhead
        of a row.
    stage : int
        Kernels of a higher stage read what those of lower stages wrote on the same level.
    when : str
        In which steps the kernel runs: "always"; "first", in the first step after a reset or after
        a user may have changed memory; "later", in all other steps; or "after", once signals are
        read after the latest step.
    columns : Columns
        The columns of a row.
    """

    loop: Callable[..., object] | None = None
    cost: float = 0.3
    cost_of_row: float = 0.0
    stage: int = 0
    when: str = "always"
    columns: Columns = field(init=False)
    _variants: dict[tuple[object, ...], Kernel[P]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", columns_of(self.function))
        object.__setattr__(self, "_variants", {})

    @property
    def code(self) -> Callable[..., object]:
        return self.loop or self.function

    @cached_property
    def signature(self) -> Signature:
        """Signature: name, parameters and result, for the compiler."""
        columns = self.columns
        return Signature(self.name, columns.names, self.loop is not None, columns.has_status)

    def variant(self, **options: Any) -> Kernel[P]:
        """The kernel with other options, such as ``stage``; the same object for equal options."""
        key = tuple(sorted(options.items()))
        if key not in self._variants:
            self._variants[key] = replace(self, **options)
        return self._variants[key]

    @cached_property
    def row(self) -> Callable[P, Row]:
        """Callable: makes a `Row` from a value for each column, given by keyword.

        It raises a TypeError that names kernel and column if a column is missing or unknown, or if
        a value is not an ``int``.
        """
        names = self.columns.names
        source = MAKE_ROW.format(
            names=", ".join(names), types=" is ".join(f"_type({name})" for name in names)
        )
        used = {"_type": type, "_int": int, "_Row": Row, "_kernel": self, "_refuse": self._refuse}
        made: dict[str, Callable[P, Row]] = {}
        exec(source, used, made)
        make_row = made["row"]
        make_row.__qualname__ = f"{self.name}.row"
        return make_row

    def _refuse(self, *values: object) -> None:
        for name, value in zip(self.columns.names, values):
            if type(value) is not int:
                kind = type(value).__name__
                raise TypeError(
                    f"{self.name}.row() needs an int for '{name}', not {kind}: {value!r}"
                )

    def index_in_table(self, name: str) -> int:
        """Index of a column in a table of one row, see `table_of`."""
        return 1 + self.columns.names.index(name)

    def fuse(self, rows: list[Row], itemsize: int) -> list[Row]:
        """Join each row to the one before if it continues it and all other columns are equal.

        Parameters
        ----------
        rows : list of Row
            Rows of this kernel.
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
        continues = (ends == table[1:]).all(axis=1)
        firsts = np.flatnonzero(np.concatenate([[True], ~continues]))
        fused = table[firsts]
        fused[:, count] = np.add.reduceat(sizes, firsts)
        return [Row(self, tuple(values)) for values in fused.tolist()]


def kernel(
    **options: Any,
) -> Callable[[Callable[Concatenate[Memory, P], int | None]], Kernel[P]]:
    """Decorator that makes a function of a row's columns a `Kernel`, with its options."""
    return lambda function: Kernel(function, **options)


def routine(**options: Any) -> Callable[[Callable[[Memory, Address], object]], Routine]:
    """Decorator that makes a function of an address a `Routine`, with its options."""
    return lambda function: Routine(function, **options)


def table_of(rows: Iterable[Row]) -> np.ndarray:
    """Table of the rows of one kernel: their number, then their values, row after row.

    Raises
    ------
    ValueError
        If the rows are of several kernels.
    """
    rows = list(rows)
    kernels = {row.kernel for row in rows}
    if len(kernels) > 1:
        raise ValueError(
            f"The rows of a table must be of one kernel, not of {sorted(k.name for k in kernels)}"
        )
    values = [row.values for row in rows]
    return np.array([len(values), *chain.from_iterable(values)], dtype=np.int64)
