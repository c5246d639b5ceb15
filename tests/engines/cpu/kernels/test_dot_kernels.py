from unittest import mock

import nengo
import numpy as np
import pytest
from compiling import compiled
from hypothesis import given, settings
from hypothesis import strategies as st
from sharing import sharing

import nengo_jit
from nengo_jit.builder import Model
from nengo_jit.builder.neurons import SimNeurons
from nengo_jit.builder.operator import Copy, DotInc, Reset
from nengo_jit.builder.signal import Signal
from nengo_jit.engines.cpu.program import products

by_example = settings(max_examples=100, deadline=None, derandomize=True)
seeds, precisions = st.integers(0, 10**6), st.sampled_from([16, 32, 64])


@by_example
@given(
    seed=seeds,
    bits=precisions,
    n=st.integers(1, 40),
    m=st.integers(1, 40),
    readonly=st.booleans(),
    column=st.booleans(),
)
def test_dot_inc(check, maker, seed, bits, n, m, readonly, column):
    make = maker(seed, bits)
    x, y = ((m, 1), (n, 1)) if column else ((m,), (n,))
    check([DotInc(make.view(n, m, readonly=readonly), make.view(*x), make.view(*y))])


@pytest.mark.parametrize("bits", [16, 32, 64])
@pytest.mark.parametrize("n, m", [(1, 10_000), (7, 2_048), (7, 2_049), (7, 4_097), (7, 10_000)])
def test_dot_inc_of_long_rows(check, maker, n, m, bits):
    """Rows are multiplied by one part of x after the other."""
    make = maker(m, bits)
    check([DotInc(make.signal(n, m), make.signal(m), make.signal(n))])


@pytest.mark.parametrize(
    "a, x, y",
    [
        ((), (), ()),
        ((), (3,), (3,)),
        ((3,), (), (3,)),
        ((), (), (4,)),
        ((3, 1), (), (3, 1)),
        ((5,), (5,), ()),
        ((5,), (5,), (1,)),
        ((5,), (5,), (3,)),
        ((5,), (5, 1), (1,)),
        ((1, 5), (5,), (1,)),
        ((1,), (1,), (1, 1)),
        ((4, 1), (1,), (4,)),
    ],
)
@pytest.mark.parametrize("bits", [16, 32, 64])
@pytest.mark.parametrize("readonly", [False, True])
def test_dot_inc_of_vectors_and_scalars(check, maker, a, x, y, bits, readonly):
    make = maker(len(a), bits)
    check([DotInc(make.signal(*a, readonly=readonly), make.signal(*x), make.signal(*y))])


@by_example
@given(
    seed=seeds,
    bits=precisions,
    n=st.integers(1, 40),
    m=st.integers(1, 40),
    share=st.sampled_from([0.0, 0.02, 0.06]),
    column=st.booleans(),
)
def test_dot_inc_of_almost_nothing_but_zeros(check, maker, seed, bits, n, m, share, column):
    make = maker(seed, bits)
    x, y = ((m, 1), (n, 1)) if column else ((m,), (n,))
    numbers = np.where(make.rng.uniform(size=(n, m)) < share, make.array(n, m), 0)
    matrix = Signal(numbers.astype(nengo.rc.float_dtype), readonly=True)
    some = matrix[:: 1 + seed % 3, :: -1 if seed % 2 else 1]
    with mock.patch.object(products, "LEAST_SEARCHED", 1):
        check([DotInc(matrix, make.view(*x), make.view(*y))])
        check([DotInc(some, make.signal(some.shape[1]), make.signal(some.shape[0]))])


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("places", [[2, 81], [0], [2]])
def test_zeros_times_what_is_not_finite(maker, places, odd, bits):
    """A column has no zeros at all in some places: infinities stay infinite there."""
    make = maker(0, bits)
    matrix = np.zeros((90, 100), nengo.rc.float_dtype)
    matrix[np.arange(40), np.arange(40) * 2] = 1.5
    matrix[:, places[0]] = 0.5
    x, y = make.array(100), make.array(90)
    x[places] = odd
    with np.errstate(invalid="ignore"):
        expected = y + matrix.dot(x)
    given, result = Signal(np.zeros_like(x)), Signal(y)
    model = Model()
    model.add_op(DotInc(Signal(matrix, readonly=True), given, result))
    for threads in (1, 3):
        with sharing():
            engine = compiled(model, threads=threads)
            engine.reset(0)
            engine.signals[given][...] = x
            engine.run(1)
        np.testing.assert_allclose(engine.signals[result], expected, rtol=1e-6)


