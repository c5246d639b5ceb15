"""When checkpoints are due, and which are kept."""

import sys

import numpy as np
import pytest
from nengo.exceptions import ValidationError

from nengo_jit.persistence import periodic
from nengo_jit.persistence.periodic import Schedule


@pytest.fixture
def clock(monkeypatch):
    """The seconds that the clock shows, in a list."""
    now = [100.0]
    monkeypatch.setattr(periodic, "monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize(
    "every, seconds",
    [
        ("5 min", 300),
        ("30 s", 30),
        ("2h", 7200),
        ("1.5 sec", 1.5),
        ("250 ms", 0.25),
        (".5 hours", 1800),
    ],
)
def test_real_time(clock, every, seconds):
    schedule = Schedule(every, 0.001)
    assert schedule.steps_left(3) == sys.maxsize
    clock[0] += seconds - 0.01
    assert not schedule.is_due(3)
    clock[0] += 0.02
    assert schedule.is_due(3)
    schedule.done(1e9)
    assert not schedule.is_due(3)
    clock[0] += seconds
    assert schedule.is_due(3)


@pytest.mark.parametrize(
    "every, steps",
    [
        *[(10, 10), (np.int32(10), 10), ("10 s simulated", 5000), ("4ms simulated", 2)],
        pytest.param("9" * 400 + " d simulated", sys.maxsize, id="endless"),
    ],
)
def test_steps_and_simulated_time(clock, every, steps):
    schedule = Schedule(every, 0.002)
    assert schedule.steps_left(0) == schedule.steps_left(steps) == steps
    assert schedule.steps_left(steps + 1) == steps - 1
    assert schedule.is_due(3 * steps)
    assert not schedule.is_due(3 * steps + 1)


def test_times_beyond_all_numbers(clock):
    assert Schedule(f"{'9' * 400} s simulated", 0.001).steps == sys.maxsize
    assert not Schedule(f"{'9' * 400} s", 0.001).is_due(3)


def test_by_default_they_take_a_hundredth_of_the_time(clock):
    schedule = Schedule(None, 0.001)
    clock[0] += 301
    assert schedule.is_due(3)
    schedule.done(10.0)
    clock[0] += 999
    assert not schedule.is_due(3)
    clock[0] += 2
    assert schedule.is_due(3)


@pytest.mark.parametrize(
    "every",
    [
        0,
        -3,
        "",
        "5",
        "5 minutes long",
        "-5 min",
        "0 s",
        "0.1 ms simulated",
        2.5,
        True,
        "5 m",
        "x s",
    ],
)
def test_other_values_are_refused(every):
    with pytest.raises(ValidationError, match="every"):
        Schedule(every, 0.001)
