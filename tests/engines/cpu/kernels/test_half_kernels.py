"""Operators in half precision: the bits of the reference engine, whatever the numbers are."""

import nengo
import numpy as np
import pytest
import scipy.sparse
from compiling import compiled
from hypothesis import given, settings
from hypothesis import strategies as st
from sharing import sharing

from nengo_jit.builder import Model
from nengo_jit.builder.learning_rules import SimBCM, SimOja, SimPES, SimRLS, SimVoja
from nengo_jit.builder.neurons import SimNeurons
from nengo_jit.builder.operator import Copy, DotInc, ElementwiseInc, Reset, SparseDotInc
from nengo_jit.builder.processes import SimProcess
from nengo_jit.builder.signal import Signal
from nengo_jit.engines.cpu.program.populations import POPULATION

pytestmark = pytest.mark.filterwarnings("ignore")

by_example = settings(max_examples=60, deadline=None, derandomize=True)
seeds = st.integers(0, 10**6)
ODD = [0.0, -0.0, np.inf, -np.inf, np.nan, 6e-8, -6e-8, 6e-5, 65504.0, -65504.0, 1.0, 300.0, 1e-3]


class Odd:
    """Makes signals with random bits, or with numbers that are special in some way.

    Constants have no NaN, which signals refuse as initial values.
    """

    def __init__(self, seed, is_finite=False):
        nengo.rc.set("precision", "bits", "16")
        self.rng, self.is_finite = np.random.RandomState(seed), is_finite
        self.values = {}

    def array(self, *shape):
        kind = self.rng.randint(3)
        if kind == 0:
            numbers = self.rng.randint(0, 1 << 16, shape).astype(np.uint16).view(np.float16)
        elif kind == 1:
            numbers = self.rng.choice(ODD, shape).astype(np.float16)
        else:
            numbers = self.rng.normal(size=shape).astype(np.float16)
        numbers = np.array(numbers)
        return np.where(np.isfinite(numbers), numbers, np.float16(2)) if self.is_finite else numbers

    def signal(self, *shape, readonly=False):
        values = self.array(*shape)
        if readonly:
            return Signal(np.nan_to_num(values), readonly=True)
        signal = Signal(np.zeros_like(values))
        self.values[signal] = values
        return signal

    def engine(self, model, *args, **options):
        engine = compiled(model, *args, **options)
        engine.reset(1)
        for signal, values in self.values.items():
            if signal in engine.signals:
                engine.signals[signal][...] = values
        return engine


def assert_same(make, operators, n_steps=3, in_python=0):
    """Compare with the functions that the operators make, and threads with each other."""
    model = Model()
    for operator in operators:
        model.add_op(operator)
    reference = make.engine(model, "reference")
    with np.errstate(all="ignore"):
        for _ in range(n_steps):
            for _, step in reference._steps:
                step()
    for threads in (1, 3):
        with sharing():
            engine = make.engine(model, threads=threads)
            engine.run(n_steps)
        assert len(engine.callbacks) == in_python
        for operator in operators:
            for signal in operator.all_signals:
                expected, found = reference.signals[signal], engine.signals[signal]
                if not signal.sparse:
                    np.testing.assert_array_equal(found, expected, err_msg=f"{operator} {signal}")


@by_example
@given(seed=seeds, n=st.integers(1, 20), inc=st.booleans())
def test_copy_and_elementwise_inc(seed, n, inc):
    make = Odd(seed)
    y = make.signal(n)
    assert_same(
        make,
        [
            Copy(make.signal(n), make.signal(n), inc=inc),
            ElementwiseInc(make.signal(n), make.signal(n), y),
            ElementwiseInc(make.signal(), make.signal(n), make.signal(n)),
            Reset(make.signal(n), value=1e5),
        ],
    )


@by_example
@given(
    seed=seeds,
    n=st.sampled_from([1, 2, 3, 4, 5, 7, 8, 40, 1500]),
    m=st.integers(1, 12),
    readonly=st.booleans(),
    begin=st.sampled_from(["inc", "reset", "bias"]),
)
def test_dot_inc(seed, n, m, readonly, begin):
    make = Odd(seed)
    y, before = make.signal(n), []
    if begin == "reset":
        before = [Reset(y, value=-0.3)]
    elif begin == "bias":
        before = [Copy(make.signal(n, readonly=True), y)]
    assert_same(make, [*before, DotInc(make.signal(n, m, readonly=readonly), make.signal(m), y)])


