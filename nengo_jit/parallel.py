"""Share work that NumPy does among threads.

NumPy lets other threads run while it computes, so that plain threads use all cores. The linear
algebra library behind it (OpenBLAS) starts threads of its own: they are kept from doing so while
ours run, or there would be more threads than cores.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
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
    """How many cores this process may use: by its affinity, and by the quota of its containers."""
    allowed = int(quota(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")))
    has_affinity = hasattr(os, "sched_getaffinity")
    n = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    return max(1, min(n, allowed))


def quota(membership: Path, mounted: Path) -> float:
    """How many cores' time the control groups of a process allow it; 2**31 if they do not say.

    Parameters
    ----------
    membership : Path
        File that says which groups a process is in, see cgroups(7).
    mounted : Path
        Folder in which the control groups are.
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
        for each in (folder, *folder.parents):  # what holds for a group holds for those in it
            cores += _quota_of(each)
            if each == root:
                break
    return min(cores)


def _quota_of(group: Path) -> list[float]:
    """The cores that one control group allows, of version 2 or 1; nothing if it does not say."""
    for names in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
        try:
            time, period = " ".join((group / name).read_text("utf-8") for name in names).split()
            return [int(time) / int(period)] if int(time) > 0 else []
        except (OSError, ValueError):  # not there, or "max"
            continue
    return []


@cache
def _linear_algebra() -> ThreadpoolController:
    """The libraries of NumPy and SciPy, once they are imported."""
    return ThreadpoolController().select(user_api="blas")


@contextmanager
def one_thread_in_blas() -> Iterator[bool]:
    """Context in which linear algebra uses the calling thread only.

    Yields whether that could be brought about: it cannot for unknown libraries, or while another
    thread is in such a context.
    """
    if not _limiting.acquire(blocking=False):
        yield False
        return
    try:
        libraries = _linear_algebra()
        with libraries.limit(limits=1):
            yield bool(libraries.lib_controllers)
    finally:
        _limiting.release()


def parallel_map(
    function: Callable[[Item], Result], items: Sequence[Item], threads: int
) -> Generator[Result, None, None]:
    """Results of a function for each item, in order, computed by threads ahead of their use.

    If an error or Ctrl-C comes up, or if the generator is closed, calls that have not begun are
    dropped, and those that have are waited for. Close it if it may not be used up.

    Parameters
    ----------
    function : callable
        Called with one item. It must not depend on what else is running.
    items : sequence
        What to call it with.
    threads : int
        How many threads to use at most.
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
        What to call it with.
    """
    with closing(parallel_map(function, list(items), threads)) as done:
        for _ in done:
            pass
