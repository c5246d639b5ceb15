"""The JAX engine: runs a plan on an accelerator, and Python on the host in between."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import numpy as np

from nengo_jit.engines.jax.arrays import to_device
from nengo_jit.engines.jax.blocks import Blocks
from nengo_jit.engines.jax.bucketing import Bucketing
from nengo_jit.engines.jax.calls import Loop, Segment
from nengo_jit.engines.jax.columns import Column, column_of
from nengo_jit.engines.jax.compilation import as_given, is_lost, keep_compiled
from nengo_jit.engines.jax.draws import Draw, Draws
from nengo_jit.engines.jax.facts import Facts, facts_of
from nengo_jit.engines.jax.fitting import is_lowered
from nengo_jit.engines.jax.memory import DeviceMemory
from nengo_jit.engines.jax.phases import phases_of
from nengo_jit.engines.recorder import TICKS, Recorder
from nengo_jit.engines.stepwise import StepwiseEngine
from nengo_jit.ir.base import Operator, Step
from nengo_jit.ir.neurons import SimNeurons
from nengo_jit.ir.process_state import draws_in_steps, is_sim_process
from nengo_jit.ir.signal import Signal
from nengo_jit.options import Options
from nengo_jit.planner import Plan


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
        keep_compiled()
        self._blocks = Blocks(plan.runs, self.signals)
        with as_given():
            self._memory = DeviceMemory(self._blocks)
        self._on_host: dict[Operator, Step] = {}
        self._drawing: dict[Operator, Draw] = {}
        self._loop: Loop | None = None
        self._is_outdated = False
        self._facts: Facts | None = None

    def make_steps(self, rng: np.random.RandomState) -> Iterable[tuple[Operator, Step]]:
        self._on_host.clear()
        self._drawing.clear()
        for operator in self.plan.operators:  # in nengo's order, since they draw from rng
            if is_lost() or not is_lowered(operator, self.plan.dt):
                self._on_host[operator] = self.step_of(operator, rng)
                continue
            with self.making(operator):
                operator.check(self.signals)
                self._begin_draws(operator, rng)
        self._memory.begin()
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
        facts = facts_of(self.plan, self._on_host)
        if facts == self._facts:
            return self._steps
        self._facts = facts
        bucketing = Bucketing(self.plan, self.signals, self._blocks)
        phases = phases_of(self.plan, self._on_host, bucketing)
        draws = Draws(self.plan, self._drawing)
        recorded = [planned.signal for planned in self.plan.probes]
        with as_given():
            leaves = [to_device(each) for each in bucketing.constants.leaves]
            if not self._on_host and not any(each.sparse for each in recorded):
                (buckets,) = phases
                written = [each for each in recorded if each in self._blocks]
                self._loop = Loop(buckets, leaves, draws, list(map(self._column, written)))
                return []
            self._loop = None
            steps: list[tuple[Operator, Step]] = []
            for phase in phases:
                if isinstance(phase, list):
                    segment = Segment(phase, leaves, draws)
                    steps.append((phase[0].members[0], partial(self._run_segment, segment)))
                else:
                    steps.append((phase, self._call(phase)))
        seen = [each for each in (*recorded, self.plan.step) if each in self._blocks]
        pull = partial(self._memory.pull, [self._blocks.block_of(each) for each in seen])
        return [*steps, (self.plan.operators[-1], pull)]

    def _run_segment(self, segment: Segment) -> None:
        segment.run(self._memory, self.n_steps + 1)

    def _column(self, signal: Signal) -> Column:
        return column_of([self._blocks.region_of(signal)], signal.shape)

    def _call(self, operator: Operator) -> Step:
        """Make the function that calls Python for an operator, on the memory of the host."""
        memory, blocks, calls = self._memory, self._blocks, self._on_host
        own = [blocks.block_of(each) for each in operator.all_signals if each in blocks]

        def step() -> None:
            memory.pull([*own, *memory.shared])
            calls[operator]()
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
        """Record some steps, given the samples of signals that change, and count the steps."""
        clock, changing = self.recording.clock, iter(samples)
        numbers = np.arange(clock.n_steps + 1, clock.n_steps + n + 1)
        for planned, recorder in zip(self.plan.probes, self.recording.recorders.values()):
            constant = np.broadcast_to(recorder.source, (n, *recorder.source.shape))
            rows = next(changing) if planned.signal in self._blocks else constant
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


def _write(recorder: Recorder, rows: np.ndarray, numbers: np.ndarray, ticks: int) -> None:
    """Write the samples that are due."""
    due = numbers % recorder.period < 1
    block, row = recorder.reserve(int(due.sum()))
    end = row + int(due.sum())
    block.rows[row:end] = rows[due]
    if block.ticks is not None:
        block.ticks[row:end] = ticks + 1 + np.flatnonzero(due)
