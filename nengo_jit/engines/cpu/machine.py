"""The machine: runs a program, which is a list of kernels and of tables for them to work on.

A kernel is a function ``kernel(memory, table) -> status``. It is written in Python, compiled once
by Numba, for either precision, and kept on disk. ``table`` is the address of 64-bit integers: the
number of rows, then the rows, whose meaning is the kernel's own affair: mostly addresses and
sizes. ``memory`` is a null pointer that carries the type of the numbers, nothing else. Python
callbacks have the same signature, so that they stand in programs like any kernel. A status other
than zero stops the program.
"""

# Intrinsics take one argument less when they are called than when they are defined.
# mypy: disable-error-code="call-arg"

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, cfunc, njit, types
from numba.extending import intrinsic

_HERE = Path(__file__).parent

Row = tuple[int, ...]

REALS: dict[np.dtype, Any] = {
    np.dtype(np.float64): types.float64,
    np.dtype(np.float32): types.float32,
}
CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64)


@intrinsic
def _pointer(typingctx: Any, memory: Any, address: Any) -> Any:
    """Pointer to an address, of the type of ``memory``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[1], context.get_value_type(signature.return_type))

    return memory(memory, types.int64), codegen


@intrinsic
def _typed_pointer(typingctx: Any, address: Any, example: Any) -> Any:
    """Pointer to an address, of numbers of the type of ``example``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], context.get_value_type(signature.return_type))

    return types.CPointer(example)(types.int64, example), codegen


@intrinsic
def _call(typingctx: Any, kernel: Any, table: Any) -> Any:
    """Call the kernel at an address on the table at an address."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = ir.IntType(8).as_pointer()
        kernel_type = ir.FunctionType(ir.IntType(64), [pointer, ir.IntType(64)])
        function = builder.inttoptr(args[0], kernel_type.as_pointer())
        return builder.call(function, [ir.Constant(pointer, None), args[1]])

    return types.int64(types.int64, types.int64), codegen


@njit(inline="always")
def vector(memory: Any, address: int, size: int) -> Any:
    """Numbers at an address, as an array; for use in kernels."""
    return carray(_pointer(memory, address), size)


@njit(inline="always")
def integers(address: Any, size: int) -> Any:
    """64-bit integers at an address, as an array; for use in kernels."""
    return carray(_typed_pointer(address, np.int64(0)), size)


@njit(inline="always")
def short_integers(address: int, size: int) -> Any:
    """32-bit integers at an address, as an array; for use in kernels."""
    return carray(_typed_pointer(address, np.int32(0)), size)


@njit(inline="always")
def octets(address: int, size: int) -> Any:
    """Bytes at an address, as an array; for use in kernels."""
    return carray(_typed_pointer(address, np.uint8(0)), size)


@njit(inline="always")
def reals(address: int, size: int) -> Any:
    """Numbers of double precision at an address, as an array; for use in kernels."""
    return carray(_typed_pointer(address, np.float64(0)), size)


@intrinsic
def _atomic_add(typingctx: Any, address: Any, value: Any) -> Any:
    """Add to the 64-bit integer at an address, so that all threads agree; returns the old one."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = builder.inttoptr(args[0], ir.IntType(64).as_pointer())
        return builder.atomic_rmw("add", pointer, args[1], "acq_rel")

    return types.int64(types.int64, types.int64), codegen


