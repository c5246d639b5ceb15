"""The JAX engine: runs a plan on an accelerator, and Python on the host in between."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from nengo_jit.engines.jax.blocks import Blocks
from nengo_jit.engines.jax.buckets import Bucket, Bucketing, is_lowered
from nengo_jit.engines.jax.columns import Column, column_of
from nengo_jit.engines.jax.draws import Draw, Draws
from nengo_jit.engines.jax.library import to_device
from nengo_jit.engines.jax.loop import loop_of
from nengo_jit.engines.jax.lowering import Lowered
from nengo_jit.engines.jax.memory import DeviceMemory
from nengo_jit.engines.jax.phases import phases_of
from nengo_jit.engines.recorder import TICKS, Recorder
from nengo_jit.engines.stepwise import StepwiseEngine
from nengo_jit.ir.base import Operator, Step
from nengo_jit.ir.neurons import SimNeurons
from nengo_jit.ir.process_state import draws_in_steps, is_sim_process
from nengo_jit.ir.python import SimPyFunc
from nengo_jit.ir.signal import Signal
from nengo_jit.options import Options
from nengo_jit.planner import Plan

CHUNK = 1024  # most steps of a call
CHUNK_BYTES = 1 << 25  # of samples and drawn numbers in a call


@contextmanager
def as_given() -> Iterator[None]:
    """Context for calls of JAX: numbers keep the precision in which they are given."""
    with jax.enable_x64(True), jax.default_matmul_precision("highest"):
        yield


class JaxEngine(StepwiseEngine):
    """Runs a plan on the device that JAX has found; see `Engine`.

    If no operator needs Python, many steps are one call of a compiled function. Otherwise the
    operators between two calls of Python are.

    Parameters
    ----------
    plan : Plan
        The plan to run.
    options : Options
        The user's options.
    """

    def __init__(self, plan: Plan, options: Options = Options()):  # noqa: B008  # it is frozen
        super().__init__(plan, options)
        self._blocks = Blocks(plan.runs, self.signals)
        with as_given():
            self._memory = DeviceMemory(self._blocks)
        self._on_host: dict[Operator, Step] = {}
        self._drawing: dict[Operator, Draw] = {}
        self._loop: _Loop | None = None
        self._is_outdated = False

    def make_steps(self, rng: np.random.RandomState) -> Iterable[tuple[Operator, Step]]:
        self._on_host, self._drawing = {}, {}
        for operator in self.plan.operators:  # in nengo's order, since they draw from rng
            if not is_lowered(operator, self.plan.dt):
                self._on_host[operator] = self.step_of(operator, rng)
                continue
            with self.making(operator):
                operator.check(self.signals)
                self._begin_draws(operator, rng)
        self._memory.changed_on_host(range(len(self._blocks)))
        return self._lower()

    def _begin_draws(self, operator: Operator, rng: np.random.RandomState) -> None:
        """Make the function that draws for an operator, if there is one."""
        if not is_sim_process(operator):
            draw = operator.draws(self.plan.dt, rng)
        else:
            own = operator.process.get_rng(rng)
            draw = operator.draws_from(self.plan.dt, lambda: own)
            if draws_in_steps(operator.process):
                self.generators[operator] = own
        if draw is not None:
            self._drawing[operator] = draw

    def _lower(self) -> list[tuple[Operator, Step]]:
        """Lower all operators; returns the functions to call in each step if some need Python."""
        self._is_outdated = False
        bucketing = Bucketing(self.plan, self.signals, self._blocks)
        phases = phases_of(self.plan, self._on_host, bucketing)
        draws = Draws(self.plan, self._drawing)
        with as_given():
            leaves = [to_device(each) for each in bucketing.constants.leaves]
        recorders = list(self.recording.recorders.values())
        signals = [planned.signal for planned in self.plan.probes]
        self._loop = None
        if not self._on_host and not any(each.is_sparse for each in recorders):
            columns = [self._column(signal) for signal in signals]
            self._loop = _Loop(phases[0] if phases else [], leaves, columns, draws)
            return []
        steps: list[tuple[Operator, Step]] = []
        for phase in phases:
            if isinstance(phase, list):
                segment = _Segment(phase, leaves, draws)
                step = partial(segment.run, self._memory, self.recording.clock)
                steps.append((phase[0].members[0], step))
            else:
                steps.append((phase, self._call(phase)))
        seen = [self._blocks.block_of(each) for each in (*signals, self.plan.step) if each in self._blocks]
        steps.append((self.plan.operators[-1], partial(self._memory.pull, seen)))
        return steps

    def _column(self, signal: Signal) -> Column:
        return column_of([self._blocks.region_of(signal)], signal.shape)

    def _call(self, operator: Operator) -> Step:
        """Make the function that calls Python for an operator, on the memory of the host."""
        memory, blocks, call = self._memory, self._blocks, self._on_host[operator]
        own = [blocks.block_of(each) for each in operator.all_signals if each in blocks]

        def step() -> None:
            memory.pull([*own, *memory.shared])
            call()
            memory.changed_on_host(own)

        return step

    def run(self, n_steps: int) -> int:
        self.check_usable()
        is_within = self._is_running
        if self._is_outdated and not is_within:
            self._relower()
        if not self.is_asked and not is_within:
            self._memory.pull_all()
            self._memory.changed_on_host(range(len(self._blocks)))
        with as_given():
            return super().run(n_steps) if self._loop is None else self._run_loop(n_steps)

    def _run_loop(self, n_steps: int) -> int:
        """Run steps that need no Python."""
        assert self._loop is not None
        clock, memory = self.recording.clock, self._memory
        self._is_running, n_done = True, 0
        try:
            while n_done < n_steps and not self._is_paused:
                memory.push()
                n = min(self._loop.size, n_steps - n_done)
                samples = self._loop.run(memory, clock.n_steps + 1, n)
                self._record(samples, n)
                n_done += n
        finally:
            self._is_running = self._is_paused = False
            if not self.is_asked or memory.shared:
                memory.pull_all()
            self.settle()
        return n_done

    def _record(self, samples: list[np.ndarray], n: int) -> None:
        """Record the samples of some steps, and count the steps."""
        clock = self.recording.clock
        numbers = np.arange(clock.n_steps + 1, clock.n_steps + n + 1)
        for recorder, rows in zip(self.recording.recorders.values(), samples):
            _write(recorder, rows, numbers, clock.ticks)
        clock.view[TICKS] += n

    def _run_step(self) -> None:
        snapshot, ticks = self._memory.snapshot(), self.recording.clock.ticks
        try:
            super()._run_step()
        except BaseException:
            if self.recording.clock.ticks == ticks:
                self._memory.restore(snapshot)
            raise

    def _relower(self) -> None:
        """Lower all operators again, some of which have changed."""
        rng = np.random.RandomState(0)  # neurons do not draw from it
        for operator in self.plan.operators:
            if not isinstance(operator, SimNeurons):
                continue
            if is_lowered(operator, self.plan.dt):
                self._on_host.pop(operator, None)
                self._begin_draws(operator, rng)
            else:
                self._drawing.pop(operator, None)
                self._on_host[operator] = self.step_of(operator, rng)
        self._steps = self._lower()

    def settle(self) -> None:
        super().settle()
        if not self._is_running:
            self._memory.pull_all()

    def hand_out(self, signal: Signal) -> np.ndarray:
        if signal in self._blocks:
            block = self._blocks.block_of(signal)
            self._memory.pull([block])
            self._memory.shared.add(block)
        array: np.ndarray = self.signals[signal]
        return array

    def neurons_replaced(self, operator: SimNeurons) -> None:
        self._is_outdated = True

    @property
    def python_steps(self) -> dict[Operator, Step]:
        return self._on_host


class _Segment:
    """Buckets that run in one call, for one step."""

    def __init__(self, buckets: list[Bucket], leaves: list[jax.Array], draws: Draws):
        self._lowered = Lowered(buckets)
        self._leaves, self._draws = leaves, draws
        with as_given():
            self._indices = [jnp.asarray(each) for each in self._lowered.indices]
        self._written = {
            part.block for bucket in buckets for write in bucket.results for part in write.column.parts
        }
        self._run = jax.jit(self._lowered.run)

    def run(self, memory: DeviceMemory, clock: object) -> None:
        memory.push()
        drawn = self._draws.take(self._lowered.drawn, clock.n_steps + 1, 1, 1)
        numbers = tuple(each[0] for each in drawn)
        arrays = self._run(self._leaves, self._indices, tuple(memory.arrays), numbers)
        memory.changed_on_device(arrays, self._written)


class _Loop:
    """A whole step, many times in one call."""

    def __init__(
        self, buckets: list[Bucket], leaves: list[jax.Array], recorded: list[Column], draws: Draws
    ):
        self._lowered = Lowered(buckets, recorded)
        self._leaves, self._draws = leaves, draws
        with as_given():
            self._indices = [jnp.asarray(each) for each in self._lowered.indices]
        n_numbers = sum(column.size for column in recorded)
        n_numbers += sum(int(np.prod(each.shape)) for each in self._lowered.drawn)
        self.size = max(1, min(CHUNK, CHUNK_BYTES // (8 * max(1, n_numbers))))
        self._run = loop_of(self._lowered, recorded, self.size)

    def run(self, memory: DeviceMemory, first: int, n: int) -> list[np.ndarray]:
        """Run steps; returns the samples of each."""
        drawn = self._draws.take(self._lowered.drawn, first, n, self.size)
        arrays, samples = self._run(self._leaves, self._indices, tuple(memory.arrays), drawn, n)
        memory.changed_on_device(arrays, range(len(arrays)))
        return [np.asarray(each)[:n] for each in samples]


def _write(recorder: Recorder, rows: np.ndarray, numbers: np.ndarray, ticks: int) -> None:
    """Write the samples that are due."""
    due = numbers % recorder.period < 1
    block, row = recorder.reserve(int(due.sum()))
    end = row + int(due.sum())
    block.rows[row:end] = rows[due]
    if block.ticks is not None:
        block.ticks[row:end] = ticks + 1 + np.flatnonzero(due)