def test_users_fill_zeros(kernels_of):
    matrix = np.zeros((100, 100))
    matrix[0, 0] = 1.0
    with nengo.Network() as net:
        out = nengo.Node(size_in=100)
        conn = nengo.Connection(nengo.Node(np.ones(100)), out, transform=matrix, synapse=None)
        noise = nengo.Node(nengo.processes.WhiteNoise(seed=0), size_out=100)
        other = nengo.Connection(noise, out, transform=matrix, synapse=None)
        probe = nengo.Probe(out)

    def run(**options):
        with nengo_jit.Simulator(net, **options) as sim:
            arrays = [sim.signals[sim.model.sig[each]["weights"]] for each in (conn, other)]
            sim.run_steps(5)
            for array in arrays:
                array.setflags(write=True)
                array[3] = 0.25
            sim.run_steps(5)
            arrays[1][0, 0] = 0
            sim.run_steps(5)
            return sim.data[probe]

    np.testing.assert_allclose(run(threads=1), run(engine="reference"), rtol=1e-12)


def test_only_matrices_of_zeros_are_searched(kernels_of):
    rng = np.random.RandomState(0)
    for share, is_used in ((0.03, True), (0.2, False), (1.0, False)):
        weights = np.where(rng.uniform(size=(100, 100)) < share, 1.0, 0.0)
        model = Model()
        model.add_op(
            DotInc(Signal(weights, readonly=True), Signal(np.ones(100)), Signal(np.ones(100)))
        )
        compiled(model)
        assert bool(kernels_of("dot_nonzeros")) is is_used


@by_example
@given(
    seed=seeds,
    bits=precisions,
    n=st.integers(1, 20),
    m=st.integers(1, 7),
    setter=st.sampled_from(["reset", "constant", "variable"]),
    others=st.sampled_from(["none", "copied", "part"]),
)
def test_dot_inc_after_what_sets_the_sum(check, maker, seed, bits, n, m, setter, others):
    """Which is left out if the products can begin with it."""
    make = maker(seed, bits)
    y, x = make.signal(n), make.signal(m)
    operators = [
        Reset(y, value=0.3)
        if setter == "reset"
        else Copy(make.signal(n, readonly=setter == "constant"), y),
        DotInc(make.signal(n, m, readonly=True), x, y),
        Copy(y, make.signal(n)),
    ]
    if others == "copied":
        operators.append(Copy(make.signal(n), y, inc=True))
    if others == "part":
        operators.append(DotInc(make.signal(1, m, readonly=True), x, y[:1]))
    check(operators)


@pytest.mark.parametrize("bits", [16, 32, 64])
@pytest.mark.parametrize("readonly", [False, True])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 1.0])  # of neurons that spike
@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 9, 40])
def test_dot_inc_of_spikes(check, maker, n, share, readonly, bits):
    """More neurons than are listed together, and as few rows as are added up side by side."""
    make, m = maker(n, bits), 2100
    J, output, voltage = make.signal(m), make.signal(m), make.signal(m)
    currents = np.where(make.rng.uniform(size=m) < share, 600.0, 0.0)
    neurons = SimNeurons(nengo.SpikingRectifiedLinear(), J, output, {"voltage": voltage})
    check(
        [
            Copy(Signal(currents.astype(J.dtype), readonly=True), J),
            neurons,
            DotInc(make.signal(n, m, readonly=readonly), output, make.signal(n)),
        ]
    )


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("readonly", [False, True])
@pytest.mark.parametrize("n_spikes", [1, 100])
def test_infinitely_many_spikes_of_the_first_neuron(maker, n_spikes, readonly, bits):
    make, m = maker(0, bits), 100
    currents = np.where(np.arange(m) < n_spikes, 1200.0, 0.0)
    currents[0] = np.inf
    J, output, voltage, y = make.signal(m), make.signal(m), Signal(shape=m), make.signal(5)
    neurons = SimNeurons(nengo.SpikingRectifiedLinear(), J, output, {"voltage": voltage})
    model = Model()
    model.add_op(Copy(Signal(currents.astype(J.dtype), readonly=True), J))
    model.add_op(neurons)
    weights = make.signal(5, m, readonly=readonly)
    model.add_op(DotInc(weights, output, y))
    engine = compiled(model)
    engine.reset(0)
    engine.run(1)
    spikes = engine.signals[output]
    assert np.isinf(spikes[0]) and np.count_nonzero(spikes) == n_spikes
    expected = weights.initial_value.dot(spikes)
    np.testing.assert_array_equal(engine.signals[y], expected)
