"""Divide the work of NumPy among threads.

NumPy releases the GIL while it computes, so Python's threads can use all cores. While they run, the
linear algebra library behind NumPy (OpenBLAS) is limited to the calling thread: otherwise there
would be more threads than cores.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from functools import cache
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import TypeVar

from threadpoolctl import ThreadpoolController

Item = TypeVar("Item")
Result = TypeVar("Result")

_limiting = Lock()


def n_cores() -> int:
    """Return the number of cores that the process may use, by its affinity and its CPU quota."""
    allowed = int(quota(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")))
    has_affinity = hasattr(os, "sched_getaffinity")
    n = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    return max(1, min(n, allowed))


def quota(membership: Path, mounted: Path) -> float:
    """Return the CPU quota of a process's control groups, in cores; 2**31 without a quota.

    Parameters
    ----------
    membership : Path
        File that lists the groups of the process, see cgroups(7).
    mounted : Path
        Folder where the control groups are mounted.
    """
    cores = [float(2**31)]
    try:
        lines = os.fsdecode(membership.read_bytes()).splitlines()
    except OSError:
        return cores[0]
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = mounted if not controllers else mounted / "cpu"
        folder = root / group.lstrip("/")
        for each in (folder, *folder.parents):  # quotas of parent groups apply, too
            cores += _quota_of(each)
            if each == root:
                break
    return min(cores)


def _quota_of(group: Path) -> list[float]:
    """Return the quota of one control group, of version 2 or 1; an empty list without one."""
    for names in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
        try:
            time, period = " ".join((group / name).read_text("utf-8") for name in names).split()
            return [int(time) / int(period)] if int(time) > 0 else []
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return []


@cache
def linear_algebra(with_scipy: bool, /) -> ThreadpoolController:
    """Return the linear algebra libraries that NumPy has loaded and, if asked for, SciPy, too.

    SciPy loads one of its own when it is imported, which takes 50 ms and 8 MiB.
    """
    if with_scipy:
        with suppress(ImportError):
            import scipy.linalg.lapack  # noqa: F401
    return ThreadpoolController().select(user_api="blas")


@contextmanager
def one_thread_in_blas(with_scipy: bool = True) -> Iterator[bool]:
    """Context in which linear algebra uses the calling thread only.

    Yields whether the limit is in effect. It is not for unknown libraries, or while another thread
    is in such a context.

    Parameters
    ----------
    with_scipy : bool
        Whether SciPy's linear algebra may be used, too: it is imported.
    """
    if not _limiting.acquire(blocking=False):
        yield False
        return
    try:
        libraries = linear_algebra(with_scipy)
        with libraries.limit(limits=1):
            yield bool(libraries.lib_controllers)
    finally:
        _limiting.release()


def parallel_map(
    function: Callable[[Item], Result], items: Sequence[Item], threads: int
) -> Generator[Result, None, None]:
    """Yield the results of a function for each item, in order; threads compute them in advance.

    After an error or Ctrl-C, or if the generator is closed, it cancels the calls that have not
    begun and waits for the others. Close the generator if you do not exhaust it.

    Parameters
    ----------
    function : callable
        Called with one item. It must not depend on other calls.
    items : sequence
        The arguments.
    threads : int
        Number of threads to use at most.
    """
    if threads < 2 or len(items) < 2:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(min(threads, len(items))) as pool:
        waiting = iter(items)
        futures = [pool.submit(function, item) for item in islice(waiting, 2 * threads)]
        try:
            while futures:
                yield futures.pop(0).result()
                futures.extend(pool.submit(function, item) for item in islice(waiting, 1))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def for_each(function: Callable[[Item], None], items: Iterable[Item], threads: int) -> None:
    """Call a function with each item, in threads.

    Parameters
    ----------
    function, threads
        As for `parallel_map`.
    items : iterable
        The arguments.
    """
    with closing(parallel_map(function, list(items), threads)) as done:
        for _ in done:
            pass
