"""Kernels for noise.

Random numbers come from the generator that nengo would give the process, see
`nengo_jit.engines.cpu.language.mt19937`.
"""

# The primitives that kernels call have no Python types.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from typing import TypedDict

import numpy as np
from nengo import Process
from nengo.dists import Distribution, Gaussian, Uniform
from nengo.synapses import LinearFilter
from nengo.utils.numpy import maxint

from nengo_jit.engines.cpu.kernels.filters import (
    LINEAR_STEPS,
    is_high_for_half,
    matrices_of,
    step_filter,
    step_of,
)
from nengo_jit.engines.cpu.kernels.half import advance_filter
from nengo_jit.engines.cpu.language.columns import Factor, Own
from nengo_jit.engines.cpu.language.kernel import kernel, start
from nengo_jit.engines.cpu.language.mt19937 import Stream, compiled, fill_normal, fill_uniform
from nengo_jit.engines.cpu.language.primitives import (
    FLOAT16,
    Address,
    Memory,
    float64s,
    scalars,
    scratch,
    vector,
)
from nengo_jit.engines.cpu.program.lowering import Lowered, Lowering
from nengo_jit.ir.processes import SimProcess

NORMAL, UNIFORM = 0, 1  # kinds of noise


@compiled
def _draw(output, kind, parameters, generator):
    """Fill the output with ``scale * (offset + factor * number)``, by these three parameters."""
    if kind == NORMAL:
        fill_normal(generator, output)
    else:
        fill_uniform(generator, output)
    offset, factor, scale = parameters[0], parameters[1], parameters[2]
    for i in range(output.size):
        output[i] = scale * (offset + factor * output[i])


@kernel(cost=6.0)
def noise(
    memory: Memory,
    y: Own,
    size: Factor,
    kind: int,
    parameters: Address,
    generator: Address,
    values: Address,
) -> None:
    """White noise, see `_draw`; ``values`` is scratch memory of double precision."""
    output, numbers = vector(memory, y, size), float64s(values, size)
    _draw(numbers, kind, float64s(parameters, 3), generator)
    for i in range(size):
        output[i] = numbers[i]


@kernel(cost=7.0)
def filtered_noise(
    memory: Memory,
    y: Own,
    size: Factor,
    kind: int,
    parameters: Address,
    generator: Address,
    values: Address,
    state: Address,
    matrices: Address,
    order: int,
    work: Address,
) -> None:
    """White noise, see `noise`, through a linear filter, see `step_filter`.

    ``work`` is scratch memory for the filter's input, then for its new state.
    """
    numbers = float64s(values, size)
    _draw(numbers, kind, float64s(parameters, 3), generator)
    both = vector(memory, work, size + order * size)
    u, new = both[:size], both[size:]
    for i in range(size):
        u[i] = numbers[i]
    step_filter(
        u,
        vector(memory, y, size),
        vector(memory, state, order * size),
        new,
        vector(memory, matrices, order * order + 2 * order + 1),
        order,
        size,
    )


@kernel(exact=True, cost=7.0)
def half_filtered_noise(
    memory: Memory,
    y: Own,
    size: Factor,
    kind: int,
    parameters: Address,
    generator: Address,
    values: Address,
    state: Address,
    matrices: Address,
    order: int,
) -> None:
    """As `filtered_noise`, for filters without D, rounded as NumPy does in half precision.

    An order of zero stands for a lowpass filter, whose matrices are A and B.
    """
    numbers, output = float64s(values, size), vector(memory, y, size)
    _draw(numbers, kind, float64s(parameters, 3), generator)
    if order == 0:
        kept, factor = vector(memory, state, size), scalars(memory, matrices, 1)[0]
        a, b = float64s(matrices, 2)[0], float64s(matrices, 2)[1]
        for i in range(size):
            decayed = np.float64(factor * kept[i])
            if size == 1:  # nengo uses Python's numbers
                decayed = a * np.float64(kept[i])
            kept[i] = decayed + b * numbers[i]
            output[i] = kept[i]
        return
    kept, new = vector(memory, state, order * size), float64s(scratch(8 * 16), order)
    p = float64s(matrices, order * order + 2 * order + 1)
    for i in range(size):
        output[i] = advance_filter(numbers[i], kept, i, size, order, p, new)


