"""The team: threads that carry out a program together, and the kernels that they are in.

One thread, the leader, is the one that Python called. The others, the members, are started when
they are first needed, stay in compiled code, and sleep between runs. A run is a single call of
`lead`: it hands out the programs, carries out its own, waits until all members have finished
theirs, and puts back what a failed step has written. No exception of Python's can come in
between, so that a run cannot be left half-way.

All that the threads know of each other stands in one block of memory that lives as long as the
process. Waiting threads spin for some microseconds, then sleep.
"""

# What kernels call has no types in Python's sense.
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

# What stands where in a team's memory (bytes): each on a cache line of its own
LINE = 64
RUNS = 0 * LINE  # runs in progress, of which there is one at most
MEMBERS = 1 * LINE  # threads besides the leader
ARRIVALS = 2 * LINE  # at the barriers of this run, of all threads together
SLEEPERS = 3 * LINE  # threads that sleep at a barrier
ABORTS = 4 * LINE  # how many threads have ended the run
FINISHED = 5 * LINE  # members that have finished their program
LEADER_SLEEPS = 6 * LINE
WAITED = 7 * LINE  # how long the leader has waited in this step (nanoseconds)
PATIENCE = 7 * LINE + 8  # how long it may
IS_PAUSED = 8 * LINE  # whether the run is to be ended after this step
INBOXES = 9 * LINE  # one for each member
# What stands where in an inbox
IS_FULL = 0  # whether there is a program to carry out
MEMBER_SLEEPS = 8
RUN = 16  # address of `run`
TABLE = 24  # address of its table

MOST_MEMBERS = 255
LEADS = 1  # of the role at a barrier: whether it is the leader who waits there
IS_LAST = 2  # and whether it is the end of a step
MANY = 1 << 30  # is added to the arrivals to end a run

LOOKS = 64  # at a number before looking at the clock
SPIN = 20_000  # nanoseconds of spinning before a thread sleeps

# What the status of an engine says
RUNNING = 0  # how many runs are in progress, of which each but the first is within another one
FAILED = 1  # status of the latest run that has failed, until its error is taken

# What stands where in the outcome of `run`
DONE = 0  # how many steps are complete
STATUS = 1  # zero, or what ended it
ENTRY_NUMBER = 2  # index, in the program, of what ended it
N_OUTCOMES = 3


@kernel()
def run(memory: Memory, program: Address, length: int, n_steps: int, outcome: Address) -> int:
    """Carry out a program a number of times, or until an entry stops it.

    The program is a list of ``length`` addresses: kernel, table, kernel, table ... For the outcome
    see `DONE` etc. In single precision, subnormal numbers are zero meanwhile: processors are slow
    with them, and what decays gets there soon.
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
    """Carry out a program, for `run`.

    A function that is called in a step may run the same program, with the same outcome.
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
    """Wait while the integer at an address has a value; returns how long, in nanoseconds.

    ``sleepers`` is where threads are counted that sleep, and so have to be woken.
    """
    for _ in range(LOOKS):
        if atomic_load(address) != value:
            return 0
        spin_hint()
    begin = nanoseconds()
    while nanoseconds() - begin < SPIN:
        for _ in range(LOOKS):
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
    """Add to the integer at an address, and wake those who wait for that; returns the sum."""
    total = atomic_add(address, number) + number
    if atomic_add(sleepers, 0) != 0:
        wake_sleepers(address)
    return total


@helper()
def abort(team):
    """Let all threads leave the run, at the first barrier that not all of them have come to."""
    if atomic_add(team + ABORTS, 1) == 0:
        add_and_wake(team + ARRIVALS, MANY, team + SLEEPERS)


@kernel()
def wait_for_all(memory: Memory, n_threads: int, team: Address, role: int) -> int:
    """Barrier: wait until all threads have come.

    The role of a thread is `LEADS`, `IS_LAST`, both or none. If the leader has had to wait for too
    long in a step, the run is paused at the end of it.
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
    """Be a member of a team for ever: carry out what comes into the inbox, sleep in between."""
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
    """Begin a run of several threads; returns whether the members are free."""
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
    """Carry out programs, one in each thread, and put back what a failed step has written.

    ``engine`` is the address of the engine's status (see `RUNNING`), ``tables`` that of a list of
    the addresses of tables for `run`, the leader's first. The leader may wait for ``patience``
    nanoseconds in a step. A kernel and its table put back.
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
    """The threads of this process that carry out programs besides those that Python has.

    There is one, `TEAM`; a second one is of use to tests only.

    Attributes
    ----------
    address : Address
        Of the memory in which the threads meet.
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
        """Start threads if there are fewer than ``n_threads``; returns whether all are there.

        A thread that was started a moment ago may not be there yet. An interrupt at a bad moment
        leaves one thread too many, asleep.
        """
        while self._n_started < n_threads - 1:
            serving = ENTRY(address_of(serve, FLOAT64))
            try:
                _thread.start_new_thread(serving, (None, start(self._table)))
            except RuntimeError:  # the system has no thread left, or Python is about to end
                return False
            self._n_started += 1
        return int(self._memory[MEMBERS // 8]) >= n_threads - 1

    def _lose_members(self) -> None:
        """A forked process has the thread that forked it and no other."""
        self._n_started = 0
        self._memory[MEMBERS // 8] = 0
        self._memory[INBOXES // 8 :] = 0
        if self._memory[RUNS // 8]:  # a function that is called in the middle of a run has forked
            self._memory[ABORTS // 8] = 1
            self._memory[ARRIVALS // 8] += MANY
            self._memory[FINISHED // 8] += MANY


TEAM = Team()
