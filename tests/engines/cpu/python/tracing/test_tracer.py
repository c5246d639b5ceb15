"""Ways through a function: how many are traced, and what becomes of those that are not."""

import itertools

import numpy as np
import pytest

from nengo_jit.engines.cpu.python.tracing import tracer

SIGNS = np.array(list(itertools.product([-1.0, 1.0], repeat=3)) * 2)


@pytest.mark.parametrize("n_rounds", [10, 400, 700, 1100, 1500, 2000, 4000])
def test_ways_that_take_too_long_are_left_to_python(run_function, n_rounds):
    def function(t, x):
        gain = 1.0 if x[0] > 0 else 2.0
        gain = gain * 3.0 if x[1] > 0 else gain
        if x[2] > 0:
            gain += 10.0
        v = 0.0
        for _ in range(n_rounds):
            v += 0.001 * (gain - v)
        return gain + v

    run_function(function, SIGNS)


@pytest.mark.parametrize("most", range(1, 60))
@pytest.mark.parametrize("limit", ["MOST_INSTRUCTIONS", "MOST_PATHS", "MOST_BRANCHES"])
def test_wherever_tracing_ends_values_are_right(run_function, monkeypatch, limit, most):
    state = np.zeros(2)
    other = np.zeros(2)

    def function(t, x):
        for i in range(3):
            if x[i] > 0:
                state[0] += x[i]
                other[1] = state[0] * t
            else:
                state[1] -= t
        return [state[0] + other[1], state[1]]

    def make():
        state[...] = other[...] = 0
        return function

    monkeypatch.setattr(tracer, limit, most)
    run_function(make, SIGNS, 2, makes=True)


@pytest.mark.parametrize("most", range(1, 200, 3))
def test_wherever_steps_run_out_values_are_right(run_function, monkeypatch, most):
    def function(t, x):
        total = 0.0
        for each in x:
            total += each if each > 0 else t
        return total

    monkeypatch.setattr("nengo_jit.engines.cpu.python.tracing.bytecode.frame.MOST_STEPS", most)
    run_function(function, SIGNS)


def test_a_function_that_changes_while_it_is_traced_stays_in_python(run_function, monkeypatch):
    gains = iter(range(1000))
    compute = tracer.Tracer.compute

    def other(self, operation, *operands, n=1):
        return compute(self, operation, *operands, n=n + next(gains) // 5)

    monkeypatch.setattr(tracer.Tracer, "compute", other)
    remark = run_function(lambda t, x: 1 if t * x[0] > 1 else 2 if x[1] > t else 3, SIGNS)
    assert "compiled" in remark
