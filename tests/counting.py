"""A process with state, and the ways in which the output of a process is written."""

import nengo
import numpy as np
import pytest

DT = 0.002
MODES = ("set", "inc", "update")
every_mode = pytest.mark.parametrize("mode", MODES)


class Counter(nengo.Process):
    """Counts its steps in one state and sums its input in another."""

    def __init__(self):
        super().__init__(default_size_in=2, default_size_out=2)

    def make_state(self, shape_in, shape_out, dt, dtype=None):
        return {"count": np.zeros(1, dtype), "total": np.full(shape_in, 10.0, dtype)}

    def make_step(self, shape_in, shape_out, dt, rng, state):
        count, total = state["count"], state["total"]

        def step(t, x):
            count[...] += 1
            total[...] += x
            return total * count

        return step
