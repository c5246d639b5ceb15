import nengo
import numpy as np
import pytest
from nengo.builder.processes import SimProcess as NengoSimProcess
from nengo.processes import (
    BrownNoise,
    FilteredNoise,
    Piecewise,
    PresentInput,
    WhiteNoise,
    WhiteSignal,
)

from nengo_jit.ir.process_state import draws_in_steps, is_sim_process, keeps_to_its_state
from nengo_jit.ir.processes import SimProcess
from nengo_jit.ir.signal import Signal


class Counting(nengo.Process):
    """Counts its steps in a variable of its own."""

    def make_step(self, shape_in, shape_out, dt, rng, state):
        numbers = []

        def step(t):
            numbers.append(t)
            return len(numbers)

        return step


class Own(nengo.Lowpass):
    make_step = Counting.make_step


DRAWING = [WhiteNoise(), FilteredNoise(), BrownNoise()]
STILL = [
    nengo.Lowpass(0.01),
    nengo.Alpha(0.01),
    nengo.LinearFilter([1], [1, 2]),
    nengo.Triangle(0.01),
    WhiteSignal(1.0, high=10),
    PresentInput([[1.0]], 0.1),
    Piecewise({0: 1.0}),
]


@pytest.mark.parametrize("process", DRAWING + STILL, ids=str)
def test_nengos_processes(process):
    assert draws_in_steps(process) == (process in DRAWING)
    assert keeps_to_its_state(process)


@pytest.mark.parametrize(
    "process", [Counting(), Own(0.01), FilteredNoise(Own(0.01)), Piecewise({0: np.sin})], ids=str
)
def test_processes_that_may_keep_more(process):
    assert not keeps_to_its_state(process)


@pytest.mark.parametrize("process", STILL, ids=str)
def test_what_does_not_draw_leaves_its_generator_alone(process):
    takes = isinstance(process, nengo.synapses.Synapse)
    shape_in, rng = (1,) if takes else (0,), np.random.RandomState(0)
    state = process.make_state(shape_in, (1,), 0.001)
    step = process.make_step(shape_in, (1,), 0.001, rng, state)
    before = rng.get_state()[2]
    for n in range(1, 700):
        step(0.001 * n, np.ones(1)) if takes else step(0.001 * n)
    assert rng.get_state()[2] == before


def test_which_operators_make_steps_in_this_way():
    class Replaced(SimProcess):
        def make_step(self, signals, dt, rng):
            return lambda: None

    signals = [Signal(np.zeros(()), name="t"), Signal(np.zeros(1), name="y")]
    for kind, expected in ((SimProcess, True), (NengoSimProcess, True), (Replaced, False)):
        operator = kind(WhiteNoise(), None, signals[1], signals[0])
        assert is_sim_process(operator) == expected
        operator.make_step = lambda signals, dt, rng: None
        assert not is_sim_process(operator)
