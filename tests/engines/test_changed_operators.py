"""Operators that are changed between runs, or before a reset: the results are nengo's."""

import nengo
import numpy as np
import pytest
from nengo.builder import operator as nengos
from nengo.builder.learning_rules import SimBCM, SimOja, SimPES, SimVoja
from nengo.builder.neurons import SimNeurons
from nengo.builder.processes import SimProcess

import nengo_jit

SIMULATORS = {
    "reference": lambda net: nengo_jit.Simulator(net, engine="reference", progress_bar=False),
    "cpu": lambda net: nengo_jit.Simulator(net, engine="cpu", progress_bar=False),
    "cpu, built by nengo": lambda net: nengo_jit.Simulator(
        None, model=built_by_nengo(net), engine="cpu", progress_bar=False, seed=net.seed + 1
    ),
}


def built_by_nengo(net):
    model = nengo.builder.Model()
    model.build(net)
    return model


def nengos_simulator(net):
    return nengo.Simulator(net, optimize=False, progress_bar=False)


class Doubling(nengo.RectifiedLinear):
    """Neurons that are written in Python."""

    def step(self, dt, J, output):
        output[...] = 2 * np.maximum(J, 0)


def network():
    """All that nengo's operators are made for, in small."""
    rng = np.random.RandomState(0)

    def ensemble(n, neurons, label):
        return nengo.Ensemble(
            *(n, 2),
            gain=rng.uniform(1, 2, n),
            bias=rng.uniform(0, 2, n),
            encoders=rng.randn(n, 2),
            neuron_type=neurons,
            label=label,
        )

    with nengo.Network(seed=1) as net:
        wave = nengo.Node(lambda t: [np.sin(20 * t), np.cos(30 * t)], size_out=2)
        table = {0.0: [0.1, 0.2], 0.02: [0.3, 0.5]}
        net.stored = nengo.processes.Piecewise(table)
        shown = nengo.processes.PresentInput(rng.randn(3, 2), 0.004)
        noise = nengo.processes.WhiteNoise(seed=1)
        band = nengo.processes.FilteredNoise(seed=2)
        signal = nengo.processes.WhiteSignal(0.1, high=20, seed=3)
        sources = [
            nengo.Node(each, size_out=2) for each in (net.stored, shown, noise, band, signal)
        ]
        a, b = ensemble(10, nengo.RectifiedLinear(), "a"), ensemble(8, nengo.LIFRate(), "b")
        c, d = ensemble(6, Doubling(), "c"), ensemble(7, nengo.LIF(), "d")
        for source, target in zip(sources, (a, b, c, d, a)):
            nengo.Connection(source, target, synapse=None)
        nengo.Connection(wave[[1, 0]], b, synapse=0.01)
        nengo.Connection(wave[[1, 1]], c, synapse=nengo.synapses.Triangle(0.005))
        out = nengo.Node(size_in=2, label="sum")

        def solver(n):
            return nengo.solvers.NoSolver(rng.randn(n, 2) / n / 100)

        pes = nengo.Connection(a, out, solver=solver(10), learning_rule_type=nengo.PES(1e-3))
        nengo.Connection(wave, pes.learning_rule)
        nengo.Connection(b, out, solver=solver(8), function=lambda x: x, synapse=nengo.Alpha(0.01))
        rls = nengo.Connection(b, out, solver=solver(8), learning_rule_type=nengo.RLS(1e-3))
        nengo.Connection(wave, rls.learning_rule)
        weights = rng.uniform(0, 1, (8, 10)) / 1000
        for rule in (nengo.Oja(1e-6), nengo.BCM(1e-9)):
            nengo.Connection(a.neurons, b.neurons, transform=weights, learning_rule_type=rule)
        nengo.Connection(a, b, solver=solver(10), learning_rule_type=nengo.Voja(learning_rate=1e-2))
        kernel = nengo.Convolution(1, (10, 1), kernel_size=(3,), strides=(1,), padding="same")
        nengo.Connection(a.neurons, a.neurons, transform=kernel, synapse=0.01)
        for obj in (out, a, b, c, d, *sources):
            nengo.Probe(obj)
        for conn in net.all_connections:
            if conn.learning_rule_type is not None:
                nengo.Probe(conn, "weights")
        for each in (a, b, c, d):
            nengo.Probe(each.neurons)
    return net


def of(kind, n=0):
    """Finds an operator of a simulator."""
    return lambda sim: [op for op in sim.step_order if isinstance(op, kind)][n]


def with_process(kind, n=0):
    """Finds the operator of a process."""
    return lambda sim: [op for op in of_all(sim) if type(op.process) is kind][n]


def of_all(sim):
    return [op for op in sim.step_order if isinstance(op, SimProcess)]


