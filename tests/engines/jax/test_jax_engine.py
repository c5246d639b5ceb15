"""What only the JAX engine does: calls of many steps, memory of a device, and Python in between."""

import os
import subprocess
import sys

import jax
import nengo
import numpy as np
import pytest
from compiling import compiled

import nengo_jit
from nengo_jit.builder import Model
from nengo_jit.engines.jax import calls
from nengo_jit.engines.jax.backend import JaxBackend
from nengo_jit.engines.jax.calls import Loop, Segment
from nengo_jit.engines.jax.compilation import as_given
from nengo_jit.ir.neurons import SimNeurons


def network(n_ensembles=3, node=None):
    with nengo.Network(seed=1) as net:
        stimulus = nengo.Node(nengo.processes.WhiteSignal(1.0, high=5, seed=2), size_out=1)
        for n in range(n_ensembles):
            ens = nengo.Ensemble(20 + n, 1)
            nengo.Connection(stimulus, ens)
            nengo.Probe(ens, synapse=0.01)
        if node is not None:
            python = nengo.Node(node, size_in=1)
            nengo.Connection(ens, python)
            nengo.Connection(python, ens, synapse=0.1)
    return net


def engine_for(net):
    model = Model()
    model.build(net)
    engine = compiled(model, JaxBackend)
    engine.reset(0)
    return engine


@pytest.fixture
def calls_counted(monkeypatch):
    counted = []
    for each in (Loop, Segment):
        run = each.run

        def counting(self, *arguments, run=run):
            counted.append(type(self))
            return run(self, *arguments)

        monkeypatch.setattr(each, "run", counting)
    return counted


def test_many_steps_are_one_call(calls_counted):
    engine_for(network()).run(1000)
    assert calls_counted == [Loop]


def test_calls_have_a_limited_size(calls_counted, monkeypatch):
    monkeypatch.setattr(calls, "CHUNK", 16)
    engine = engine_for(network())
    engine.run(40)
    assert calls_counted == 3 * [Loop]
    assert all(len(samples) == 40 for samples in engine.samples.values())


def test_any_number_of_steps_is_compiled_once(monkeypatch):
    engine = engine_for(network())
    engine.run(3)
    compiles = []
    monkeypatch.setattr(jax.stages.Lowered, "compile", lambda *_, **__: compiles.append(1))
    for n in (1, 7, 30):
        engine.run(n)
    assert not compiles
    assert engine._loop._call._cache_size() == 1


def test_python_is_called_between_two_calls(calls_counted):
    times = []

    def node(t, x):
        times.append(t)
        return x

    engine = engine_for(network(node=node))
    engine.run(5)
    np.testing.assert_allclose(times[-5:], np.arange(1, 6) * 0.001)
    assert set(calls_counted) == {Segment}


def test_a_reset_does_not_compile_again():
    engine = engine_for(network())
    engine.run(5)
    loop = engine._loop
    engine.reset(1)
    assert engine._loop is loop
    engine.plan.operators[-1].tag = "something else"
    engine.reset(1)
    assert engine._loop is loop


def test_the_program_does_not_grow_with_the_number_of_like_ensembles():
    def size(n_ensembles):
        with nengo.Network(seed=1) as net:
            array = nengo.networks.EnsembleArray(20, n_ensembles)
            nengo.Connection(nengo.Node([1.0] * n_ensembles), array.input)
            nengo.Probe(array.output)
        engine = engine_for(net)
        loop = engine._loop
        with as_given():
            arguments = loop.arguments(engine._memory, 1, 1)
            return loop._call.lower(*arguments).as_text().count("\n")

    assert size(100) == size(400)


def test_memory_that_users_hold_is_read_and_written_between_runs():
    values = {}
    for engine in ("reference", "jax"):
        with nengo_jit.Simulator(network(), engine=engine, progress_bar=False, seed=1) as sim:
            (operator,) = [op for op in sim.model.operators if type(op).__name__ == "SimNeurons"][
                :1
            ]
            voltage = sim.signals[operator.state["voltage"]]
            sim.run_steps(10)
            seen = voltage.copy()
            voltage[...] = 0.5
            sim.run_steps(10)
            values[engine] = seen, voltage.copy(), *(sim.data[p] for p in sim.model.probes)
    for mine, theirs in zip(values["jax"], values["reference"], strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-12)


def test_nodes_see_what_they_write_to_signals():
    def samples(engine):
        with nengo.Network(seed=1) as net:
            ens = nengo.Ensemble(10, 1)
            probe = nengo.Probe(ens.neurons, "voltage")
            held = []

            def node(t):
                if held:
                    held[0][:5] = 0.25

            nengo.Node(node)
        with nengo_jit.Simulator(net, engine=engine, progress_bar=False) as sim:
            held.append(sim.signals[sim.model.sig[ens.neurons]["voltage"]])
            sim.run_steps(20)
            return sim.data[probe]

    np.testing.assert_allclose(samples("jax"), samples("reference"), rtol=1e-9)


def test_neurons_that_are_replaced_are_lowered_again():
    def samples(engine):
        net = network(1)
        with nengo_jit.Simulator(net, engine=engine, progress_bar=False, seed=1) as sim:
            operator = next(op for op in sim.model.operators if isinstance(op, SimNeurons))
            sim.run_steps(20)
            operator.neurons = nengo.LIF(tau_rc=0.5, amplitude=2)
            sim.run_steps(20)
            return sim.data[net.probes[0]]

    np.testing.assert_allclose(samples("jax"), samples("reference"), rtol=1e-9, atol=1e-12)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forked_processes_run_in_python(tmp_path):
    script = """
import os, sys, warnings
import nengo, nengo_jit
warnings.simplefilter("ignore")
def run():
    with nengo.Network(seed=1) as net:
        probe = nengo.Probe(nengo.Ensemble(20, 1))
    with nengo_jit.Simulator(net, engine="jax", progress_bar=False) as sim:
        sim.run_steps(30)
    return sim.data[probe][-1].item()
before = run()
child = os.fork()
if not child:
    os._exit(0 if abs(run() - before) < 1e-9 else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    done = subprocess.run([sys.executable, "-c", script], timeout=120, check=False)
    assert done.returncode == 0


def test_without_jax_an_error_says_what_to_install():
    code = (
        "import sys; sys.modules['jax'] = None\n"
        "import nengo, nengo_jit\n"
        "try: nengo_jit.Simulator(nengo.Network(), engine='jax')\n"
        "except nengo.exceptions.ValidationError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 'it needs JAX: pip install "nengo-jit[jax]"' in done.stdout
