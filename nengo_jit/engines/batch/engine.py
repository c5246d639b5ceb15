"""The engine of a batch: runs many simulations of one plan, some steps of each in turn.

Members share the programs of a few engines, the *workers*, and have memory of their own. A *chunk*
is the same number of steps for all members. A worker copies the memory of a member to its engine,
runs the chunk, and copies it back. The chunk counts when all members have run it. So if a step
raises, or Ctrl-C comes, all members are still after the same step.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from threading import Thread, get_ident
from time import thread_time
from types import FrameType
from typing import Any

import numpy as np
from nengo import Probe

from nengo_jit.engines.base import RUN_LOST, Engine
from nengo_jit.engines.batch.base import BatchEngine
from nengo_jit.engines.batch.chunk import Chunk, Costs, Failure
from nengo_jit.engines.batch.memory import BatchMemory
from nengo_jit.engines.batch.worker import Inputs, Worker
from nengo_jit.engines.state import Seed, State
from nengo_jit.engines.turns import Output, Rows
from nengo_jit.ir.signal import Signal
from nengo_jit.options import Options
from nengo_jit.planner.plan import Plan

CHUNK_SECONDS = 0.005  # that a member runs at least before it is the turn of another
WORTH_IT = 40  # times as long as copying its memory to and fro, or
LEAST_WORTH_IT = 10  # times as long if all members together would take more than
LONGEST = 4.0  # seconds, since Ctrl-C discards a chunk
WORTH_THREADS = 0.001  # seconds of steps from which on workers get threads
TIMED = 8  # members of a worker whose turns are timed, which takes microseconds
SAMPLES = 1 << 26  # bytes of samples in a chunk, at most


class InTurnEngine(BatchEngine):
    """Runs the members of a batch in turn, on engines for single simulations; see `BatchEngine`.

    Parameters
    ----------
    engines : sequence of Engine
        Engines for the plan. If they let members take turns, they run at the same time; else there
        is one for each member.
    plan, options, n_members, values
        See `BatchEngine`.
    """

    def __init__(
        self,
        engines: Sequence[Engine],
        plan: Plan,
        options: Options,
        n_members: int,
        values: Mapping[Signal, np.ndarray],
    ):
        self._engines = engines
        super().__init__(plan, options, n_members, values)
        self._rows = self.signals.empty_like()
        parts = np.array_split(range(n_members), len(engines))
        self._workers = [Worker(*each) for each in zip(engines, (p.tolist() for p in parts))]
        if n_members > 1:
            self._workers[0].warn()
        self._is_concurrent = engines[0].takes_turns
        self._inputs: Inputs = {}
        self._costs = Costs(0.0, 0.0)
        self._longest = 1  # chunk to run next, at most
        self._is_running = self._is_paused = False
        self._runner = 0  # the thread that runs, or has run
        self._samples: dict[Probe, np.ndarray] = {}  # memory for those of a chunk
        self._complete: Chunk | None = None  # a chunk that does not count yet
        self._left: tuple[Worker, int] | None = None  # whose state Python objects have

    def allocate(self) -> tuple[BatchMemory, list[Signal]]:
        first = self._engines[0]
        return BatchMemory(first.signals, self.n_members), first.buffers

    def begin(self, rng: np.random.RandomState) -> None:
        """Do nothing: workers begin."""

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        """Context in which members take turns with their Python objects.

        What users have changed in these objects since the last time holds for all members.
        """
        left, self._left = self._left, None
        changes = [] if left is None else left[0].changes(left[1])
        for worker in self._workers if changes else ():
            worker.change(changes)
        try:
            yield
        finally:
            self.settle()
            self._left = self._workers[-1].leave()

    def begin_members(self, seeds: Sequence[Seed]) -> None:
        with self._at_work():
            for worker in self._workers:
                own = {member: seeds[member] for member in worker.members}
                worker.conditions = worker.reset(own, self._rows)
            self.signals.commit(self._rows)

    def set_generators(self, states: Sequence[Sequence[Mapping[str, Any]]]) -> None:
        with self._at_work():
            for worker in self._workers:
                for member in worker.members if states else ():
                    worker.set_generators(member, states[member])

    def set_inputs(self, inputs: Mapping[Output, np.ndarray]) -> None:
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
        self.check_idle("run")
        self.check_usable()
        self.settle()
        return self._run(n_steps)

    def _run(self, n_steps: int) -> int:
        self._runner, n_done = get_ident(), 0
        try:
            self._is_running, self._is_paused = True, False
            with self._at_work():
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
        for engine in self._engines:
            engine.is_beside_others = bool(threads)
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
        for number, member in enumerate(worker.members):
            if chunk.is_stopped:
                return
            clock = thread_time if number < TIMED else None
            try:
                self._take_turn(worker, member, chunk, clock)
            except BaseException as error:  # also Ctrl-C
                chunk.failures.append((worker.engine.n_steps, member, error))
                if not isinstance(error, Exception):
                    chunk.is_stopped = True
                worker.engine.settle()

    def _take_turn(
        self, worker: Worker, member: int, chunk: Chunk, clock: Callable[[], float] | None
    ) -> None:
        """Run a chunk with a member; a clock measures what it costs."""
        begin = clock() if clock else 0.0
        worker.put(member, self.signals, self.recording.clock)
        worker.give(member, self._inputs)
        running = clock() if clock else 0.0
        worker.run(member, chunk.n_steps, chunk.rows_of(member))
        seconds = clock() - running if clock else 0.0
        condition = worker.take(member, self._rows)
        if clock:
            chunk.costs.append(Costs(seconds, clock() - begin - seconds))
        chunk.note(member, condition, worker)

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

    def states_of_members(self) -> list[State]:
        members: dict[int, State] = {}
        with self._at_work():
            for worker in self._workers:
                for member in worker.members:
                    worker.put(member, self.signals, self.recording.clock)
                    members[member] = worker.engine.state()
        return [members[member] for member in range(self.n_members)]

    def check_states(self, states: Sequence[State]) -> None:
        for worker in self._workers:
            for member in worker.members:
                worker.engine.check_loadable(states[member])

    def load_states(self, states: Sequence[State]) -> None:
        with self._at_work():
            for worker in self._workers:
                for member in worker.members:
                    worker.load(member, states[member], self._rows)
            self.signals.commit(self._rows)

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


def _first(failure: Failure) -> tuple[bool, int, int]:
    """Key by which Ctrl-C comes before all errors, and these in the order of steps and members."""
    n_steps, member, error = failure
    return isinstance(error, Exception), n_steps, member


RUN = InTurnEngine._run.__code__


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
