"""Products that are kept while their operand stays the same, or goes along the path of a filter."""

from unittest import mock

import nengo
import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from nengo.processes import PresentInput
from sharing import sharing

import nengo_jit
from nengo_jit.engines.cpu.kernels import held
from nengo_jit.engines.cpu.kernels.dense import ADVANCE, BOTH, COMPUTE, FORGOTTEN, KEEP
from nengo_jit.engines.cpu.program import products

N, M = 60, 12  # by columns; and by rows where there are as many columns as rows


@pytest.fixture(autouse=True)
def all_are_held(monkeypatch):
    monkeypatch.setattr(products, "LEAST_HELD", 1)


@pytest.fixture
def done(monkeypatch):
    """What each product has been told to do, step by step, in runs of one step each."""
    records = []
    hold = held.hold

    def noting(operator, results, lowering, *options):
        made = hold(operator, results, lowering, *options)
        records.append(lowering.kept[operator].record)
        return made

    monkeypatch.setattr("nengo_jit.engines.cpu.kernels.dot.hold", noting)
    monkeypatch.setattr(held, "hold", noting)

    def run(net, n_steps):
        records.clear()
        with nengo_jit.Simulator(net, threads=1) as sim:
            found = []
            for _ in range(n_steps):
                sim.step()
                found.append([int(record[0]) for record in records])
        return np.array(found)

    return run


def sequence(rng, kind, n_images, m):
    """Images, some of which are the same, and some not finite."""
    images = rng.uniform(-1, 1, (n_images, m))
    images[1::3] = images[0]
    if kind == "zeros":
        images[::2] = 0
        images[2::4, 0] = -0.0
    if kind == "late":  # only the last element changes
        images[:, :-1] = images[0, :-1]
    if kind == "odd":
        images[3, rng.randint(m)] = rng.choice([np.inf, -np.inf, np.nan])
        images[7, :2] = np.inf, -np.inf
    return images


def sparse(seed=0):
    weights = scipy.sparse.random(20, 30, density=0.5, format="csr", random_state=seed)
    return nengo.Sparse((20, 30), init=weights)


TRANSFORMS = {
    "sparse": sparse(),
    "filters": nengo.Convolution(16, (6, 7, 2)),
    "pixels": nengo.Convolution(1, (9, 8, 1), padding="same"),
    "transposed": nengo.ConvolutionTranspose(2, (5, 4, 3), strides=(2, 2)),
    "channels first": nengo.Convolution(4, (2, 6, 7), channels_last=False),
}


def network(seed, kind, n, m, neuron_type, synapse, shown, odd=None):
    rng = np.random.RandomState(seed)
    weights = rng.uniform(-1, 1, (n, m))
    if isinstance(neuron_type, str):
        weights, neuron_type = TRANSFORMS[neuron_type], None
    if odd is not None:
        weights[n // 2, m // 2] = odd
    with nengo.Network(seed=seed) as net:
        images = sequence(rng, kind, 9, m)
        stim = nengo.Node(PresentInput(images, shown * 0.001))
        if neuron_type is None:
            out = nengo.Node(size_in=n)
            nengo.Connection(stim, out, transform=weights, synapse=synapse)
            nengo.Probe(out)
        else:
            ens = nengo.Ensemble(
                n,
                m,
                neuron_type=neuron_type,
                encoders=weights,
                normalize_encoders=False,
                gain=np.full(n, 1.5),
                bias=rng.uniform(0, 1, n),
            )
            nengo.Connection(stim, ens, synapse=synapse)
            nengo.Probe(ens.neurons)
            if isinstance(neuron_type, nengo.LIF):
                nengo.Probe(ens.neurons, "voltage")
    return net


def samples(net, n_steps=60, **options):
    with nengo_jit.Simulator(net, **options) as sim:
        sim.run_steps(n_steps)
        return [np.array(sim.data[probe]) for probe in net.all_probes]


def check(net, n_steps=60, tolerance=None, by_numpy=True):
    """Check that steps are the reference engine's, and the same for any number of threads.

    That engine raises errors where numbers are not valid: without it, results are compared with
    those of products that are not kept.
    """
    if by_numpy:
        expected = samples(net, n_steps, engine="reference")
    else:
        with mock.patch.object(products, "LEAST_HELD", 10**9):
            expected = samples(net, n_steps, threads=1)
    actual = samples(net, n_steps, threads=1)
    tolerance = tolerance or (1e-10 if expected[0].dtype == np.float64 else 2e-4)
    for one, other in zip(expected, actual):
        scale = np.abs(one[np.isfinite(one)]).max(initial=1e-30)
        np.testing.assert_allclose(other, one, rtol=tolerance, atol=tolerance * scale)
    with sharing():
        for threads in (2, 3):
            for one, other in zip(actual, samples(net, n_steps, threads=threads)):
                np.testing.assert_array_equal(one, other)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10**6),
    bits=st.sampled_from([32, 64]),
    kind=st.sampled_from(["any", "zeros", "late", "odd"]),
    shape=st.sampled_from([(8, 8), (N, M), (20, 33), (200, 9), (9, 300)]),
    neuron_type=st.sampled_from([None, nengo.LIF(), nengo.RectifiedLinear(), nengo.LIFRate()]),
    synapse=st.sampled_from([None, 0.005, 0.03, nengo.Alpha(0.005), nengo.Lowpass(0)]),
    shown=st.integers(1, 12),
)
@pytest.mark.filterwarnings("ignore")
def test_any_sequence(seed, bits, kind, shape, neuron_type, synapse, shown):
    nengo.rc.set("precision", "bits", str(bits))
    if bits == 32 and isinstance(neuron_type, nengo.LIF):
        neuron_type = nengo.LIFRate()  # whose numbers do not depend on rounding
    net = network(seed, kind, *shape, neuron_type, synapse, shown)
    check(net, by_numpy=kind != "odd")


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("kind", ["any", "late"])
def test_long_rows(kind, bits):
    """Rows are multiplied by one part of x after the other, and so are changes along a path."""
    nengo.rc.set("precision", "bits", str(bits))
    check(network(0, kind, 7, 5_000, None, 0.01, 7))