class NoiseColumns(TypedDict):
    """The columns that `noise` and `filtered_noise` share."""

    y: Address
    size: int
    kind: int
    parameters: Address
    generator: Address
    values: Address


def _noise_columns(operator: SimProcess, y: np.ndarray, lowering: Lowering) -> NoiseColumns | None:
    """Return the columns of a row of `noise`; None if kernels cannot draw the noise.

    The generator is seeded at each reset.
    """
    process = operator.process
    kind, offset, factor = _parameters(process.dist)
    if kind is None or not np.isfinite(factor) or not _is(process.get_rng, Process.get_rng):
        return None
    stream = lowering.streams[operator] = Stream(lowering.arena.buffer(Stream.size))
    lowering.at_reset[operator] = lambda rng: stream.load(process.get_rng(rng))
    factor_of_both = 1.0 / np.sqrt(lowering.dt) if process.scale else 1.0
    return {
        "y": start(y),
        "size": y.size,
        "kind": kind,
        "parameters": lowering.arena.constant([offset, factor, factor_of_both], np.float64),
        "generator": stream.address,
        "values": start(lowering.arena.buffer(y.size, np.float64)),
    }


def _parameters(dist: Distribution) -> tuple[int | None, float, float]:
    """Return kind, offset and factor of a distribution; the kind is None if it is unknown."""
    if type(dist) is Gaussian and _is(dist.sample, Gaussian.sample):
        return NORMAL, float(dist.mean), float(dist.std)
    if type(dist) is Uniform and _is(dist.sample, Uniform.sample) and not dist.integer:
        return UNIFORM, float(dist.low), float(dist.high) - float(dist.low)
    return None, 0.0, 0.0


def draw_seed(process: Process, rng: np.random.RandomState) -> None:
    """Draw the seed that a process draws for its generator, without making the generator."""
    if not _is(process.get_rng, Process.get_rng):
        process.get_rng(rng)
    elif process.seed is None:
        rng.randint(maxint)


def _is(method: object, function: object) -> bool:
    """Return whether a bound method is a function, not overridden by a subclass or instance."""
    return getattr(method, "__func__", None) is function


def lower_white_noise(operator: SimProcess, y: np.ndarray, lowering: Lowering) -> Lowered | None:
    """Lower white noise; unknown distributions run in Python."""
    columns = _noise_columns(operator, y, lowering)
    return None if columns is None else [noise.row(**columns)]


def lower_filtered_noise(operator: SimProcess, y: np.ndarray, lowering: Lowering) -> Lowered | None:
    """Lower noise that goes through a linear filter."""
    synapse = operator.process.synapse
    if not _is(synapse.make_step, LinearFilter.make_step):
        return None
    state = lowering.array(operator.state["X"])
    step = step_of(synapse, y.shape, lowering.dt, state)
    if type(step) not in LINEAR_STEPS:
        return None
    columns = _noise_columns(operator, y, lowering)
    if columns is None:
        return None
    if lowering.dtype == FLOAT16:
        return _lower_in_half(step, columns, state, lowering)
    order, matrices = matrices_of(step, lowering)
    row = filtered_noise.row(
        **columns,
        state=start(state),
        matrices=matrices,
        order=order,
        work=start(lowering.arena.buffer(y.size + state.size, lowering.dtype)),
    )
    return [row]


def _lower_in_half(
    step: LinearFilter.Step, columns: NoiseColumns, state: np.ndarray, lowering: Lowering
) -> Lowered | None:
    """Lower filtered noise in half precision."""
    if isinstance(step, LinearFilter.OneX):
        order, matrices = 0, lowering.arena.parameters([step.a, step.b])
    elif isinstance(step, LinearFilter.NoD) and not is_high_for_half(step):
        order, matrices = matrices_of(step, lowering)
    else:
        return None
    row = half_filtered_noise.row(**columns, state=start(state), matrices=matrices, order=order)
    return [row]