def with_neurons(kind):
    """Finds the operator of neurons."""
    return lambda sim: next(
        op for op in sim.step_order if isinstance(op, SimNeurons) and type(op.neurons) is kind
    )


def selecting(sim):
    return next(
        op for op in sim.step_order if isinstance(op, nengos.Copy) and op.src_slice is not None
    )


def resetting(sim):
    return next(
        op for op in sim.step_order if isinstance(op, nengos.Reset) and "'sum'" in op.dst.name
    )


class Ramp(nengo.Process):
    """A process that is written in Python."""

    def make_step(self, shape_in, shape_out, dt, rng, state):
        return lambda t: np.full(shape_out, 3 * t)


CHANGES = {
    "pes": (of(SimPES), "learning_rate", 1e-2),
    "oja rate": (of(SimOja), "learning_rate", 1e-5),
    "oja beta": (of(SimOja), "beta", 7.0),
    "bcm": (of(SimBCM), "learning_rate", 1e-8),
    "voja rate": (of(SimVoja), "learning_rate", 0.1),
    "voja scale": (of(SimVoja), "scale", np.linspace(0.1, 2, 8)),
    "reset": (resetting, "value", 0.25),
    "selection": (selecting, "src_slice", [0, 1]),
    "function": (of(nengos.SimPyFunc), "fn", lambda t: [0.5, t]),
    "rate neurons": (with_neurons(nengo.RectifiedLinear), "neurons", nengo.RectifiedLinear(3)),
    "other neurons": (with_neurons(nengo.LIFRate), "neurons", nengo.Sigmoid()),
    "spiking neurons": (with_neurons(nengo.LIF), "neurons", nengo.LIF(tau_rc=0.05)),
    "neurons in Python": (with_neurons(nengo.RectifiedLinear), "neurons", Doubling()),
    "neurons from Python": (with_neurons(Doubling), "neurons", nengo.RectifiedLinear()),
    "noise": (with_process(nengo.processes.WhiteNoise), "process", Ramp()),
    "table": (
        with_process(nengo.processes.PresentInput),
        "process",
        nengo.processes.PresentInput(np.eye(2), 0.003),
    ),
    "signal": (
        with_process(nengo.processes.WhiteSignal),
        "process",
        nengo.processes.WhiteSignal(0.1, high=30, seed=8),
    ),
    "filtered noise": (
        with_process(nengo.processes.FilteredNoise),
        "process",
        nengo.processes.FilteredNoise(nengo.Lowpass(0.1), seed=5),
    ),
    "synapse": (with_process(nengo.Lowpass), "process", nengo.Lowpass(0.1)),
    "second order": (with_process(nengo.Alpha), "process", nengo.Alpha(0.05)),
}


def change_values(name):
    """A function that sets an attribute."""
    find, attribute, value = CHANGES[name]
    return lambda sim: setattr(find(sim), attribute, value)


def in_place(find, change):
    """A function that changes an attribute's value itself."""
    return lambda sim: change(find(sim))


IN_PLACE = {
    "voja scale": in_place(of(SimVoja), lambda op: op.scale.__imul__(3)),
    "selection": in_place(selecting, lambda op: op.src_slice.reverse()),
    "piecewise": in_place(
        with_process(nengo.processes.Piecewise), lambda op: op.process.data.update({0.01: [1, -1]})
    ),
}


def data_of(make, change, resets):
    with make(network()) as sim:
        sim.run_steps(25)
        change(sim)
        if resets:
            sim.reset()
        sim.run_steps(25)
        return [np.array(sim.data[probe]) for probe in sim.model.probes]


def assert_same(engine, change, resets):
    expected, actual = (
        data_of(make, change, resets) for make in (nengos_simulator, SIMULATORS[engine])
    )
    for one, other in zip(expected, actual):
        scale = np.abs(one).max()
        np.testing.assert_allclose(other, one, rtol=1e-7, atol=1e-9 * scale)
    return expected


@pytest.mark.parametrize("resets", [True, False], ids=["reset", "no reset"])
@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("engine", SIMULATORS)
def test_attributes(engine, name, resets):
    changed = assert_same(engine, change_values(name), resets)
    if resets:
        unchanged = data_of(nengos_simulator, lambda sim: None, resets)
        assert any((a != b).any() for a, b in zip(changed, unchanged))


@pytest.mark.parametrize("name", IN_PLACE)
@pytest.mark.parametrize("engine", SIMULATORS)
def test_what_attributes_consist_of(engine, name):
    assert_same(engine, IN_PLACE[name], resets=True)


@pytest.mark.parametrize("engine", SIMULATORS)
def test_a_scale_that_is_changed_counts_from_the_next_step(engine):
    assert_same(engine, IN_PLACE["voja scale"], resets=False)
