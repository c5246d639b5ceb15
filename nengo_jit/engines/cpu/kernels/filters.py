"""Kernels for synapses: linear filters, which most synapses are, and triangular ones."""

# The primitives that kernels call have no Python types.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from functools import lru_cache

import numpy as np
from nengo.synapses import Alpha, LinearFilter, Lowpass

from nengo_jit.engines.cpu.kernels.half import (
    HIGHEST_ORDER,
    half_filter_any_order,
    half_filter_of_one,
)
from nengo_jit.engines.cpu.kernels.operator import copy, pieces
from nengo_jit.engines.cpu.language.columns import Count, Factor, In, InOut, Out, Own
from nengo_jit.engines.cpu.language.kernel import kernel, start
from nengo_jit.engines.cpu.language.primitives import (
    FLOAT16,
    FLOAT64,
    Address,
    Memory,
    helper,
    scalars,
    vector,
)
from nengo_jit.engines.cpu.program.contracts import contiguous
from nengo_jit.engines.cpu.program.lowering import Lowered, Lowering
from nengo_jit.ir.processes import SimProcess

LINEAR_STEPS: tuple[type, ...] = (
    LinearFilter.NoX,
    LinearFilter.OneX,
    LinearFilter.OneXScalar,
    LinearFilter.NoD,
    LinearFilter.General,
)

LARGE = 1024  # outputs from which on a second program, for the first step, pays

SYNAPSES = (LinearFilter, Lowpass, Alpha)  # equal ones have equal steps


@kernel()
def filter_first_order(
    memory: Memory, u: In, y: Out, state: InOut, parameters: Address, n: Count
) -> None:
    """``state = a * state + b * u; y = state``; y may be its own state."""
    given, output = vector(memory, u, n), vector(memory, y, n)
    kept, p = vector(memory, state, n), scalars(memory, parameters, 2)
    a, b = p[0], p[1]
    if state == y:
        for i in range(n):
            output[i] = a * output[i] + b * given[i]
    else:
        for i in range(n):
            kept[i] = a * kept[i] + b * given[i]
            output[i] = kept[i]


first_filter = filter_first_order.variant(when="first")
later_filter = filter_first_order.variant(when="later")
copy_after = copy.variant(when="after")


@kernel()
def scale(memory: Memory, u: In, y: Out, d: Address, n: Count) -> None:
    """``y = d * u``."""
    given, output = vector(memory, u, n), vector(memory, y, n)
    factor = scalars(memory, d, 1)[0]
    for i in range(n):
        output[i] = factor * given[i]


@helper(error_model="numpy", fastmath={"contract", "nsz"})
def step_filter(u, y, state, new, parameters, order, distance):
    """``x' = A x + B u``, then ``y = C x'`` if D is zero, else ``y = C x + D u``.

    The parameters are A, B, C and D. The state has a row for each order; rows lie ``distance``
    elements apart. ``new`` is scratch memory for the new state, laid out in the same way.
    """
    n = y.size
    a, b = parameters[: order * order], parameters[order * order : order * order + order]
    c, d = parameters[order * order + order :], parameters[order * order + 2 * order]
    for k in range(order):
        row = new[k * distance : k * distance + n]
        for i in range(n):
            row[i] = b[k] * u[i]
        for j in range(order):
            old, factor = state[j * distance : j * distance + n], a[k * order + j]
            for i in range(n):
                row[i] += factor * old[i]
    for i in range(n):
        y[i] = d * u[i] if d != 0 else 0
    shown = state if d != 0 else new
    for k in range(order):
        row = shown[k * distance : k * distance + n]
        for i in range(n):
            y[i] += c[k] * row[i]
    for k in range(order):
        old, row = state[k * distance : k * distance + n], new[k * distance : k * distance + n]
        for i in range(n):
            old[i] = row[i]


@kernel()
def filter_any_order(
    memory: Memory,
    u: In,
    y: Out,
    state: InOut,
    parameters: Address,
    n: Count,
    order: Factor,
    work: InOut,
    distance: int,
) -> None:
    """Linear filters of any order, see `step_filter`.

    ``work`` is scratch memory of the size of the state; ``distance`` is in elements.
    """
    extent = (order - 1) * distance + n
    step_filter(
        vector(memory, u, n),
        vector(memory, y, n),
        vector(memory, state, extent),
        vector(memory, work, extent),
        vector(memory, parameters, order * order + 2 * order + 1),
        order,
        distance,
    )


@kernel()
def triangle(
    memory: Memory,
    u: Address,
    y: Own,
    total: Address,
    recent: Address,
    place: Address,
    parameters: Address,
    n_taps: Factor,
    size: int,
) -> None:
    """A triangular filter: a running sum, minus the recent inputs, scaled.

    The parameters are the weight of the newest input, and the difference between the weights of
    successive inputs.
    """
    given, output = vector(memory, u, size), vector(memory, y, size)
    sums, inputs = vector(memory, total, size), vector(memory, recent, n_taps * size)
    latest, p = vector(memory, place, 1), vector(memory, parameters, 2)
    newest, difference = p[0], p[1]
    for i in range(size):
        sums[i] += newest * given[i]
    for k in range(n_taps):
        row = inputs[k * size : (k + 1) * size]
        for i in range(size):
            sums[i] -= row[i]
    latest[0] = (latest[0] + 1) % n_taps
    tap = int(latest[0]) % n_taps  # in bounds even if user code has set it
    row = inputs[tap * size : (tap + 1) * size]
    for i in range(size):
        row[i] = difference * given[i]
        output[i] = sums[i]


