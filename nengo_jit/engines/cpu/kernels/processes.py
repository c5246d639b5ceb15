"""Kernels for processes: linear filters, which most synapses are, noise, and stored signals.

A process without a kernel here, or of a class that changes what the kernel computes, runs in
Python. Random numbers come from the generator that nengo would give the process, see
`nengo_jit.engines.cpu.language.mt19937`.
"""

# What kernels call has no types in Python's sense.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from nengo import Process
from nengo.dists import Gaussian, Uniform
from nengo.processes import FilteredNoise, Piecewise, PresentInput, WhiteNoise, WhiteSignal
from nengo.synapses import Alpha, LinearFilter, Lowpass, Triangle
from nengo.utils.numpy import maxint

from nengo_jit.engines.cpu.kernels.operator import copy, copy_inc, pieces
from nengo_jit.engines.cpu.language.columns import Count, Factor, In, InOut, Out, Own
from nengo_jit.engines.cpu.language.kernel import Kernel, kernel, start
from nengo_jit.engines.cpu.language.mt19937 import Stream, compiled, fill_normal, fill_uniform
from nengo_jit.engines.cpu.language.primitives import (
    Address,
    Memory,
    float64s,
    helper,
    int64s,
    vector,
)
from nengo_jit.engines.cpu.program.contracts import contiguous
from nengo_jit.engines.cpu.program.lowering import Lowered, Lowering, lowers
from nengo_jit.ir.memory import hold
from nengo_jit.ir.processes import SimProcess

NORMAL, UNIFORM = 0, 1  # kinds of noise

LINEAR_STEPS: tuple[type, ...] = (
    LinearFilter.NoX,
    LinearFilter.OneX,
    LinearFilter.OneXScalar,
    LinearFilter.NoD,
    LinearFilter.General,
)


SYNAPSES = (LinearFilter, Lowpass, Alpha)  # whose step depends on what they equal alone

# ``y = values`` and ``y += values``, after all that is done in other ways on the same level
store, store_inc = copy.variant(stage=1), copy_inc.variant(stage=1)


# Linear filters


@kernel()
def filter_first_order(
    memory: Memory, u: In, y: Out, state: InOut, parameters: Address, n: Count
) -> None:
    """``state = a * state + b * u; y = state``."""
    given, output = vector(memory, u, n), vector(memory, y, n)
    kept, p = vector(memory, state, n), vector(memory, parameters, 2)
    a, b = p[0], p[1]
    for i in range(n):
        kept[i] = a * kept[i] + b * given[i]
        output[i] = kept[i]


@kernel()
def scale(memory: Memory, u: In, y: Out, d: Address, n: Count) -> None:
    """``y = d * u``."""
    given, output = vector(memory, u, n), vector(memory, y, n)
    factor = vector(memory, d, 1)[0]
    for i in range(n):
        output[i] = factor * given[i]


@helper(error_model="numpy", fastmath={"contract", "nsz"})
def _filter(u, y, state, new, parameters, order, distance):
    """``x' = A x + B u``, and ``y = C x'`` if there is no D, else ``y = C x + D u``.

    The parameters are A, B, C and D; the state has one row for each order, at a distance from
    each other, and so has the memory for the new state.
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
    """Linear filters with states; see `_filter`.

    There is memory to work with, of the size of the state, and the distance between rows of the
    state is in elements.
    """
    extent = (order - 1) * distance + n
    _filter(
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
    """A triangular filter: a running sum, from which the recent inputs, scaled, are subtracted.

    The parameters are the weight of the newest input and the difference between the weights of
    one input and the next.
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
    tap = int(latest[0]) % n_taps  # whatever somebody has set it to
    row = inputs[tap * size : (tap + 1) * size]
    for i in range(size):
        row[i] = difference * given[i]
        output[i] = sums[i]


