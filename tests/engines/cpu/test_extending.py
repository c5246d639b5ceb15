"""Kernels of other packages: compiled by processes that cannot import these packages."""

import importlib
import sys

import nengo
import numpy as np
import pytest
from nengo.builder import Builder
from pages import install

import nengo_jit
from nengo_jit.builder import Operator
from nengo_jit.engines.cpu import extending
from nengo_jit.engines.cpu.program.contracts.contract import CONTRACTS
from nengo_jit.engines.cpu.program.lowering import LOWERINGS
from nengo_jit.engines.cpu.toolchain.workers import CompilerError

# A module with a constant and a helper of its own, which its kernel refers to
POWERS = """
from __future__ import annotations

import math

import numpy as np

import nengo_jit
from nengo_jit.engines.cpu import extending as ext

EXPONENTS = (1, 2)
HALF = 0.5


@ext.helper()
def power(x, n):
    result = 1.0
    for _ in range(n):
        result *= x
    return result


@ext.kernel()
def add_powers(memory: ext.Memory, x: ext.In, y: ext.Out, n: ext.Count) -> None:
    values, sums = ext.vector(memory, x, n), ext.vector(memory, y, n)
    for i in range(n):
        sums[i] = HALF * (power(values[i], EXPONENTS[0]) + power(values[i], EXPONENTS[1]))
        sums[i] += math.pi - math.pi


class SimPowers(nengo_jit.builder.Operator):
    def __init__(self, x, y):
        super().__init__(sets=[y], incs=[], reads=[x], updates=[])

    @staticmethod
    def compute(xp, x):
        return (0.5 * (x + x * x),)


@ext.requires(SimPowers)
def contract(operator, arrays):
    shapes = {arrays[signal].shape for signal in (*operator.reads, *operator.sets)}
    return len(shapes) == 1 and all(array.flags.c_contiguous for array in arrays.values())


@ext.lowers(SimPowers)
def lower(operator, lowering):
    x, y = lowering.array(operator.reads[0]), lowering.array(operator.sets[0])
    return [add_powers.row(x=ext.start(x), y=ext.start(y), n=x.size)]
"""


class Powers(nengo.Process):
    """A process that is built into an operator of another package's."""

    def __init__(self, operator_type, size_out):
        super().__init__(default_size_in=size_out, default_size_out=size_out)
        self.operator_type = operator_type


@pytest.fixture(autouse=True)
def registered():
    """Register operators and build functions for as long as a test takes."""
    known = CONTRACTS, LOWERINGS, Builder.builders
    before = [dict(each) for each in known]

    @Builder.register(Powers)
    def build_powers(model, process, sig_in=None, sig_out=None, mode="set"):
        model.add_op(process.operator_type(sig_in, sig_out))
        return sig_out

    yield
    for each, content in zip(known, before):
        each.clear()
        each.update(content)


@pytest.fixture
def powers(tmp_path, monkeypatch):
    (tmp_path / "powers.py").write_text(POWERS)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    yield importlib.import_module("powers")
    sys.modules.pop("powers", None)


def network(operator_type):
    with nengo.Network() as net:
        stimulus = nengo.Node(lambda t: [t, -20 * t, 0.0])
        node = nengo.Node(Powers(operator_type, 3))
        nengo.Connection(stimulus, node, synapse=None)
        nengo.Probe(stimulus)
        nengo.Probe(node)
    return net


def run(net, **options):
    with nengo_jit.Simulator(net, **options) as sim:
        sim.run_steps(150)
        return [sim.data[probe] for probe in net.all_probes], sim.plan, sim.state()


@pytest.mark.parametrize("bits", ["64", "32"])
def test_a_kernel_of_another_package_runs(powers, bits):
    nengo.rc.set("precision", "bits", bits)
    net = network(powers.SimPowers)
    (x, y), plan, state = run(net, engine="cpu")
    assert "SimPowers: add_powers" in str(plan) and not plan.in_python
    assert not any("SimPowers" in each for each in state["hidden"])
    np.testing.assert_allclose(y, 0.5 * (x + x * x), rtol=1e-6, atol=1e-7)
    assert np.ptp(y) > 1.0
    np.testing.assert_allclose(y, run(net, engine="reference")[0][1], rtol=1e-6, atol=1e-7)


def test_operators_that_break_their_contract_run_in_python(powers):
    extending.requires(powers.SimPowers)(lambda operator, arrays: False)
    (x, y), plan, _ = run(network(powers.SimPowers), engine="cpu")
    assert "SimPowers: add_powers" not in str(plan)
    np.testing.assert_allclose(y, 0.5 * (x + x * x), rtol=1e-12)


def test_operators_that_have_no_contract_are_refused():
    class SimOdd(Operator):
        pass

    with pytest.raises(TypeError, match="SimOdd has no contract"):
        extending.lowers(SimOdd)(lambda operator, lowering: [])


def test_an_error_in_a_kernel_names_it_and_says_what_is_wrong(powers):
    @extending.kernel()
    def mistaken(memory: extending.Memory, x: extending.In, n: extending.Count) -> None:
        extending.vector(memory, x, n)[0] = "a word"

    @extending.lowers(powers.SimPowers)
    def lower(operator, lowering):
        x = lowering.array(operator.reads[0])
        return [mistaken.row(x=extending.start(x), n=x.size)]

    with pytest.raises(CompilerError, match="mistaken"):
        nengo_jit.Simulator(network(powers.SimPowers), engine="cpu")


def test_names_are_there():
    assert set(extending.__all__) <= set(vars(extending))


@pytest.mark.parametrize("bits, tolerance", [("64", 1e-9), ("32", 1e-3)])
@pytest.mark.parametrize("threads", [1, 2])
def test_the_rule_of_the_page_in_both_precisions(
    tmp_path, monkeypatch, bits, tolerance, threads, always_shared
):
    nengo.rc.set("precision", "bits", bits)
    install("learning_rules", tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    rule = importlib.import_module("decaying")
    importlib.import_module("decaying_kernel")
    try:
        with nengo.Network(seed=2) as net:
            pre, post = (nengo.Ensemble(n, 1, neuron_type=nengo.Sigmoid()) for n in (37, 21))
            nengo.Connection(nengo.Node(lambda t: np.sin(20 * t)), pre)
            learned = nengo.Connection(
                pre.neurons,
                post.neurons,
                transform=np.full((21, 37), 1e-4),
                learning_rule_type=rule.DecayingHebb(1e-5),
            )
            nengo.Probe(learned, "weights")
            nengo.Probe(post.neurons)
        expected = run(net, engine="reference")[0]
        found, plan, _ = run(net, engine="cpu", threads=threads)
        assert "SimDecayingHebb: decaying_hebb" in str(plan)
        for values, of_reference in zip(found, expected):
            scale = np.abs(of_reference).max()
            np.testing.assert_allclose(values, of_reference, rtol=tolerance, atol=tolerance * scale)
    finally:
        sys.modules.pop("decaying", None)
        sys.modules.pop("decaying_kernel", None)
