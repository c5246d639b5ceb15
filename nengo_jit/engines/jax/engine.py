"""The JAX engine: runs a plan on an accelerator, and Python on the host in between."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
from time import perf_counter

import numpy as np

from nengo_jit.engines.cpu.python.tracing import calls_are_observed
from nengo_jit.engines.jax.arrays import Constant, to_device
from nengo_jit.engines.jax.blocks import Blocks
from nengo_jit.engines.jax.bucket import Bucket, Constants
from nengo_jit.engines.jax.bucketing import Bucketing
from nengo_jit.engines.jax.calls import Loop, Segment
from nengo_jit.engines.jax.columns import column_of
from nengo_jit.engines.jax.compilation import as_given, is_lost, keep_compiled
from nengo_jit.engines.jax.draws import Drawing, Draws
from nengo_jit.engines.jax.facts import Facts, facts_of
from nengo_jit.engines.jax.made import Made, make
from nengo_jit.engines.jax.memory import DeviceMemory
from nengo_jit.engines.jax.phases import Phase, phases_of
from nengo_jit.engines.jax.python.placing import Placement, place
from nengo_jit.engines.jax.python.program import Program
from nengo_jit.engines.jax.python.traced import Tapes
from nengo_jit.engines.jax.samples import record
from nengo_jit.engines.jax.timing import part_in, part_of
from nengo_jit.engines.stepwise import StepwiseEngine
from nengo_jit.engines.timing import Timing
from nengo_jit.ir.base import Operator, Step
from nengo_jit.ir.neurons import SimNeurons
from nengo_jit.ir.signal import Signal
from nengo_jit.options import Options
from nengo_jit.planner import Plan
from nengo_jit.planner.passes import group

logger = logging.getLogger(__name__)

MOST_CHANGES = 10  # of what a function depends on, before it stays in Python
REBOUND = "reads names that are rebound again and again"


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

    n_members = 1

    def __init__(self, plan: Plan, options: Options = Options()):  # noqa: B008  # it is frozen
        super().__init__(plan, options)
        keep_compiled()
        self._blocks = self.make_blocks()
        self._memory = DeviceMemory(self._blocks)
        self._made = Made()
        self._draws: Drawing = Draws(plan)
        self._placement = Placement()
        self._checked: set[Program] = set()
        self._n_changes: Counter[Operator] = Counter()
        self._loop: Loop | None = None
        # makes the functions of steps that the loop cannot compute
        self._without_loop: Callable[[], list[tuple[Operator, Step]]] = list
        self._users: set[int] = set()  # blocks of arrays of the user's
        self._flags = 0
        self._is_watched = False  # whether somebody notices that Python is not called
        self._has_warned = self._is_outdated = False
        self._is_lost = False  # whether a segment cannot compute this step
        self._facts: Facts | None = None

    def make_blocks(self) -> Blocks:
        """Return the blocks of the memory of a step."""
        return Blocks(self.plan.runs, self.signals)

    def make_steps(self, rng: np.random.RandomState) -> Iterable[tuple[Operator, Step]]:
        self._draws.forget(self.plan.operators)
        self._made = self.make(rng)
        self._n_changes.clear()
        return self._place()

    def make(self, rng: np.random.RandomState, operators: Iterable[Operator] | None = None) -> Made:
        """Make what a simulation needs, given its generator, of some operators or of all."""
        made = Made()
        for operator in operators or self.plan.operators:  # in nengo's order: they draw from rng
            make(self, operator, rng, made)
        return made

    def _place(self) -> list[tuple[Operator, Step]]:
        """Decide where Python code runs, and lower all operators; see `lower`."""
        self.decide()
        self.begin_draws()
        return self.lower()

    def decide(self) -> None:
        """Decide where Python code runs."""
        self._is_outdated = False
        made, tapes = self._made, self.make_tapes()
        placement = place(made.python, made.sources, self.refused(), self.memory_of_steps, tapes)
        self._placement, self._flags, self._users = placement, tapes.flags, tapes.shared
        self._warn(placement)
        self._memory.begin()
        if self.plan.callers != set(placement.in_python):
            self.plan = group(self.plan, placement.in_python)

    def make_tapes(self) -> Tapes:
        """Return what makes programs of tapes."""
        return Tapes(self._blocks, len(self._made.python), self._checked)

    def refused(self) -> dict[Operator, str]:
        """Return the operators that stay in Python whatever they compute, and why."""
        if is_lost() or not self.options.compile_python:
            reason = "is not compiled because `compile_python` is off"
            return dict.fromkeys(self._made.python, reason)
        return {op: REBOUND for op, n in self._n_changes.items() if n > MOST_CHANGES}

    def _warn(self, placement: Placement) -> None:
        """Log, once, that Python has to be called in each step."""
        if placement.in_python and not self._has_warned:
            self._has_warned = True
            operator, reason = next(iter(placement.in_python.items()))
            logger.warning(
                "The engine 'jax' calls Python in each step, which takes 200 µs or more, for "
                "%d operator(s), such as %s: it %s. `print(sim.plan)` lists them.",
                len(placement.in_python),
                operator,
                reason,
            )

    def lower(self) -> list[tuple[Operator, Step]]:
        """Lower all operators; returns the functions of a step, none if there is a loop."""
        placement, facts = self._placement, self.facts()
        if facts == self._facts:
            return self._steps
        self._facts = facts
        constants = Constants()
        phases = self._phases(self.plan, placement.in_python, constants)
        recorded = [planned.signal for planned in self.plan.probes]
        with as_given():
            leaves = [to_device(each, has_spikes=True) for each in constants.leaves]
            self._loop = None
            if not placement.in_python and not any(each.sparse for each in recorded):
                (buckets,) = phases
                blocks, n = self._blocks, self.n_members
                written = [each for each in recorded if each in blocks]
                columns = [column_of([blocks.region_of(each)], each.shape) for each in written]
                self._loop = Loop(buckets, leaves, self._draws, columns, self._flags, n)
                self._without_loop = lambda: self._stepping(constants, leaves)
                return []
            steps = [step for phase in phases for step in self._steps_of(phase, leaves)]
        return [*steps, self._pulling()]

    def begin_draws(self) -> None:
        """Draw with the functions that have been made from now on."""
        self._draws.begin([self._made.draws(self._placement)])
        self._draws.forget(self._placement.of_time)

    def facts(self) -> Facts:
        """Return all that the lowered plan depends on."""
        return facts_of(self.plan, self._placement, self._made.noise)

    def complete(self, phases: list[Phase]) -> list[Phase]:
        """Return the phases with what the plan does not have."""
        return phases

    def _phases(
        self, plan: Plan, in_python: Container[Operator], constants: Constants
    ) -> list[Phase]:
        """Divide a step into phases, given the operators that call Python."""
        memory, noise = self.memory_of_steps, self._made.noise
        bucketing = Bucketing(plan, memory, self._blocks, self._placement, noise, constants)
        return self.complete(phases_of(plan, in_python, bucketing))

    def _stepping(
        self, constants: Constants, leaves: Sequence[Constant]
    ) -> list[tuple[Operator, Step]]:
        """Make the functions of a step that calls all Python code, in nengo's order."""
        called = {*self._placement.taped, *self._placement.ahead}
        plan = group(self.plan, called)
        phases = self._phases(plan, called, constants)
        added = constants.leaves[len(leaves) :]
        leaves = [*leaves, *(to_device(each, has_spikes=True) for each in added)]
        steps: list[tuple[Operator, Step]] = []
        for phase in phases:
            if isinstance(phase, list):
                steps += self._without_python(phase, leaves)
            else:
                steps.append((phase, self._call(phase)))
        return [*steps, self._pulling()]

    def _pulling(self) -> tuple[Operator, Step]:
        """Make the function that copies to the host what is recorded."""
        recorded = [planned.signal for planned in self.plan.probes]
        seen = [each for each in (*recorded, self.plan.step) if each in self._blocks]
        pull = partial(self._memory.pull, [self._blocks.block_of(each) for each in seen])
        return self.plan.operators[-1], pull

    def _steps_of(self, phase: Phase, leaves: Sequence[Constant]) -> list[tuple[Operator, Step]]:
        """Make the functions of a phase: what to draw, then the segment, or a call of Python."""
        if not isinstance(phase, list):
            return [(phase, self._call(phase))]
        if not any(each.members[0] in self._placement.taped for each in phase):
            return self._without_python(phase, leaves)
        segment = Segment(phase, leaves, self._draws, self._flags)
        again, steps = self._in_python(phase, leaves), self._drawing_for(segment)
        steps.append((phase[0].members[0], partial(self._try_segment, segment)))
        return steps + [(operator, partial(self._if_lost, step)) for operator, step in again]

    def _in_python(
        self, buckets: Sequence[Bucket], leaves: Sequence[Constant]
    ) -> list[tuple[Operator, Step]]:
        """Make the functions that do what buckets do, but call Python for those with programs."""
        steps: list[tuple[Operator, Step]] = []
        taped = self._placement.taped
        for is_taped, some in groupby(buckets, lambda each: each.members[0] in taped):
            if is_taped:
                members = [operator for each in some for operator in each.members]
                steps += [(operator, self._call(operator)) for operator in members]
            else:
                steps += self._without_python(list(some), leaves)
        return steps

    def _without_python(
        self, buckets: Sequence[Bucket], leaves: Sequence[Constant]
    ) -> list[tuple[Operator, Step]]:
        """Make the functions that run buckets on the device: what to draw, then the segment."""
        segment = Segment(buckets, leaves, self._draws)
        run = buckets[0].members[0], partial(self._run_segment, segment)
        return [*self._drawing_for(segment), run]

    def _drawing_for(self, segment: Segment) -> list[tuple[Operator, Step]]:
        members = [operator for place in segment.drawn for operator in place.members]
        return [(operator, partial(self._draw, operator)) for operator in members]

    def _draw(self, operator: Operator) -> None:
        self._draws.draw(operator, self.n_steps + 1)

    def _step_drawn(self, operator: Operator) -> None:
        """Output what a process returns in this step, or has returned ahead of it."""
        (signal,) = operator.outputs()
        live = self.signals[signal]
        values = self._draws.draw(operator, self.n_steps + 1).reshape(live.shape)
        live[...] = live + values if operator.incs else values

    def _run_segment(self, segment: Segment) -> bool:
        return segment.run(self._memory, self.n_steps + 1)

    def _try_segment(self, segment: Segment) -> None:
        self._is_lost = not (self.may_use_tapes() and self._run_segment(segment))

    def may_use_tapes(self) -> bool:
        """Whether programs of tapes may run in the next step."""
        return not self._is_watched and self._placement.is_right

    def _if_lost(self, step: Step) -> None:
        if self._is_lost:
            step()

    def _call(self, operator: Operator) -> Step:
        """Make the function that calls Python for an operator, on the memory of the host."""
        memory, blocks, call = self._memory, self._blocks, self.caller_of(operator)
        if operator in self._made.sources and operator in self._placement.ahead:
            call = partial(self._step_drawn, operator)
        own = {blocks.block_of(each) for each in operator.all_signals if each in blocks}
        if operator in self._placement.taped:
            own |= self._placement.taped[operator].blocks

        def step() -> None:
            memory.pull([*own, *memory.shared])
            call()
            memory.changed_on_host(own)

        return step

    def caller_of(self, operator: Operator) -> Step:
        """Return the function that calls Python for an operator."""
        return lambda: self._made.python[operator]()

    def run(self, n_steps: int) -> int:
        self.check_usable()
        is_within = self._is_running
        if not is_within:
            if self._is_outdated or not self._placement.is_right:
                self.relower()
            # tapes do not report underflow
            self._is_watched = calls_are_observed() or np.geterr()["under"] != "ignore"
            changed = self._users if self.is_asked else range(len(self._blocks))
            self._memory.pull(changed)
            self._memory.changed_on_host(changed)
        with as_given():
            return super().run(n_steps) if self._loop is None else self._run_loop(n_steps)

    def _run_loop(self, n_steps: int) -> int:
        """Run steps by `Loop`, and by the functions of a step where that needs Python."""
        assert self._loop is not None
        clock, memory = self.recording.clock, self._memory
        self._is_running, n_done = True, 0
        try:
            while n_done < n_steps and not self._is_paused:
                # user code that gets samples, does so after each step
                n, n_run = 1 if clock.calls else min(self._loop.size, n_steps - n_done), 0
                if self.may_use_tapes():
                    with np.errstate(invalid="raise", divide="ignore"):
                        n_run, samples = self._loop.run(memory, clock.n_steps + 1, n)
                    if n_run:
                        record(self.recording, self.plan, self._blocks, samples, n_run)
                        super().settle()
                if n_run < n and not self._is_paused:
                    self._steps = self._steps or self._without_loop()
                    # functions that Python calls in this step may change what these read
                    self._draws.forget(self._placement.of_time)
                    n_run += super().run(1)
                n_done += n_run
        finally:
            self._is_running = self._is_paused = False
            self._draws.rewind(clock.n_steps + 1)
            if not self.is_asked or memory.shared:
                memory.pull_all()
            memory.pull(self._users)
            self.settle()
        return n_done

    def run_timed(self, n_steps: int) -> Timing:
        if self._loop is not None:
            begin = perf_counter()
            n_done = self.run(n_steps)
            seconds = perf_counter() - begin
            return Timing(n_done, seconds, [part_of(self._loop.operators, seconds)])
        timing = super().run_timed(n_steps)
        parts = [part_in(step, part) for (_, step), part in zip(self._steps, timing.parts)]
        return replace(timing, parts=[*parts, timing.parts[-1]])

    def _run_step(self) -> None:
        snapshot, ticks = self._memory.snapshot(), self.recording.clock.ticks
        try:
            super()._run_step()
        except BaseException:
            if self.recording.clock.ticks == ticks:
                self._memory.restore(snapshot)
            raise

    def relower(self) -> None:
        """Trace and lower all operators again, some of which have changed."""
        self._memory.pull_all()
        changed = [op for op, each in self._placement.traced.items() if not each.is_right]
        self._n_changes.update(changed)
        if self._is_outdated:
            self.make_neurons()
        self._steps = self._place()

    def make_neurons(self) -> None:
        """Make anew what depends on the neurons of operators, some of which have been replaced."""
        self.make_neurons_of(self._made)

    def make_neurons_of(self, made: Made) -> None:
        """Make anew what a simulation needs of neurons."""
        rng = np.random.RandomState(0)  # neurons do not draw from it
        for operator in self.plan.operators:
            if isinstance(operator, SimNeurons):
                made.forget(operator)
                make(self, operator, rng, made)

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
        return self._made.python

    def explain(self) -> Plan:
        placement = self._placement
        compiled = [(op, "; ".join(each.reasons)) for op, each in placement.traced.items()]
        compiled += [(op, "") for op in placement.ahead if op not in placement.traced]
        left = tuple(placement.in_python.items())
        return replace(self.plan, in_python=left, compiled=tuple(compiled))
