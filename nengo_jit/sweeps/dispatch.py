"""Dispatch the runs of a sweep as tasks of about a second."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Callable, Hashable, Sequence

from nengo.exceptions import ValidationError

from nengo_jit.sweeps.design import Design
from nengo_jit.sweeps.executors import Executor, LostError
from nengo_jit.sweeps.results import Results
from nengo_jit.sweeps.worker import Outcome, Run

SECONDS = 1.0  # that a task should take
MOST_BYTES = 1 << 24  # of the results of a task


class Dispatcher:
    """Lets an executor do runs, and collects their results.

    If a worker dies, its runs are done again, each as a task of its own, and those that are lost
    again when nothing else is left to do, one at a time: so a run that kills its worker fails
    alone, and one that lacks memory has all of it.

    Parameters
    ----------
    executor : Executor
        Does tasks.
    design : Design
        The runs.
    results : Results
        Where their results go.
    done : callable
        Called with the number of runs that have just been done.
    """

    def __init__(
        self,
        executor: Executor,
        design: Design,
        results: Results,
        done: Callable[[int], object],
    ):
        self._executor, self._design, self._results, self._done = executor, design, results, done
        self._packed: tuple[object, bytes] | None = None
        self._alone: list[int] = []  # runs whose worker has died
        self._last: list[int] = []  # those that were a task of their own
        self._running: dict[Hashable, list[int]] = {}
        self._losses: Counter[int] = Counter()
        self._warned: set[tuple[type[Warning], str]] = set()
        self._size = 1  # runs in a task

    def do(self, numbers: Sequence[int]) -> None:
        """Do runs.

        Raises
        ------
        OSError
            If results cannot be written.
        ValidationError
            If parameters cannot be pickled.
        """
        waiting = list(reversed(numbers))
        self._fill(waiting)
        while self._running:
            finished = self._executor.finished()
            batches = [(self._running.pop(key), found) for key, found in finished]
            collected = [self._outcomes(batch, found) for batch, found in batches]
            self._fill(waiting)  # workers go on while results are written
            for outcomes in collected:
                self._results.add(outcomes)
                self._done(len(outcomes))
                self._warn(outcomes)

    def _fill(self, waiting: list[int]) -> None:
        """Submit tasks until there are enough."""
        n_tasks = self._executor.n_tasks
        while (waiting or self._alone) and len(self._running) < n_tasks:
            if self._alone:
                batch = [self._alone.pop()]
            else:
                fair = math.ceil(len(waiting) / (2 * n_tasks))  # no worker waits long at the end
                batch = [waiting.pop() for _ in range(min(self._size, fair))]
            runs = [self._run(number) for number in batch]
            self._running[self._executor.submit(runs)] = batch
        if self._last and not self._running:
            number = self._last.pop()
            self._running[self._executor.submit([self._run(number)])] = [number]

    def _run(self, number: int) -> Run:
        """Pack a run. Runs of the same parameters share these, so that a task has them once."""
        import cloudpickle

        parameters, seed = self._design.run(number)
        key = [*map(id, parameters), *map(id, parameters.values())]
        if self._packed is None or self._packed[0] != key:
            try:
                self._packed = key, cloudpickle.dumps(parameters)
            except Exception as error:
                raise ValidationError(
                    f"They cannot be pickled, to send them to workers: {error}", attr="parameters"
                ) from error
        return Run(number, self._packed[1], seed)

    def _outcomes(self, batch: list[int], found: list[Outcome] | LostError) -> list[Outcome]:
        """The outcomes of a task; if its worker has died, of those runs that are given up."""
        if isinstance(found, LostError):
            if len(batch) > 1:
                self._alone += batch
                return []
            self._losses.update(batch)
            if self._losses[batch[0]] < self._executor.most_losses:
                self._last += batch
                return []
            return [Outcome(batch[0], 0.0, f"The worker died each time: {found}")]
        seconds = sum(outcome.seconds for outcome in found) / len(found)
        n_bytes = sum(outcome.n_bytes for outcome in found) / len(found)
        size = min(SECONDS / max(seconds, 1e-4), MOST_BYTES / max(n_bytes, 1))
        self._size = max(1, int(size))
        return found

    def _warn(self, outcomes: Sequence[Outcome]) -> None:
        """Repeat warnings of workers, each once."""
        new = {each for outcome in outcomes for each in outcome.warned} - self._warned
        self._warned |= new
        for category, text in new:
            warnings.warn(text, category, stacklevel=4)
