"""The team: threads that run a program together, and the kernels that they execute.

The leader is the thread that Python called. The others, the members, are started when they are
first needed, stay in compiled code, and sleep between runs. A run is a single call of `lead`: it
hands programs to the members, runs its own, waits until all members have finished, and restores
memory after a failed step. No Python exception can occur in between, so that a run is never left
halfway.

The threads communicate through one block of memory that lives as long as the process. Waiting
threads spin for some microseconds, then sleep.
"""

# Numba infers the types of helpers.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import _thread
import os

import numpy as np

from nengo_jit.engines.cpu.language.kernel import kernel, start, table_of
from nengo_jit.engines.cpu.language.primitives import (
    BUSY,
    ENTRY,
    FLOAT64,
    PAUSED,
    STOPPED,
    SUBNORMALS_ARE_ZERO,
    Address,
    Memory,
    atomic_add,
    atomic_load,
    call,
    fp_control,
    helper,
    int64s,
    is_single,
    nanoseconds,
    set_fp_control,
    sleep_while,
    spin_hint,
    wake_sleepers,
)
from nengo_jit.engines.cpu.toolchain.kernel_cache import address_of
from nengo_jit.ir.memory import aligned_block

# Offsets in a team's memory (bytes): each field has a cache line of its own
LINE = 64
RUNS = 0 * LINE  # runs in progress: one at most
MEMBERS = 1 * LINE  # number of threads besides the leader
ARRIVALS = 2 * LINE  # at the barriers of this run, by all threads together
SLEEPERS = 3 * LINE  # threads that sleep at a barrier
ABORTS = 4 * LINE  # number of threads that have aborted the run
FINISHED = 5 * LINE  # number of members that have finished their program
LEADER_SLEEPS = 6 * LINE
WAITED = 7 * LINE  # time that the leader has waited in this step (nanoseconds)
PATIENCE = 7 * LINE + 8  # its maximum
IS_PAUSED = 8 * LINE  # whether the run ends after this step
INBOXES = 9 * LINE  # one for each member
# Offsets in an inbox (bytes)
IS_FULL = 0  # whether there is a program to run
MEMBER_SLEEPS = 8
RUN = 16  # address of `run`
TABLE = 24  # address of its table

MOST_MEMBERS = 255
LEADS = 1  # role at a barrier: the thread is the leader
IS_LAST = 2  # role at a barrier: it is the end of a step
MANY = 1 << 30  # is added to the arrivals to abort a run

POLLS = 64  # of a number before reading the clock
SPIN = 20_000  # nanoseconds of spinning before a thread sleeps

# Indices in the status of an engine
RUNNING = 0  # number of runs in progress: each but the first is nested in another one
FAILED = 1  # status of the latest run that failed, until its error is fetched

# Indices in the outcome of `run`
DONE = 0  # number of completed steps
STATUS = 1  # zero, or the status that ended the run
ENTRY_NUMBER = 2  # index in the program of the entry with that status
N_OUTCOMES = 3


@kernel()
def run(memory: Memory, program: Address, length: int, n_steps: int, outcome: Address) -> int:
    """Run a program a number of times, or until the status of an entry is not zero.

    The program is a list of ``length`` addresses: kernel, table, kernel, table ... For the outcome
    see `DONE` etc. In single precision, subnormal numbers are flushed to zero meanwhile: they are
    slow, and values that decay soon become subnormal.
    """
    before = fp_control()
    if is_single(memory):
        set_fp_control(before | SUBNORMALS_ARE_ZERO)
    status = run_steps(int64s(program, length), n_steps, int64s(outcome, N_OUTCOMES))
    if is_single(memory):
        set_fp_control(before)
    return status


@helper()
def run_steps(program, n_steps, outcome):
    """Run a program, for `run`.

    A callback may run the same program again, within a step, with the same outcome.
    """
    for step in range(n_steps):
        for i in range(0, program.size, 2):
            status = call(program[i], program[i + 1])
            if status != 0:
                outcome[DONE] = step + (status < 0)
                outcome[STATUS], outcome[ENTRY_NUMBER] = status, i
                return status
    outcome[DONE], outcome[STATUS] = n_steps, 0
    return 0


@helper()
def wait_while(address, value, sleepers):
    """Wait while the integer at an address has a value; returns for how long (nanoseconds).

    ``sleepers`` is the address of the number of threads that sleep and have to be woken.
    """
    for _ in range(POLLS):
        if atomic_load(address) != value:
            return 0
        spin_hint()
    begin = nanoseconds()
    while nanoseconds() - begin < SPIN:
        for _ in range(POLLS):
            if atomic_load(address) != value:
                return nanoseconds() - begin
            spin_hint()
    atomic_add(sleepers, 1)
    while atomic_load(address) == value:
        sleep_while(address, value)
    atomic_add(sleepers, -1)
    return nanoseconds() - begin


@helper()
def add_and_wake(address, number, sleepers):
    """Add to the integer at an address, and wake threads that wait for it; returns the sum."""
    total = atomic_add(address, number) + number
    if atomic_add(sleepers, 0) != 0:
        wake_sleepers(address)
    return total


@helper()
def abort(team):
    """Abort the run: all threads leave it at the first barrier that not all have reached."""
    if atomic_add(team + ABORTS, 1) == 0:
        add_and_wake(team + ARRIVALS, MANY, team + SLEEPERS)


