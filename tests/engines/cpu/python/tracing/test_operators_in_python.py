"""Neuron types, processes and operators of other people's: compiled where they only calculate."""

import nengo
import numpy as np
import pytest
from nengo.builder import Builder
from nengo.builder import Operator as NengoOperator
from nengo.params import NumberParam

import nengo_jit


class Relu(nengo.neurons.NeuronType):
    """Without a state."""

    probeable = ("output",)

    def step(self, dt, J, output):
        output[...] = np.maximum(0.0, J) * 2.0


class Leaky(nengo.neurons.NeuronType):
    """A leaky rate neuron, with a parameter, a state and operators in place."""

    state = {"voltage": nengo.dists.Choice([0])}
    probeable = ("output", "voltage")
    tau = NumberParam("tau")

    def __init__(self, tau=0.02, **options):
        super().__init__(**options)
        self.tau = tau

    def rates(self, x, gain, bias):
        return np.maximum(self.current(x, gain, bias), 0)

    def rates_of(self, voltage):
        return np.clip(voltage, 0, None) if self.tau > 1 else np.maximum(voltage, 0)

    def step(self, dt, J, output, voltage):
        voltage += dt / self.tau * (J - voltage)
        output[:] = self.rates_of(voltage)


class Firing(nengo.neurons.NeuronType):
    """Spikes, where a condition holds."""

    spiking = True
    state = {"voltage": nengo.dists.Uniform(0, 1)}
    probeable = ("output", "voltage")

    def rates(self, x, gain, bias):
        return np.maximum(self.current(x, gain, bias), 0)

    def step(self, dt, J, output, voltage):
        voltage += np.maximum(J, 0) * dt * 50
        spiked = voltage > 1
        output[:] = spiked * (1 / dt)
        voltage[spiked] = 0
        voltage[voltage < 0] = 0


class Noisy(nengo.neurons.NeuronType):
    """Draws random numbers in every step."""

    def step(self, dt, J, output):
        output[...] = np.maximum(J, 0) + 0.0 * np.random.uniform()


class Pulses(nengo.Process):
    """Depends on time alone."""

    def make_step(self, shape_in, shape_out, dt, rng, state):
        def step(t):
            return np.ones(shape_out) if t % 0.1 < 0.05 else np.zeros(shape_out)

        return step


class Decay(nengo.Process):
    """Keeps a state, in its own array and in one that nengo keeps."""

    def make_state(self, shape_in, shape_out, dt, dtype=None):
        return {"trace": np.zeros(shape_out)}

    def make_step(self, shape_in, shape_out, dt, rng, state):
        trace, count = state["trace"], np.zeros(shape_out)

        def step(t, x):
            count[...] += 1
            trace[...] = 0.9 * trace + x
            return trace / (1 + count)

        return step


class Random(nengo.Process):
    """Draws random numbers."""

    def make_step(self, shape_in, shape_out, dt, rng, state):
        return lambda t: rng.uniform(-1, 1, size=shape_out)


def neurons(neuron_type):
    def make():
        stimulus = nengo.Node(lambda t: np.sin(8 * t))
        ensemble = nengo.Ensemble(
            30,
            1,
            neuron_type=neuron_type,
            gain=np.linspace(0.5, 2, 30),
            bias=np.linspace(-1, 1, 30),
        )
        nengo.Connection(stimulus, ensemble, synapse=None)
        return nengo.Probe(ensemble.neurons)

    return make


def process(kind):
    def make():
        stimulus = nengo.Node(lambda t: [np.sin(8 * t), 1.0])
        node = nengo.Node(kind, size_in=2 if isinstance(kind, Decay) else 0, size_out=2)
        if isinstance(kind, Decay):
            nengo.Connection(stimulus, node, synapse=None)
        return nengo.Probe(node)

    return make


def run(make, **options):
    with nengo.Network(seed=0) as net:
        probe = make()
    with nengo_jit.Simulator(net, progress_bar=False, **options) as sim:
        plan = sim.plan
        sim.run_steps(300)
        first = np.array(sim.data[probe])
        sim.reset()
        sim.run_steps(300)
        assert first.tobytes() == sim.data[probe].tobytes()
        return first, plan


@pytest.mark.parametrize(
    ("make", "remark"),
    [
        pytest.param(neurons(Relu()), "", id="Relu"),
        pytest.param(neurons(Leaky()), "", id="Leaky"),
        pytest.param(neurons(Firing()), "", id="Firing"),
        pytest.param(neurons(Noisy()), "uses numpy.random", id="Noisy"),
        pytest.param(process(Pulses()), "", id="Pulses"),
        pytest.param(process(Decay()), "", id="Decay"),
        pytest.param(
            process(Random(seed=1)),
            "reads the closure variable `rng`, a RandomState",
            id="Random",
        ),
    ],
)
def test_types_of_users(make, remark):
    data, plan = run(make)
    expected, _ = run(make, compile_python=False)
    assert data.tobytes() == expected.tobytes()
    reference, _ = run(make, engine="reference")
    assert np.allclose(data, reference, atol=1e-9)
    assert np.abs(data).max() > 0
    remarks = [each for operator, each in plan.in_python if "SimPyFunc" not in str(operator)]
    assert remarks == ([remark] if remark else [])


class Triple(NengoOperator):
    """An operator for nengo's builder."""

    def __init__(self, source, target):
        super().__init__()
        self.sets, self.incs, self.reads, self.updates = [target], [], [source], []

    def make_step(self, signals, dt, rng):
        source, target = signals[self.reads[0]], signals[self.sets[0]]

        def step():
            target[...] = 3 * source + dt

        return step


def test_operators_of_users():
    class Tripled(nengo.Process):
        pass

    @Builder.register(Tripled)
    def build(model, process, sig_in=None, sig_out=None, mode="set"):
        model.add_op(Triple(sig_in, sig_out))

    def make():
        stimulus = nengo.Node(lambda t: np.sin(t))
        node = nengo.Node(Tripled(), size_in=1, size_out=1)
        nengo.Connection(stimulus, node, synapse=None)
        return nengo.Probe(node)

    try:
        data, plan = run(make)
        expected, _ = run(make, engine="reference")
    finally:
        del Builder.builders[Tripled]
    assert data.tobytes() == expected.tobytes()
    assert plan.in_python == ()
