"""The engine of a batch: runs many simulations of one plan, some steps of each in turn.

Members share the programs of a few engines, the *workers*, and have memory of their own. A *chunk*
is the same number of steps for all members. A worker copies the memory of a member to its engine,
runs the chunk, and copies it back. The chunk counts when all members have run it. So if a step
raises, or Ctrl-C comes, all members are still after the same step.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import copy_context
from threading import Thread, get_ident
from time import thread_time
from types import FrameType
from typing import Any

import numpy as np
from nengo import Probe
from nengo.exceptions import SimulationError, ValidationError

from nengo_jit.engines.base import LOADING_INTERRUPTED, RESET_INTERRUPTED, RUN_LOST, Engine
from nengo_jit.engines.batch.chunk import Chunk, Costs, Failure
from nengo_jit.engines.batch.memory import BatchMemory
from nengo_jit.engines.batch.worker import Inputs, Worker
from nengo_jit.engines.state import FORMAT, Seed, State
from nengo_jit.engines.turns import Output, Rows
from nengo_jit.ir.signal import Signal
from nengo_jit.options import Options
from nengo_jit.planner.plan import Plan

CHUNK_SECONDS = 0.005  # that a member runs at least before it is the turn of another
WORTH_IT = 40  # times as long as copying its memory to and fro, or
LEAST_WORTH_IT = 10  # times as long if all members together would take more than
LONGEST = 4.0  # seconds, since Ctrl-C discards a chunk
WORTH_THREADS = 0.001  # seconds of steps from which on workers get threads
SAMPLES = 1 << 26  # bytes of samples in a chunk, at most


class BatchEngine(Engine):
    """Runs the members of a batch; see `Engine`.

    Signals, samples and states have a leading axis for the members.

    Parameters
    ----------
    plan : Plan
        The plan.
    options : Options
        The user's options.
    engines : sequence of Engine
        Engines for the plan. If they let members take turns, they run at the same time; else there
        is one for each member.
    n_members : int
        Number of members.
    values : dict of (Signal, numpy.ndarray)
        Initial values by member, for signals that are not read-only.

    Attributes
    ----------
    n_members : int
        Number of members.
    seeds : tuple of int
        Seed of each member at the latest reset.
    """

    signals: BatchMemory

    def __init__(
        self,
        plan: Plan,
        options: Options,
        engines: Sequence[Engine],
        n_members: int,
        values: Mapping[Signal, np.ndarray],
    ):
        self.n_members, self._engines = n_members, engines
        super().__init__(plan, options)
        self._values = values
        self._rows = self.signals.empty_like()
        parts = np.array_split(range(n_members), len(engines))
        self._workers = [Worker(*each) for each in zip(engines, (p.tolist() for p in parts))]
        self._is_concurrent = engines[0].takes_turns
        self.seeds: tuple[Seed, ...] = (None,) * n_members
        self._inputs: Inputs = {}
        self._costs = Costs(0.0, 0.0)
        self._longest = 1  # chunk to run next, at most
        self._is_running = self._is_paused = False
        self._runner = 0  # the thread that runs, or has run
        self._samples: dict[Probe, np.ndarray] = {}  # memory for those of a chunk
        self._complete: Chunk | None = None  # a chunk that does not count yet

    def allocate(self) -> tuple[BatchMemory, list[Signal]]:
        first = self._engines[0]
        return BatchMemory(first.signals, self.n_members), first.buffers

    def begin(self, rng: np.random.RandomState) -> None:
        """Do nothing: workers begin."""

    def reset(self, seed: Seed, clear: Callable[[], None] | None = None) -> None:
        self.reset_each((seed,) * self.n_members, clear)

    def reset_each(self, seeds: tuple[Seed, ...], clear: Callable[[], None] | None = None) -> None:
        """Go back to the state before the first step, with a seed for each member; see `reset`."""
        self._check_idle("reset")
        self.settle()
        self.broken = RESET_INTERRUPTED
        for worker in self._workers:
            own = {member: seeds[member] for member in worker.members}
            worker.conditions = worker.reset(own, self._rows)
        self.signals.commit(self._rows)
        for signal, values in self._values.items():
            self.signals[signal] = values
        self.seed, self.seeds = (seeds[0] if len(set(seeds)) == 1 else None), seeds
        self.recording.clock.n_steps = 0
        (clear or self.clear_samples)()
        self.broken = None

    def set_generators(self, states: Sequence[Sequence[Mapping[str, Any]]]) -> None:
        """Set the generators of neurons of each member to states, in the order of the plan."""
        for worker in self._workers:
            for member in worker.members if states else ():
                worker.set_generators(member, states[member])

    def set_inputs(self, inputs: Mapping[Output, np.ndarray]) -> None:
        """Set the rows that nodes output from the next step on.

        Parameters
        ----------
        inputs : dict of (Output, numpy.ndarray)
            Contiguous arrays ``(n_members, n_steps, size)``. Other nodes output what they compute.
        """
        self.settle()
        ended = {output: Rows() for output in self._inputs if output not in inputs}
        for worker in self._workers:
            worker.give(0, ended)
        for output in ended:
            if output.writer is None:
                self.signals[output.signal] = output.signal.initial_value
        self._inputs = {output: Rows(rows, self.n_steps) for output, rows in inputs.items()}

    def pieces(self, n_steps: int) -> Iterator[int]:
        left = n_steps
        while left > 0:
            done = self.run(min(left, self._chunk()))
            left -= done
            yield done

    def _chunk(self) -> int:
        """Return the number of steps after which it is the turn of another member."""
        turn = self._costs.turn
        n_at_once = len(self._workers) if self._is_concurrent else 1
        seconds = max(CHUNK_SECONDS, WORTH_IT * turn)
        seconds = min(seconds, max(LONGEST * n_at_once / self.n_members, LEAST_WORTH_IT * turn))
        in_time = int(seconds / max(self._costs.steps, 1e-9))
        n_bytes = sum(each.source.nbytes for each in self.recording.recorders.values())
        return max(1, min(self._longest, in_time, SAMPLES // max(n_bytes, 1)))

    def run(self, n_steps: int) -> int:
        self._check_idle("run")
        self.check_usable()
        self.settle()
        return self._run(n_steps)

    def _run(self, n_steps: int) -> int:
        self._runner, n_done = get_ident(), 0
        try:
            self._is_running, self._is_paused = True, False
            while n_done < n_steps and not self._is_paused:
                size = min(n_steps - n_done, self._chunk())
                self._run_chunk(size)
                self._longest = max(10 * size, self._longest)
                n_done += size
        finally:
            self._is_running = False
            self.settle()
        return n_done

    def _run_chunk(self, n_steps: int) -> None:
        """Run steps of all members. If a step of any raises, all end after the step before."""
        failures = self._try_chunk(n_steps)
        if not failures:
            return
        n_whole, _, error = min(failures, key=_first)
        self.broken = next((each.broken for each in self._engines if each.broken), None)
        if isinstance(error, Exception) and self.broken is None and n_whole > self.n_steps:
            self._try_chunk(n_whole - self.n_steps)  # no step, if one of these raises now
        raise error

    def _try_chunk(self, n_steps: int) -> list[Failure]:
        """Run steps of all members, or none: returns what failed."""
        chunk = Chunk(n_steps, self.recording, self._samples)
        first, *others = self._workers
        threads = []
        if self._is_concurrent and self._costs.steps * n_steps * len(first.members) > WORTH_THREADS:
            context = copy_context()
            threads = [
                Thread(target=context.copy().run, args=(self._work, each, chunk), daemon=True)
                for each in others
            ]
            others = []
        try:
            for thread in threads:
                thread.start()
            for worker in (first, *others):
                self._work(worker, chunk)
        except BaseException:  # Ctrl-C between two members
            chunk.is_stopped = True
            raise
        finally:
            _wait_for([each for each in threads if each.ident is not None], chunk)
        if not chunk.failures:
            self._complete = chunk
            self.settle()
            self._costs = chunk.mean_costs()
        return chunk.failures

    def _work(self, worker: Worker, chunk: Chunk) -> None:
        """Run a chunk with the members of a worker."""
        for member in worker.members:
            if chunk.is_stopped:
                return
            try:
                begin = thread_time()
                worker.put(member, self.signals, self.recording.clock)
                worker.give(member, self._inputs)
                running = thread_time()
                worker.run(member, chunk.n_steps, chunk.rows_of(member))
                seconds = thread_time() - running
                condition = worker.take(member, self._rows)
                chunk.costs.append(Costs(seconds, thread_time() - begin - seconds))
                chunk.note(member, condition, worker)
            except BaseException as error:  # also Ctrl-C
                chunk.failures.append((worker.engine.n_steps, member, error))
                if not isinstance(error, Exception):
                    chunk.is_stopped = True
                worker.engine.settle()

    def settle(self) -> None:
        """Let the latest chunk count if that was interrupted."""
        chunk = self._complete
        if chunk is not None:
            self.signals.commit(self._rows)
            for worker in self._workers:
                worker.conditions.update(
                    {member: chunk.conditions[member] for member in worker.members}
                )
            chunk.commit()
            self._complete = None
        super().settle()

    def pause(self) -> None:
        self._is_paused = self.is_running

    @property
    def is_running(self) -> bool:
        if self._is_running and get_ident() == self._runner:  # an interrupt may have left it so
            self._is_running = self._is_within_run()
        return self._is_running

    def _is_within_run(self) -> bool:
        """Whether this thread is running the batch, and has been called in a step."""
        frame: FrameType | None = sys._getframe()
        while frame is not None:
            if frame.f_code is RUN and frame.f_locals["self"] is self:
                return True
            frame = frame.f_back
        return False

    def abandon(self, error: Exception) -> None:
        for engine in self._engines:
            if engine.is_running:
                engine.abandon(error)

    def lose_run(self) -> None:
        self._is_running, self.broken = False, RUN_LOST

    def _check_idle(self, what: str) -> None:
        if self.is_running:
            raise SimulationError(f"A batch cannot be {what} by a function in a step.")

    def state(self) -> State:
        self.check_usable()
        self._check_between_runs("taken")
        self.settle()
        members: dict[int, State] = {}
        for worker in self._workers:
            for member in worker.members:
                worker.put(member, self.signals, self.recording.clock)
                members[member] = worker.engine.state()
        states = [members[member] for member in range(self.n_members)]
        models = [each.pop("model") for each in states]  # the same for all
        return {
            "format": FORMAT,
            "model": models[0],
            "seed": self.seed,
            "n_steps": self.n_steps,
            "members": states,
            "hidden": sorted({name for each in states for name in each["hidden"]}),
        }

    def check_loadable(self, state: Any) -> None:
        self._check_between_runs("loaded")
        members = state.get("members") if isinstance(state, dict) else None
        if not isinstance(members, list) or "model" not in state:
            raise ValidationError("This is not the state of a batch", attr="state")
        if len(members) != self.n_members:
            raise ValidationError(
                f"This is the state of a batch of {len(members)} members, not {self.n_members}",
                attr="state",
            )
        for worker in self._workers:
            for member in worker.members:
                worker.engine.check_loadable(_member_of(state, member))

    def load_state(self, state: State, clear: Callable[[], None] | None = None) -> None:
        self.check_loadable(state)
        self.settle()
        self.broken = LOADING_INTERRUPTED
        for worker in self._workers:
            for member in worker.members:
                worker.load(member, _member_of(state, member), self._rows)
        self.signals.commit(self._rows)
        self.seed = state["seed"]
        self.seeds = tuple(each["seed"] for each in state["members"])
        self.recording.clock.n_steps = state["n_steps"]
        (clear or self.clear_samples)()
        self.broken = None

    def explain(self) -> Plan:
        return self._engines[0].explain()

    def hand_out(self, signal: Signal) -> np.ndarray:
        for engine in self._engines:
            engine.hand_out(signal)
        return self.signals[signal]

    def look_again(self) -> None:
        for engine in self._engines:
            engine.look_again()

    def hand_out_constants(self, arrays: Iterable[np.ndarray]) -> None:
        arrays = list(arrays)
        for engine in self._engines:
            engine.hand_out_constants(arrays)

    def read_clock(self) -> None:
        self.recording.clock.n_steps = self.signals[self.plan.step].flat[0].item()


def _first(failure: Failure) -> tuple[bool, int, int]:
    """Key by which Ctrl-C comes before all errors, and these in the order of steps and members."""
    n_steps, member, error = failure
    return isinstance(error, Exception), n_steps, member


def _member_of(state: State, member: int) -> State:
    """Return the state of a member, as an engine takes it."""
    return {**state["members"][member], "model": state["model"]}


RUN = BatchEngine._run.__code__


def _wait_for(threads: Iterable[Thread], chunk: Chunk) -> None:
    """Wait for the threads that run a chunk; if Ctrl-C comes meanwhile, until they have stopped."""
    is_interrupted = False
    for thread in threads:
        while thread.is_alive():
            try:
                thread.join()
            except KeyboardInterrupt:
                is_interrupted = chunk.is_stopped = True
    if is_interrupted:
        raise KeyboardInterrupt
