"""A process that compiles kernels for another one, and for all who use the same cache.

It is told jobs, takes one that nobody else has taken, and writes the machine code into the cache.
So work is shared by whatever processes there are, with nobody to divide it. The process ends when
there has been nothing to do for a while, or when the one that has started it is gone.
"""

from __future__ import annotations

import contextlib
import gc
import os
import queue
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path
from typing import IO, Any

from nengo_jit.engines.cpu.toolchain.cache.entry import DESCRIBED, UnsafeError
from nengo_jit.engines.cpu.toolchain.cache.eviction import make_room, maker
from nengo_jit.engines.cpu.toolchain.cache.folder import Folder
from nengo_jit.engines.cpu.toolchain.cache.locks import KernelLocks, fcntl, take_place
from nengo_jit.engines.cpu.toolchain.compiler import compile_kernel
from nengo_jit.engines.cpu.toolchain.jobs import LONGEST, PATIENCE, Job, receive, send, source_of
from nengo_jit.engines.cpu.toolchain.linker import link
from nengo_jit.engines.cpu.toolchain.loader import IS_LINKED_HERE
from nengo_jit.engines.cpu.toolchain.translation import translate_only, warm_up
from nengo_jit.engines.cpu.toolchain.wrapper import ENTRY

MOST = 8  # processes that one becomes
PAUSE = 0.01  # seconds between two looks whether another process has finished


def main(output: IO[bytes]) -> None:
    """Compile what comes through the standard input until nothing comes any more.

    Parameters
    ----------
    output : file
        Where it is told what has become of jobs, see `Worker`.
    """
    gc.disable()  # nearly all that the compiler makes stays
    translate_only()
    warm_up()
    folder, limit, n_processes = receive(sys.stdin.buffer)
    source, helpers, turn = _fork(folder, n_processes)
    jobs, told = (queue.SimpleQueue[Any]() for _ in range(2))
    _start(_tell, output, told, turn)
    listeners = [jobs]
    for helper in helpers:
        listeners.append(queue.SimpleQueue())
        _start(_tell, helper, listeners[-1])
    _start(_listen, source, listeners, helpers)
    Worker(folder, limit, told).work(jobs)
    _leave(helpers)


def _fork(folder: Path | None, n_processes: int) -> tuple[IO[bytes], list[IO[bytes]], Any]:
    """Have as many processes as there are places, which need not import the compiler again.

    The first one passes on what it is told.

    Returns
    -------
    file
        Where this process is told jobs.
    list of file
        Where it passes them on.
    file or None
        What a process must have locked to tell something, if there are several.
    """
    if sys.platform != "linux" or folder is None:
        return sys.stdin.buffer, [], None
    try:
        turn = tempfile.TemporaryFile()  # noqa: SIM115  # as long as this process lives
    except OSError:
        return sys.stdin.buffer, [], None
    helpers: list[IO[bytes]] = []
    for _ in range(min(n_processes, MOST) - 1):
        reading, writing = os.pipe()
        if os.fork() == 0:
            os.close(writing)
            for helper in helpers:
                helper.close()
            os.dup2(os.open(os.devnull, os.O_RDONLY), sys.stdin.fileno())
            with contextlib.suppress(OSError):
                if take_place(folder, n_processes) is None:
                    os._exit(0)
            return os.fdopen(reading, "rb"), [], turn
        os.close(reading)
        helpers.append(os.fdopen(writing, "wb"))
    return sys.stdin.buffer, helpers, turn


def _start(function: Any, *arguments: Any) -> None:
    threading.Thread(target=function, args=arguments, daemon=True).start()


def _listen(file: IO[bytes], listeners: list[Any], helpers: list[IO[bytes]]) -> None:
    with contextlib.suppress(EOFError, OSError):
        while True:
            message = receive(file)
            for each in listeners:
                each.put(message)
    _leave(helpers)  # nobody is interested any more


def _leave(helpers: list[IO[bytes]]) -> None:
    """End this process and those that it tells, whatever threads are at."""
    for helper in helpers:
        with contextlib.suppress(OSError):
            os.close(helper.fileno())
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()
    os._exit(0)


def _tell(file: IO[bytes], told: Any, turn: Any = None) -> None:
    """Send messages; others wait for this process, so it does not wait for one who is stopped."""
    with contextlib.suppress(OSError):
        while True:
            message = told.get()
            if turn is not None:
                fcntl.lockf(turn, fcntl.LOCK_EX)
            send(file, message)
            if turn is not None:
                fcntl.lockf(turn, fcntl.LOCK_UN)


class Worker:
    """Compiles jobs.

    Parameters
    ----------
    folder : Path or None
        Where machine code is kept; None if there is no such place.
    limit : int
        How large all of it may be (bytes).
    told : queue
        Gets what is told of each job: its name, the machine code if it was compiled here, and what
        went wrong, if something did.
    """

    def __init__(self, folder: Path | None, limit: int, told: Any):
        self._folder = None if folder is None else Folder(folder)
        self._limit = limit
        self._told = told
        self._locks: KernelLocks | None = None
        if folder is not None:
            with contextlib.suppress(OSError):
                self._locks = KernelLocks(folder)

    def work(self, jobs: Any) -> None:
        """Do jobs by their turns, those that take longest first, until none come any more.

        Parameters
        ----------
        jobs : queue
            Gets pairs: new jobs, and names of jobs that need not be done any more.
        """
        waiting: list[Job] = []
        latest = time.monotonic()  # progress
        while True:
            try:
                while True:
                    new, done = jobs.get_nowait() if waiting else jobs.get(timeout=PATIENCE)
                    known = {job.name: job for job in (*waiting, *new)}
                    waiting = [job for name, job in known.items() if name not in done]
                    waiting.sort(key=lambda job: (job.turn, -job.work))
            except queue.Empty:
                if not waiting:
                    return
            finished = next((job for job in waiting if self._is_done(job)), None)
            if finished is None and time.monotonic() - latest > LONGEST:
                finished = waiting[0]
                self._do(finished)
            if finished is None:
                time.sleep(PAUSE)
            else:
                waiting.remove(finished)
                latest = time.monotonic()

    def _is_done(self, job: Job) -> bool:
        """Do a job, unless another process is at it."""
        if self._is_in_cache(job.name):
            return True
        if self._locks is None:
            self._do(job)
            return True
        with self._locks.trying(job.name) as is_ours:
            if is_ours and not self._is_in_cache(job.name):
                self._do(job)
            return is_ours

    def _is_in_cache(self, name: str) -> bool:
        try:
            return self._folder is not None and bool(self._folder.read(name))
        except (OSError, UnsafeError):
            return False

    def _do(self, job: Job) -> None:
        try:
            content = machine_code(job)
        except Exception:
            self._told.put((job.name, None, traceback.format_exc()))
            return
        if self._folder is not None:
            with contextlib.suppress(OSError, UnsafeError):
                if make_room(self._folder.path, len(content) + DESCRIBED, self._limit):
                    self._folder.write(job.name, content, maker())
        self._told.put((job.name, content, None))


def machine_code(job: Job) -> bytes:
    """Compile a kernel: an image where those are loaded, else an object file.

    Parameters
    ----------
    job : Job
        The kernel.
    """
    task = source_of(job)
    task.announce()
    object_file = compile_kernel(task.function, task.signature, task.dtype, set(task.fastmath))
    return link(object_file, ENTRY).to_bytes() if IS_LINKED_HERE else object_file
