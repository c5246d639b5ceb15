"""Products of vectors and matrices, which NumPy leaves to BLAS.

BLAS chooses the order in which it adds, and the sign of a zero. `numpy.matmul` has an inner loop
that tapes can call. `numpy.dot` has none, and calls other functions of BLAS if a dimension has one
element. Such a product is computed in a way that gives the same bits as NumPy on `_samples`, which
are tried once for each function, layout and type. So are products of two vectors, with a vector on
the left, of arrays that are not contiguous, and of single with double precision, where NumPy
converts one operand first.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from nengo_jit.engines.cpu.language.primitives import FLOAT64
from nengo_jit.engines.cpu.python.instructions import Opcode
from nengo_jit.engines.cpu.python.tracing.addresses import loop_of
from nengo_jit.engines.cpu.python.tracing.casting import rounded
from nengo_jit.engines.cpu.python.tracing.instruction import LoopCall, Registers, Span
from nengo_jit.engines.cpu.python.tracing.loops import is_contiguous, packed
from nengo_jit.engines.cpu.python.tracing.strides import empty_with
from nengo_jit.engines.cpu.python.tracing.tracer import Tracer
from nengo_jit.engines.cpu.python.tracing.values import Array, Number, Unsupported
from nengo_jit.ir.memory import address

LARGEST_PRODUCT = 4096  # elements of a matrix; with more, BLAS may use threads
ALIGNMENTS = (0, 0), (0, 1), (1, 0), (1, 1)  # elements before the arrays that are tried
N_RANDOM = 10  # samples; every second one would show another order of adding three numbers
INNER_LOOP = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 4)

Function: TypeAlias = Callable[..., np.ndarray]
Write: TypeAlias = Callable[[Tracer, np.dtype, np.ndarray, np.ndarray], np.ndarray]
Shape: TypeAlias = tuple[int, ...]
Layout: TypeAlias = tuple[Shape, tuple[int, ...]]  # shape, and strides in elements


@dataclass(frozen=True)
class Way:
    """A way to multiply an (m, n) and an (n, p) matrix.

    Attributes
    ----------
    compute : callable
        ``compute(a, b)`` multiplies arrays.
    write : callable
        ``write(tracer, dtype, a, b)`` writes the instructions that do the same with registers, and
        returns the registers of the result, in C order.
    """

    compute: Function
    write: Write


def product(tracer: Tracer, function: Function, first: Array, second: Array) -> Array | Number:
    """The product of vectors or matrices.

    Parameters
    ----------
    tracer : Tracer
        Writes the instructions.
    function : callable
        What Python calls: `numpy.dot` or `numpy.matmul`.
    first, second : Array
        The vectors or matrices.

    Raises
    ------
    Unsupported
        If NumPy might compute another value.
    """
    a, b, dtypes = first.registers, second.registers, (first.dtype, second.dtype)
    if not (1 <= a.ndim <= 2 and 1 <= b.ndim <= 2 and a.shape[-1] == b.shape[0]):
        raise Unsupported(f"multiplies arrays of shapes {a.shape} and {b.shape}")
    if a.ndim == b.ndim == 2 and np.intersect1d(a, b).size:
        raise Unsupported("multiplies a matrix by itself")  # BLAS may use symmetry
    (m, n), p = (1, *a.shape)[-2:], (*b.shape, 1)[1]
    are_real = all(each.kind == "f" for each in dtypes)
    if not (are_real and 0 < m * n * p <= LARGEST_PRODUCT):
        raise Unsupported("multiplies large arrays, or arrays of integers")
    dtype = np.result_type(*dtypes)
    is_usual = (
        first.dtype == second.dtype,
        *(1 not in (*a.shape, *b.shape), a.ndim == 2),
        *(is_contiguous(first), is_contiguous(second)),
    )
    way = BY_LOOP if all(is_usual) else _way(function, dtypes, _layout_of(a), _layout_of(b))
    result = way.write(tracer, dtype, a.reshape(m, n), b.reshape(n, p))
    shape = (*a.shape[:-1], *b.shape[1:])
    if not shape:
        return Number(result.item(), dtype.type)
    return Array(result.reshape(shape), dtype)


def _layout_of(registers: np.ndarray) -> Layout:
    return registers.shape, tuple(each // registers.itemsize for each in registers.strides)


def _order_of(array: np.ndarray) -> Literal["C", "F"]:
    """The order in which elements are given to BLAS: as they are, if they are contiguous."""
    return "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"


def _sizes_and_steps(a: np.ndarray, b: np.ndarray, itemsize: int) -> tuple[Shape, Shape]:
    """What the inner loop of `numpy.matmul` takes: dimensions, and strides in bytes."""
    (m, n), p = a.shape, b.shape[1]
    of_a = (n, 1) if _order_of(a) == "C" else (1, m)
    of_b = (p, 1) if _order_of(b) == "C" else (1, n)
    return (1, m, n, p), (0, 0, 0, *(itemsize * each for each in (*of_a, *of_b, p, 1)))


def _letters(dtype: np.dtype) -> str:
    return f"{dtype.char * 2}->{dtype.char}"


def _cast(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """An array of another type, as contiguous as the array itself."""
    return array if array.dtype == dtype else array.astype(dtype, order=_order_of(array))


def _copied(array: np.ndarray) -> np.ndarray:
    """A contiguous copy with the array's alignment: the number of elements before it, modulo 2."""
    (m, n), itemsize = array.shape, array.itemsize
    steps = (n, 1) if _order_of(array) == "C" else (1, m)
    copy = empty_with(array.shape, steps, array.dtype, address(array) // itemsize % 2)
    copy[...] = array
    return copy


def _compute_by_loop(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    result = np.empty((len(a), b.shape[1]), a.dtype)
    function, data = loop_of(np.matmul, _letters(a.dtype))
    arguments = [np.array(each) for each in _sizes_and_steps(a, b, a.itemsize)]
    operands = [_copied(each) for each in (a, b)]
    arguments.insert(0, np.array([address(each) for each in (*operands, result)]))
    INNER_LOOP(function)(*map(address, arguments), data)
    return result


def _write_loop(tracer: Tracer, dtype: np.dtype, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    is_short = dtype != FLOAT64
    arrange = partial(packed, tracer) if is_short else tracer.contiguous
    inputs = tuple(Span(*arrange(each.ravel(_order_of(each))), each.size) for each in (a, b))
    call = LoopCall(
        *loop_of(np.matmul, _letters(dtype)), *_sizes_and_steps(a, b, dtype.itemsize), inputs
    )
    m, p = len(a), b.shape[1]
    result = tracer.compute(Opcode.LOOP_SHORT if is_short else Opcode.LOOP, call, n=m * p)
    if is_short:
        result = tracer.compute(Opcode.UNPACK, Registers(result, 1), n=m * p)
    return np.arange(result, result + m * p).reshape(m, p)


def _write_products(tracer: Tracer, dtype: np.dtype, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    products = tracer.elementwise(Opcode.MULTIPLY, a, b)
    if dtype != FLOAT64:
        products = rounded(tracer, products)
    return np.ascontiguousarray(products)


def _write_sums(tracer: Tracer, dtype: np.dtype, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    products = _write_products(tracer, dtype, a, b)
    return tracer.elementwise(Opcode.ADD, products, np.array(tracer.constant(0.0)))


def _write_fused(tracer: Tracer, dtype: np.dtype, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    zero = np.array(tracer.constant(0.0))
    flags = [tracer.elementwise(Opcode.NOT_EQUAL, each, zero) for each in (a, b)]
    products = _write_products(tracer, dtype, a, b)
    are_not_zero = np.ascontiguousarray(tracer.elementwise(Opcode.AND, *flags))
    return tracer.elementwise(Opcode.SELECT, products, zero, are_not_zero)


def _compute_fused(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.where((a != 0) & (b != 0), a * b, a.dtype.type(0))


BY_LOOP = Way(_compute_by_loop, _write_loop)
# Where n is 1, each product may be the result, may be added to zero, or both in one operation that
# rounds once, so that a negative product that underflows stays negative.
OF_ONE = [
    Way(lambda a, b: a * b + a.dtype.type(0), _write_sums),
    Way(_compute_fused, _write_fused),
    Way(np.multiply, _write_products),
]


@cache
def _way(
    function: Function, dtypes: tuple[np.dtype, np.dtype], first: Layout, second: Layout
) -> Way:
    """The way that gives the same bits as a function of NumPy for arrays of two layouts.

    Raises
    ------
    Unsupported
        If there is none, or if results depend on the alignment of the arrays, as those of BLAS's
        oldest kernels do.
    """
    shapes, dtype = (first[0], second[0]), np.result_type(*dtypes)
    n, p = shapes[0][-1], (*shapes[1], 1)[1]
    ways = OF_ONE if n == 1 else [BY_LOOP]
    operands = [
        [empty_with(*each) for each in zip(*zip(first, second), dtypes, pair)]
        for pair in ALIGNMENTS
    ]
    with np.errstate(all="ignore"):
        for sample in _samples(*shapes, [float(np.finfo(each).tiny) for each in dtypes]):
            results = set()
            for a, b in operands if np.ndim(sample[0]) else operands[:1]:
                a[...], b[...] = sample
                results.add(np.asarray(function(a, b)).tobytes())
                pair = [_cast(a.reshape(-1, n), dtype), _cast(b.reshape(n, p), dtype)]
                ways = [each for each in ways if each.compute(*pair).tobytes() in results]
            if len(results) > 1:
                ways = []
    if not ways:
        raise Unsupported(f"multiplies arrays of shapes {shapes[0]} and {shapes[1]}")
    return ways[0]


def _samples(
    first: Shape, second: Shape, tiny: Sequence[float]
) -> Iterator[tuple[ArrayLike, ArrayLike]]:
    """Arrays with zeros of both signs, with products that underflow, and of random numbers.

    Of each array's type, the smallest normal number is given.
    """
    rng = np.random.RandomState(0)
    of_first, of_second = ([0.0, -0.0, 1.0, -1.0, 0.3, -0.3, each, -each] for each in tiny)
    yield from ((a, b) for a in of_first for b in of_second)
    for _ in range(N_RANDOM):
        yield rng.standard_normal(first), rng.standard_normal(second)
        yield rng.choice(of_first, first), rng.choice(of_second, second)
