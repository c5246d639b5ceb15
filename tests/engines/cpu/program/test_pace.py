"""The pace: threads are used while they pay, given up when they do not, and tried again."""

import pytest

from nengo_jit.engines.cpu.program.pace import FIRST_PAUSE, LONGEST_PAUSE, Pace


class Machine:
    """A machine on which steps take a known time, and threads may have to wait for a core."""

    def __init__(self, alone, shared, stall=0.0):
        self.time, self.alone, self.shared, self.stall = 0.0, alone, shared, stall
        self.seconds = {True: 0.0, False: 0.0}

    def run(self, pace, n_steps):
        """Do what the pace says; returns how long it took."""
        begin = self.time
        while n_steps > 0:
            todo = pace.next(n_steps)
            assert 1 <= todo.n_steps <= n_steps
            is_stalled = todo.is_shared and self.stall
            n_done = 1 if is_stalled else todo.n_steps
            seconds = n_done * (self.shared if todo.is_shared else self.alone)
            seconds += self.stall if is_stalled else 0.0
            self.time += seconds
            self.seconds[todo.is_shared] += seconds
            pace.note(todo, n_done, seconds)
            n_steps -= n_done
        return self.time - begin


def pace_on(machine, seconds=None):
    return Pace(seconds or machine.alone, clock=lambda: machine.time)


def test_threads_are_used_where_they_pay():
    machine = Machine(alone=1e-4, shared=6e-5)
    machine.run(pace_on(machine), 100_000)
    assert machine.seconds[True] > 50 * machine.seconds[False]


@pytest.mark.parametrize("alone", [5e-5, 1e-3, 0.03])
@pytest.mark.parametrize("stall", [0.003, 0.02])
def test_threads_that_wait_cost_little(alone, stall):
    machine = Machine(alone, shared=0.6 * alone, stall=stall)
    seconds = 0.3
    n_steps = round(seconds / alone)
    assert machine.run(pace_on(machine), n_steps) < 1.3 * n_steps * alone + stall


def test_threads_that_are_slower_are_given_up():
    machine = Machine(alone=1e-4, shared=1.1e-4)
    assert machine.run(pace_on(machine), 100_000) < 1.01 * 100_000 * machine.alone


@pytest.mark.parametrize("shared", [0.97e-4, 1.08e-4, 1.3e-4])
def test_slow_first_steps_on_one_thread_do_not_make_threads_pay(shared):
    machine = Machine(alone=1.5e-4, shared=shared)
    pace = pace_on(machine)
    machine.run(pace, 30)
    machine.alone = 1e-4
    assert machine.run(pace, 10_000) < 1.015 * 10_000 * machine.alone


@pytest.mark.parametrize("shared", [1.1e-4, 1.5e-4, 3e-4])
def test_trials_of_threads_that_are_slower_cost_little(shared):
    machine = Machine(alone=1e-4, shared=shared)
    assert machine.run(pace_on(machine), 10_000) < 1.025 * 10_000 * machine.alone


def test_threads_are_used_again_when_the_machine_is_free_again():
    machine = Machine(alone=1e-4, shared=6e-5, stall=0.02)
    pace = pace_on(machine)
    machine.run(pace, 20_000)
    machine.stall = 0.0
    machine.run(pace, round(LONGEST_PAUSE / machine.alone))
    machine.seconds[False] = 0.0
    machine.run(pace, 10_000)
    assert machine.seconds[True] > 10 * machine.seconds[False]


def test_the_time_on_one_thread_is_measured_again():
    machine = Machine(alone=1e-4, shared=6e-5)
    pace = pace_on(machine)
    machine.run(pace, 20_000)
    machine.alone = 5e-5
    machine.run(pace, 40_000)
    machine.seconds = {True: 0.0, False: 0.0}
    machine.run(pace, 10_000)
    assert machine.seconds[False] > 10 * machine.seconds[True]


def test_short_steps_and_short_runs_stay_on_one_thread():
    for alone, n_steps in ((6e-6, 100_000), (1e-4, 5)):
        machine = Machine(alone, shared=0.1 * alone)
        pace = pace_on(machine)
        machine.run(pace, n_steps)
        assert machine.seconds[True] == 0.0


def test_single_steps_are_judged_together():
    """One of them says little: now and then one takes much longer, or shorter."""
    machine = Machine(alone=1e-4, shared=6e-5)
    pace = pace_on(machine)
    for i in range(20_000):
        machine.shared = 4e-4 if i % 20 == 0 else 6e-5
        machine.run(pace, 1)
    assert machine.seconds[True] > 10 * machine.seconds[False]


def test_a_wrong_estimate_is_corrected():
    machine = Machine(alone=1e-4, shared=9e-5)
    machine.run(pace_on(machine, seconds=3e-5), 50_000)
    assert machine.seconds[True] > 10 * machine.seconds[False]


def test_pauses_grow_while_threads_fail_and_begin_anew_when_they_pay():
    machine = Machine(alone=1e-4, shared=6e-5)
    pace = pace_on(machine)
    pauses = []
    for _ in range(10):
        pace.give_up()
        pauses.append(pace._share_at - machine.time)
    assert pauses[0] == FIRST_PAUSE
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE
    machine.run(pace, 50_000)
    pace.give_up()
    assert pace._share_at - machine.time == pytest.approx(FIRST_PAUSE)


def test_brief_runs_keep_the_gil():
    machine = Machine(alone=1e-5, shared=1e-5)
    pace = pace_on(machine)
    assert pace.is_brief(1)
    assert not pace.is_brief(1000)