def _lower_linear_filter(operator: SimProcess, y: np.ndarray, lowering: Lowering) -> Lowered | None:
    u, state = lowering.array(operator.reads[1]), lowering.array(operator.state["X"])
    if type(operator.process) in SYNAPSES:
        step = _linear_step(operator.process, lowering.dt, len(state))
    else:
        step = _step_of(operator.process, y.shape, lowering.dt, state)
    if type(step) not in LINEAR_STEPS:
        return None
    if isinstance(step, LinearFilter.NoX):
        d = lowering.arena.parameters([step.d])
        return [scale.row(u=start(a), y=start(b), d=d, n=a.size) for a, b in pieces(u, y)]
    if isinstance(step, LinearFilter.OneX):
        parameters = lowering.arena.parameters([step.a, step.b])
        return [
            filter_first_order.row(
                u=start(a), y=start(b), state=start(x), parameters=parameters, n=a.size
            )
            for a, b, x in pieces(u, y, state[0, ...])
        ]
    order, parameters = _matrices(step, lowering)
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


@lru_cache(maxsize=256)
def _linear_step(synapse: LinearFilter, dt: float, order: int) -> Any:
    """A step of a filter, for its matrices, which take nengo long to compute."""
    return _step_of(synapse, (2,), dt, np.zeros((order, 2)))


def _step_of(synapse: LinearFilter, shape: tuple[int, ...], dt: float, state: np.ndarray) -> Any:
    """The step that a filter makes; None if it refuses to, as it then will in Python."""
    try:
        return synapse.make_step(shape, shape, dt, None, {"X": state})
    except Exception:
        return None


def _matrices(step: Any, lowering: Lowering) -> tuple[int, Address]:
    """Order of a linear filter, and the address of its matrices, for the state that nengo keeps."""
    if isinstance(step, LinearFilter.OneX):  # whose state is its output
        return 1, lowering.arena.parameters([step.a, step.b, 1.0, 0.0])
    matrices = [np.ravel(matrix) for matrix in (step.A, step.B, step.C, step.D)]
    return len(step.A), lowering.arena.parameters(np.concatenate(matrices))


def _lower_triangle(operator: SimProcess, y: np.ndarray, lowering: Lowering) -> Lowered | None:
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


# Noise


@compiled
def _draw(output, kind, parameters, generator):
    """Noise; the parameters are an offset, a factor, and a factor for the sum of both."""
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
    """White noise: its kind, parameters and generator, and memory for double precision."""
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
    """Noise, see there, that goes through a linear filter, see `_filter`.

    There is memory for the input and for the new state.
    """
    numbers = float64s(values, size)
    _draw(numbers, kind, float64s(parameters, 3), generator)
    both = vector(memory, work, size + order * size)
    u, new = both[:size], both[size:]
    for i in range(size):
        u[i] = numbers[i]
    _filter(
        u,
        vector(memory, y, size),
        vector(memory, state, order * size),
        new,
        vector(memory, matrices, order * order + 2 * order + 1),
        order,
        size,
    )


def _noise_columns(
    operator: SimProcess, y: np.ndarray, lowering: Lowering
) -> dict[str, Any] | None:
    """The columns of a row of `noise`; the generator is begun anew at each reset."""
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


def _parameters(dist: Any) -> tuple[int | None, float, float]:
    """Kind, offset and factor of a distribution; no kind if it is not known."""
    if type(dist) is Gaussian and _is(dist.sample, Gaussian.sample):
        return NORMAL, float(dist.mean), float(dist.std)
    if type(dist) is Uniform and _is(dist.sample, Uniform.sample) and not dist.integer:
        return UNIFORM, float(dist.low), float(dist.high) - float(dist.low)
    return None, 0.0, 0.0


def draw_seed(process: Process, rng: np.random.RandomState) -> None:
    """Draw what a process draws for its own generator, if that is not needed."""
    if not _is(process.get_rng, Process.get_rng):
        process.get_rng(rng)
    elif process.seed is None:
        rng.randint(maxint)


def _is(method: Any, function: Any) -> bool:
    """Whether a bound method is a certain function, and not one of a subclass or instance."""
    return getattr(method, "__func__", None) is function


def _lower_white_noise(operator: SimProcess, y: np.ndarray, lowering: Lowering) -> Lowered | None:
    columns = _noise_columns(operator, y, lowering)
    return None if columns is None else [noise.row(**columns)]


