"""The cache of machine code: on disk, so that each kernel is compiled once on a machine.

Entries are named after all that their code depends on (`nengo_jit.engines.cpu.toolchain.keys`), so
they are never out of date and can be deleted at any time. They are kept in folders, see
`nengo_jit.engines.cpu.toolchain.cache`; kernels that are missing are compiled by other processes,
see `nengo_jit.engines.cpu.toolchain.workers`.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from time import monotonic

import numpy as np
from nengo.utils.progress import Progress

from nengo_jit.engines.cpu.language.kernel import Routine
from nengo_jit.engines.cpu.language.primitives import Address
from nengo_jit.engines.cpu.toolchain.cache.locations import (
    own_folder,
    read_entry,
    readable_folders,
    size_limit,
    warn_once,
    writable_folder,
)
from nengo_jit.engines.cpu.toolchain.jobs import AWAITED, LATER, LIKELY, Job, job_for
from nengo_jit.engines.cpu.toolchain.keys import fastmath, name_of
from nengo_jit.engines.cpu.toolchain.loader import IS_LINKED_HERE, load_image, load_object
from nengo_jit.engines.cpu.toolchain.workers import POLL_INTERVAL, CompilerError, Workers
from nengo_jit.stages import begin

logger = logging.getLogger(__name__)

Kernels = Iterable[tuple[Routine, np.dtype]]  # each with the type of its numbers
Needed = dict[str, tuple[Routine, np.dtype]]  # by the names of their entries


def address_of(kernel: Routine, dtype: np.dtype) -> Address:
    """Address of a kernel's machine code for one precision; compiles it if need be.

    Raises
    ------
    CompilerError
        If it cannot be compiled.
    """
    name = name_of(kernel, np.dtype(dtype))
    if name not in KERNELS.addresses:
        KERNELS.load([(kernel, dtype)])
    return KERNELS.addresses[name]


def load_kernels(kernels: Kernels, progress: Progress | None = None) -> None:
    """Load kernels into memory: from disk or, the first time on a machine, by compiling them.

    Parameters
    ----------
    kernels : iterable of tuple of Routine and numpy.dtype
        The kernels, each with the type of its numbers.
    progress : nengo.utils.progress.Progress, optional
        Is updated for each kernel that is loaded.

    Raises
    ------
    CompilerError
        If a kernel cannot be compiled.
    """
    KERNELS.load(kernels, progress)
    KERNELS.compile_deferred()


def prefetch(kernels: Kernels, priority: int = LIKELY) -> None:
    """Begin to compile kernels that are not on disk, in other processes; returns at once.

    Parameters
    ----------
    kernels
        See `load_kernels`.
    priority : int
        See `nengo_jit.engines.cpu.toolchain.jobs.Job`.
    """
    KERNELS.prefetch(kernels, priority)


def are_ready(kernels: Kernels) -> bool:
    """Whether kernels are in memory, without waiting for them.

    Those that are not on disk either will be compiled in other processes, after all kernels that
    `load_kernels` waits for.

    Parameters
    ----------
    kernels
        See `load_kernels`.
    """
    return KERNELS.are_ready(kernels)


def are_kept(kernels: Kernels) -> bool:
    """Whether later processes will find kernels on disk.

    Parameters
    ----------
    kernels
        See `load_kernels`.
    """
    folders = list(readable_folders())
    return all(
        any(read_entry(folder, name) is not None for folder in folders) for name in _named(kernels)
    )


class KernelCache:
    """The machine code in this process, and where it gets more from.

    Attributes
    ----------
    addresses : dict of (str, Address)
        Addresses of the code in memory, by the names of entries.
    """

    def __init__(self) -> None:
        self.addresses: dict[str, Address] = {}
        self._contents: dict[str, bytes] = {}  # of entries that are not in memory yet
        self._deferred: Needed = {}  # kernels that nobody waits for
        self._failed: set[str] = set()  # deferred kernels that cannot be compiled
        self._next_check = 0.0
        self._workers: Workers | None = None
        self._lock = threading.RLock()

    def load(self, kernels: Kernels, progress: Progress | None = None) -> None:
        """Load kernels into memory; see `load_kernels`."""
        needed = _named(kernels)
        begin(progress, "Loading kernels", max(len(needed), 1))
        with self._lock:
            missing = self._look_up(needed)
            for name in needed.keys() - missing.keys():
                self._put_into_memory(name, progress)
            if missing:
                self._compile(missing, progress)

    def prefetch(self, kernels: Kernels, priority: int) -> None:
        """Begin to compile kernels; see `prefetch`."""
        with self._lock:
            missing = self._look_up(_named(kernels))
            if missing:
                with self._with_workers() as workers:
                    workers.submit(_jobs(missing, priority))

    def are_ready(self, kernels: Kernels) -> bool:
        """Whether kernels are in memory; see `are_ready`."""
        needed = _named(kernels)
        if needed.keys() <= self.addresses.keys():
            return True
        is_deferred = not needed.keys().isdisjoint(self._deferred)
        if is_deferred and monotonic() < self._next_check:
            return False
        if not self._lock.acquire(blocking=False):
            return False
        try:
            self._next_check = monotonic() + POLL_INTERVAL
            self._collect()
            missing = self._look_up(needed)
            for name in needed.keys() - missing.keys():
                self._put_into_memory(name)
            self._deferred |= missing
            return not missing
        finally:
            self._lock.release()

    def compile_deferred(self) -> None:
        """Begin to compile the kernels that nobody waits for."""
        with self._lock:
            missing = self._look_up(self._deferred)
            self._deferred = {name: missing[name] for name in missing.keys() - self._failed}
            if self._deferred:
                with self._with_workers() as workers:
                    workers.submit(_jobs(self._deferred, LATER))

    def _collect(self) -> None:
        """Take the deferred kernels that have been compiled."""
        if self._workers is None or not self._deferred:
            return
        try:
            for name, content in self._workers.collect():
                self._contents[name] = content
                self._deferred.pop(name, None)
        except CompilerError as error:
            warn_once(str(error))
            self._failed |= self._deferred.keys()
            self._deferred = {}

    def stop_workers(self) -> None:
        """End the processes that compile for this one."""
        with self._lock:
            if self._workers is not None:
                self._workers.close()
                self._workers = None

    def _look_up(self, needed: Needed) -> Needed:
        """Read entries from disk; returns the kernels that have none."""
        missing = {}
        size_limit()  # warns if it is invalid, whether or not anything is compiled
        own, folders = own_folder(), list(readable_folders())
        for name, (kernel, dtype) in needed.items():
            if name in self.addresses or name in self._contents:
                continue
            for folder in folders:
                content = read_entry(folder, name)
                if content is not None:
                    self._contents[name] = content
                    if folder == own:
                        folder.touch(name)
                    break
            else:
                missing[name] = kernel, dtype
        return missing

    def _compile(self, missing: Needed, progress: Progress | None) -> None:
        logger.info("Compiling %s", ", ".join(missing))
        with self._with_workers() as workers:
            workers.submit(_jobs(missing, AWAITED))
            for name, content in workers.wait_for(missing):
                self._contents[name] = content
                if name in missing:
                    self._put_into_memory(name, progress)

    def _put_into_memory(self, name: str, progress: Progress | None = None) -> None:
        if name not in self.addresses:
            content = self._contents.pop(name)
            load = load_image if IS_LINKED_HERE else load_object
            self.addresses[name] = load(content)
        if progress is not None:
            progress.step()

    @contextlib.contextmanager
    def _with_workers(self) -> Iterator[Workers]:
        """Context with processes that compile, which are ended if an error leaves it."""
        folder = writable_folder()
        workers = self._workers
        if workers is not None and (workers.folder, workers.limit) != (folder, size_limit()):
            self.stop_workers()
        if self._workers is None:
            self._workers = Workers(folder)
        try:
            yield self._workers
        except BaseException:
            self.stop_workers()
            raise


KERNELS = KernelCache()


def _after_fork() -> None:
    """Drop the workers and the lock, whose owners are in the parent process."""
    KERNELS._lock = threading.RLock()
    _of_parents.append(KERNELS._workers)
    KERNELS._workers = None


_of_parents: list[Workers | None] = []  # are kept, since deleting them would end the processes
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
atexit.register(KERNELS.stop_workers)


def _named(kernels: Kernels) -> Needed:
    return {name_of(kernel, np.dtype(dtype)): (kernel, dtype) for kernel, dtype in kernels}


def _jobs(missing: Needed, priority: int) -> Iterator[Job]:
    keys: dict[Callable[..., object], str] = {}
    for name, (kernel, dtype) in missing.items():
        yield job_for(name, kernel.code, kernel.signature, dtype, fastmath(kernel), priority, keys)
