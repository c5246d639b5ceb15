"""Primitives of compiled functions, and their calling convention.

As machine code, each is a function ``function(memory, address) -> status``. It is written in Python
and compiled once for each precision (`nengo_jit.engines.cpu.toolchain.compiler`); the machine code
is kept on disk (`nengo_jit.engines.cpu.toolchain.kernel_cache`). A kernel
(`nengo_jit.engines.cpu.language.kernel`) gets the address of a table: the number of rows, then the
rows, all of them 64-bit integers. A status other than zero stops the program.

The primitives, such as `vector`, are only declared here. The compiler defines them
(`nengo_jit.engines.cpu.toolchain.llvm`). They can be called from kernels, not from Python. This
module does not import the compiler: a process that finds all machine code on disk never needs it.

Primitives take addresses as plain ``int``: an `Address`, or an `Address` plus an offset in bytes.
"""

# Helpers have no types in Python's sense: Numba infers them.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NewType, NoReturn, TypeVar

import numpy as np

Function = TypeVar("Function", bound=Callable[..., object])

Address = NewType("Address", int)
"""An address in memory (bytes)."""

FLOAT64 = np.dtype(np.float64)
FLOAT32 = np.dtype(np.float32)
FLOAT16 = np.dtype(np.float16)
PRECISIONS = (FLOAT64, FLOAT32)  # in which all kernels can be compiled
ENTRY = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64)
ENTRY_WITH_GIL = ctypes.PYFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64)
STOPPED = 1  # status of a program that cannot go on
OUT_OF_BOUNDS = 2  # status of a kernel that failed a bounds check, see `nengo_jit.regions`
# A negative status says that the step is complete.
PAUSED = -1  # the leading thread had to wait for too long
LATE = -2  # Python raised an exception after the step
BUSY = -3  # nothing has begun: the threads are in use
SUBNORMALS_ARE_ZERO = 0x8040  # flush subnormal results and operands to zero, see `fp_control`


class Memory:
    """A null pointer whose type tells the precision of the numbers.

    Attributes
    ----------
    dtype : numpy.dtype
        Type of the numbers.
    """

    dtype: np.dtype


@dataclass(frozen=True)
class Signature:
    """Name, parameters and result of a compiled function.

    Attributes
    ----------
    name : str
        Name of the function.
    columns : tuple of str, optional
        Names of the columns of a row, if the address is that of a table; None if it may be the
        address of anything.
    takes_all : bool
        Whether the function takes all rows at once, as a structured array, or one at a time.
    has_status : bool
        Whether the function returns a status.
    """

    name: str
    columns: tuple[str, ...] | None = None
    takes_all: bool = False
    has_status: bool = True


# Functions that kernels call, with options for the compiler.
HELPERS: dict[Callable[..., object], dict[str, Any]] = {}
# ``fastmath`` of helpers that add up sums in any order, whatever kernel calls them.
REASSOCIATE = {"contract", "nsz", "reassoc"}
# Formulas: helpers that are compiled for the precision of their arguments, and whether a product
# and a sum may be contracted in them.
FORMULAS: dict[Callable[..., object], bool] = {}


def helper(**options: Any) -> Callable[[Function], Function]:
    """Decorator for functions that kernels call; they stay Python functions.

    Parameters
    ----------
    **options
        For the compiler, see `numba.njit`. Without ``fastmath``, that of the calling kernel
        applies.
    """

    def register(function: Function) -> Function:
        HELPERS[function] = options
        return function

    return register


def compilable(step: Function, contract: bool = True) -> Function:
    """Make a formula's ``step`` callable from kernels; returns it unchanged.

    The step is compiled for the precision of its arguments: if all of them are float32, so are
    all intermediate results, and the formulas that it calls.

    Parameters
    ----------
    step : function
        See `nengo_jit.neurons.base.Formula`.
    contract : bool
        Whether a product and a sum may be contracted, that is, rounded once.
    """
    FORMULAS[step] = contract
    return step


def only_in_kernels() -> NoReturn:
    """Raise the error of a primitive that Python calls."""
    raise NotImplementedError("This function can be called from compiled kernels only")


def vector(memory: Memory, address: int, size: int) -> np.ndarray:
    """Array of the kernel's numbers at an address."""
    return only_in_kernels()


def scalars(memory: Memory, address: int, size: int) -> np.ndarray:
    """Array of parameters at an address: the kernel's numbers; Python's in half precision.

    Python's numbers are of double precision until they meet one of the kernel's numbers.
    """
    return only_in_kernels()


def vector_from(memory: Memory, address: int) -> np.ndarray:
    """Array of the kernel's numbers from an address on, of unknown size: at least one.

    For indices that are known to be right.
    """
    return only_in_kernels()


def int64s(address: int, size: int) -> np.ndarray:
    """Array of 64-bit integers at an address."""
    return only_in_kernels()


def int32s(address: int, size: int) -> np.ndarray:
    """Array of 32-bit integers at an address."""
    return only_in_kernels()


def int16s(address: int, size: int) -> np.ndarray:
    """Array of 16-bit integers at an address."""
    return only_in_kernels()


def uint8s(address: int, size: int) -> np.ndarray:
    """Array of bytes at an address."""
    return only_in_kernels()


def float64s(address: int, size: int) -> np.ndarray:
    """Array of double-precision numbers at an address."""
    return only_in_kernels()


def float32s(address: int, size: int) -> np.ndarray:
    """Array of single-precision numbers at an address."""
    return only_in_kernels()


def call(kernel: int, table: int) -> int:
    """Call the kernel at an address on the table at another; returns its status."""
    return only_in_kernels()


def call_function(function: int, x: float) -> float:
    """Call the C function ``double (*)(double)`` at an address."""
    return only_in_kernels()


