"""Kernels for steady rates, of many neurons at many points.

Some formulas tell the rate at a current. Neurons of others run at it until they have settled.
"""

# The primitives that kernels call have no Python types.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from nengo_jit.engines.cpu.language.kernel import Kernel, start, table_of
from nengo_jit.engines.cpu.language.primitives import (
    ENTRY,
    FLOAT64,
    Address,
    Memory,
    compilable,
    helper,
    scratch,
    tuple_of,
    use_widest_vectors,
    vector,
)
from nengo_jit.engines.cpu.toolchain.kernel_cache import address_of
from nengo_jit.neurons import Formula
from nengo_jit.neurons.rates import DT
from nengo_jit.regions import REGIONS

# A formula has any number of states. Neurons settle in blocks whose state fits into a core's cache.
SETTLE = """
def compute_rates(memory, values, gain, bias, parameters, n_points, size):
    use_widest_vectors()
    currents = currents_of(memory, values, gain, bias, n_points, size)
    p = tuple_of(vector(memory, parameters, n_parameters), n_parameters)
    total = vector(memory, scratch(2048), 256)
    {vectors}
    for first in range(0, currents.size, 256):
        J = currents[first : first + 256]
        {reset}
        for k in range(n_settle + n_count):
            if k == n_settle:
                total[:] = 0.0
            for i in range(J.size):
                output, {states} = step(J[i], {states} dt, *p)
                total[i] += output
        for i in range(J.size):
            J[i] = total[i] / n_count
"""


@helper(forceinline=True)
def currents_of(memory, values, gain, bias, n_points, size):
    """Replace represented values by currents: in place, so that loops over them are vectorised."""
    gains, biases = vector(memory, gain, size), vector(memory, bias, size)
    for i in range(n_points):
        x = vector(memory, values + i * size * gains.itemsize, size)
        for j in range(size):
            x[j] = gains[j] * x[j] + biases[j]
    return vector(memory, values, n_points * size)


def _by_rate(rate, n_parameters):
    def compute_rates(memory, values, gain, bias, parameters, n_points, size):
        use_widest_vectors()
        currents = currents_of(memory, values, gain, bias, n_points, size)
        p = tuple_of(vector(memory, parameters, n_parameters), n_parameters)
        for i in range(currents.size):
            currents[i] = rate(currents[i], *p)

    return compute_rates


WRITTEN_WITH = (currents_of, scratch, tuple_of, use_widest_vectors, vector)


def _by_settling(formula, n_parameters):
    names = [f"state_{k}" for k in range(len(formula.states))]
    source = SETTLE.format(
        vectors="; ".join(f"{name} = vector(memory, scratch(2048), 256)" for name in names),
        reset="; ".join(f"{name}[:] = 0.0" for name in names),
        states=" ".join(f"{name}[i]," for name in names),
    )
    n_settle, n_count = formula.settling
    made: dict[str, Any] = {each.__name__: each for each in WRITTEN_WITH}
    made |= {"step": compilable(formula.step, formula.contract), "n_parameters": n_parameters}
    made |= {"n_settle": n_settle, "n_count": n_count, "dt": DT}
    exec(source, made)
    return made["compute_rates"]


@cache
def kernel_of(formula: Formula) -> Kernel[...] | None:
    """Return the kernel for the rates of a formula; None if it tells no rates."""
    n_parameters = len(formula.parameter_names)
    if formula.rate is not None:
        function = _by_rate(compilable(formula.rate), n_parameters)
    elif formula.settling is not None:
        function = _by_settling(formula, n_parameters)
    else:
        return None
    addresses = dict.fromkeys(("values", "gain", "bias", "parameters"), Address)
    types = {"memory": Memory, **addresses, "n_points": int, "size": int, "return": None}
    function.__annotations__ = types
    return Kernel(function, contract=False)


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
        if result is not x:
            np.copyto(result, x)
        arrays = [np.ascontiguousarray(a, FLOAT64) for a in (gain, bias, parameters)]
        row = used.row(
            values=start(result),
            **dict(zip(("gain", "bias", "parameters"), map(start, arrays))),
            n_points=len(x),
            size=len(gain),
        )
        table = table_of([row])
        entry(None, start(table))
        REGIONS.raise_failure()

    return compute
