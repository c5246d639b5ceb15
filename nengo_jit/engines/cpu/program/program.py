"""Programs: steps in executable form, for one thread and for several."""

from __future__ import annotations

import ctypes
from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from nengo_jit.engines.cpu.language.kernel import Kernel, Row, start, table_of
from nengo_jit.engines.cpu.language.primitives import (
    BUSY,
    ENTRY,
    ENTRY_WITH_GIL,
    FLOAT64,
    PAUSED,
    Address,
)
from nengo_jit.engines.cpu.program.components import Links, Phase, Task, phases
from nengo_jit.engines.cpu.program.copying import copy_bytes
from nengo_jit.engines.cpu.program.pace import Pace
from nengo_jit.engines.cpu.program.schedule import Batch, sequential, share
from nengo_jit.engines.cpu.program.team import (
    DONE,
    ENTRY_NUMBER,
    N_OUTCOMES,
    RUNNING,
    STATUS,
    TEAM,
    lead,
    run,
    wait_for_all,
)
from nengo_jit.engines.cpu.toolchain.kernel_cache import address_of
from nengo_jit.planner.graph import Graph

LARGE = 100_000.0  # nanoseconds of work in a step whose memory does not fit in caches

# Indices in the tables of `run` and `lead`
N_STEPS, PATIENCE = run.index_in_table("n_steps"), lead.index_in_table("patience")