@pytest.mark.parametrize("odd", [np.inf, -np.inf])
@pytest.mark.parametrize("shape", [(N, M), (20, 33)])
@pytest.mark.filterwarnings("ignore")
def test_matrices_that_are_not_finite(shape, odd):
    for neuron_type in (None, nengo.RectifiedLinear()):
        check(network(0, "zeros", *shape, neuron_type, 0.005, 7, odd), by_numpy=False)


CASES = [
    (None, (20, 33)),  # by rows
    (nengo.RectifiedLinear(), (N, M)),  # by columns
    (nengo.LIF(), (N, M)),  # within the neurons
]
OTHERS = [(name, (each.size_out, each.size_in)) for name, each in TRANSFORMS.items()]


@pytest.mark.parametrize("neuron_type, shape", [*CASES, *OTHERS])
def test_a_held_image_is_multiplied_once(done, neuron_type, shape):
    found = done(network(0, "any", *shape, neuron_type, None, 5), 15)
    expected = [COMPUTE, *[KEEP] * 8, COMPUTE, *[KEEP] * 4, COMPUTE][: len(found)]
    assert found.shape[1] == 1
    # the second image is the first; and the first is shown for one step less or more
    assert abs(np.count_nonzero(found == COMPUTE) - expected.count(COMPUTE)) <= 1
    assert set(found.ravel()) == {COMPUTE, KEEP}


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("synapse, shown", [(None, 1), (None, 4), (0.01, 7)])
@pytest.mark.parametrize("kind", ["any", "zeros", "late", "odd"])
@pytest.mark.parametrize("name, shape", OTHERS)
@pytest.mark.filterwarnings("ignore")
def test_sequences_through_other_transforms(name, shape, kind, synapse, shown, bits):
    nengo.rc.set("precision", "bits", str(bits))
    check(network(0, kind, *shape, name, synapse, shown), by_numpy=kind != "odd")


@pytest.mark.parametrize("neuron_type, shape", CASES[1:])
@pytest.mark.parametrize("bits", [32, 64])
def test_a_filtered_image_is_multiplied_twice(done, neuron_type, shape, bits):
    nengo.rc.set("precision", "bits", str(bits))
    found = done(network(0, "late", *shape, neuron_type, 0.005, 20), 60)
    assert found.shape[1] == 1
    assert np.count_nonzero(found == BOTH) == 2  # the second image is the first
    assert np.count_nonzero(found == ADVANCE) >= 48


