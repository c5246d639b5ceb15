"""Blocks of a batch: the arrays that a step takes have a row for each member."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from nengo_jit.engines.batch.memory import BatchMemory
from nengo_jit.engines.jax.blocks import Blocks
from nengo_jit.ir.memory import SignalDict
from nengo_jit.ir.signal import Signal


class BatchBlocks(Blocks):
    """The blocks of a plan, with a row for each member; see `Blocks`.

    Arrays of the user's, which steps of batches only read, are the same for all members.

    Parameters
    ----------
    runs : iterable of iterable of Signal
        See `Blocks`.
    signals : SignalDict
        The memory of one member.
    memory : BatchMemory
        That of all.
    n_members : int
        Number of members.
    """

    def __init__(
        self,
        runs: Iterable[Iterable[Signal]],
        signals: SignalDict,
        memory: BatchMemory,
        n_members: int,
    ):
        super().__init__(runs, signals)
        self._n_members = n_members
        self.host[:] = [memory.rows_of(each) for each in self.host]

    def add_flags(self, n: int) -> int:
        self.host.append(np.zeros((self._n_members, n), bool))
        return len(self.host) - 1