def lower_linear_filter(operator: SimProcess, y: np.ndarray, lowering: Lowering) -> Lowered | None:
    """Lower a linear filter by its order: a gain, a lowpass, or any."""
    u, state = lowering.array(operator.reads[1]), lowering.array(operator.state["X"])
    if type(operator.process) in SYNAPSES:
        step = _linear_step(operator.process, lowering.dt, len(state))
    else:
        step = step_of(operator.process, y.shape, lowering.dt, state)
    if type(step) not in LINEAR_STEPS:
        return None
    if isinstance(step, LinearFilter.NoX):
        d = lowering.arena.parameters([step.d])
        return [scale.row(u=start(a), y=start(b), d=d, n=a.size) for a, b in pieces(u, y)]
    if isinstance(step, LinearFilter.OneX):
        parameters = lowering.arena.parameters([step.a, step.b])
        is_one = y.size == 1 and lowering.dtype == FLOAT16
        used = half_filter_of_one if is_one else filter_first_order
        rows = [
            used.row(u=start(a), y=start(b), state=start(x), parameters=parameters, n=a.size)
            for a, b, x in pieces(u, y, state[0, ...])
        ]
        return _in_place(operator, y, state, rows, lowering)
    order, parameters = matrices_of(step, lowering)
    if lowering.dtype == FLOAT16:
        if is_high_for_half(step):
            return None
        return [
            half_filter_any_order.row(
                u=start(a),
                y=start(b),
                state=start(x),
                parameters=parameters,
                n=a.size,
                order=order,
                distance=y.size,
            )
            for a, b, x in pieces(u, y, state[0, ...])
        ]
    work = lowering.arena.buffer(state.size, lowering.dtype).reshape(state.shape)
    return [
        filter_any_order.row(
            u=start(a),
            y=start(b),
            state=start(x),
            parameters=parameters,
            n=a.size,
            order=order,
            work=start(w),
            distance=y.size,
        )
        for a, b, x, w in pieces(u, y, state[0, ...], work[0, ...])
    ]


def _in_place(
    operator: SimProcess, y: np.ndarray, state: np.ndarray, rows: Lowered, lowering: Lowering
) -> Lowered:
    """Rows of filters whose output is their state, too, which is written when somebody looks."""
    output, kept = operator.output, operator.state["X"]
    uses = lowering.facts.uses
    if (
        y.size < LARGE
        or operator.mode == "inc"
        or len(rows) != 1
        or lowering.facts.is_exposed(output, kept)
        or not all(uses.is_only_writer(operator, each) for each in (output, kept))
    ):
        return rows
    lowering.delayed.update((output.base, kept.base))
    (row,) = rows
    in_place = later_filter.row(
        u=Address(row["u"]),
        y=start(y),
        state=start(y),
        parameters=Address(row["parameters"]),
        n=y.size,
    )
    return [
        row.for_kernel(first_filter),
        in_place,
        copy_after.row(src=start(y), dst=start(state), n=y.size),
    ]


@lru_cache(maxsize=256)
def _linear_step(synapse: LinearFilter, dt: float, order: int) -> LinearFilter.Step | None:
    """Return a step of a filter, for its matrices; cached, since nengo computes them slowly."""
    return step_of(synapse, (2,), dt, np.zeros((order, 2)))


def decay_of(operator: SimProcess, lowering: Lowering) -> float | None:
    """Return the factor by which a lowpass filter decays in a step; None for other processes."""
    if type(operator.process) not in SYNAPSES or "X" not in operator.state:
        return None
    step = _linear_step(operator.process, lowering.dt, len(lowering.array(operator.state["X"])))
    return float(step.a) if isinstance(step, LinearFilter.OneX) else None


def step_of(
    synapse: LinearFilter, shape: tuple[int, ...], dt: float, state: np.ndarray
) -> LinearFilter.Step | None:
    """Return the step that a filter makes; None if that raises, as it then will in Python."""
    try:
        return synapse.make_step(shape, shape, dt, None, {"X": state})
    except Exception:
        return None


def is_high_for_half(step: LinearFilter.Step) -> bool:
    """Whether kernels in half precision lack the order or the precisions of a filter."""
    types = step.A.dtype, step.B.dtype, step.C.dtype, step.D.dtype
    return len(step.A) > HIGHEST_ORDER or types != (FLOAT64, FLOAT64, FLOAT16, FLOAT16)


def matrices_of(step: LinearFilter.Step, lowering: Lowering) -> tuple[int, Address]:
    """Return the order of a linear filter, and the address of its A, B, C and D."""
    if isinstance(step, LinearFilter.OneX):  # its state is its output
        return 1, lowering.arena.parameters([step.a, step.b, 1.0, 0.0])
    matrices = [np.ravel(matrix) for matrix in (step.A, step.B, step.C, step.D)]
    return len(step.A), lowering.arena.parameters(np.concatenate(matrices))


def lower_triangle(operator: SimProcess, y: np.ndarray, lowering: Lowering) -> Lowered | None:
    """Lower a triangular filter."""
    u = lowering.array(operator.reads[1])
    total, recent, place = (lowering.array(signal) for signal in operator.state.values())
    if not contiguous(u):
        return None
    n_taps, newest, difference = operator.process._get_coefficients(lowering.dt, lowering.dtype)
    if n_taps != len(recent):
        return None
    row = triangle.row(
        u=start(u),
        y=start(y),
        total=start(total),
        recent=start(recent),
        place=start(place),
        parameters=lowering.arena.parameters([newest, difference]),
        n_taps=n_taps,
        size=y.size,
    )
    return [row]
