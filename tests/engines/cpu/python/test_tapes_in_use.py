"""Which functions run as tapes, and what is checked before a run."""

import nengo
import pytest

import nengo_jit
from nengo_jit.engines.cpu.python.tracing import guards


@pytest.fixture
def compared(monkeypatch):
    """A list of variables that Python has compared with what they were."""
    found, contents = [], guards._contents

    def compare(cell):
        found.append(cell)
        return contents(cell)

    monkeypatch.setattr(guards, "_contents", compare)
    return found


def test_a_run_does_not_begin_with_what_tapes_check_themselves(compared):
    """A step of many closures would take longer than one of few, function by function."""

    def scaled(height):
        return lambda t: height * t

    with nengo.Network() as net:
        nodes = [nengo.Node(scaled(float(i))) for i in range(20)]
    with nengo_jit.Simulator(net, engine="cpu", progress_bar=False) as sim:
        sim.run_steps(120)
        assert len(sim.plan.compiled) == len(nodes)
        compared.clear()
        sim.run_steps(50)
        assert compared == []


def test_a_variable_that_was_rebound_is_noticed_by_the_plan():
    gain = 1.0
    with nengo.Network() as net:
        nengo.Node(lambda t: gain * 2)
    with nengo_jit.Simulator(net, engine="cpu", progress_bar=False) as sim:
        sim.run_steps(120)
        assert len(sim.plan.compiled) == 1
        gain = [1.0]
        assert len(sim.plan.compiled) == 0
