"""Where runs are done: processes on this machine, or the workers of a Dask cluster."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from multiprocessing import connection, get_context
from multiprocessing import parent_process
from types import ModuleType
from typing import Any, Protocol

from nengo_jit.sweeps.worker import Outcome, run_batch

PRELOADED = ["nengo_jit.sweeps.worker"]


class LostError(Exception):
    """A worker has died while it ran a task."""


class Executor(Protocol):
    """Does tasks: calls of `run_batch`."""

    @property
    def n_tasks(self) -> int:
        """int: number of tasks to submit at a time."""

    def submit(self, packed: bytes, runs: Sequence[Any]) -> object:
        """Start a task; returns a key of it."""

    def finished(self) -> list[tuple[object, list[Outcome] | LostError]]:
        """Wait for tasks; returns their keys and results."""

    def close(self) -> None:
        """Stop all tasks."""


class Local:
    """Processes on this machine, each with one task at a time.

    They are forked from a process that has imported what they need, but nothing of the user's: it
    has one thread, so that forking is safe.

    Parameters
    ----------
    n : int
        Number of processes.
    """

    def __init__(self, n: int):
        self.n_tasks = n
        self._context = get_context("forkserver")
        self._context.set_forkserver_preload(PRELOADED)
        self._free: list[tuple[Any, Any]] = []
        self._busy: dict[Any, Any] = {}

    def submit(self, packed: bytes, runs: Sequence[Any]) -> object:
        message = pickle.dumps((packed, runs), 5)
        while True:
            ours, process = self._free.pop() if self._free else self._start()
            try:
                ours.send_bytes(message)
            except OSError:  # it was killed while it was idle
                self._end(ours, process)
            else:
                self._busy[ours] = process
                return ours

    def finished(self) -> list[tuple[object, list[Outcome] | LostError]]:
        found: list[tuple[object, list[Outcome] | LostError]] = []
        for ours in connection.wait(list(self._busy)):
            process = self._busy.pop(ours)
            try:
                found.append((ours, pickle.loads(ours.recv_bytes())))
            except (EOFError, OSError):
                self._end(ours, process)
                found.append((ours, LostError(f"its process ended ({process.exitcode})")))
            else:
                self._free.append((ours, process))
        return found

    def close(self) -> None:
        for ours, process in [*self._free, *self._busy.items()]:
            process.kill()
            self._end(ours, process)
        self._free, self._busy = [], {}

    def _start(self) -> tuple[Any, Any]:
        ours, theirs = self._context.Pipe()
        arguments = (theirs, dict(os.environ), os.getcwd())
        process = self._context.Process(target=serve, args=arguments, daemon=False)
        with _without_main():
            process.start()
        theirs.close()
        return ours, process

    def _end(self, ours: Any, process: Any) -> None:
        ours.close()
        process.join()


class OnDask:
    """The workers of a Dask cluster.

    Parameters
    ----------
    client : distributed.Client
        The cluster's client.
    """

    def __init__(self, client: Any):
        self._client = client
        self._running: set[Any] = set()

    @property
    def n_tasks(self) -> int:
        """int: number of tasks to submit at a time."""
        return 2 * max(1, len(self._client.nthreads()))

    def submit(self, packed: bytes, runs: Sequence[Any]) -> object:
        future = self._client.submit(run_batch, packed, runs, pure=False)
        self._running.add(future)
        return future

    def finished(self) -> list[tuple[object, list[Outcome] | LostError]]:
        from distributed import KilledWorker, wait

        done = wait(self._running, return_when="FIRST_COMPLETED").done
        self._running -= done
        found: list[tuple[object, list[Outcome] | LostError]] = []
        for future in done:
            try:
                found.append((future, future.result()))
            except KilledWorker as error:
                found.append((future, LostError(str(error))))
        return found

    def close(self) -> None:
        self._client.cancel(list(self._running))


def serve(theirs: Any, environment: dict[str, str], folder: str) -> None:
    """Do tasks until the connection is closed, or the process at its other end has died."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for that process
    os.environ.clear()
    os.environ.update({"OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"} | environment)
    with contextlib.suppress(OSError):
        os.chdir(folder)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    with contextlib.suppress(EOFError, OSError):
        while True:
            packed, runs = pickle.loads(theirs.recv_bytes())
            theirs.send_bytes(pickle.dumps(run_batch(packed, runs), 5))


def _die_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """Context in which new processes do not import the user's main module again.

    Scripts need no ``if __name__ == "__main__":`` then: functions travel with their code.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