@pytest.mark.parametrize("readonly", [False, True])
@pytest.mark.parametrize("n", [1, 3, 40])
def test_spikes_in_several_lists(n, readonly):
    make, m = Odd(n, is_finite=True), 2 * POPULATION + 10
    J, output = make.signal(m), make.signal(m)
    currents = np.where(make.rng.uniform(size=m) < 0.01, 600.0, 0.0).astype(np.float16)
    weights = Signal(make.rng.normal(size=(n, m)).astype(np.float16), readonly=readonly)
    neurons = SimNeurons(
        nengo.SpikingRectifiedLinear(), J, output, {"voltage": Signal(np.zeros(m, np.float16))}
    )
    assert_same(
        make,
        [
            Copy(Signal(currents, readonly=True), J),
            neurons,
            DotInc(weights, output, Signal(np.zeros(n, np.float16))),
        ],
    )


@by_example
@given(seed=seeds, n_terms=st.integers(2, 6), bias=st.booleans())
def test_sums_are_added_in_nengos_order(seed, n_terms, bias):
    make, rng = Odd(seed, is_finite=True), np.random.RandomState(seed)
    n = 12
    y = Signal(rng.normal(size=n).astype(np.float16))
    operators = [Copy(Signal(rng.normal(size=n).astype(np.float16), readonly=True), y)] * bias
    for _ in range(n_terms):
        first, last = sorted(rng.choice(n + 1, 2, replace=False))
        part = y[first:last] if rng.rand() < 0.5 else y
        x = Signal((1000 * rng.normal(size=part.size)).astype(np.float16))
        kind = rng.randint(3)
        if kind == 0:
            operators.append(Copy(x, part, inc=True))
        elif kind == 1:
            operators.append(ElementwiseInc(make.signal(), x, part))
        else:
            weights = rng.normal(size=(part.size, part.size)).astype(np.float16)
            operators.append(DotInc(Signal(weights, readonly=rng.rand() < 0.5), x, part))
    assert_same(make, operators, n_steps=2)


TYPES = [
    nengo.LIF(),
    nengo.LIF(tau_rc=0.003, min_voltage=-2, amplitude=0.3),
    nengo.AdaptiveLIF(inc_n=0.05),
    nengo.Izhikevich(),
    nengo.RectifiedLinear(amplitude=0.3),
    nengo.SpikingRectifiedLinear(),
    nengo.Sigmoid(),
    nengo.Tanh(),
    nengo.RegularSpiking(nengo.LIFRate()),
]


@pytest.mark.parametrize("neuron_type", TYPES, ids=str)
@settings(max_examples=15, deadline=None, derandomize=True)
@given(seed=seeds)
def test_neurons(neuron_type, seed):
    """With odd currents; NaN is an error for some types in nengo."""
    make, n = Odd(seed, is_finite=True), 70
    states = {name: make.signal(n) for name in neuron_type.state}
    assert_same(make, [SimNeurons(neuron_type, make.signal(n), make.signal(n), states)], n_steps=5)


@pytest.mark.parametrize("neuron_type", [nengo.LIFRate(), nengo.AdaptiveLIFRate()], ids=str)
def test_rates_of_currents_next_to_the_threshold(neuron_type):
    make = Odd(0)
    J = np.arange(0x3A00, 0x4200, dtype=np.uint16).view(np.float16)
    states = {name: Signal(np.zeros_like(J)) for name in neuron_type.state}
    assert_same(make, [SimNeurons(neuron_type, Signal(J), Signal(np.zeros_like(J)), states)])


@by_example
@given(seed=seeds, n_post=st.integers(1, 20), n_pre=st.integers(1, 30))
def test_learning_rules(seed, n_post, n_pre):
    make = Odd(seed)

    def weights():
        return make.signal(n_post, n_pre), make.signal(n_post, n_pre)

    operators = []
    for rule in (SimPES, SimBCM, SimOja, SimVoja):
        w, delta = weights()
        pre, post = make.signal(n_pre), make.signal(n_post)
        if rule is SimPES:
            made = SimPES(pre, post, delta, 1e-2)
        elif rule is SimBCM:
            made = SimBCM(pre, post, make.signal(n_post), delta, 10.0)
        elif rule is SimOja:
            made = SimOja(pre, post, w, delta, 10.0, 1.5)
        else:
            made = SimVoja(pre, post, w, delta, make.array(n_post), make.signal(), 10.0)
        operators += [made, Copy(delta, w, inc=True)]
    assert_same(make, operators)