@kernel()
def wait_for_all(memory: Memory, n_threads: int, team: Address, role: int) -> int:
    """Barrier: wait until all threads have arrived.

    The role of a thread is `LEADS`, `IS_LAST`, both or none. If the leader has waited for too long
    in a step, the run is paused at the end of it.
    """
    if role == LEADS | IS_LAST:
        limits = int64s(team + WAITED, 2)
        int64s(team + IS_PAUSED, 1)[0] = limits[0] > limits[1]
        limits[0] = 0
    arrivals = atomic_add(team + ARRIVALS, 1) + 1
    target = (arrivals % MANY + n_threads - 1) // n_threads * n_threads
    if arrivals == target and atomic_add(team + SLEEPERS, 0) != 0:
        wake_sleepers(team + ARRIVALS)
    waited = 0
    while arrivals < target:
        waited += wait_while(team + ARRIVALS, arrivals, team + SLEEPERS)
        arrivals = atomic_load(team + ARRIVALS)
    if role & LEADS:
        int64s(team + WAITED, 1)[0] += waited
    if arrivals % MANY < target:
        return STOPPED
    if role & IS_LAST and int64s(team + IS_PAUSED, 1)[0] != 0:
        return PAUSED
    return 0


@kernel()
def serve(memory: Memory, team: Address) -> None:
    """Be a member of a team for ever: run the programs in the inbox, and sleep in between."""
    number = atomic_add(team + MEMBERS, 1)
    inbox = team + INBOXES + LINE * number
    while number < MOST_MEMBERS:
        wait_while(inbox + IS_FULL, 0, inbox + MEMBER_SLEEPS)
        status = call(int64s(inbox + RUN, 1)[0], int64s(inbox + TABLE, 1)[0])
        if status > 0:
            abort(team)
        atomic_add(inbox + IS_FULL, -1)
        add_and_wake(team + FINISHED, 1, team + LEADER_SLEEPS)


@helper()
def hand_out(team, n_threads, patience, run_kernel, tables):
    """Hand programs to the members; returns False if they are in use."""
    if atomic_add(team + RUNS, 1) != 0 or atomic_load(team + MEMBERS) < n_threads - 1:
        atomic_add(team + RUNS, -1)
        return False
    for place in (ARRIVALS, ABORTS, FINISHED, WAITED, IS_PAUSED):
        int64s(team + place, 1)[0] = 0
    int64s(team + PATIENCE, 1)[0] = patience
    for i in range(1, n_threads):
        inbox = team + INBOXES + LINE * (i - 1)
        int64s(inbox + RUN, 1)[0] = run_kernel
        int64s(inbox + TABLE, 1)[0] = tables[i]
        add_and_wake(inbox + IS_FULL, 1, inbox + MEMBER_SLEEPS)
    return True


@kernel()
def lead(
    memory: Memory,
    engine: Address,
    team: Address,
    patience: int,
    run_kernel: Address,
    tables: Address,
    n_threads: int,
    undo_kernel: Address,
    undo: Address,
) -> int:
    """Run programs, one in each thread, and restore memory after a failed step.

    ``engine`` is the address of the engine's status (see `RUNNING`). ``tables`` is the address of a
    list of addresses of tables for `run`, the leader's first. The leader may wait for ``patience``
    nanoseconds in a step. The kernel ``undo_kernel`` restores memory, with the table ``undo``.
    """
    programs = int64s(tables, n_threads)
    if n_threads > 1 and not hand_out(team, n_threads, patience, run_kernel, programs):
        return BUSY
    atomic_add(engine + RUNNING * 8, 1)
    status = call(run_kernel, programs[0])
    if n_threads > 1:
        if status != 0 and status != PAUSED:
            abort(team)
        finished = atomic_load(team + FINISHED)
        while finished < n_threads - 1:
            wait_while(team + FINISHED, finished, team + LEADER_SLEEPS)
            finished = atomic_load(team + FINISHED)
        atomic_add(team + RUNS, -1)
    if status > 0:
        call(undo_kernel, undo)
    if status != 0 and status != PAUSED:
        int64s(engine + FAILED * 8, 1)[0] = status
    atomic_add(engine + RUNNING * 8, -1)
    return status


class Team:
    """The threads of this process that run programs, besides those of Python.

    There is one team, `TEAM`; only tests need others.

    Attributes
    ----------
    address : Address
        Address of the team's memory.
    """

    def __init__(self) -> None:
        block = aligned_block(INBOXES + LINE * MOST_MEMBERS)
        self._memory = block.view(np.int64)
        self._memory[:] = 0
        self.address = start(block)
        self._table = table_of([serve.row(team=self.address)])
        self._n_started = 0
        os.register_at_fork(after_in_child=self._lose_members)

    def is_ready(self, n_threads: int) -> bool:
        """Start threads if there are fewer than ``n_threads``; returns whether all are ready.

        A thread that was just started may not be ready yet. An interrupt at a bad moment leaves
        one thread too many, asleep.
        """
        while self._n_started < n_threads - 1:
            serving = ENTRY(address_of(serve, FLOAT64))
            try:
                _thread.start_new_thread(serving, (None, start(self._table)))
            except RuntimeError:  # no more threads are available, or Python is about to end
                return False
            self._n_started += 1
        return int(self._memory[MEMBERS // 8]) >= n_threads - 1

    def _lose_members(self) -> None:
        """Reset the team in a forked process, which has only the thread that forked it."""
        self._n_started = 0
        self._memory[MEMBERS // 8] = 0
        self._memory[INBOXES // 8 :] = 0
        if self._memory[RUNS // 8]:  # a callback has forked in the middle of a run
            self._memory[ABORTS // 8] = 1
            self._memory[ARRIVALS // 8] += MANY
            self._memory[FINISHED // 8] += MANY


TEAM = Team()
