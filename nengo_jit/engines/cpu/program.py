"""Programs in memory, for one thread and for several, and running them."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import cached_property
from threading import Thread

import numpy as np

from nengo_jit.builder.signal import address as start
from nengo_jit.engines.cpu.library import address_of
from nengo_jit.engines.cpu.machine import ENTRY, STOPPED, Kernel, run, table_of
from nengo_jit.engines.cpu.schedule import Work, alone, share
from nengo_jit.engines.cpu.strands import Piece, phases
from nengo_jit.planner.graph import Graph

WORTH_A_THREAD = 1e-3  # seconds of work in a run from which on threads are started for it


class Program:
    """What is done in a step, ready for the machine.

    Parameters
    ----------
    levels : sequence of sequence of Piece
        What may run at the same time, in the order of the levels.
    graph : dict of (Operator, list of Operator)
        From each operator to those that depend on it directly.
    n_threads : int
        How many threads to use at most.
    dtype : numpy.dtype
        Type of the numbers.
    """

    def __init__(
        self, levels: Sequence[Sequence[Piece]], graph: Graph, n_threads: int, dtype: np.dtype
    ):
        self._levels = levels
        self._graph = graph
        self._n_threads = n_threads
        self._dtype = dtype
        self._kept: list[np.ndarray] = []
        self._machine = ENTRY(address_of(run, dtype))
        self._arrivals = np.zeros(2, np.int64)
        self._alone = self._assemble(alone(levels, dtype.itemsize))
        self._seconds = 1e-9 * sum(piece.nanoseconds for level in levels for piece in level)

    @cached_property
    def threads(self) -> list[tuple[memoryview, ctypes.c_int64]]:
        """For each thread that is used in long runs, what it is told, and where that is."""
        barrier = (self._n_threads, start(self._arrivals))
        parts = phases(self._levels, self._graph)
        programs = share(parts, self._n_threads, barrier, self._dtype.itemsize)
        self._levels = ()
        return [self._assemble(program) for program in programs]

    def _assemble(self, entries: Sequence[Work]) -> tuple[memoryview, ctypes.c_int64]:
        program = []
        for work in entries:
            if isinstance(work.code, Kernel):
                table = table_of(work.rows)
                self._kept.append(table)
                program += [address_of(work.code, self._dtype), start(table)]
            else:
                program += [address_of(work.code.kernel, self._dtype), work.code.table]
        self._kept.append(np.array(program, dtype=np.int64))
        told = table_of([(start(self._kept[-1]), len(program), 0)])
        return told.data, ctypes.c_int64(start(told))

    def run(self, n_steps: int) -> int:
        """Run a number of times, in threads if that pays.

        Parameters
        ----------
        n_steps : int
            How many times.

        Returns
        -------
        int
            Zero, or the status of what stopped the program.
        """
        is_worth_it = self._n_threads > 1 and n_steps * self._seconds >= WORTH_A_THREAD
        if not is_worth_it or len(self.threads) == 1:
            return self._run(self._alone, n_steps)
        self._arrivals[:] = 0
        threads = [Thread(target=self._run, args=(each, n_steps)) for each in self.threads[1:]]
        for thread in threads:
            thread.start()
        try:
            stopped = self._run(self.threads[0], n_steps)
        finally:
            self._stop(STOPPED)
            for thread in threads:
                thread.join()
        return stopped

    def _run(self, program: tuple[memoryview, ctypes.c_int64], n_steps: int) -> int:
        table, address = program
        table[-1] = n_steps
        stopped: int = self._machine(None, address)
        if stopped:
            self._stop(stopped)
        return stopped

    def _stop(self, status: int) -> None:
        """Let other threads go, which would wait for ever at the next barrier."""
        self._arrivals[1] = status
