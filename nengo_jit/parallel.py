"""Share work that NumPy does among threads.

NumPy lets other threads run while it computes, so that plain threads use all cores. The linear
algebra library behind it (OpenBLAS) starts threads of its own: they are kept from doing so while
ours run, or there would be more threads than cores.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from itertools import islice
from threading import Lock
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

LIBRARIES = ("numpy._core._multiarray_umath", "numpy.core._multiarray_umath", "scipy.linalg._fblas")
PREFIXES = ("scipy_openblas", "openblas")
SUFFIXES = ("64_", "")

_limiting = Lock()


def n_cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def _controls() -> tuple[tuple[Callable[[], int], Callable[[int], None]], ...]:
    """For each linear algebra library: what tells and what sets its number of threads."""
    controls = {}
    for name in LIBRARIES:
        try:
            library = ctypes.CDLL(import_module(name).__file__)
        except (ImportError, OSError):
            continue
        for prefix in PREFIXES:
            for suffix in SUFFIXES:
                try:
                    get = getattr(library, f"{prefix}_get_num_threads{suffix}")
                    set_ = getattr(library, f"{prefix}_set_num_threads{suffix}")
                except AttributeError:
                    continue
                address = ctypes.cast(set_, ctypes.c_void_p).value
                controls[address] = get, set_
    return tuple(controls.values())


@contextmanager
def one_thread_in_blas() -> Iterator[bool]:
    """Context in which linear algebra uses the calling thread only.

    Yields whether that could be brought about: it cannot for unknown libraries, or while another
    thread is in such a context.
    """
    if not _controls() or not _limiting.acquire(blocking=False):
        yield False
        return
    before = [get() for get, _ in _controls()]
    try:
        for _, set_number in _controls():
            set_number(1)
        yield True
    finally:
        for (_, set_number), number in zip(_controls(), before):
            set_number(number)
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
        futures: list[Any] = [pool.submit(function, item) for item in islice(waiting, 2 * threads)]
        try:
            while futures:
                yield futures.pop(0).result()
                futures.extend(pool.submit(function, item) for item in islice(waiting, 1))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
