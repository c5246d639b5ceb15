"""Kernels for steady-state rates: the ``rate`` of formulas, for many neurons at many points."""

# The primitives that kernels call have no Python types.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from nengo_jit.engines.cpu.language.kernel import Kernel, kernel, start, table_of
from nengo_jit.engines.cpu.language.primitives import (
    ENTRY,
    FLOAT64,
    Address,
    Memory,
    compilable,
    tuple_of,
    use_widest_vectors,
    vector,
)
from nengo_jit.engines.cpu.toolchain.kernel_cache import address_of
from nengo_jit.neurons import Formula
from nengo_jit.regions import REGIONS


def _at_points(rate, n_parameters):
    @kernel(contract=False)
    def compute_rates(
        memory: Memory,
        points: Address,
        gain: Address,
        bias: Address,
        parameters: Address,
        currents: Address,
        rates: Address,
        n_points: int,
        size: int,
    ) -> None:
        use_widest_vectors()
        gains, biases = vector(memory, gain, size), vector(memory, bias, size)
        p = tuple_of(vector(memory, parameters, n_parameters), n_parameters)
        J = vector(memory, currents, size)  # apart from the results, which may be the points
        for i in range(n_points):
            begin = i * size * gains.itemsize
            x, result = vector(memory, points + begin, size), vector(memory, rates + begin, size)
            for j in range(size):
                J[j] = gains[j] * x[j] + biases[j]
            for j in range(size):
                result[j] = rate(J[j], *p)

    return compute_rates


@cache
def kernel_of(formula: Formula) -> Kernel[...] | None:
    """Return the kernel for the rates of a formula; None if the neurons must settle instead."""
    if formula.rate is None:
        return None
    made: Kernel[...] = _at_points(compilable(formula.rate), len(formula.parameter_names))
    return made


@cache
def rates_by(formula: Formula) -> Callable[..., None] | None:
    """Return what computes a formula's rates, see `nengo_jit.engines.base.Engine.rates_by`."""
    used = kernel_of(formula)
    if used is None:
        return None
    entry = ENTRY(address_of(used, FLOAT64))

    def compute(
        x: np.ndarray, gain: np.ndarray, bias: np.ndarray, parameters: object, result: np.ndarray
    ) -> None:
        arrays = [np.ascontiguousarray(a, FLOAT64) for a in (x, gain, bias, parameters)]
        arrays.append(np.empty(len(gain)))
        names = "points", "gain", "bias", "parameters", "currents"
        row = used.row(
            **dict(zip(names, map(start, arrays))),
            rates=start(result),
            n_points=len(x),
            size=len(gain),
        )
        table = table_of([row])
        entry(None, start(table))
        REGIONS.raise_failure()

    return compute