def test_filters_of_one_length_make_one_path(done):
    rng = np.random.RandomState(0)
    with nengo.Network(seed=0) as net:
        ens = nengo.Ensemble(40, 10)
        for shown in (0.02, 0.03):
            stim = nengo.Node(PresentInput(rng.uniform(-1, 1, (5, 10)), shown))
            nengo.Connection(stim, ens, synapse=0.01, transform=rng.uniform(-1, 1, (10, 10)))
        nengo.Probe(ens.neurons, "voltage")
    found = done(net, 59)
    assert found.shape[1] == 3  # two of them are products of the images themselves
    assert np.count_nonzero(found == ADVANCE) >= 40
    check(net)


def test_along_a_path_the_product_is_computed_again_now_and_then(done, monkeypatch):
    monkeypatch.setattr(held, "STEPS_OF_DOUBLES", 6)
    net = network(0, "any", N, M, nengo.LIF(), 0.1, 100)
    found = done(net, 30).ravel()
    again = np.flatnonzero(found == COMPUTE)[2:]
    assert len(again) >= 3
    assert set(np.diff(again)) == {6}
    check(net)


def test_what_changes_in_each_step_is_never_kept(done):
    net = network(0, "any", N, M, nengo.LIF(), 0.005, 1)
    net.nodes[0].output = nengo.processes.WhiteNoise(seed=0)
    net.nodes[0].size_out = M
    assert set(done(net, 20).ravel()) == {COMPUTE}
    assert set(done(net, 200).ravel()) == {COMPUTE, FORGOTTEN}


@pytest.mark.parametrize("synapse", [None, 0.01])
@pytest.mark.parametrize("neuron_type, shape", [*CASES, *OTHERS])
def test_what_rests_after_many_changes_is_kept(done, neuron_type, shape, synapse):
    net = network(0, "any", *shape, neuron_type, synapse, 1)
    numbers = np.random.RandomState(0).uniform(-1, 1, (101, shape[1]))
    net.nodes[0].output = PresentInput(np.concatenate([numbers, *[numbers[-1:]] * 60]), 0.001)
    found = done(net, 160)
    assert set(found[:100].ravel()) == {COMPUTE, FORGOTTEN}
    if synapse is None or not isinstance(neuron_type, str):
        assert set(found[135:].ravel()) <= {KEEP, ADVANCE}
    check(net, 160)


# Whoever changes something


def reference(net):
    return nengo_jit.Simulator(net, engine="reference")


def cpu(net):
    return nengo_jit.Simulator(net, threads=1)


def everything(sim):
    return [np.array(sim.data[probe]) for probe in sim.model.probes]


def signal_of(sim, net, name):
    if not net.ensembles:
        conn = net.connections[0]
        found = {
            "matrix": (conn, "weights"),
            "operand": (conn, "in"),
            "result": (conn, "weighted"),
            "bias": (conn.post_obj, "in"),
        }
        obj, key = found[name]
        return sim.model.sig[obj][key]
    ens = net.ensembles[0]
    found = {
        "matrix": (ens, "encoders"),
        "operand": (ens, "in"),
        "result": (ens.neurons, "in"),
        "bias": (ens.neurons, "bias"),
    }
    obj, key = found[name]
    return sim.model.sig[obj][key]