@by_example
@given(seed=seeds, n_post=st.integers(1, 5), n_pre=st.integers(1, 40))
def test_rls(run_both, seed, n_post, n_pre):
    nengo.rc.set("precision", "bits", "16")
    rng = np.random.RandomState(seed)
    pre = Signal(rng.uniform(0, 100, n_pre).astype(np.float16))
    error, inverse = Signal(rng.normal(size=n_post)), Signal(np.eye(n_pre) * 1e-3)
    delta = Signal(np.zeros((n_post, n_pre), np.float16))
    model = Model()
    model.add_op(SimRLS(pre, error, delta, inverse))
    cpu, reference = run_both(model, 4)
    assert cpu.callbacks == []
    for signal, tolerance in ((delta, 1e-3), (inverse, 1e-9)):
        found, expected = cpu.signals[signal], reference.signals[signal]
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=1e-12)


@pytest.mark.parametrize("layout", ["csr", "csc", "coo"])
@pytest.mark.parametrize("readonly", [False, True])
@pytest.mark.parametrize("has_spikes", [False, True])
@pytest.mark.parametrize("view", [np.s_[:], np.s_[::-1], np.s_[5:90]])
def test_sparse_dot_inc(layout, readonly, has_spikes, view):
    """The data have double precision."""
    make, rng = Odd(3, is_finite=True), np.random.RandomState(0)
    J, output = make.signal(100), make.signal(100)
    x = output[view]
    matrix = scipy.sparse.random(30, x.size, 0.1, layout, random_state=rng)
    weights, y = Signal(matrix, readonly=readonly), make.signal(30)
    neurons = nengo.SpikingRectifiedLinear() if has_spikes else nengo.RectifiedLinear()
    states = {name: make.signal(100) for name in neurons.state}
    operators = [SimNeurons(neurons, J, output, states), Reset(y, 0.3)]
    is_python = not readonly and layout != "csr"
    assert_same(make, [*operators, SparseDotInc(weights, x, y)], in_python=int(is_python))


@pytest.mark.parametrize("rate", [np.float64(0.1), np.float32(0.1), np.int64(1)])
def test_numpys_numbers_keep_their_precision(rate):
    """Then NumPy computes in that precision: such operators run in Python."""
    make = Odd(0, is_finite=True)
    post = make.signal(4), make.signal(4)
    assert_same(
        make, [SimPES(make.signal(5), make.signal(4), make.signal(4, 5), rate)], in_python=1
    )
    assert_same(make, [SimBCM(make.signal(5), *post, make.signal(4, 5), rate)], in_python=1)


def test_a_scale_of_double_precision_runs_in_python():
    make = Odd(1, is_finite=True)
    scale = make.rng.uniform(0.5, 2, 4)
    delta, encoders = make.signal(4, 3), make.signal(4, 3)
    rule = SimVoja(make.signal(3), make.signal(4), encoders, delta, scale, make.signal(1), 10.0)
    assert_same(make, [rule], in_python=1)


def test_a_step_of_numpys_type_runs_in_python():
    nengo.rc.set("precision", "bits", "16")
    with nengo.Network(seed=0) as net:
        ens = nengo.Ensemble(10, 1)
        nengo.Probe(ens.neurons)
    model = Model(dt=np.float64(0.001))
    model.build(net)
    engine = compiled(model)
    assert SimNeurons in {type(callback.operator) for callback in engine.callbacks}


@pytest.mark.parametrize("mode", ["set", "inc", "update"])
@pytest.mark.parametrize("tau", [0.0, 0.003, 0.1])
@pytest.mark.parametrize("n", [1, 2, 1500])
def test_lowpass(n, tau, mode):
    make = Odd(n)
    synapse, y = nengo.Lowpass(tau), make.signal(n)
    state = synapse.make_state((n,), (n,), 0.001, dtype=np.float16)
    states = {name: Signal(value) for name, value in state.items()}
    t = Signal(np.zeros((), np.float16))
    process = SimProcess(synapse, make.signal(n), y, t, mode=mode, state=states)
    assert_same(make, [Reset(y, 0.7)] * (mode == "inc") + [process])
