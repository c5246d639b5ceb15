"""States and steps of neurons and processes that do not fit: nengo's results, or its errors."""

from functools import partial

import nengo
import numpy as np
import pytest

import nengo_jit


def results(net, n_steps=20):
    """What nengo and each engine make of a network: probe data, or the type of the error."""
    found = {}
    simulators = {
        "nengo": partial(nengo.Simulator, net, optimize=False),
        "reference": partial(nengo_jit.Simulator, net, engine="reference"),
        "cpu": partial(nengo_jit.Simulator, net, engine="cpu"),
    }
    for name, simulator in simulators.items():
        try:
            with simulator(progress_bar=False) as sim:
                sim.run_steps(n_steps)
                found[name] = [np.array(sim.data[probe]) for probe in net.all_probes]
        except Exception as error:
            found[name] = type(error)
    return found


def check_like_nengo(net):
    found = results(net)
    for engine in ("reference", "cpu"):
        if isinstance(found["nengo"], type):
            assert found[engine] is found["nengo"]
        else:
            for actual, expected in zip(found[engine], found["nengo"], strict=True):
                np.testing.assert_allclose(actual, expected, 1e-9, 1e-9, err_msg=engine)
    return found["nengo"]


STATEFUL = [
    (neurons, name)
    for neurons in (
        nengo.LIF,
        nengo.AdaptiveLIF,
        nengo.AdaptiveLIFRate,
        nengo.Izhikevich,
        nengo.SpikingRectifiedLinear,
        lambda **options: nengo.RegularSpiking(nengo.LIFRate(), **options),
    )
    for name in neurons().state
]
STATES = {
    "too short": np.full(3, 0.5),
    "too long": np.full(300, 0.5),
    "one": np.full(1, 0.5),
    "column": np.full((40, 1), 0.5),
    "matrix": np.full((40, 40), 0.5),
    "whole numbers": np.zeros(40, int),
    "strided": np.linspace(0, 0.9, 80)[::2],
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("value", STATES.values(), ids=STATES)
@pytest.mark.parametrize("neurons, name", STATEFUL)
def test_initial_states(neurons, name, value):
    with nengo.Network(seed=3) as net:
        other = nengo.Ensemble(50, 1)
        nengo.Probe(other.neurons, "voltage")
        neuron_type = neurons(initial_state={name: value})
        ones = {"gain": np.ones(40), "bias": np.full(40, 2.0), "encoders": np.ones((40, 1))}
        ensemble = nengo.Ensemble(40, 1, neuron_type=neuron_type, **ones)
        nengo.Probe(ensemble.neurons)
    check_like_nengo(net)


class NoStep(nengo.Process):
    def make_step(self, shape_in, shape_out, dt, rng, state):
        pass


class NoFilter(nengo.Lowpass):
    def make_step(self, shape_in, shape_out, dt, rng, state):
        pass


class NoNeurons(nengo.LIF):
    step = None


class ListInput(nengo.processes.PresentInput):
    inputs = [[1.0, 2.0], [3.0, 4.0]]

    def __init__(self):
        nengo.Process.__init__(self, default_size_in=0, default_size_out=2)
        self.presentation_time = 0.01


class Stateful(nengo.Lowpass):
    """A filter whose state has another shape, or is of another type, than it says."""

    def __init__(self, state):
        super().__init__(0.01)
        self.state = state

    def make_state(self, shape_in, shape_out, dt, dtype=None, y0=0):
        return self.state


class StatefulTriangle(nengo.synapses.Triangle):
    def __init__(self, state):
        super().__init__(0.003)
        self.state = state

    make_state = Stateful.make_state


class StatefulNoise(nengo.processes.FilteredNoise):
    def __init__(self, state):
        super().__init__(seed=1)
        self.state = state

    def make_state(self, shape_in, shape_out, dt, dtype=None):
        return self.state


def a_filter(synapse):
    def add():
        stim = nengo.Node([1.0, -1.0])
        nengo.Probe(stim, synapse=synapse)

    return add


def a_node(process, size_out=2):
    return lambda: nengo.Probe(nengo.Node(process, size_out=size_out))


TRIANGLE = {"Y": np.zeros(2), "X": np.zeros((4, 2)), "Xi": np.zeros(1)}
PROCESSES = {
    "inputs that are lists": a_node(ListInput()),
    "no step": a_node(NoStep()),
    "no filter": a_filter(NoFilter(0.1)),
    "state without dimensions": a_filter(Stateful({"X": np.zeros(())})),
    "state of too few": a_filter(Stateful({"X": np.zeros((1, 1))})),
    "state of too many": a_filter(Stateful({"X": np.zeros((1, 3))})),
    "state of a higher order": a_filter(Stateful({"X": np.zeros((2, 2))})),
    "empty state": a_filter(Stateful({"X": np.zeros((0, 2))})),
    "no state": a_filter(Stateful({})),
    "state of another name": a_filter(Stateful({"Y": np.zeros((1, 2))})),
    "two states": a_filter(Stateful({"X": np.zeros((1, 2)), "Y": np.zeros(1)})),
    "state of whole numbers": a_filter(Stateful({"X": np.zeros((1, 2), int)})),
    "state of single precision": a_filter(Stateful({"X": np.zeros((1, 2), np.float32)})),
    "state in Fortran's order": a_filter(Stateful({"X": np.zeros((1, 2), order="F") + 0.5})),
    "state with a value": a_filter(Stateful({"X": np.array([[0.5, 0.25]])})),
    "triangle": a_filter(StatefulTriangle(TRIANGLE)),
    "triangle of few taps": a_filter(StatefulTriangle({**TRIANGLE, "X": np.zeros((2, 2))})),
    "triangle of many taps": a_filter(StatefulTriangle({**TRIANGLE, "X": np.zeros((9, 2))})),
    "triangle of one": a_filter(StatefulTriangle({**TRIANGLE, "Y": np.zeros(1)})),
    "triangle far away": a_filter(StatefulTriangle({**TRIANGLE, "Xi": np.array([1e6])})),
    "triangle between": a_filter(StatefulTriangle({**TRIANGLE, "Xi": np.array([1.5])})),
    "triangle before": a_filter(StatefulTriangle({**TRIANGLE, "Xi": np.array([-3.0])})),
    "noise": a_node(StatefulNoise({"X": np.zeros((1, 2))})),
    "noise of one": a_node(StatefulNoise({"X": np.zeros((1, 1))})),
    "noise of a higher order": a_node(StatefulNoise({"X": np.zeros((2, 2))})),
    "noise with a value": a_node(StatefulNoise({"X": np.array([[0.5, 0.25]])})),
    "noise of one that has a value": a_node(StatefulNoise({"X": np.array([[0.5]])}), 1),
    "too many inputs": a_node(nengo.processes.PresentInput(np.zeros((2, 3)), 0.1)),
    "too few inputs": a_node(nengo.processes.PresentInput(np.zeros((2, 1)), 0.1)),
    "too few tasks": a_node(nengo.processes.Piecewise({0.001: [1.0]})),
    "too many tasks": a_node(nengo.processes.Piecewise({0.001: [1.0, 2.0, 3.0]})),
}


@pytest.mark.parametrize("add", PROCESSES.values(), ids=PROCESSES)
def test_processes(add):
    with nengo.Network(seed=1) as net:
        nengo.Probe(nengo.Node([0.5]), synapse=nengo.Alpha(0.01))
        add()
    check_like_nengo(net)


@pytest.mark.parametrize("engine", ["nengo", "reference", "cpu"])
def test_neurons_that_cannot_step(engine):
    with nengo.Network(seed=0) as net:
        encoders = {"encoders": np.ones((5, 1)), "gain": np.ones(5), "bias": np.ones(5)}
        nengo.Ensemble(5, 1, neuron_type=NoNeurons(), **encoders)
    simulator = (
        nengo.Simulator if engine == "nengo" else partial(nengo_jit.Simulator, engine=engine)
    )
    with simulator(net, progress_bar=False) as sim, pytest.raises(TypeError, match="callable"):
        sim.run_steps(3)