def _lower_filtered_noise(
    operator: SimProcess, y: np.ndarray, lowering: Lowering
) -> Lowered | None:
    synapse = operator.process.synapse
    if not _is(synapse.make_step, LinearFilter.make_step):
        return None
    state = lowering.array(operator.state["X"])
    step = _step_of(synapse, y.shape, lowering.dt, state)
    if type(step) not in LINEAR_STEPS:
        return None
    columns = _noise_columns(operator, y, lowering)
    if columns is None:
        return None
    order, matrices = _matrices(step, lowering)
    row = filtered_noise.row(
        **columns,
        state=start(state),
        matrices=matrices,
        order=order,
        work=start(lowering.arena.buffer(y.size + state.size, lowering.dtype)),
    )
    return [row]


# Signals that are looked up in a table


class Table:
    """Rows of numbers that kernels look up, each row being an output.

    Parameters
    ----------
    buffer : (2,) numpy.ndarray of int64
        What kernels are told: the address of the first row, and the number of rows.
    """

    def __init__(self, buffer: np.ndarray):
        self.buffer = buffer
        self._rows = np.zeros(0)
        self._held: list[Any] | None = None

    def continue_from(self, other: Table) -> None:
        """Have the rows of another table."""
        self._rows, self._held = other._rows, other._held
        self.buffer[:] = other.buffer

    def fill(self, rows: Any) -> None:
        """Make these the rows of the table."""
        self._rows = np.ascontiguousarray(rows, np.float64)
        self._held = hold(self._rows)  # which may be the user's
        if self._held is None:
            self._rows = self._rows.copy()
        self.buffer[:] = start(self._rows), len(self._rows)


@helper(forceinline=True)
def _row(table, i, n):
    """Row ``i`` of a table, begun anew at its end."""
    place = int64s(table, 2)
    return float64s(place[0] + 8 * n * (i % place[1]), n)


@helper(forceinline=True)
def _time(memory, address):
    """The time as a number of double precision, as processes get it."""
    return np.float64(vector(memory, address, 1)[0])


@compiled
def _copy(values, y):
    for i in range(y.size):
        y[i] = values[i]


@kernel()
def white_signal(
    memory: Memory, y: Own, size: Factor, time: Address, parameters: Address, rows: Address
) -> None:
    """The row for the number of the step; the parameter is dt."""
    dt = float64s(parameters, 1)[0]
    i = np.int64(np.rint(_time(memory, time) / dt))
    _copy(_row(rows, i, size), vector(memory, y, size))


@kernel()
def present_input(
    memory: Memory, y: Own, size: Factor, time: Address, parameters: Address, rows: Address
) -> None:
    """One row after the other; the parameters are dt and how long each is shown."""
    p = float64s(parameters, 2)
    i = np.int64((_time(memory, time) - p[0]) / p[1] + 1e-7)
    _copy(_row(rows, i, size), vector(memory, y, size))


@kernel()
def piecewise(
    memory: Memory, y: Own, size: Factor, time: Address, parameters: Address, rows: Address
) -> None:
    """The row for the latest of several times; the first row is for before them.

    The parameters are how far to look ahead, and the times.
    """
    n_rows = int64s(rows, 2)[1]
    p = float64s(parameters, n_rows)
    t = _time(memory, time) + p[0]
    first, last = 0, n_rows - 1  # the row is one of these
    while first < last:
        middle = (first + last + 1) // 2
        if p[middle] < t:
            first = middle
        else:
            last = middle - 1
    _copy(_row(rows, first, size), vector(memory, y, size))


def _table(operator: SimProcess, lowering: Lowering) -> Table:
    table = lowering.tables[operator] = Table(lowering.arena.buffer(2))
    return table


def _table_columns(
    operator: SimProcess, y: np.ndarray, lowering: Lowering, table: Table, parameters: Any
) -> dict[str, Any]:
    """The columns of a row of the kernels that look up rows of a table."""
    return {
        "y": start(y),
        "size": y.size,
        "time": start(lowering.array(operator.t)),
        "parameters": lowering.arena.constant(parameters, np.float64),
        "rows": start(table.buffer),
    }


def _filling(process: Process, table: Table, rows: Any) -> Callable[[Any], None]:
    """What to do at a reset for a process that draws no numbers."""

    def fill(rng: np.random.RandomState) -> None:
        draw_seed(process, rng)
        table.fill(rows)

    return fill


