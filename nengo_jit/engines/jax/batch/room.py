"""How much memory a batch may use on the device."""

from __future__ import annotations

import jax

from nengo_jit.engines.batch.room import physical_memory

COPIES = 3  # of the memory of a member on a device: before and after a step, and within it
COPIES_ON_HOST = 2  # for users, and to go back if a step raises


def free_memory() -> tuple[int | None, int]:
    """Return the memory that a batch may use (bytes), and how many copies of a member it has.

    None if the memory is not known.
    """
    stats = jax.local_devices()[0].memory_stats()
    if stats is not None and "bytes_limit" in stats:
        return stats["bytes_limit"] - stats.get("bytes_in_use", 0), COPIES
    return physical_memory(), COPIES + COPIES_ON_HOST