@pytest.mark.parametrize("name", ["matrix", "operand", "result", "bias"])
@pytest.mark.parametrize("early", [True, False])
@pytest.mark.parametrize("synapse", [None, 0.01])
@pytest.mark.parametrize("neuron_type, shape", [*CASES[1:], (nengo.LIF(), (20, 33)), *OTHERS])
def test_users_change_signals_between_runs(neuron_type, shape, synapse, early, name):
    net = network(0, "any", *shape, neuron_type, synapse, 40)

    def run(make):
        with make(net) as sim:
            array = sim.signals[signal_of(sim, net, name)] if early else None
            sim.run_steps(10)
            if array is None:
                array = sim.signals[signal_of(sim, net, name)]
            array = array.data if scipy.sparse.issparse(array) else array
            array.setflags(write=True)
            array[...] *= 0.5
            sim.run_steps(10)
            array[...] += 0.25
            sim.run_steps(3)
            sim.run_steps(7)
            return everything(sim)

    for one, other in zip(run(reference), run(cpu)):
        np.testing.assert_allclose(other, one, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("synapse", [None, 0.01])
@pytest.mark.parametrize("neuron_type, shape", [CASES[1], *OTHERS])
def test_users_change_weights_in_a_step(neuron_type, shape, synapse):
    def run(make):
        box = []

        def act(t):
            if box and round(t * 1000) in (15, 16, 30):
                array = box[0].signals[signal_of(box[0], net, "matrix")]
                array = array.data if scipy.sparse.issparse(array) else array
                array.setflags(write=True)
                array[...] *= -1

        net = network(0, "any", *shape, neuron_type, synapse, 25)
        with net:
            nengo.Node(act, size_in=0, size_out=0)
        with make(net) as sim:
            box.append(sim)
            sim.run_steps(40)
            return everything(sim)

    for one, other in zip(run(reference), run(cpu)):
        np.testing.assert_allclose(other, one, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("synapse", [None, 0.01])
@pytest.mark.parametrize("neuron_type, shape", [*CASES, *OTHERS])
def test_a_step_that_fails_is_made_again(neuron_type, shape, synapse):
    """The image changes in the very step that fails, and again between that and the next."""

    def run(make):
        fails = {12: True, 13: True, 21: True}

        def act(t, x):
            if fails.pop(round(t * 1000), False):
                raise RuntimeError("no")

        net = network(0, "any", *shape, neuron_type, synapse, 4)
        with net:
            late = nengo.Node(act, size_in=1)
            source = net.ensembles[0].neurons if net.ensembles else net.nodes[1]
            nengo.Connection(source[0], late, synapse=None)
        with make(net) as sim:
            while sim.n_steps < 40:
                try:
                    sim.run_steps(40 - sim.n_steps)
                except RuntimeError:
                    continue
            assert not fails
            return everything(sim)

    for one, other in zip(run(reference), run(cpu)):
        np.testing.assert_allclose(other, one, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("synapse", [None, 0.01])
@pytest.mark.parametrize("neuron_type, shape", [*CASES, *OTHERS])
def test_states_and_resets(neuron_type, shape, synapse):
    net = network(0, "any", *shape, neuron_type, synapse, 9)
    with cpu(net) as sim:
        sim.run_steps(40)
        first = everything(sim)
        sim.reset()
        sim.run_steps(15)
        state = sim.state()
        sim.run_steps(25)
        for one, other in zip(first, everything(sim)):
            np.testing.assert_array_equal(one, other)
        sim.load_state(state)
        sim.run_steps(25)
        for one, other in zip(first, everything(sim)):
            np.testing.assert_array_equal(other, one[15:])
    with cpu(net) as sim:
        sim.load_state(state)
        for _ in range(5):
            sim.run_steps(5)
        for one, other in zip(first, everything(sim)):
            np.testing.assert_array_equal(other, one[15:])


@pytest.mark.parametrize("neuron_type, shape", CASES)
def test_whoever_looks_at_matrices_changes_nothing(neuron_type, shape):
    net = network(0, "any", *shape, neuron_type, 0.01, 20)
    expected = samples(net, 60, threads=1)
    with cpu(net) as sim:
        array = sim.signals[signal_of(sim, net, "matrix")]
        for _ in range(12):
            assert np.isfinite(array).all()
            sim.run_steps(5)
        for one, other in zip(expected, everything(sim)):
            np.testing.assert_array_equal(one, other)


def check_call_within_a_step(call, shape, neuron_type, synapse):
    """Compare what is recorded with products kept or not, if a node calls something in mid-run."""

    def run():
        box = []

        def act(t):
            if box and t > 0.0145:
                call(box.pop())

        net = network(0, "any", *shape, neuron_type, synapse, 30)
        with net:
            nengo.Node(act, size_in=0, size_out=0)
        with cpu(net) as sim:
            box.append(sim)
            sim.run_steps(25)
            return everything(sim)

    with mock.patch.object(products, "LEAST_HELD", 10**9):
        expected = run()
    for one, other in zip(expected, run()):
        np.testing.assert_allclose(other, one, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("neuron_type, shape", [*CASES, *OTHERS])
def test_a_reset_within_a_step(neuron_type, shape):
    check_call_within_a_step(lambda sim: sim.reset(), shape, neuron_type, None)


@pytest.mark.parametrize("synapse", [None, 0.01])
@pytest.mark.parametrize("neuron_type, shape", [*CASES, *OTHERS])
def test_a_run_within_a_step(neuron_type, shape, synapse):
    check_call_within_a_step(lambda sim: sim.run_steps(7), shape, neuron_type, synapse)
