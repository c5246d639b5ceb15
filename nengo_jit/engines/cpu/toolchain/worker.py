"""A process that compiles kernels for another one, and for all processes that share a cache.

It receives jobs, takes one that no other process has locked, and writes the machine code to the
cache. So any number of processes share the work without a scheduler. The process ends when it has
been idle for a while, or when the process that started it is gone.
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
from collections.abc import Callable
from pathlib import Path
from typing import IO, TypeAlias

from nengo_jit.engines.cpu.toolchain.cache.entry import DESCRIBED, UnsafeError
from nengo_jit.engines.cpu.toolchain.cache.eviction import make_room, maker
from nengo_jit.engines.cpu.toolchain.cache.folder import Folder
from nengo_jit.engines.cpu.toolchain.cache.locks import KernelLocks, acquire_slot, fcntl
from nengo_jit.engines.cpu.toolchain.compiler import compile_kernel
from nengo_jit.engines.cpu.toolchain.jobs import (
    IDLE_TIMEOUT,
    STALL_TIMEOUT,
    Job,
    Order,
    Result,
    receive,
    send,
    source_of,
)
from nengo_jit.engines.cpu.toolchain.linker import link
from nengo_jit.engines.cpu.toolchain.loader import IS_LINKED_HERE
from nengo_jit.engines.cpu.toolchain.translation import translate_only, warm_up
from nengo_jit.engines.cpu.toolchain.wrapper import ENTRY

Orders: TypeAlias = queue.SimpleQueue[Order]
Results: TypeAlias = queue.SimpleQueue[Result]

MAX_PROCESSES = 8  # that the first process forks into
POLL_INTERVAL = 0.01  # seconds between checks whether another process has finished a job


def main(output: IO[bytes]) -> None:
    """Compile the jobs that come through the standard input, until no more come.

    Parameters
    ----------
    output : file
        Where to send results, see `Worker`.
    """
    gc.disable()  # the compiler keeps nearly all that it makes
    translate_only()
    warm_up()
    folder, limit, n_processes = receive(sys.stdin.buffer)
    source, children, lock = _fork(folder, n_processes)
    orders: Orders = queue.SimpleQueue()
    results: Results = queue.SimpleQueue()
    _start(_send_all, output, results, lock)
    queues = [orders]
    for child in children:
        queues.append(queue.SimpleQueue())
        _start(_send_all, child, queues[-1])
    _start(_receive_all, source, queues, children)
    Worker(folder, limit, results).run(orders)
    _exit(children)


def _fork(
    folder: Path | None, n_processes: int
) -> tuple[IO[bytes], list[IO[bytes]], IO[bytes] | None]:
    """Fork one process for each free slot, so that none of them imports the compiler again.

    The first process forwards the jobs that it receives to the others.

    Returns
    -------
    file
        Where this process receives jobs.
    list of file
        Where it forwards them.
    file or None
        The lock that a process must hold to send a result, if there are several.
    """
    if sys.platform != "linux" or folder is None:
        return sys.stdin.buffer, [], None
    try:
        lock = tempfile.TemporaryFile()  # noqa: SIM115  # as long as this process lives
    except OSError:
        return sys.stdin.buffer, [], None
    children: list[IO[bytes]] = []
    for _ in range(min(n_processes, MAX_PROCESSES) - 1):
        reading, writing = os.pipe()
        if os.fork() == 0:
            os.close(writing)
            for child in children:
                child.close()
            os.dup2(os.open(os.devnull, os.O_RDONLY), sys.stdin.fileno())
            with contextlib.suppress(OSError):
                if acquire_slot(folder, n_processes) is None:
                    os._exit(0)
            return os.fdopen(reading, "rb"), [], lock
        os.close(reading)
        children.append(os.fdopen(writing, "wb"))
    return sys.stdin.buffer, children, lock


def _start(function: Callable[..., None], *arguments: object) -> None:
    threading.Thread(target=function, args=arguments, daemon=True).start()


def _receive_all(file: IO[bytes], queues: list[Orders], children: list[IO[bytes]]) -> None:
    """Put each message from a pipe into all queues, until the pipe is closed."""
    with contextlib.suppress(EOFError, OSError):
        while True:
            message = receive(file)
            for each in queues:
                each.put(message)
    _exit(children)  # nobody waits for results


def _exit(children: list[IO[bytes]]) -> None:
    """End this process and its children, whatever their threads do."""
    for child in children:
        with contextlib.suppress(OSError):
            os.close(child.fileno())
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()
    os._exit(0)


def _send_all(file: IO[bytes], messages: Orders | Results, lock: IO[bytes] | None = None) -> None:
    """Send messages from a queue, in a thread: the receiver may be stopped."""
    with contextlib.suppress(OSError):
        while True:
            message = messages.get()
            if lock is not None:
                fcntl.lockf(lock, fcntl.LOCK_EX)
            send(file, message)
            if lock is not None:
                fcntl.lockf(lock, fcntl.LOCK_UN)


class Worker:
    """Compiles jobs.

    Parameters
    ----------
    folder : Path or None
        Where machine code is kept; None if it is not.
    limit : int
        Maximum size of all entries (bytes).
    results : queue
        Gets the `Result` of each job that is compiled here.
    """

    def __init__(self, folder: Path | None, limit: int, results: Results):
        self._folder = None if folder is None else Folder(folder)
        self._limit = limit
        self._results = results
        self._locks: KernelLocks | None = None
        if folder is not None:
            with contextlib.suppress(OSError):
                self._locks = KernelLocks(folder)

    def run(self, orders: Orders) -> None:
        """Compile jobs by priority, those that take longest first, until no more come.

        Parameters
        ----------
        orders : queue
            Gets each `Order`.
        """
        waiting: list[Job] = []
        last_progress = time.monotonic()
        while True:
            try:
                while True:
                    new, done = orders.get_nowait() if waiting else orders.get(timeout=IDLE_TIMEOUT)
                    known = {job.name: job for job in (*waiting, *new)}
                    waiting = [job for name, job in known.items() if name not in done]
                    waiting.sort(key=lambda job: (job.priority, -job.work))
            except queue.Empty:
                if not waiting:
                    return
            finished = next((job for job in waiting if self._is_done(job)), None)
            if finished is None and time.monotonic() - last_progress > STALL_TIMEOUT:
                finished = waiting[0]
                self._compile(finished)
            if finished is None:
                time.sleep(POLL_INTERVAL)
            else:
                waiting.remove(finished)
                last_progress = time.monotonic()

    def _is_done(self, job: Job) -> bool:
        """Compile a job, unless another process has it locked; returns whether it is done."""
        if self._is_in_cache(job.name):
            return True
        if self._locks is None:
            self._compile(job)
            return True
        with self._locks.try_lock(job.name) as is_ours:
            if is_ours and not self._is_in_cache(job.name):
                self._compile(job)
            return is_ours

    def _is_in_cache(self, name: str) -> bool:
        try:
            return self._folder is not None and bool(self._folder.read(name))
        except (OSError, UnsafeError):
            return False

    def _compile(self, job: Job) -> None:
        try:
            content = machine_code(job)
        except Exception:
            self._results.put((job.name, None, traceback.format_exc()))
            return
        if self._folder is not None:
            with contextlib.suppress(OSError, UnsafeError):
                if make_room(self._folder.path, len(content) + DESCRIBED, self._limit):
                    self._folder.write(job.name, content, maker())
        self._results.put((job.name, content, None))


def machine_code(job: Job) -> bytes:
    """Compile a kernel: an image, or an object file where LLVM loads code.

    Parameters
    ----------
    job : Job
        The kernel.
    """
    source = source_of(job)
    source.register()
    object_file = compile_kernel(
        source.function, source.signature, source.dtype, set(source.fastmath)
    )
    return link(object_file, ENTRY).to_bytes() if IS_LINKED_HERE else object_file
