"""Which kernels a network is going to need, as far as that can be told before it is built."""

import nengo
import numpy as np
import pytest

import nengo_jit
from nengo_jit.engines.cpu import backend, engine
from nengo_jit.engines.cpu.kernels import held, operator, probe, rates
from nengo_jit.engines.cpu.kernels.lif import lif
from nengo_jit.engines.cpu.kernels.needed import likely, needed
from nengo_jit.engines.cpu.kernels.neurons import kernel_of
from nengo_jit.engines.cpu.language.primitives import FLOAT64
from nengo_jit.engines.cpu.program.team import lead, run
from nengo_jit.engines.cpu.python import call as python
from nengo_jit.engines.cpu.python.functions import FOR_POINTS
from nengo_jit.neurons import formula_of

FLOAT32 = np.dtype(np.float32)


def network(neuron_type=None, node=0.5, function=None):
    with nengo.Network(seed=0) as net:
        ensemble = nengo.Ensemble(300, 1, neuron_type=neuron_type or nengo.LIF())
        post = nengo.Ensemble(300, 1, neuron_type=neuron_type or nengo.LIF())
        nengo.Connection(nengo.Node(node), ensemble)
        nengo.Connection(ensemble, post, function=function)
        nengo.Probe(post, synapse=0.01)
    return net


@pytest.fixture
def loaded(monkeypatch):
    """What was asked for before a model was built, and when it had been."""
    asked = {}

    def noting(module, name):
        real = getattr(module, name)

        def ask(kernels, *progress):
            kernels = list(kernels)
            asked.setdefault(name, set()).update(kernels)
            real(kernels, *progress)

        return ask

    for module, name in ((backend, "prefetch"), (engine, "load_kernels")):
        monkeypatch.setattr(module, name, noting(module, name))
    return asked


@pytest.mark.parametrize("bits", [16, 32, 64])
def test_nothing_is_likely_that_is_not_needed(loaded, bits):
    nengo.rc.set("precision", "bits", str(bits))
    net = network(node=lambda t: np.sin(t), function=lambda x: x**2)
    with nengo_jit.Simulator(net, threads=1) as sim:
        sim.run_steps(3)
    while_building = {(rates.kernel_of(formula_of(nengo.LIF())), FLOAT64)}
    early = loaded["prefetch"]
    names = {kernel.function.__name__ for kernel, _ in early - while_building}
    assert names <= {kernel.function.__name__ for kernel, _ in loaded["load_kernels"]}
    assert len(early) > 8


def test_likely_are_those_of_what_there_is():
    kernels = likely(network(), FLOAT32)
    assert {(lif, FLOAT32), (probe.record, FLOAT32)} <= set(kernels)
    assert (python.run_functions, FLOAT32) not in kernels
    kernels = likely(network(nengo.Tanh(), lambda t: t, lambda x: x), FLOAT64)
    assert (lif, FLOAT64) not in kernels
    expected = [kernel_of(formula_of(nengo.Tanh())), python.run_functions, python.call_python]
    assert {(kernel, FLOAT64) for kernel in expected} <= set(kernels)


def test_products_that_are_kept_are_likely_where_much_is_encoded():
    with nengo.Network() as net:
        nengo.Ensemble(1000, 16)
    assert (held.notice, FLOAT64) in likely(net, FLOAT64)
    assert (held.notice, FLOAT64) not in likely(network(), FLOAT64)


def test_networks_without_anything_and_unknown_neurons_are_no_obstacle():
    class Unknown(nengo.LIF):
        pass

    assert (lif, FLOAT64) not in likely(network(Unknown()), FLOAT64)
    assert (lead, FLOAT64) in likely(nengo.Network(), FLOAT32)


def test_programs_need_what_runs_them():
    found = needed([operator.copy_inc], FLOAT32)
    assert {(run, FLOAT32), (operator.copy_inc, FLOAT32), (lead, FLOAT64)} <= set(found)
    calling = python.call_python, FLOAT64
    assert calling not in found
    assert calling in needed([python.run_functions], FLOAT32)


def test_nobody_waits_for_the_kernels_of_tapes():
    kernels = likely(network(node=lambda t: t, function=lambda x: x), FLOAT64)
    assert not set(FOR_POINTS) & (set(kernels) - {(python.call_python, FLOAT64)})
