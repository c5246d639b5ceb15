"""The memory of the device, and that of the host: each knows what the other has changed."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from nengo_jit.engines.jax.arrays import copied
from nengo_jit.engines.jax.blocks import Blocks


class Snapshot(NamedTuple):
    """The memory of the device between two steps."""

    arrays: list[jax.Array]
    newer_on_host: set[int]
    newer_on_device: set[int]


class DeviceMemory:
    """The blocks on the device.

    Parameters
    ----------
    blocks : Blocks
        The blocks on the host, whose values are taken first.

    Attributes
    ----------
    arrays : list of jax.Array
        The blocks on the device.
    shared : set of int
        Blocks that users may read and write at any time.
    """

    def __init__(self, blocks: Blocks):
        self._host = blocks.host
        self.arrays: list[jax.Array] = []
        self.shared: set[int] = set()
        self._newer_on_host = set(range(len(blocks)))
        self._newer_on_device: set[int] = set()

    def begin(self) -> None:
        """Forget what is on the device, since the host has initial values."""
        self.arrays = []
        self._newer_on_host.update(range(len(self._host)))
        self._newer_on_device.clear()

    def push(self) -> None:
        """Copy what the host has changed to the device."""
        self.arrays = self.arrays or [jnp.zeros(())] * len(self._host)
        for number in self._newer_on_host | self.shared:
            if number not in self._newer_on_device:
                self.arrays[number] = copied(self._host[number])
        self._newer_on_host.clear()

    def pull(self, numbers: Iterable[int]) -> None:
        """Copy blocks that the device has changed to the host."""
        for number in self._newer_on_device.intersection(numbers):
            self._host[number][...] = np.asarray(self.arrays[number])
            self._newer_on_device.discard(number)

    def pull_all(self) -> None:
        """Copy all that the device has changed to the host."""
        self.pull(list(self._newer_on_device))

    def changed_on_host(self, numbers: Iterable[int]) -> None:
        """Note that the host has written to blocks, which it has pulled before."""
        self._newer_on_host.update(numbers)

    def changed_on_device(self, arrays: Collection[jax.Array], numbers: Iterable[int]) -> None:
        """Replace the blocks, of which some have other values."""
        self.arrays = list(arrays)
        self._newer_on_device.update(numbers)

    def snapshot(self) -> Snapshot:
        """What `restore` needs; takes no copies, since arrays of JAX never change."""
        return Snapshot(list(self.arrays), set(self._newer_on_host), set(self._newer_on_device))

    def restore(self, snapshot: Snapshot) -> None:
        """Go back; the caller restores the memory of the host."""
        self.arrays = list(snapshot.arrays)
        self._newer_on_host = set(snapshot.newer_on_host)
        self._newer_on_device = set(snapshot.newer_on_device)
