"""Shorter ways to what ufuncs compute of some arguments, with the same results to the last bit."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from itertools import product

import numpy as np

from nengo_jit.engines.cpu.language.primitives import PRECISIONS
from nengo_jit.engines.cpu.python.instructions import Opcode
from nengo_jit.engines.cpu.python.tape_vm import MANY
from nengo_jit.engines.cpu.python.tracing.conversions import known
from nengo_jit.engines.cpu.python.tracing.tracer import Tracer
from nengo_jit.engines.cpu.python.tracing.ufuncs import CLIP, EXACT
from nengo_jit.engines.cpu.python.tracing.values import Array, Unsupported, Value, is_known


def chosen_by_booleans(
    tracer: Tracer, ufunc: np.ufunc, values: Sequence[Value], sample: np.ndarray
) -> Array | None:
    """Choose one of two known results for each of an array's booleans, as in ``spiked / dt``.

    Parameters
    ----------
    tracer : Tracer
        Writes the instructions.
    ufunc : numpy.ufunc
        The function.
    values : sequence of Value
        Its arguments.
    sample : numpy.ndarray
        A result, of the right type.

    Returns
    -------
    Array or None
        The results; None if the arguments are not an array of booleans and known numbers, or if a
        result is not finite.
    """
    arrays = [each for each in values if isinstance(each, Array)]
    are_booleans = len(arrays) == 1 and arrays[0].dtype == bool and arrays[0].registers.size > MANY
    if not are_booleans or ufunc not in EXACT or sample.dtype.kind != "f" or tracer.is_counting:
        return None
    both = np.array([True, False])
    arguments = [both if isinstance(each, Array) else each for each in values]
    with suppress(Unsupported):
        if is_known(tuple(arguments)):
            results = tracer.array(known(ufunc, *arguments)).registers
            registers = tracer.elementwise(Opcode.SELECT, *results, arrays[0].registers)
            return Array(registers, sample.dtype)
    return None


def clipped(tracer: Tracer, ufunc: np.ufunc, registers: Sequence[np.ndarray]) -> np.ndarray | None:
    """Compare elements with two numbers in place of calling NumPy's loop, which is no vector loop.

    Parameters
    ----------
    tracer : Tracer
        Writes the instructions.
    ufunc : numpy.ufunc
        The function.
    registers : sequence of numpy.ndarray
        Registers of its arguments.

    Returns
    -------
    numpy.ndarray or None
        Registers of the results; None if the function does something else.
    """
    if ufunc is not CLIP or tracer.is_counting or not _clips_by_comparing():
        return None
    values, low, high = registers
    if values.size < 2 or low.ndim or high.ndim:
        return None
    return tracer.elementwise(
        Opcode.AT_MOST, tracer.elementwise(Opcode.AT_LEAST, values, low), high
    )


@cache
def _clips_by_comparing() -> bool:
    """Whether NumPy replaces only numbers beyond the limits: not zeros of another sign."""
    whole = np.tile([-0.0, 0.0, -1.0, 1.0, -3.0, 3.0, 2.0], 8)
    lows, highs = [-0.0, 0.0, -1.0, 2.0], [-0.0, 0.0, 1.0, -2.0]
    samples = [whole[:n].astype(dtype) for n in (2, 7, whole.size) for dtype in PRECISIONS]
    limits = product(samples, lows, highs)
    cases = [(each, each.dtype.type(low), each.dtype.type(high)) for each, low, high in limits]
    return all(CLIP(*case).tobytes() == _compared(*case).tobytes() for case in cases)


def _compared(values: np.ndarray, low: float, high: float) -> np.ndarray:
    raised = np.where(values < low, low, values)
    return np.where(raised > high, high, raised)