def _lower_white_signal(operator: SimProcess, y: np.ndarray, lowering: Lowering) -> Lowered | None:
    # The signal is made by the process itself, in a variable that its step refers to.
    if "signal" not in WhiteSignal.make_step.__code__.co_cellvars:
        return None
    process, table = operator.process, _table(operator, lowering)

    def make_signal(rng: np.random.RandomState) -> None:
        step = process.make_step((0,), y.shape, lowering.dt, process.get_rng(rng), {})
        variables = dict(zip(step.__code__.co_freevars, step.__closure__))
        table.fill(variables["signal"].cell_contents)

    lowering.at_reset[operator] = make_signal
    return [white_signal.row(**_table_columns(operator, y, lowering, table, [lowering.dt]))]


def _lower_present_input(operator: SimProcess, y: np.ndarray, lowering: Lowering) -> Lowered:
    process = operator.process
    inputs = process.inputs.reshape(len(process.inputs), -1)
    table = _table(operator, lowering)
    lowering.at_reset[operator] = _filling(process, table, inputs)
    parameters = [lowering.dt, float(process.presentation_time)]
    return [present_input.row(**_table_columns(operator, y, lowering, table, parameters))]


def _lower_piecewise(operator: SimProcess, y: np.ndarray, lowering: Lowering) -> Lowered | None:
    process = operator.process
    if process.interpolation != "zero" or any(map(callable, process.data.values())):
        return None
    lowering.assumptions.rely_on(
        operator, lambda: [(t, np.array(v).tolist()) for t, v in process.data.items()]
    )
    times, values = zip(*sorted(process.data.items()))
    table = _table(operator, lowering)
    rows = [np.zeros(y.shape), *values]
    lowering.at_reset[operator] = _filling(process, table, rows)
    parameters = [0.5 * lowering.dt, *times]
    return [piecewise.row(**_table_columns(operator, y, lowering, table, parameters))]


# The function lowers an operator, with the contiguous array that the output goes to.
LOWERING_OF_STEP: dict[Any, Callable[[SimProcess, np.ndarray, Lowering], Lowered | None]] = {
    LinearFilter.make_step: _lower_linear_filter,
    Triangle.make_step: _lower_triangle,
    WhiteNoise.make_step: _lower_white_noise,
    FilteredNoise.make_step: _lower_filtered_noise,
    WhiteSignal.make_step: _lower_white_signal,
    PresentInput.make_step: _lower_present_input,
    Piecewise.make_step: _lower_piecewise,
}


KERNELS: dict[type, Kernel[Any]] = {
    WhiteNoise: noise,
    FilteredNoise: filtered_noise,
    WhiteSignal: white_signal,
    PresentInput: present_input,
    Piecewise: piecewise,
}


def _lowering_of(process: Any) -> Any:
    """The function that lowers what a process's ``make_step`` makes; None if it is not known."""
    make_step = getattr(process, "make_step", None)
    return LOWERING_OF_STEP.get(getattr(make_step, "__func__", None))


def kernel_of(process: Process) -> Kernel | None:
    """The kernel that a process of one of nengo's usual types runs on, most likely."""
    if isinstance(process, Lowpass):
        return filter_first_order if process.tau > 0 else None
    return KERNELS.get(type(process))


@lowers(SimProcess, lambda operator: _lowering_of(operator.process) is not None)
def lower_sim_process(operator: SimProcess, lowering: Lowering) -> Lowered | None:
    """Lower processes that make their step by a function that is known; others run in Python.

    Outputs that are incremented, and those that are not contiguous, are put into memory of their
    own first: a generator's numbers cannot be shared among threads, but the sum can.
    """
    lower = _lowering_of(operator.process)
    output = lowering.array(operator.output)
    if operator.mode != "inc" and contiguous(output):
        return lower(operator, output, lowering)
    y = lowering.arena.buffer(output.size, lowering.dtype).reshape(output.shape)
    lowered = lower(operator, y, lowering)
    if lowered is None:
        return None
    last = store_inc if operator.mode == "inc" else store
    return lowered + [last.row(src=start(a), dst=start(b), n=a.size) for a, b in pieces(y, output)]
