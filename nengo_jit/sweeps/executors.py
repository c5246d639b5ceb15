"""Where runs are done: processes on this machine, or the workers of a Dask cluster."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import sys
import threading
from collections.abc import Hashable, Iterator, Sequence
from multiprocessing import connection, get_context, parent_process
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from types import ModuleType
from typing import TYPE_CHECKING, Protocol, TypeAlias

from nengo_jit.sweeps.worker import Outcome, Run, release, run_batch

if TYPE_CHECKING:
    import distributed

PRELOADED = [
    "nengo_jit.sweeps.worker",
    "nengo_jit.engines.cpu.backend",
    "scipy.linalg.lapack",
    "cloudpickle",
]
_replacing_main = threading.Lock()


class LostError(Exception):
    """A worker has died while it did a task."""


Finished: TypeAlias = list[tuple[Hashable, list[Outcome] | LostError]]


class Executor(Protocol):
    """Does tasks: calls of `run_batch`."""

    most_losses: int  # how many workers may die while they do a run and nothing else

    @property
    def n_tasks(self) -> int:
        """int: number of tasks to submit at a time."""

    def submit(self, runs: Sequence[Run]) -> Hashable:
        """Start a task; returns a key of it."""

    def finished(self) -> Finished:
        """Wait for tasks; returns their keys and results."""

    def close(self) -> None:
        """Stop all tasks."""


class Local(Executor):
    """Processes on this machine, each with one task at a time.

    They are forked from a process that has imported what they need, but nothing of the user's, and
    that runs nothing, so that forking is safe.

    Parameters
    ----------
    job : bytes
        The pickled `Job`.
    n_tasks : int
        Number of processes.
    """

    most_losses = 8

    def __init__(self, job: bytes, n_tasks: int):
        self._job, self._n_tasks = job, n_tasks
        self._context = get_context("forkserver")
        self._context.set_forkserver_preload(PRELOADED)
        self._free: list[tuple[Connection, BaseProcess]] = []
        self._busy: dict[Connection, BaseProcess] = {}

    @property
    def n_tasks(self) -> int:
        return self._n_tasks

    def submit(self, runs: Sequence[Run]) -> Hashable:
        message = pickle.dumps(runs, pickle.HIGHEST_PROTOCOL)
        while self._free:
            ours, process = self._free.pop()
            try:
                ours.send_bytes(message)
            except OSError:  # it was killed while it was idle
                _end(ours, process)
            else:
                self._busy[ours] = process
                return ours
        ours, process = self._start()
        self._busy[ours] = process
        with contextlib.suppress(OSError):  # if it dies now, `finished` will say so
            ours.send_bytes(message)
        return ours

    def finished(self) -> Finished:
        found: Finished = []
        for ours in connection.wait(list(self._busy)):
            assert isinstance(ours, Connection)
            process = self._busy.pop(ours)
            try:
                found.append((ours, pickle.loads(ours.recv_bytes())))
            except (EOFError, OSError):
                _end(ours, process)
                found.append((ours, LostError(f"exit code {process.exitcode}")))
            else:
                self._free.append((ours, process))
        return found

    def close(self) -> None:
        known = [*self._free, *self._busy.items()]
        for _, process in known:  # all of them, before a second Ctrl-C interrupts the waiting
            process.kill()
        for ours, process in known:
            _end(ours, process)
        self._free, self._busy = [], {}

    def _start(self) -> tuple[Connection, BaseProcess]:
        ours, theirs = self._context.Pipe()
        arguments = (theirs, self._job, dict(os.environ), os.getcwd())
        process = self._context.Process(target=serve, args=arguments, name="nengo-jit sweep")
        with _without_main():
            process.start()
        theirs.close()
        return ours, process


class OnDask(Executor):
    """The workers of a Dask cluster, each with one task that it does, and one that waits.

    Parameters
    ----------
    job : bytes
        The pickled `Job`.
    client : distributed.Client
        The cluster's client.
    """

    most_losses = 2  # the first may be due to a task before it; Dask tries each several times

    def __init__(self, job: bytes, client: distributed.Client):
        self._client = client
        # As a task, it can be computed again if the only worker that has it dies.
        self._job = client.submit(bytes, job, pure=False)
        self._running: set[distributed.Future] = set()

    @property
    def n_tasks(self) -> int:
        return 2 * max(1, len(self._client.nthreads()))

    def submit(self, runs: Sequence[Run]) -> Hashable:
        future = self._client.submit(run_batch, self._job, runs, pure=False)
        self._running.add(future)
        return future

    def finished(self) -> Finished:
        from distributed import KilledWorker, wait

        done = wait(self._running, return_when="FIRST_COMPLETED").done
        self._running -= done
        found: Finished = []
        for future in done:
            try:
                found.append((future, future.result()))
            except KilledWorker as error:
                found.append((future, LostError(str(error))))
        return found

    def close(self) -> None:
        from distributed import fire_and_forget

        if self._client.status != "running":  # somebody has closed it
            return
        with contextlib.suppress(OSError):  # if the cluster is gone
            self._client.cancel([*self._running, self._job])
            for worker in self._client.nthreads():
                fire_and_forget(self._client.submit(release, workers=[worker], pure=False))


def serve(theirs: Connection, job: bytes, environment: dict[str, str], folder: str) -> None:
    """Do tasks until the connection is closed, or the process at its other end has died."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for that process
    os.environ.clear()
    os.environ.update(environment)
    with contextlib.suppress(OSError):
        os.chdir(folder)
    os.register_at_fork(after_in_child=theirs.close)  # only this process answers
    threading.Thread(target=_die_with_parent, daemon=True).start()
    with contextlib.suppress(EOFError, OSError):
        while True:
            outcomes = run_batch(job, pickle.loads(theirs.recv_bytes()))
            theirs.send_bytes(pickle.dumps(outcomes, pickle.HIGHEST_PROTOCOL))


def _die_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)


def _end(ours: Connection, process: BaseProcess) -> None:
    ours.close()
    process.join()


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """Context in which new processes do not import the user's main module again.

    Scripts need no ``if __name__ == "__main__":`` then: functions travel with their code.
    """
    with _replacing_main:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main
