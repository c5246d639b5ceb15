"""Calls of the inner loops of NumPy's ufuncs, on numbers with NumPy's layout in memory.

Most loops round contiguous numbers differently, in the last bit, than numbers with another stride.
Loops that reduce add numbers in the order of memory.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from nengo_jit.engines.cpu.language.primitives import FLOAT64
from nengo_jit.engines.cpu.python.instructions import Opcode
from nengo_jit.engines.cpu.python.tracing.addresses import loop_of
from nengo_jit.engines.cpu.python.tracing.instruction import (
    LoopCall,
    Positions,
    Registers,
    Span,
    scalar,
)
from nengo_jit.engines.cpu.python.tracing.strides import laid_out_as_of
from nengo_jit.engines.cpu.python.tracing.tracer import Tracer
from nengo_jit.engines.cpu.python.tracing.values import (
    Array,
    Number,
    Unsupported,
    described,
)


def is_contiguous(array: Array) -> bool:
    """Whether an array is contiguous, in C or in Fortran order."""
    return bool(array.registers.flags.forc)


def loop(
    tracer: Tracer,
    ufunc: np.ufunc,
    arrays: list[Array | None],
    registers: list[np.ndarray],
    is_exact: bool,
    dtype: np.dtype = FLOAT64,
) -> np.ndarray:
    """Call the inner loop of a ufunc once, for all elements.

    Parameters
    ----------
    tracer : Tracer
        Writes the call.
    ufunc : numpy.ufunc
        The function.
    arrays : list of (Array or None)
        Its arguments; None for single numbers.
    registers : list of numpy.ndarray
        Their registers.
    is_exact : bool
        Whether IEEE 754 defines the results, whatever the layout. Other loops need the layout that
        the numbers have in NumPy.
    dtype : numpy.dtype
        The type that the loop computes with: float64, or float32, in which all numbers must be.

    Returns
    -------
    numpy.ndarray
        The registers of the results.

    Raises
    ------
    Unsupported
        If the registers cannot have NumPy's layout.
    """
    shape = np.broadcast_shapes(*(each.shape for each in registers))
    n = math.prod(shape)
    are_repeated = [each.ndim == 0 or (each.size == 1 and n > 1) for each in registers]
    others = [each for each, is_repeated in zip(registers, are_repeated) if not is_repeated]
    are_full = all(each.shape == shape for each in others)
    is_by_rows = are_full and all(each.flags.c_contiguous for each in others)
    is_by_columns = are_full and all(each.flags.f_contiguous for each in others) and not is_by_rows
    order: Literal["F", "C"] = "F" if is_by_columns else "C"
    if not is_exact and n > 1 and len(shape) > 1 and not (is_by_rows or is_by_columns):
        raise Unsupported(f"calls `np.{ufunc.__name__}` on arrays that are not contiguous")
    inputs: list[Span] = []
    steps: list[int] = []
    for array, each, is_repeated in zip(arrays, registers, are_repeated):
        whole = each if is_repeated else np.broadcast_to(each, shape)
        flat = whole.ravel(order=order)
        if is_exact or n == 1 or is_repeated:
            first, step = tracer.arranged(whole.T if order == "F" else whole)
        else:
            is_cast = array is not None and array.dtype != dtype
            expected = each.strides[0] // each.itemsize if len(shape) == 1 and not is_cast else 1
            first, step = (tracer.contiguous if expected == 1 else tracer.strided)(flat)
            if step != expected or (expected != 1 and dtype != FLOAT64):
                raise Unsupported(f"calls `np.{ufunc.__name__}` on arrays that are not contiguous")
        if dtype != FLOAT64:
            first, step = packed(tracer, flat)
        step = 0 if is_repeated else step
        inputs.append(Span(first, step, n))
        steps.append(dtype.itemsize * step)
    letter = dtype.char
    code = loop_of(ufunc, letter * ufunc.nin + "->" + letter)
    call = LoopCall(*code, (n,), (*steps, dtype.itemsize), tuple(inputs))
    tracer.writer.allocate(1)  # NumPy treats a result right after an operand as overlapping
    first = tracer.compute(Opcode.LOOP if dtype == FLOAT64 else Opcode.LOOP_SHORT, call, n=n)
    if dtype != FLOAT64:
        first = tracer.compute(Opcode.UNPACK, Registers(first, 1), n=n)
    results = laid_out_as_of(*registers)
    results[...] = np.arange(first, first + n).reshape(shape, order=order)
    return results


def packed(tracer: Tracer, registers: np.ndarray) -> Registers:
    """Put numbers of type float32 side by side, as they are in NumPy's memory."""
    source = tracer.arranged(registers)
    return Registers(tracer.compute(Opcode.PACK, source, n=registers.size), 1)


def reduce(
    tracer: Tracer,
    ufunc: np.ufunc,
    array: Array,
    initial: float | None,
    positions: Positions | None = None,
) -> Number:
    """Reduce a vector: add, multiply, or find the largest or smallest element.

    Parameters
    ----------
    tracer : Tracer
        Writes the instructions.
    ufunc : numpy.ufunc
        Combines two elements.
    array : Array
        The vector.
    initial : float or None
        What the elements are combined with; None for the first of them.
    positions : Positions or None
        Positions of the elements in another array: there are as many elements as positions.

    Raises
    ------
    Unsupported
        If NumPy might compute in another order.
    """
    registers = array.registers
    if registers.ndim != 1 or array.dtype.kind != "f" or not registers.size:
        raise Unsupported(f"reduces {described(array)} of shape {registers.shape}")
    if initial is None and registers.size > 1:
        if not registers.flags.c_contiguous:
            raise Unsupported(f"calls `np.{ufunc.__name__}` on arrays that are not contiguous")
        first = tracer.contiguous(registers)[0]
        registers = np.arange(first, first + registers.size)
    start = tracer.constant(initial) if initial is not None else int(registers[0])
    rest = registers if initial is not None else registers[1:]
    is_short = array.dtype != FLOAT64
    if is_short and not array.registers.flags.c_contiguous:
        raise Unsupported(f"calls `np.{ufunc.__name__}` on arrays that are not contiguous")
    result = tracer.compute(Opcode.PACK if is_short else Opcode.MOVE, scalar(start))
    if rest.size:
        with tracer.at(positions):
            first, step = packed(tracer, rest) if is_short else tracer.strided(rest)
            code = loop_of(ufunc, "ff->f" if is_short else "dd->d")
            inputs = Span(result, 0, rest.size), Span(first, step, rest.size)
            steps = (0, array.dtype.itemsize * step, 0)
            opcode = Opcode.LOOP_SHORT if is_short else Opcode.LOOP
            tracer.accumulate(opcode, result, LoopCall(*code, (rest.size,), steps, inputs))
    if is_short:
        result = tracer.compute(Opcode.UNPACK, scalar(result))
    return Number(result, array.dtype.type)
