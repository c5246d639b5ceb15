"""The machine: how compiled functions are called, and what they are written with.

As machine code, each is a function ``function(memory, address) -> status``. It is written in Python
and compiled once (`nengo_jit.engines.cpu.toolchain.compiler`), for either precision; the machine
code is kept on disk (`nengo_jit.engines.cpu.toolchain.kernel_cache`). A kernel
(`nengo_jit.engines.cpu.language.kernel`) is given the address of a table: the number of rows, then
the rows, all of them 64-bit integers. A status other than zero stops the program.

What kernels are written with, such as `vector`, is declared here and defined by the compiler.
None of it can be called from Python, and nothing here needs the compiler: a process in which all
machine code comes from the disk never imports it.
"""

# What kernels call has no types in Python's sense.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

Function = TypeVar("Function", bound=Callable[..., Any])

FLOAT64 = np.dtype(np.float64)
PRECISIONS = (FLOAT64, np.dtype(np.float32))
ENTRY = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64)
ENTRY_WITH_GIL = ctypes.PYFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64)
STOPPED = 1  # status of a program that cannot go on
OUT_OF_BOUNDS = 2  # status of a kernel that failed a check, see `nengo_jit.regions`
# A negative status says that the step is complete
PAUSED = -1  # since the leading thread had to wait for too long
LATE = -2  # since Python has raised after it
BUSY = -3  # since nothing has begun: the threads are not free
SUBNORMALS_ARE_ZERO = 0x8040  # results ("flush to zero") and operands, see `fp_control`


class Memory:
    """A null pointer that carries the type of the numbers, nothing else."""


@dataclass(frozen=True)
class Signature:
    """What a compiled function is called, is given besides `Memory`, and returns.

    Attributes
    ----------
    name : str
        What it is called.
    columns : tuple of str, optional
        Names of the columns of a row; None if the function is given an address, whatever is there.
    takes_all : bool
        Whether it is given all rows at once, as a structured array, and not one after the other.
    has_status : bool
        Whether it returns a status.
    """

    name: str
    columns: tuple[str, ...] | None = None
    takes_all: bool = False
    has_status: bool = True


# Functions that kernels call, with options for the compiler.
HELPERS: dict[Callable[..., Any], dict[str, Any]] = {}
# Formulas: helpers that are compiled for the precision of their arguments, and whether a product
# and a sum may be rounded at once in them.
FORMULAS: dict[Callable[..., Any], bool] = {}


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
    """Make a formula's ``step`` callable from kernels; returns it as it is.

    The step is compiled for the precision of its arguments: if all of them are float32, so is
    everything in between. So are the formulas that it calls.

    Parameters
    ----------
    step : function
        See `nengo_jit.neurons.base.Formula`.
    contract : bool
        Whether a product and a sum may be rounded at once.
    """
    FORMULAS[step] = contract
    return step


def _only_in_kernels(*arguments: Any) -> Any:
    raise NotImplementedError("This function can be called from compiled kernels only")


def vector(memory: Any, address: Any, size: Any) -> Any:
    """Numbers at an address, as an array; for use in kernels."""
    return _only_in_kernels()


def vector_from(memory: Any, address: Any) -> Any:
    """Numbers from an address on, as an array for indices that are right; its size is not.

    For use in kernels. There is one number at least.
    """
    return _only_in_kernels()


def int64s(address: Any, size: Any) -> Any:
    """64-bit integers at an address, as an array; for use in kernels."""
    return _only_in_kernels()


def int32s(address: Any, size: Any) -> Any:
    """32-bit integers at an address, as an array; for use in kernels."""
    return _only_in_kernels()


def uint8s(address: Any, size: Any) -> Any:
    """Bytes at an address, as an array; for use in kernels."""
    return _only_in_kernels()


def float64s(address: Any, size: Any) -> Any:
    """Numbers of double precision at an address, as an array; for use in kernels."""
    return _only_in_kernels()


def float32s(address: Any, size: Any) -> Any:
    """Numbers of single precision at an address, as an array; for use in kernels."""
    return _only_in_kernels()


def foreign_int64s(address: Any, size: Any) -> Any:
    """As `int64s`, in an object of Python's, of whose memory we know nothing; for kernels."""
    return _only_in_kernels()


def foreign_float64s(address: Any, size: Any) -> Any:
    """As `float64s`, in an object of Python's; for use in kernels."""
    return _only_in_kernels()


def foreign_int64(address: Any) -> Any:
    """The 64-bit integer at an address, in an object of Python's; for use in kernels."""
    return _only_in_kernels()


def foreign_int32(address: Any) -> Any:
    """The 32-bit integer at an address, in an object of Python's; for use in kernels."""
    return _only_in_kernels()


def foreign_float64(address: Any) -> Any:
    """The number of double precision at an address, in an object of Python's; for kernels."""
    return _only_in_kernels()


def call(kernel: Any, table: Any) -> Any:
    """Call the kernel at an address on the table at an address; for use in kernels."""
    return _only_in_kernels()


def call_function(function: Any, x: Any) -> Any:
    """Call the C function at an address, of a number of double precision; for use in kernels."""
    return _only_in_kernels()


def call_function_of_two(function: Any, x: Any, y: Any) -> Any:
    """Call the C function at an address, of two such numbers; for use in kernels."""
    return _only_in_kernels()


def call_loop(function: Any, arguments: Any, sizes: Any, steps: Any, data: Any) -> Any:
    """Call the loop of a NumPy ufunc, all parameters being addresses; for use in kernels."""
    return _only_in_kernels()


