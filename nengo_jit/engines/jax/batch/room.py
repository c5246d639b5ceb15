"""Whether a batch fits in the memory of the device."""

from __future__ import annotations

import os

import jax
from nengo.exceptions import ValidationError

GIB = 1 << 30
COPIES = 3  # of the memory of a member on a device: before and after a step, and within it
COPIES_ON_HOST = 2  # for users, and to go back if a step raises


def check_room(n_members: int, of_each: int, of_all: int) -> None:
    """Check that a batch fits.

    Parameters
    ----------
    n_members : int
        Number of members.
    of_each, of_all : int
        Memory of a member, and of the constants that all share (bytes).

    Raises
    ------
    ValidationError
        With the largest number of members that fits.
    """
    free, copies = _free()
    needed = of_all + copies * n_members * of_each
    if free is None or needed <= free:
        return
    most = max(0, free - of_all) // (copies * of_each)
    raise ValidationError(
        f"{n_members} members need about {needed / GIB:.2f} GiB of memory, and there are "
        f"{free / GIB:.2f} GiB: {most} members fit at most",
        attr="batch",
    )


def _free() -> tuple[int | None, int]:
    """Return the memory that a batch may use (bytes), and how many copies of a member it has.

    None if the memory is not known.
    """
    stats = jax.local_devices()[0].memory_stats()
    if stats is not None and "bytes_limit" in stats:
        return stats["bytes_limit"] - stats.get("bytes_in_use", 0), COPIES
    if not hasattr(os, "sysconf"):
        return None, COPIES
    n_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return n_bytes, COPIES + COPIES_ON_HOST
