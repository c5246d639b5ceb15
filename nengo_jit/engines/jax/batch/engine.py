"""The engine of a batch on the device: one call computes a step, or many steps, of all members.

Blocks have a row for each member, and operators are mapped over the rows, but for constants. Python
is called for each member in turn, on memory for one. If a step of any member leaves the paths of a
tape, that step calls Python for all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from nengo_jit.engines.base import memory_of
from nengo_jit.engines.batch import BatchEngine
from nengo_jit.engines.batch.memory import BatchMemory
from nengo_jit.engines.cpu.python.tracing import Unsupported
from nengo_jit.engines.hidden import changeable_of
from nengo_jit.engines.jax.batch.blocks import BatchBlocks
from nengo_jit.engines.jax.batch.draws import BatchDraws
from nengo_jit.engines.jax.batch.inputs import GivenRows, Inputs, with_inputs, with_inputs_on_host
from nengo_jit.engines.jax.batch.members import Member
from nengo_jit.engines.jax.batch.room import check_room
from nengo_jit.engines.jax.blocks import Blocks
from nengo_jit.engines.jax.compilation import is_lost
from nengo_jit.engines.jax.engine import JaxEngine
from nengo_jit.engines.jax.facts import Facts
from nengo_jit.engines.jax.made import Made
from nengo_jit.engines.jax.phases import Phase
from nengo_jit.engines.jax.python.traced import Taped, Tapes, Traced
from nengo_jit.engines.state import Seed, State, check_state, give_state, take_state
from nengo_jit.engines.turns import Output
from nengo_jit.ir.base import Operator, Step
from nengo_jit.ir.memory import SignalDict
from nengo_jit.ir.neurons import SimNeurons
from nengo_jit.ir.process_state import is_sim_process
from nengo_jit.ir.python import SimPyFunc
from nengo_jit.ir.signal import Signal, is_sparse
from nengo_jit.options import Options
from nengo_jit.planner.plan import Plan

OF_MEMBERS = "may differ among the members of the batch"


class BatchTapes(Tapes):
    """Makes operators that run on the device for all members; see `Tapes`."""

    def make(self, traced: Traced) -> Taped:
        if traced.written_of_users:
            raise Unsupported("changes an array that is another one in each member of the batch")
        return super().make(traced)


class JaxBatchEngine(BatchEngine, JaxEngine):
    """Runs all members of a batch at once, on the device that JAX has found; see `BatchEngine`.

    Parameters
    ----------
    plan, options, n_members, values
        See `BatchEngine`.

    Raises
    ------
    ValidationError
        If the members do not fit in the memory.
    """

    def __init__(
        self, plan: Plan, options: Options, n_members: int, values: Mapping[Signal, np.ndarray]
    ):
        super().__init__(plan, options, n_members, values)
        self._members = [
            Member(number, plan, self._one, self.buffers, self.recording)
            for number in range(n_members)
        ]
        self._called: list[Operator] = []  # in whose steps Python may be called with objects
        self._left = False  # whether Python objects have the state of the last member
        self._inputs = Inputs()
        self._draws = BatchDraws(plan, self._members, self._inputs)
        self._built: Sequence[Sequence[Mapping[str, Any]]] = ()  # generators, until the first reset

    def allocate(self) -> tuple[BatchMemory, list[Signal]]:
        self._one, buffers = memory_of(self.plan)
        if not is_lost():
            sizes = {base: base.nbytes for base in self._one if base.readonly and not base.is_view}
            of_each = sum(each.size for each in self._one.blocks)
            check_room(self.n_members, of_each, sum(sizes.values()))
        return BatchMemory(self._one, self.n_members), buffers

    def make_blocks(self) -> Blocks:
        return BatchBlocks(self.plan.runs, self._one, self.signals, self.n_members)

    @property
    def memory_of_steps(self) -> SignalDict:
        return self._one

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        """Context in which Python is called for members.

        What users have changed in Python objects since the last time holds for all members.
        """
        last, (left, self._left) = self._members[-1], (self._left, False)
        changes = last.objects.changes(last.saved) if left else []
        for member in self._members if changes else ():
            member.saved = member.objects.changed(member.saved, changes)
        try:
            yield
        finally:
            last.restore_objects()
            self._left = bool(last.objects)

    def begin_members(self, seeds: Sequence[Seed]) -> None:
        with self._at_work():
            self._begin_members(seeds)

    def _begin_members(self, seeds: Sequence[Seed]) -> None:
        self._draws.forget(self.plan.operators)
        self._one.reset_all()
        self._one.save()
        first, operators = self._members[0], list(self.plan.operators)
        for member, seed in zip(self._members, seeds):
            self._one.restore()
            member.restore_objects()
            self._set_built(member)
            member.seed, member.drawn_from = seed, np.random.RandomState(seed)
            member.generators = self.generators = {}
            member.made = self.make(member.drawn_from, operators)
            if member is first:
                self._n_changes.clear()
                self._made = first.made
                self.decide()
                operators = [each for each in operators if _differs(each, first.made)]
            member.find_objects(self._with_objects())
            self.signals.store(member.number, self._one.blocks)
        self._built = ()
        if self.n_members > 1:
            first.objects.warn()
        self._gather()
        self.begin_draws()
        self._steps = self.lower()

    def _set_built(self, member: Member) -> None:
        """Set the generators of neurons to those that were built for a member."""
        random = (each for each in self.plan.operators if _draws_by_itself(each))
        for operator, states in zip(random, self._built[member.number] if self._built else ()):
            for name, state in states.items():
                operator.state_extra[name].set_state(state)

    def _with_objects(self) -> list[Operator]:
        """Operators that Python is called for, always or at times, or whose neurons draw."""
        placement, made = self._placement, self._made
        at_times = [each for each in placement.taped if not placement.traced[each].is_total]
        self._called = [*placement.in_python, *(each for each in at_times if changeable_of(each))]
        ahead = [each for each in placement.ahead if each in made.sources]
        random = [each for each in self.plan.operators if _draws_by_itself(each)]
        return [*self._called, *ahead, *random]

    def _gather(self) -> None:
        """Lower operators with the noise of all members."""
        made = self._members[0].made
        noise = {}
        for operator, first in made.noise.items():
            keys = [member.made.noise[operator].key for member in self._members]
            noise[operator] = replace(first, key=np.stack(keys))
        self._made = replace(made, noise=noise)

    def set_generators(self, states: Sequence[Sequence[Mapping[str, Any]]]) -> None:
        self._built = states

    def begin_draws(self) -> None:
        self._draws.begin([each.made.draws(self._placement) for each in self._members])
        self._draws.forget(self._placement.of_time)

    def refused(self) -> dict[Operator, str]:
        refused = super().refused()
        made_anew = (each for each in self._made.python if not _is_made_alike(each))
        return {**dict.fromkeys(made_anew, OF_MEMBERS), **refused}

    def make_tapes(self) -> Tapes:
        return BatchTapes(self._blocks, len(self._made.python), self._checked)

    def facts(self) -> Facts:
        return [*super().facts(), tuple(self._inputs.known)]

    def complete(self, phases: list[Phase]) -> list[Phase]:
        if is_lost():
            return with_inputs_on_host(phases, self._inputs.known)
        return with_inputs(phases, self._inputs.known, self._blocks)

    def set_inputs(self, inputs: Mapping[Output, np.ndarray]) -> None:
        has_new = self._inputs.set(inputs, self.n_steps)
        if has_new:
            self._memory.pull_all()
            self._steps = self.lower()

    def settle(self) -> None:
        super().settle()
        if not self._is_running:
            self._end_inputs()

    def _end_inputs(self) -> None:
        """Give constant outputs their values back."""
        for signal in self._inputs.take_ended():
            block = [self._blocks.block_of(signal)]
            self._memory.pull(block)
            self.signals[signal] = signal.initial_value
            self._memory.changed_on_host(block)

    def run(self, n_steps: int) -> int:
        self.check_idle("run")
        self._end_inputs()
        with self._at_work():
            return super().run(n_steps)

    def may_use_tapes(self) -> bool:
        if not self._called:
            return super().may_use_tapes()
        for member in self._members:  # functions may have changed what tapes depend on
            member.restore_objects()
            if not super().may_use_tapes():
                return False
        return True

    def caller_of(self, operator: Operator) -> Step:
        if isinstance(operator, GivenRows):
            return partial(self._write_given, operator.signal)
        bases = dict.fromkeys(each.base for each in (*operator.all_signals, *self.buffers))
        written = [each for each in bases if each.size and not each.readonly]
        pairs = [(_numbers(self._one[each]), self.signals[each]) for each in written]

        def call() -> None:
            if operator in self._inputs.functions:
                return
            for member in self._members:
                for one, rows in pairs:
                    one[...] = rows[member.number]
                with member.at_work():
                    member.made.python[operator]()
                for one, rows in pairs:
                    rows[member.number] = one

        return call

    def _write_given(self, signal: Signal) -> None:
        rows = self._inputs.rows(signal, self.n_steps + 1, 1)
        if rows is not None:
            self.signals[signal] = rows[:, 0]

    def _run_step(self) -> None:
        saved, ticks = [each.saved for each in self._members], self.recording.clock.ticks
        try:
            super()._run_step()
        except BaseException:
            if self.recording.clock.ticks == ticks:
                for member, states in zip(self._members, saved):
                    member.saved = states
            raise

    def relower(self) -> None:
        super().relower()
        for member in self._members:
            member.restore_objects()
            member.find_objects(self._with_objects())

    def make_neurons(self) -> None:
        for member in self._members:
            with member.at_work():
                self.make_neurons_of(member.made)
        self._gather()

    def states_of_members(self) -> list[State]:
        states = []
        with self._at_work():
            for member in self._members:
                self.signals.load(member.number, self._one.blocks)
                member.restore_objects()
                states.append(take_state(member, self._identity))
        return states

    def check_states(self, states: Sequence[State]) -> None:
        for member, state in zip(self._members, states):
            member.broken = self.broken
            check_state(member, self._identity, state)

    def load_states(self, states: Sequence[State]) -> None:
        self.begin_members([each["seed"] for each in states])
        with self._at_work():
            for member, state in zip(self._members, states):
                self.signals.load(member.number, self._one.blocks)
                with member.at_work():
                    give_state(member, self._identity, state)
                self.signals.store(member.number, self._one.blocks)


def _differs(operator: Operator, made: Made) -> bool:
    """Whether something is made of an operator for each member, or drawn in making it."""
    return operator in made or is_sim_process(operator)


def _draws_by_itself(operator: Operator) -> bool:
    """Whether an operator's neurons have generators of their own."""
    return isinstance(operator, SimNeurons) and bool(operator.state_extra)


def _is_made_alike(operator: Operator) -> bool:
    """Whether the steps of an operator certainly are the same for all members."""
    if is_sim_process(operator):
        return operator.process.seed is not None
    return isinstance(operator, SimPyFunc | SimNeurons)


def _numbers(live: Any) -> np.ndarray:
    numbers: np.ndarray = live.data if is_sparse(live) else live
    return numbers
