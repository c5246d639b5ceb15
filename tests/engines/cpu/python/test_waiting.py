"""Functions are called in Python until the kernels for their tapes are there."""

import nengo
import numpy as np
import pytest

import nengo_jit
from nengo_jit.engines.cpu.python import call as field
from nengo_jit.engines.cpu.python import functions, tapes_in_use
from nengo_jit.engines.cpu.python.tapes_in_use import WORTH_TRACING
from nengo_jit.engines.cpu.python.tracing.bytecode import IS_KNOWN_PYTHON

pytestmark = pytest.mark.skipif(not IS_KNOWN_PYTHON, reason="Python calls functions there")


class Kernels:
    """Says whether they are ready, and how often it was asked."""

    are_ready, n_asked = False, 0

    def __call__(self, kernels):
        self.n_asked += 1
        return self.are_ready


@pytest.fixture
def kernels(monkeypatch):
    kernels = Kernels()
    for module in (tapes_in_use, functions):
        monkeypatch.setattr(module, "are_ready", kernels)
    return kernels


def network():
    with nengo.Network(seed=0) as net:
        stimulus = nengo.Node(lambda t: [np.sin(20 * t), t])
        ensemble = nengo.Ensemble(100, 2)
        nengo.Connection(stimulus, ensemble)
        squares = nengo.Node(size_in=2)
        nengo.Connection(ensemble, squares, function=lambda x: x**2)
        net.probe = nengo.Probe(squares, synapse=0.01)
    return net


def tapes(sim):
    return [int(each.words[field.TAPE]) != 0 for each in sim._engine.callbacks]


def expected(n_steps):
    with nengo_jit.Simulator(network()) as sim:
        sim.run_steps(n_steps)
        return sim.data[sim.model.toplevel.probe].tobytes()


def test_results_do_not_depend_on_when_they_come(kernels, monkeypatch):
    net = network()
    with nengo_jit.Simulator(net) as sim:
        sim.run_steps(WORTH_TRACING + 50)
        assert tapes(sim) == [False] and "yet" in sim._engine.callbacks[0].remark
        kernels.are_ready = True
        sim.run_steps(100)
        assert tapes(sim) == [True]
    monkeypatch.undo()
    assert sim.data[net.probe].tobytes() == expected(WORTH_TRACING + 150)


def test_single_steps_take_them_when_they_come(kernels):
    with nengo_jit.Simulator(network(), threads=1) as sim:
        for _ in range(WORTH_TRACING + 1):
            sim.step()
        assert sim._engine._tracing._pending
        kernels.are_ready = True
        sim.step()
        assert not sim._engine._tracing._pending


def test_the_plan_waits_for_them(kernels):
    with nengo_jit.Simulator(network()) as sim:
        assert "1 more in Python" not in str(sim.plan)
        assert sim._engine.callbacks[0].traced is not None


def test_they_are_asked_for_before_a_model_runs(kernels):
    net = network()
    del net.connections[1:]
    with nengo_jit.Simulator(net):
        assert kernels.n_asked == 1


@pytest.mark.parametrize("is_traced", [False, True])
def test_nobody_asks_for_them_where_none_are_wanted(kernels, is_traced):
    with nengo.Network() as net:
        nengo.Node(0.5 if is_traced else lambda t: t)
    with nengo_jit.Simulator(net, compile_python=is_traced) as sim:
        sim.run_steps(2 * WORTH_TRACING)
    assert kernels.n_asked == 0
