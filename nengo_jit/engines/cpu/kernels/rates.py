"""Kernels for steady rates: the ``rate`` of formulas, for many neurons at many points."""

# Kernels have no types in Python's sense.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from nengo_jit.engines.cpu.library import address_of
from nengo_jit.engines.cpu.machine import (
    ENTRY,
    FLOAT64,
    Kernel,
    compilable,
    integers,
    table_of,
    tuple_of,
    use_widest_vectors,
    vector,
)
from nengo_jit.ir.memory import address as start
from nengo_jit.neurons import Formula
from nengo_jit.regions import REGIONS


def _at_points(rate, n_parameters):
    def compute_rates(memory, table):
        use_widest_vectors()
        row = integers(table, 8)
        n = row[7]
        gain, bias = vector(memory, row[2], n), vector(memory, row[3], n)
        p = tuple_of(vector(memory, row[4], n_parameters), n_parameters)
        for i in range(row[6]):
            begin = i * n * gain.itemsize
            x, result = vector(memory, row[1] + begin, n), vector(memory, row[5] + begin, n)
            for j in range(n):
                result[j] = rate(gain[j] * x[j] + bias[j], *p)
        return 0

    return compute_rates


@cache
def kernel_of(formula: Formula) -> Kernel | None:
    """The kernel that computes the rates of a formula; None if the neurons have to settle."""
    if formula.rate is None:
        return None
    loop = _at_points(compilable(formula.rate), len(formula.parameter_names))
    return Kernel(loop, "=======", contract=False)


@cache
def rates_by(formula: Formula) -> Callable[..., None] | None:
    """What computes the rates of a formula, see `nengo_jit.engines.base.Engine.rates_by`."""
    kernel = kernel_of(formula)
    if kernel is None:
        return None
    entry = ENTRY(address_of(kernel, FLOAT64))

    def compute(
        x: np.ndarray, gain: np.ndarray, bias: np.ndarray, parameters: object, result: np.ndarray
    ) -> None:
        arrays = [np.ascontiguousarray(a, FLOAT64) for a in (x, gain, bias, parameters)]
        table = table_of([(*map(start, arrays), start(result), *x.shape)])
        entry(None, start(table))
        REGIONS.raise_failure()

    return compute
