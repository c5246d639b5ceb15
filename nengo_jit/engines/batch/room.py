"""Whether the members of a batch fit in memory."""

from __future__ import annotations

import os

from nengo.exceptions import ValidationError

GIB = 1 << 30


def check_room(n_members: int, of_each: int, of_all: int, free: int | None) -> None:
    """Check that a batch fits.

    Parameters
    ----------
    n_members : int
        Number of members.
    of_each, of_all : int
        Memory of a member, and of what all share (bytes).
    free : int or None
        Memory that they may use (bytes); None if that is not known.

    Raises
    ------
    ValidationError
        With the largest number of members that fits.
    """
    needed = of_all + n_members * of_each
    if free is None or needed <= free:
        return
    most = max(0, free - of_all) // of_each
    raise ValidationError(
        f"{n_members} members need about {needed / GIB:.2f} GiB of memory, and there are "
        f"{free / GIB:.2f} GiB: {most} members fit at most",
        attr="batch",
    )


def physical_memory() -> int | None:
    """Return the size of the host's memory (bytes); None if it is not known."""
    if not hasattr(os, "sysconf"):
        return None
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
