"""The programs of an engine: for the first step, for all later ones, and for deferred operators."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from nengo_jit.engines.cpu.language.kernel import Row
from nengo_jit.engines.cpu.program.components import Task
from nengo_jit.engines.cpu.program.program import Program
from nengo_jit.planner.graph import Graph


class Programs:
    """Runs the program for each step, see `Kernel.when`.

    Parameters
    ----------
    levels : sequence of sequence of Task
        Tasks by level, of all programs.
    graph : callable
        Returns a dict that maps each operator to those that depend on it directly.
    n_threads : int
        Maximum number of threads.
    dtype : numpy.dtype
        Type of the numbers.
    status : (2,) numpy.ndarray of int64
        Status of the engine, see `nengo_jit.engines.cpu.program.team.RUNNING`.
    undo : list of Row
        Rows of `copy_bytes`, which restore memory after a failed step.

    Attributes
    ----------
    first, later : Program
        The programs for the first step, which computes from memory what is invariant, and for all
        other steps. May be the same.
    has_begun : bool
        Whether the first step is complete.
    keeps_gil : bool
        Whether brief runs keep the GIL.
    """

    def __init__(
        self,
        levels: Sequence[Sequence[Task]],
        graph: Callable[[], Graph],
        n_threads: int,
        dtype: np.dtype,
        status: np.ndarray,
        undo: Sequence[Row],
    ):
        self._given = graph, n_threads, dtype, status, undo
        self.later = self._make(levels, "always", "later")
        self.first = self.later
        if any(task.code.when == "first" for level in levels for task in level):
            self.first = self._make(levels, "always", "first")
        self._deferred_levels = _chosen(levels, "after")
        self._deferred: Program | None = None
        self.has_begun = False
        self.keeps_gil = True

    def _make(self, levels: Sequence[Sequence[Task]], *when: str) -> Program:
        return Program(_chosen(levels, *when), *self._given, is_repeated="later" in when)

    @property
    def deferred(self) -> Program | None:
        """Program or None: runs the deferred operators, if there are any; made when first used."""
        if self._deferred is None and any(self._deferred_levels):
            self._deferred = self._make(self._deferred_levels, "after")
        return self._deferred

    def run(self, n_steps: int) -> tuple[int, Program | None]:
        """Run a number of steps.

        Returns
        -------
        int
            Number of completed steps.
        Program or None
            The program that failed or was paused, if one was.
        """
        n_done = 0
        if not self.has_begun and n_steps > 0:
            if self.first is not self.later:
                status, n_done = self.first.run(1), self.first.n_done
                if status:
                    return n_done, self.first
            self.has_begun = True
        if n_done < n_steps and self.later.run(n_steps - n_done, self.keeps_gil):
            return n_done + self.later.n_done, self.later
        return n_steps, None

    def run_deferred(self) -> None:
        """Run the deferred operators, from the state after the latest step."""
        if self.deferred is not None:
            self.deferred.run(1)


def _chosen(levels: Sequence[Sequence[Task]], *when: str) -> list[list[Task]]:
    return [[task for task in level if task.code.when in when] for level in levels]