def call_function_of_two(function: int, x: float, y: float) -> float:
    """Call the C function ``double (*)(double, double)`` at an address."""
    return only_in_kernels()


def call_loop(function: int, arguments: int, sizes: int, steps: int, data: int) -> None:
    """Call the inner loop of a NumPy ufunc; all parameters are addresses."""
    only_in_kernels()


def atomic_add(address: int, value: int) -> int:
    """Add to the 64-bit integer at an address, atomically; returns the old value."""
    return only_in_kernels()


def atomic_load(address: int) -> int:
    """Load the 64-bit integer at an address, with acquire semantics."""
    return only_in_kernels()


def sleep_while(address: int, value: int) -> int:
    """Sleep while the 64-bit integer at an address has a value (a futex); may wake early.

    Only its lower 32 bits are compared.
    """
    return only_in_kernels()


def wake_sleepers(address: int) -> int:
    """Wake all threads that sleep by `sleep_while` at an address."""
    return only_in_kernels()


def nanoseconds() -> int:
    """Time of a monotonic clock (nanoseconds)."""
    return only_in_kernels()


def spin_hint() -> None:
    """Tell the processor that this is a spin-wait loop."""
    only_in_kernels()


def fp_control() -> int:
    """Read this thread's floating-point control register, x86's MXCSR; 0 on other processors."""
    return only_in_kernels()


def set_fp_control(bits: int) -> None:
    """Write this thread's floating-point control register, see `fp_control`."""
    only_in_kernels()


def use_widest_vectors() -> None:
    """Let LLVM use vectors of 512 bits in the kernel that calls this, if the CPU has them.

    By default it takes 256 bits even where there are 512. LIF neurons gain a quarter.
    """
    only_in_kernels()


def no_vectorize() -> None:
    """Keep LLVM from vectorising the loop that calls this.

    Loops whose indices come from a list would use gather and scatter, which are slow on many CPUs.
    """
    only_in_kernels()


def gather_if_fast() -> None:
    """As `no_vectorize`, unless the processor is known to gather quickly."""
    only_in_kernels()


def libm_log(x: float) -> float:
    """Logarithm of the C library, never a substitute for it."""
    return only_in_kernels()


def libm_exp(x: float) -> float:
    """Exponential of the C library, never a substitute for it."""
    return only_in_kernels()


def scratch(n_bytes: int) -> Address:
    """Address of uninitialised memory on the stack, valid until the kernel returns.

    The size must be a literal number.
    """
    return only_in_kernels()


def movemask(flags: int) -> int:
    """Bit mask of 64 bytes at an address: which of them are not zero, lowest bit first."""
    return only_in_kernels()


def ctz(bits: int) -> int:
    """Count trailing zeros of a 64-bit integer: the index of its lowest set bit, or 64."""
    return only_in_kernels()


def popcount(bits: int) -> int:
    """Count the set bits of a 64-bit integer."""
    return only_in_kernels()


def can_compress() -> bool:
    """Whether the processor has instructions for `list_bits`; a constant for the compiler."""
    return only_in_kernels()


def list_bits(bits: int, first: int, address: int) -> None:
    """Store ``first`` plus the index of each set bit of a 64-bit integer, as integers, in order.

    As many as 64 integers at the address may be overwritten.
    """
    only_in_kernels()


# Lanes: vector registers that kernels name


class Lanes:
    """As many of the kernel's numbers as the widest vector register holds."""


def n_lanes(memory: Memory) -> int:
    """Number of lanes of the processor's widest vectors; a constant for the compiler."""
    return only_in_kernels()


def load_lanes(memory: Memory, address: int, n: int) -> Lanes:
    """Load the first n of `n_lanes` numbers into a register, and zeros after them.

    Numbers after the first n are not read; n may be too large or negative.
    """
    return only_in_kernels()


def store_lanes(address: int, n: int, lanes: Lanes) -> None:
    """Store the first n of `n_lanes` numbers at an address; n may be too large or negative."""
    only_in_kernels()


def add_product(lanes: Lanes, factor: float, others: Lanes) -> Lanes:
    """``lanes + factor * others``, each number of it rounded once or twice."""
    return only_in_kernels()


def add_products(lanes: Lanes, others: Lanes, more: Lanes) -> Lanes:
    """``lanes + others * more``, number by number, rounded as in `add_product`."""
    return only_in_kernels()


def sum_lanes(lanes: Lanes) -> float:
    """The sum of all numbers of a register: its halves are added until one number is left."""
    return only_in_kernels()


def calculate(
    operation: int, n: int, result: Address, a: Address, b: Address, c: Address, numbers: int
) -> bool:
    """Compute an `Operation` of n elements of contiguous arrays at addresses.

    Returns whether all results are finite; those of `Operation.SELECT` and `Operation.NARROW` are
    not checked. With a condition that selects results, all of them are checked.

    The bits of ``numbers`` say which operands are a single number: 1 for a, 2 for b, 4 for c.
    Operands that the operation does not have must have a valid address, too. The result may be one
    of the arrays, but may not overlap with them otherwise.
    """
    return only_in_kernels()


def list_positions(numbers: Address, n: int, first: int, result: Address) -> int:
    """Store the positions of numbers that are not zero, int64; returns how many there are.

    The first of the n numbers, which are float64, has the position ``first``. The result must have
    space for n + 1 positions.
    """
    return only_in_kernels()


def tuple_of(array: np.ndarray, size: int) -> tuple[Any, ...]:
    """The elements of an array as a tuple, of a size that the compiler knows."""
    return only_in_kernels()


@helper(forceinline=True)
def is_single(memory):
    """Whether a kernel's numbers are of single precision."""
    return vector(memory, 0, 0).itemsize == 4
