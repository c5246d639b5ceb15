"""Have kernels compiled by other processes, as many as there are cores.

The compiler is imported there only, with settings of our own: what the user has set for Numba does
not get into the cache. Waiting for a process can be interrupted, whereas the compiler cannot.
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
from typing import IO, Any

from nengo_jit.engines.cpu.toolchain.cache.entry import UnsafeError
from nengo_jit.engines.cpu.toolchain.cache.folder import Folder
from nengo_jit.engines.cpu.toolchain.cache.locks import fcntl, take_place
from nengo_jit.engines.cpu.toolchain.cache.places import size_limit
from nengo_jit.engines.cpu.toolchain.jobs import AWAITED, LONGEST, PATIENCE, Job, receive, send
from nengo_jit.engines.cpu.toolchain.target import settings
from nengo_jit.parallel import n_cores
from nengo_jit.regions import CHECKED

logger = logging.getLogger(__name__)

PAUSE = 0.02  # seconds between two looks at what other processes have compiled
SHORT = 0.2  # seconds in which a process ends if it has to
ROOM = 2**20  # bytes in a pipe
MOST_LOST = 3  # processes that may die before we give up
# What a process is told: to keep what is printed out of its messages, to find modules, packages
# without running what is in them, which would import nengo and all of this package, and to compile.
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


class CompilerError(RuntimeError):
    """A kernel cannot be compiled here."""


class Workers:
    """Processes that compile, and end by themselves when they have nothing to do.

    Parameters
    ----------
    folder : Folder or None
        Where machine code is kept; None if there is no such place.

    Attributes
    ----------
    folder : Folder or None
        As given.
    limit : int
        How large all that is kept there may be (bytes).
    """

    def __init__(self, folder: Folder | None):
        self.folder = folder
        self.limit = size_limit()
        self._jobs: dict[str, Job] = {}  # that are not done, as far as we know
        self._events: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._workers: list[_Worker] = []
        self._n_lost = 0
        self._latest = monotonic()  # progress

    def begin(self, jobs: Iterable[Job]) -> None:
        """Have kernels compiled, some time.

        Parameters
        ----------
        jobs : iterable of Job
            Which. Processes begin with the first ones while others are made.
        """
        if not self._jobs:
            self._latest = monotonic()
        for job in jobs:  # each of which takes time to make
            if job.name not in self._jobs:
                self._jobs[job.name] = job
                for worker in self._workers:
                    worker.send(([job], ()))
                self._hire()

    def finish(self, names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Wait for kernels; others that have become ready come, too.

        Parameters
        ----------
        names : iterable of str
            Names of jobs that have begun, and have not come yet.

        Yields
        ------
        str
            The name of a kernel that is ready.
        bytes
            Its machine code.

        Raises
        ------
        CompilerError
            If one cannot be compiled, or no process can be started for it.
        """
        missing = dict.fromkeys(names)
        self._hurry(missing)
        while missing:
            self._hire()
            for name, content in [*self._told(), *self._looked_up(missing)]:
                self._n_lost, self._latest = 0, monotonic()
                missing.pop(name, None)
                if self._jobs.pop(name, None) is not None:
                    yield name, content

    def take(self) -> list[tuple[str, bytes]]:
        """Kernels that have become ready, without waiting; see `finish`."""
        if not self._workers:
            self._hire()
        found = [*self._told(0.0), *self._looked_up(list(self._jobs))]
        return [(name, content) for name, content in found if self._jobs.pop(name, None)]

    def close(self) -> None:
        """End the processes."""
        for worker in self._workers:
            worker.end(patience=SHORT)
        self._workers = []
        self._jobs = {}

    def _hire(self) -> None:
        """Start a process if there is something to do and a place.

        On Linux it becomes as many as there are places; elsewhere several are started.
        """
        n_wanted = n_cores() if self.folder and sys.platform != "linux" else 1
        while len(self._workers) < min(n_wanted, len(self._jobs)):
            place = None
            if self.folder is not None:
                try:
                    place = take_place(self.folder.path, n_cores())
                except OSError:
                    pass
                else:
                    if place is None and not self._are_stopped():
                        return
            try:
                worker = _Worker(self._events, place)
            finally:
                if place is not None:
                    os.close(place)
            self._workers.append(worker)
            worker.send((self.folder.path if self.folder else None, self.limit, n_cores()))
            worker.send((list(self._jobs.values()), ()))

    def _hurry(self, names: Iterable[str]) -> None:
        """Have done first what somebody waits for."""
        jobs = [self._jobs[name] for name in names if name in self._jobs]
        late = [replace(job, turn=AWAITED) for job in jobs if job.turn > AWAITED]
        self._jobs |= {job.name: job for job in late}
        for worker in self._workers:
            worker.send((late, ()))

    def _are_stopped(self) -> bool:
        """Whether the processes of others that have all places seem to do nothing."""
        return not self._workers and monotonic() - self._latest > LONGEST

    def _told(self, timeout: float = PAUSE) -> Iterator[tuple[str, bytes]]:
        """What processes of ours have compiled."""
        with contextlib.suppress(queue.Empty):
            while True:
                event = self._events.get(timeout=timeout) if timeout else self._events.get_nowait()
                timeout = 0.0
                if isinstance(event, _Worker):
                    self._lose(event)
                    continue
                name, content, failure = event
                if failure is not None:
                    if self._jobs.pop(name, None) is None:
                        continue  # another process has told of it
                    raise CompilerError(f"The kernel {name} cannot be compiled:\n{failure}")
                for worker in self._workers:  # it may not be in the cache, if there is no room
                    worker.send(((), (name,)))
                yield name, content

    def _looked_up(self, missing: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """What any process has compiled."""
        if self.folder is None:
            return
        for name in missing:
            with contextlib.suppress(OSError, UnsafeError):
                yield name, self.folder.read(name)

    def _lose(self, worker: _Worker) -> None:
        """A process has ended: since there was nothing to do, or for another reason."""
        if worker not in self._workers:
            return
        self._workers.remove(worker)
        status, said = worker.end(patience=1.0)
        if status == 0 and (not self._jobs or monotonic() - worker.began > PATIENCE):
            return
        self._n_lost += 1
        if self._n_lost == MOST_LOST:
            self._n_lost = 0
            chosen = "".join(f"\n{name} is set to {value!r}." for name, value in settings().items())
            raise CompilerError(
                f"Kernels cannot be compiled: {worker.command} ended with status {status}.\n"
                f"{said}{chosen}"
            )


class _Worker:
    """A process that compiles.

    Parameters
    ----------
    events : queue
        Gets what the process tells and, when it has ended, this object.
    place : int or None
        File descriptor that the process is to have for as long as it lives.

    Attributes
    ----------
    began : float
        When it was started (seconds, of a clock that never goes back).
    """

    def __init__(self, events: Any, place: int | None):
        if getattr(sys, "frozen", False) or not spawn.get_executable():
            raise CompilerError(
                "Kernels have to be compiled, for which Python is needed, and this program does "
                "not know where it is: tell it by multiprocessing.set_executable(), or fill the "
                "cache beforehand (see NENGO_JIT_CACHE_DIR)"
            )
        self.command = os.fsdecode(spawn.get_executable())
        packages = {name: _absolute(sys.modules[name].__path__) for name in PACKAGES}
        self._said = _new_file()
        self.began = monotonic()
        try:
            self._process = subprocess.Popen(
                [self.command, "-S", "-P", "-c", START.format(path=_path(), packages=packages)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._said,
                env=_environment(),
                cwd=os.path.abspath(os.sep),
                pass_fds=() if place is None or os.name != "posix" else (place,),
                start_new_session=True,  # Ctrl-C is ours to answer
            )
        except OSError as error:
            raise CompilerError(f"Kernels cannot be compiled: {self.command}: {error}") from error
        widen(self._process.stdin)
        threading.Thread(target=self._listen, args=(events,), daemon=True).start()

    def send(self, message: Any) -> None:
        """Send a message; if the process has ended, that is noticed elsewhere."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            send(self._process.stdin, message)

    def end(self, patience: float = 0.0) -> tuple[int, str]:
        """End the process if it does not; returns its status and what it has printed.

        Parameters
        ----------
        patience : float
            How long it may take to end by itself (seconds).
        """
        process = self._process
        with contextlib.suppress(OSError):
            assert process.stdin is not None
            process.stdin.close()
        try:
            status = process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
        self._said.seek(0)
        said = self._said.read().decode(errors="replace").strip()
        self._said.close()
        return status, said

    def _listen(self, events: Any) -> None:
        assert self._process.stdout is not None
        try:
            with self._process.stdout as output, contextlib.suppress(EOFError, OSError):
                while True:
                    events.put(receive(output))
        finally:
            self._process.wait()  # nobody else may, for a while
            events.put(self)


def widen(pipe: Any) -> None:
    """Let a pipe hold what a process is told before it listens, where that can be had."""
    with contextlib.suppress(AttributeError, OSError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, ROOM)


def _new_file() -> IO[bytes]:
    """A file for what a process prints; where there is no room for files, nothing is kept of it."""
    try:
        return tempfile.TemporaryFile()
    except OSError:
        return open(os.devnull, "r+b")


def _path() -> list[str]:
    """Where a process finds modules, after Python's own.

    The compiler's folders come first: what happens to have the name of one of its modules, or of
    one of Python's, may be anything, such as the program that is running.
    """
    sites = []
    for name in COMPILER:
        with contextlib.suppress(PackageNotFoundError):
            sites.append(str(distribution(name).locate_file("")))
    return _absolute(dict.fromkeys([*sites, *sys.path]))


def _absolute(path: Iterable[Any]) -> list[str]:
    """Entries of a module search path, in which Python ignores what is no string."""
    found = []
    for each in path:
        if isinstance(each, str):
            with contextlib.suppress(FileNotFoundError):  # the working directory is gone
                found.append(os.path.abspath(each))
    return found


def _environment() -> dict[str, str]:
    """What the compiler sees: all but the user's settings for Numba and paths to modules."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    kept.pop("PYTHONPATH", None)
    return {
        **kept,
        **settings(),
        "NENGO_JIT_CHECK": "1" if CHECKED else "0",
        "OPENBLAS_NUM_THREADS": "1",
    }