@intrinsic
def _atomic_load(typingctx: Any, address: Any) -> Any:
    """The 64-bit integer at an address, and all that was written before it was."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = builder.inttoptr(args[0], ir.IntType(64).as_pointer())
        return builder.load_atomic(pointer, "acquire", 8)

    return types.int64(types.int64), codegen


@njit(cache=True, nogil=True)
def run(program: np.ndarray, n_steps: int) -> int:
    """Run a program a number of times.

    Parameters
    ----------
    program : (2 n,) numpy.ndarray of int64
        Addresses: kernel, table, kernel, table ...
    n_steps : int
        How many times.

    Returns
    -------
    int
        0, or one more than the number of the entry that stopped the program.
    """
    for _ in range(n_steps):
        for i in range(0, program.size, 2):
            if _call(program[i], program[i + 1]) != 0:
                return i // 2 + 1
    return 0


@dataclass(frozen=True)
class Kernel:
    """A function that works through the rows of a table.

    Attributes
    ----------
    function : callable
        ``function(memory, table) -> status`` in the subset of Python that Numba compiles.
    fields : str
        What stands in each column of a row: "n" for the number of elements that are worked on,
        "a" for the address of the first of them, "w" for such an address that is written to, "r"
        for the address of the first of as many rows of a matrix, whose distance in bytes stands
        in the last column; "m" for how much work an element is; "p" for the address of memory
        that no other row writes to, and "=" for anything else. Rows that go on where the one
        before ends, with the same in the other columns, are fused.
    reassociate : bool
        Whether sums may be added up in any order, so that they can be vectorised.
    cost : float
        About how long an element takes (nanoseconds; per "m", if there is one).
    stage : int
        Kernels of a higher stage read what others wrote on the same level.
    """

    function: Callable[..., Any]
    fields: str
    reassociate: bool = False
    cost: float = 0.3
    stage: int = 0

    def address(self, dtype: np.dtype) -> int:
        """Address of the machine code for numbers of a type; compiles it if need be."""
        return int(_compiled(self, np.dtype(dtype)).address)

    @property
    def target(self) -> int | None:
        """Int or None: the column that says where a row writes to."""
        columns = [i for i, kind in enumerate(self.fields) if kind in "wp"]
        return columns[0] if columns else None

    @property
    def is_divisible(self) -> bool:
        """bool: whether a row can be divided between its elements."""
        return "w" in self.fields

    def advance(self, row: Row, n: int, itemsize: int) -> Row:
        """The row without its first ``n`` elements."""
        steps = {"a": n * itemsize, "w": n * itemsize, "r": n * row[-1], "n": -n}
        return tuple(value + steps.get(kind, 0) for kind, value in zip(self.fields, row))

    def resize(self, row: Row, n: int) -> Row:
        """The row with ``n`` elements."""
        return tuple(n if kind == "n" else value for kind, value in zip(self.fields, row))

    def size(self, row: Row) -> int:
        """How many elements a row has; 1 if that is not known."""
        return row[self.fields.index("n")] if "n" in self.fields else 1

    def work(self, row: Row) -> float:
        """About how long a row takes (nanoseconds)."""
        factor = row[self.fields.index("m")] if "m" in self.fields else 1
        return self.cost * self.size(row) * factor

    def fuse(self, rows: list[Row], itemsize: int) -> list[Row]:
        """Join rows that go on where the one before ends."""
        if "n" not in self.fields:
            return rows
        fused: list[Row] = []
        for row in rows:
            if fused:
                last = fused[-1]
                end = self.advance(last, self.size(last), itemsize)
                if self.resize(end, 0) == self.resize(row, 0):
                    fused[-1] = self.resize(last, self.size(last) + self.size(row))
                    continue
            fused.append(row)
        return fused


def kernel(
    fields: str, reassociate: bool = False, cost: float = 0.3, stage: int = 0
) -> Callable[[Callable[..., Any]], Kernel]:
    """Decorator that makes a function a `Kernel`; for the parameters see there."""
    return lambda function: Kernel(function, fields, reassociate, cost, stage)


_yield_processor = types.ExternalFunction("sched_yield", types.int32())
SPINS = 4000  # looks at a barrier before letting other processes have the core


@kernel("==")
def wait_for_all(memory: Any, table: Any) -> int:
    """Barrier: wait until as many threads have come as there are.

    A row has the number of threads and the address of two integers: how many have come, ever, and
    whether the program is to be stopped.
    """
    row = integers(table, 3)
    n_threads, arrivals = row[1], row[2]
    target = (_atomic_add(arrivals, 1) // n_threads + 1) * n_threads
    spins = 0
    while _atomic_load(arrivals) < target:
        if _atomic_load(arrivals + 8) != 0:
            return 1
        spins += 1
        if spins > SPINS:
            _yield_processor()
    return _atomic_load(arrivals + 8)


@cache
def _compiled(kernel: Kernel, dtype: np.dtype) -> Any:
    signature = types.int64(types.CPointer(REALS[dtype]), types.int64)
    fastmath = {"contract", "nsz"} | ({"reassoc"} if kernel.reassociate else set())
    return cfunc(signature, cache=True, fastmath=fastmath, error_model="numpy")(kernel.function)


def discard_stale_code() -> None:
    """Delete compiled kernels that are older than any source that may have gone into them.

    Numba looks at a kernel's own file only, not at the formulas and functions that it calls.
    """
    package = Path(__file__).parents[2]
    sources = [*package.glob("scalar.py"), *package.glob("neurons/*.py"), *_HERE.rglob("*.py")]
    newest = max(source.stat().st_mtime for source in sources)
    for code in _HERE.rglob("*.nb[ci]"):
        with suppress(OSError):  # another process may be doing the same
            if code.stat().st_mtime < newest:
                code.unlink()


def load_kernels(kernels: Iterable[Kernel], dtype: np.dtype, progress: Any = None) -> None:
    """Get kernels ready: from the disk or, the first time on a machine, by compiling them.

    Parameters
    ----------
    kernels : iterable of Kernel
        What is needed.
    dtype : numpy.dtype
        Type of the numbers.
    progress : nengo.utils.progress.Progress, optional
        Is told of each kernel that is ready.
    """
    kernels = list(kernels)
    if progress is not None:
        progress.max_steps = max(len(kernels), 1)
    for each in kernels:
        each.address(dtype)
        if progress is not None:
            progress.step()


def table_of(rows: list[Row]) -> np.ndarray:
    """Rows as a table: their number, then all of them one after the other."""
    return np.array([len(rows), *(value for row in rows for value in row)], dtype=np.int64)