def acquire_gil() -> Any:
    """Take the lock that whoever runs Python has; returns what `release_gil` wants."""
    return _only_in_kernels()


def release_gil(state: Any) -> Any:
    """Let others run Python; for use in kernels."""
    return _only_in_kernels()


def call_object(function: Any) -> Any:
    """Call an object of Python's; returns the result, which is the caller's, or zero if it raised.

    This and all that follows needs the lock. Objects are given by their addresses.
    """
    return _only_in_kernels()


def call_object_of_one(function: Any, argument: Any) -> Any:
    """Call an object of Python's with one argument; returns what `call_object` does."""
    return _only_in_kernels()


def decref(value: Any) -> Any:
    """Give up an object that is the caller's; for use in kernels."""
    return _only_in_kernels()


def fetch_error(kind: Any, value: Any, traceback: Any) -> Any:
    """Move what Python raised to three addresses; for use in kernels."""
    return _only_in_kernels()


def as_integer(value: Any, overflow: Any) -> Any:
    """An ``int`` as an integer; the 32-bit integer at an address is not zero if it is too large."""
    return _only_in_kernels()


def atomic_add(address: Any, value: Any) -> Any:
    """Add to the 64-bit integer at an address, so that all threads agree; returns the old one."""
    return _only_in_kernels()


def atomic_load(address: Any) -> Any:
    """The 64-bit integer at an address, and all that was written before it was."""
    return _only_in_kernels()


def sleep_while(address: Any, value: Any) -> Any:
    """Sleep while the 64-bit integer at an address has a value; may wake early; for kernels.

    Only its lower 32 bits are compared.
    """
    return _only_in_kernels()


def wake_sleepers(address: Any) -> Any:
    """Wake all threads that sleep by `sleep_while` at an address; for use in kernels."""
    return _only_in_kernels()


def nanoseconds() -> Any:
    """The time of a clock that never goes back (nanoseconds); for use in kernels."""
    return _only_in_kernels()


def spin_hint() -> Any:
    """Tell the processor that this is a spin-wait loop; for use in kernels."""
    return _only_in_kernels()


def fp_control() -> Any:
    """How this thread's processor computes, as the bits of x86's MXCSR register; 0 on others."""
    return _only_in_kernels()


def set_fp_control(bits: Any) -> Any:
    """Let this thread's processor compute as `fp_control` says; for use in kernels."""
    return _only_in_kernels()


def use_widest_vectors() -> Any:
    """Let the compiler use vectors of 512 bits in the kernel that calls this, if the CPU has them.

    By default it takes 256 bits even where there are 512. LIF neurons gain a quarter.
    """
    return _only_in_kernels()


def no_vectorize() -> Any:
    """Keep the loop that calls this from becoming vector instructions; for use in kernels.

    Where indices come from a list, those would gather and scatter, which is slow on many CPUs.
    """
    return _only_in_kernels()


def gather_if_fast() -> Any:
    """As `no_vectorize`, unless the processor is known to gather quickly; for use in kernels."""
    return _only_in_kernels()


def libm_log(x: Any) -> Any:
    """The logarithm of the C library, never a substitute for it; for use in kernels."""
    return _only_in_kernels()


def libm_exp(x: Any) -> Any:
    """The exponential of the C library, never a substitute for it; for use in kernels."""
    return _only_in_kernels()


def scratch(n_bytes: Any) -> Any:
    """Address of memory that the kernel has for itself until it returns; for use in kernels.

    The size must be a literal number. What is there at the beginning is not defined.
    """
    return _only_in_kernels()


def movemask(flags: Any) -> Any:
    """Which of 64 bytes at an address are not zero, as bits, lowest first; for use in kernels."""
    return _only_in_kernels()


def ctz(bits: Any) -> Any:
    """The number of the lowest bit that is set, of 64, or 64 if none is; for use in kernels."""
    return _only_in_kernels()


def popcount(bits: Any) -> Any:
    """How many of 64 bits are set; for use in kernels."""
    return _only_in_kernels()


def can_compress() -> Any:
    """Whether the processor has instructions for `list_bits`; the compiler knows it."""
    return _only_in_kernels()


def list_bits(bits: Any, first: Any, address: Any) -> Any:
    """Write ``first`` plus the number of each bit that is set, of 64, to integers at an address.

    The lowest bit comes first. As many as 64 integers may be overwritten.
    """
    return _only_in_kernels()


def n_lanes(memory: Any) -> Any:
    """How many numbers the processor's widest vectors hold; the compiler knows it."""
    return _only_in_kernels()


def load_lanes(memory: Any, address: Any, n: Any) -> Any:
    """The first n of `n_lanes` numbers at an address, and zeros after them; for use in kernels.

    They are kept in a register of the processor. Others are not read; n may be too large or
    negative.
    """
    return _only_in_kernels()


def store_lanes(address: Any, n: Any, lanes: Any) -> Any:
    """Write the first n of `n_lanes` numbers to an address; for use in kernels."""
    return _only_in_kernels()


def add_product(lanes: Any, factor: Any, others: Any) -> Any:
    """``lanes + factor * others``, each number of it rounded once or twice; for use in kernels.

    The factor is a number, or lanes.
    """
    return _only_in_kernels()


def tuple_of(array: Any, size: Any) -> Any:
    """The elements of an array as a tuple of a size that the compiler knows; for use in kernels."""
    return _only_in_kernels()


@helper(forceinline=True)
def is_single(memory):
    """Whether a kernel's numbers are of single precision; for use in kernels."""
    return vector(memory, 0, 0).itemsize == 4