class Executable:
    """A program in memory, with a part for each thread.

    Parameters
    ----------
    parts : sequence of sequence of Batch
        The batches of each thread in a step.
    dtype : numpy.dtype
        Type of the numbers.
    status : (2,) numpy.ndarray of int64
        Status of the engine, see `nengo_jit.engines.cpu.program.team.RUNNING`.
    undo : list of Row
        Rows of `copy_bytes`, which restore memory after a failed step.

    Attributes
    ----------
    n_threads : int
        Number of threads.
    """

    def __init__(
        self,
        parts: Sequence[Sequence[Batch]],
        dtype: np.dtype,
        status: np.ndarray,
        undo: Sequence[Row],
    ):
        self.n_threads = len(parts)
        self._kept: list[np.ndarray] = []
        self._status = status
        self._codes = [[batch.code for batch in part] for part in parts]
        self._outcomes = [np.zeros(N_OUTCOMES, np.int64) for _ in parts]
        self._tables = [
            self._assemble(part, dtype, start(outcome))
            for part, outcome in zip(parts, self._outcomes)
        ]
        row = lead.row(
            engine=self._keep(status),
            team=TEAM.address,
            patience=0,
            run_kernel=address_of(run, dtype),
            tables=self._keep(np.array(list(map(start, self._tables)))),
            n_threads=self.n_threads,
            undo_kernel=address_of(copy_bytes, FLOAT64),
            undo=self._keep(table_of(undo)),
        )
        self._table = table_of([row])
        self._address = ctypes.c_int64(start(self._table))
        address = address_of(lead, FLOAT64)
        self._lead, self._lead_with_gil = ENTRY(address), ENTRY_WITH_GIL(address)
        # Memory views are faster to access than arrays.
        self._first, self._outcome = self._tables[0].data, self._outcomes[0].data

    def _assemble(self, part: Sequence[Batch], dtype: np.dtype, outcome: Address) -> np.ndarray:
        """Table of `run` for the batches of a thread."""
        program: list[int] = []
        for batch in part:
            if isinstance(batch.code, Kernel):
                program += [address_of(batch.code, dtype), self._keep(table_of(batch.rows))]
            else:
                program += [address_of(batch.code.kernel, dtype), batch.code.table]
        address = self._keep(np.array(program, dtype=np.int64))
        row = run.row(program=address, length=len(program), n_steps=0, outcome=outcome)
        return table_of([row])

    def _keep(self, array: np.ndarray) -> Address:
        """Keep an array alive; returns its address."""
        self._kept.append(array)
        return start(array)

    def run(self, n_steps: int, keeps_gil: bool = False, patience: int = 0) -> int:
        """Run a number of steps.

        Parameters
        ----------
        n_steps : int
            Number of steps.
        keeps_gil : bool
            Whether to keep the GIL meanwhile.
        patience : int
            Maximum time that the first thread may wait for others in a step (nanoseconds). The run
            is paused after a step in which it has waited longer.

        Returns
        -------
        int
            Zero if all steps are complete; `BUSY` if none has begun, since the threads are in use;
            `PAUSED` or `LATE` if the run ended after a step; else the status of the kernel that
            failed.
        """
        if self.n_threads == 1:
            self._first[N_STEPS] = n_steps
        else:
            if self._status[RUNNING] or not TEAM.is_ready(self.n_threads):
                return BUSY
            for table, outcome in zip(self._tables, self._outcomes):
                table[N_STEPS], outcome[STATUS] = n_steps, 0
            self._table[PATIENCE] = patience
        lead = self._lead_with_gil if keeps_gil else self._lead
        status: int = lead(None, self._address)
        return status

    @property
    def n_done(self) -> int:
        """int: number of steps that the latest run has completed."""
        return self._outcome[DONE]

    def why_it_failed(self) -> str:
        """Why the latest run failed, if not by a Python exception."""
        for codes, outcome in zip(self._codes, self._outcomes):
            code, status = codes[outcome[ENTRY_NUMBER] // 2], outcome[STATUS]
            if status > 0 and code is not wait_for_all:
                name = code.name if isinstance(code, Kernel) else code.operator
                return f"The kernel '{name}' has failed with status {status} (a bug in nengo_jit)"
        return "This process was forked in the middle of a run, and has no threads to continue it"


class Program:
    """Tasks of a step in executable form.

    Parameters
    ----------
    levels : sequence of sequence of Task
        Tasks by level; those of one level are independent of each other.
    graph : callable
        Returns a dict that maps each operator to those that depend on it directly. Called only for
        several threads: in a large model, the dict takes a lot of memory.
    n_threads : int
        Maximum number of threads.
    dtype : numpy.dtype
        Type of the numbers.
    status : (2,) numpy.ndarray of int64
        Status of the engine, see `nengo_jit.engines.cpu.program.team.RUNNING`.
    undo : list of Row
        Rows of `copy_bytes`, which restore memory after a failed step.
    is_repeated : bool
        Whether the program runs for many steps, so that a good order of its rows pays.

    Attributes
    ----------
    n_done : int
        Number of steps that the latest run has completed.
    """

    def __init__(
        self,
        levels: Sequence[Sequence[Task]],
        graph: Callable[[], Graph],
        n_threads: int,
        dtype: np.dtype,
        status: np.ndarray,
        undo: Sequence[Row],
        is_repeated: bool = True,
    ):
        self._levels, self._graph = levels, graph
        self._phases: Sequence[Phase] = ()
        self._n_threads = n_threads
        self._given = dtype, status, undo
        nanoseconds = sum(task.nanoseconds for level in levels for task in level)
        self._pace = Pace(1e-9 * nanoseconds)
        if is_repeated and nanoseconds > LARGE:
            self._phases = list(phases(levels, Links(graph())))
            self._levels = ()
            (alone,) = share(self._phases, 1, TEAM.address, dtype.itemsize)
        else:
            alone = sequential(levels, dtype.itemsize)
        self._sequential = Executable([alone], *self._given)
        self._shared: Executable | None = None
        if n_threads == 1:
            self._shared, self._levels, self._phases = self._sequential, (), ()
        self._latest = self._sequential
        self._threads: dict[int, list[int]] = defaultdict(list)  # by group
        self.n_done = 0

    @property
    def shared(self) -> Executable:
        """Executable: the program for several threads, made when it is first needed."""
        if self._shared is None:
            found = self._phases or phases(self._levels, Links(self._graph()))
            parts = share(found, self._n_threads, TEAM.address, self._given[0].itemsize)
            self._shared = Executable(parts, *self._given) if len(parts) > 1 else self._sequential
            for number, part in enumerate(parts, start=1):
                for group in {group for batch in part for group in batch.groups}:
                    self._threads[group].append(number)
        self._levels = self._phases = ()
        return self._shared

    def threads_of(self, group: int) -> tuple[int, ...]:
        """Threads that work on a group, counted from one, if several are used."""
        is_sequential = self._shared is self._sequential or not self._pace.is_worth_it
        if is_sequential or self.shared is self._sequential:
            return (1,)
        return tuple(self._threads[group])

    def run(self, n_steps: int, keeps_gil: bool = True) -> int:
        """Run a number of steps, on several threads as long as that pays.

        Parameters
        ----------
        n_steps : int
            Number of steps.
        keeps_gil : bool
            Whether to keep the GIL meanwhile if the run is brief.

        Returns
        -------
        int
            Zero, or the status of the kernel that failed.
        """
        self._latest = self._sequential
        keeps_gil, whole = keeps_gil and self._pace.is_brief(n_steps), n_steps
        if self._shared is self._sequential or not self._pace.is_worth_it:
            status = self._sequential.run(n_steps, keeps_gil)
            self.n_done = self._sequential.n_done if status else n_steps
            return status
        while n_steps > 0:
            todo = self._pace.next(n_steps)
            self._latest = executable = self.shared if todo.is_shared else self._sequential
            begin = self._pace.clock()
            status = executable.run(todo.n_steps, keeps_gil, self._pace.patience)
            if status == BUSY:
                self._pace.give_up()
                self._latest = executable = self._sequential
                status = executable.run(todo.n_steps, keeps_gil)
            else:
                self._pace.note(todo, executable.n_done, self._pace.clock() - begin)
            n_steps -= executable.n_done
            self.n_done = whole - n_steps
            if status not in (0, PAUSED):
                return status
        return 0

    def why_it_failed(self) -> str:
        """Why the latest run failed, if not by a Python exception."""
        return self._latest.why_it_failed()
