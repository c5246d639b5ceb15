"""Start processes that compile kernels, as many as there are cores, and collect what they make.

Only these processes import the compiler, without the user's settings for Numba, which must not
affect the cache. Waiting for a process can be interrupted; the compiler cannot.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, distribution
from multiprocessing import spawn
from time import monotonic
from typing import IO, TypeAlias

from nengo_jit.engines.cpu.toolchain.cache.entry import UnsafeError
from nengo_jit.engines.cpu.toolchain.cache.folder import Folder
from nengo_jit.engines.cpu.toolchain.cache.locations import size_limit
from nengo_jit.engines.cpu.toolchain.cache.locks import acquire_slot, fcntl
from nengo_jit.engines.cpu.toolchain.jobs import (
    AWAITED,
    IDLE_TIMEOUT,
    STALL_TIMEOUT,
    Job,
    Result,
    receive,
    send,
)
from nengo_jit.engines.cpu.toolchain.target import settings
from nengo_jit.parallel import n_cores
from nengo_jit.regions import CHECKED

logger = logging.getLogger(__name__)

POLL_INTERVAL = 0.02  # seconds between searches of the cache for what other processes compiled
EXIT_TIMEOUT = 0.2  # seconds that a process has to end
PIPE_SIZE = 2**20  # bytes
MAX_CRASHES = 3  # processes that may fail before we give up
# Program of a process. Prints go to standard error, since standard output is for messages. Packages
# are made without running their ``__init__``, which would import nengo and all of this package.
START = """
import os, sys, types
output = os.fdopen(os.dup(1), "wb")
os.dup2(2, 1)
sys.path += {path}
for name, path in {packages}.items():
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = path
sys.modules["nengo_jit"].engines = sys.modules["nengo_jit.engines"]
from nengo_jit.engines.cpu.toolchain.worker import main
main(output)
"""
PACKAGES = ("nengo_jit", "nengo_jit.engines")
COMPILER = ("numba", "llvmlite", "numpy", "pyelftools")  # distributions


Events: TypeAlias = "queue.SimpleQueue[Result | _Worker]"


class CompilerError(RuntimeError):
    """A kernel cannot be compiled here."""


class Workers:
    """Processes that compile, and end by themselves when they are idle.

    Parameters
    ----------
    folder : Folder or None
        Where machine code is kept; None if it is not.

    Attributes
    ----------
    folder : Folder or None
        As given.
    limit : int
        Maximum size of all entries (bytes).
    """

    def __init__(self, folder: Folder | None):
        self.folder = folder
        self.limit = size_limit()
        self._jobs: dict[str, Job] = {}  # those that are not known to be done
        self._events: Events = queue.SimpleQueue()
        self._workers: list[_Worker] = []
        self._n_crashes = 0
        self._last_progress = monotonic()

    def submit(self, jobs: Iterable[Job]) -> None:
        """Let kernels be compiled; returns without waiting.

        Parameters
        ----------
        jobs : iterable of Job
            The kernels. Processes begin with the first ones while the iterator makes others.
        """
        if not self._jobs:
            self._last_progress = monotonic()
        for job in jobs:  # making one takes time
            if job.name not in self._jobs:
                self._jobs[job.name] = job
                for worker in self._workers:
                    worker.send(([job], ()))
                self._start_workers()

    def wait_for(self, names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Wait for kernels. Also yields others that are ready by then.

        Parameters
        ----------
        names : iterable of str
            Names of jobs that have been submitted, and not yielded yet.

        Yields
        ------
        str
            Name of a job.
        bytes
            Its machine code.

        Raises
        ------
        CompilerError
            If a kernel cannot be compiled, or no process can be started.
        """
        missing = dict.fromkeys(names)
        self._raise_priority(missing)
        while missing:
            self._start_workers()
            for name, content in [*self._results(), *self._from_cache(missing)]:
                self._n_crashes, self._last_progress = 0, monotonic()
                missing.pop(name, None)
                if self._jobs.pop(name, None) is not None:
                    yield name, content

    def collect(self) -> list[tuple[str, bytes]]:
        """Kernels that are ready, without waiting; see `wait_for`."""
        if not self._workers:
            self._start_workers()
        found = [*self._results(0.0), *self._from_cache(list(self._jobs))]
        return [(name, content) for name, content in found if self._jobs.pop(name, None)]

    def close(self) -> None:
        """End the processes."""
        for worker in self._workers:
            worker.end(timeout=EXIT_TIMEOUT)
        self._workers = []
        self._jobs = {}

    def _start_workers(self) -> None:
        """Start a process if there is a job and a free slot.

        On Linux it forks into one process for each slot; elsewhere several are started.
        """
        n_wanted = n_cores() if self.folder and sys.platform != "linux" else 1
        while len(self._workers) < min(n_wanted, len(self._jobs)):
            slot = None
            if self.folder is not None:
                try:
                    slot = acquire_slot(self.folder.path, n_cores())
                except OSError:
                    pass
                else:
                    if slot is None and not self._others_are_stalled():
                        return
            try:
                worker = _Worker(self._events, slot)
            finally:
                if slot is not None:
                    os.close(slot)
            self._workers.append(worker)
            worker.send((self.folder.path if self.folder else None, self.limit, n_cores()))
            worker.send((list(self._jobs.values()), ()))

    def _raise_priority(self, names: Iterable[str]) -> None:
        """Let jobs be done first, since they are waited for."""
        jobs = [self._jobs[name] for name in names if name in self._jobs]
        raised = [replace(job, priority=AWAITED) for job in jobs if job.priority > AWAITED]
        self._jobs |= {job.name: job for job in raised}
        for worker in self._workers:
            worker.send((raised, ()))

    def _others_are_stalled(self) -> bool:
        """Whether other users of the cache hold all slots but make no progress."""
        return not self._workers and monotonic() - self._last_progress > STALL_TIMEOUT

    def _results(self, timeout: float = POLL_INTERVAL) -> Iterator[tuple[str, bytes]]:
        """Kernels that our processes have compiled."""
        with contextlib.suppress(queue.Empty):
            while True:
                event = self._events.get(timeout=timeout) if timeout else self._events.get_nowait()
                timeout = 0.0
                if isinstance(event, _Worker):
                    self._on_exit(event)
                    continue
                name, content, failure = event
                if failure is not None:
                    if self._jobs.pop(name, None) is None:
                        continue  # another process has reported it
                    raise CompilerError(f"The kernel {name} cannot be compiled:\n{failure}")
                for worker in self._workers:  # the cache may be full, so that they do not find it
                    worker.send(((), (name,)))
                assert content is not None
                yield name, content

    def _from_cache(self, missing: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Kernels that any process has compiled."""
        if self.folder is None:
            return
        for name in missing:
            with contextlib.suppress(OSError, UnsafeError):
                yield name, self.folder.read(name)

    def _on_exit(self, worker: _Worker) -> None:
        """Handle the end of a process, which was idle or has failed.

        Raises
        ------
        CompilerError
            If too many processes have failed.
        """
        if worker not in self._workers:
            return
        self._workers.remove(worker)
        status, printed = worker.end(timeout=1.0)
        if status == 0 and (not self._jobs or monotonic() - worker.began > IDLE_TIMEOUT):
            return
        self._n_crashes += 1
        if self._n_crashes == MAX_CRASHES:
            self._n_crashes = 0
            chosen = "".join(f"\n{name} is set to {value!r}." for name, value in settings().items())
            raise CompilerError(
                f"Kernels cannot be compiled: {worker.command} ended with status {status}.\n"
                f"{printed}{chosen}"
            )


class _Worker:
    """A process that compiles.

    Parameters
    ----------
    events : queue
        Gets each `Result` of the process and, when it has ended, this object.
    slot : int or None
        File descriptor of the slot that the process holds for as long as it lives.

    Attributes
    ----------
    began : float
        When it was started (seconds of a monotonic clock).
    """

    def __init__(self, events: Events, slot: int | None):
        if getattr(sys, "frozen", False) or not spawn.get_executable():
            raise CompilerError(
                "Kernels have to be compiled by a Python interpreter, and this program does not "
                "know where it is: call multiprocessing.set_executable(), or fill the cache "
                "beforehand (see NENGO_JIT_CACHE_DIR)"
            )
        self.command = os.fsdecode(spawn.get_executable())
        packages = {name: _absolute(sys.modules[name].__path__) for name in PACKAGES}
        self._printed = _new_file()
        self.began = monotonic()
        try:
            self._process = subprocess.Popen(
                [self.command, "-S", "-P", "-c", START.format(path=_path(), packages=packages)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._printed,
                env=_environment(),
                cwd=os.path.abspath(os.sep),
                pass_fds=() if slot is None or os.name != "posix" else (slot,),
                start_new_session=True,  # Ctrl-C is for this process only
            )
        except OSError as error:
            raise CompilerError(f"Kernels cannot be compiled: {self.command}: {error}") from error
        assert self._process.stdin is not None
        enlarge(self._process.stdin)
        threading.Thread(target=self._listen, args=(events,), daemon=True).start()

    def send(self, message: object) -> None:
        """Send a message; does nothing if the process has ended, which `_listen` reports."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            send(self._process.stdin, message)

    def end(self, timeout: float = 0.0) -> tuple[int, str]:
        """End the process; returns its exit status and what it has printed.

        Parameters
        ----------
        timeout : float
            Time after which it is killed (seconds).
        """
        process = self._process
        with contextlib.suppress(OSError):
            assert process.stdin is not None
            process.stdin.close()
        try:
            status = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
        self._printed.seek(0)
        printed = self._printed.read().decode(errors="replace").strip()
        self._printed.close()
        return status, printed

    def _listen(self, events: Events) -> None:
        assert self._process.stdout is not None
        try:
            with self._process.stdout as output, contextlib.suppress(EOFError, OSError):
                while True:
                    events.put(receive(output))
        finally:
            self._process.wait()  # nobody else may wait for it yet
            events.put(self)


def enlarge(pipe: IO[bytes]) -> None:
    """Enlarge a pipe, if possible, so that messages fit into it before the process reads them."""
    with contextlib.suppress(AttributeError, OSError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_SIZE)


def _new_file() -> IO[bytes]:
    """Open a file for what a process prints; the null device if no file can be made."""
    try:
        return tempfile.TemporaryFile()
    except OSError:
        return open(os.devnull, "r+b")


def _path() -> list[str]:
    """Module search path of a process, after Python's own folders.

    The compiler's folders come first. Files of the user may happen to have the names of the
    compiler's or of Python's modules, and must not be run.
    """
    sites = []
    for name in COMPILER:
        with contextlib.suppress(PackageNotFoundError):
            sites.append(str(distribution(name).locate_file("")))
    return _absolute(dict.fromkeys([*sites, *sys.path]))


def _absolute(path: Iterable[object]) -> list[str]:
    """Absolute entries of a module search path; Python ignores those that are no strings."""
    found = []
    for each in path:
        if isinstance(each, str):
            with contextlib.suppress(FileNotFoundError):  # the working directory is gone
                found.append(os.path.abspath(each))
    return found


def _environment() -> dict[str, str]:
    """Environment of a process, without the user's settings for Numba and module paths."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    kept.pop("PYTHONPATH", None)
    return {
        **kept,
        **settings(),
        "NENGO_JIT_CHECK": "1" if CHECKED else "0",
        "OPENBLAS_NUM_THREADS": "1",
    }
