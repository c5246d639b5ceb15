"""Spikes through sparse matrices: nothing is left out, however many neurons spike."""

import jax
import jax.numpy as jnp
import nengo
import numpy as np
import pytest
from scipy.sparse import random as random_matrix

import nengo_jit
from nengo_jit.engines.jax.arrays import to_device
from nengo_jit.engines.jax.spikes import most_spikes
from nengo_jit.ir.products import rows_of

N_ROWS, N_COLUMNS = 30, 200


@pytest.fixture
def matrix():
    matrix = random_matrix(N_ROWS, N_COLUMNS, 0.1, format="lil", random_state=1)
    matrix[:, -5:] = 0  # the last columns are empty
    matrix[7] = 0
    return matrix.tocsr()


@pytest.mark.parametrize("n_spikes", [0, 1, 12, 13, 100, N_COLUMNS])
def test_any_number_of_spikes(matrix, n_spikes):
    rng = np.random.RandomState(n_spikes)
    x = np.zeros(N_COLUMNS)
    x[rng.permutation(N_COLUMNS)[:n_spikes]] = rng.randn(n_spikes)
    x[-1] = 3.0 if n_spikes else 0.0
    with jax.enable_x64(True):
        device = to_device(rows_of(matrix), has_spikes=True)
        assert device.spikes is not None
        np.testing.assert_allclose(jax.jit(device.dot)(x), matrix @ x, rtol=1e-13, atol=1e-14)
        batch = np.stack([x, 0 * x, np.ones(N_COLUMNS)])
        products = jax.jit(jax.vmap(device.dot))(batch)
        np.testing.assert_allclose(products, batch @ matrix.T, rtol=1e-13, atol=1e-14)


def test_a_list_has_a_bound():
    assert [most_spikes(n) for n in (1, 16, 100, 1600)] == [1, 1, 6, 100]


def test_matrices_for_which_all_elements_are_multiplied(matrix):
    assert to_device(rows_of(matrix)).spikes is None  # as in training: zeros have gradients
    infinite = matrix.copy()
    infinite.data[3] = np.inf
    assert to_device(rows_of(infinite), has_spikes=True).spikes is None
    skewed = random_matrix(N_ROWS, N_COLUMNS, 0.002, random_state=1).tolil()
    skewed[:, 0] = 1
    assert to_device(rows_of(skewed.tocsr()), has_spikes=True).spikes is None
    assert to_device(rows_of(0 * matrix), has_spikes=True).spikes is None


def test_infinite_inputs_are_multiplied(matrix):
    x = np.zeros(N_COLUMNS)
    x[[3, 50]] = np.inf, np.nan
    with jax.enable_x64(True):
        product = to_device(rows_of(matrix), has_spikes=True).dot(jnp.asarray(x))
    np.testing.assert_array_equal(product, matrix @ x)


@pytest.mark.parametrize("bits", ["32", "64"])
def test_a_burst_is_not_cut(bits):
    """All neurons spike in some steps, and few in others."""
    rng = np.random.RandomState(0)
    weights = random_matrix(50, 200, 0.1, random_state=rng)
    with nengo.Network(seed=0) as net:
        stimulus = nengo.Node(lambda t: 40.0 if 0.01 < t < 0.012 else 0.0)
        pre = nengo.Ensemble(200, 1, gain=np.ones(200), bias=np.linspace(0.5, 2.5, 200))
        nengo.Connection(stimulus, pre.neurons, transform=np.ones((200, 1)), synapse=None)
        post = nengo.Node(size_in=50)
        transform = nengo.Sparse((50, 200), init=weights)
        nengo.Connection(pre.neurons, post, transform=transform, synapse=None)
        probes = nengo.Probe(pre.neurons), nengo.Probe(post)
    nengo.rc["precision"]["bits"] = bits
    try:
        results = []
        for engine in ("jax", "reference"):
            with nengo_jit.Simulator(net, engine=engine, progress_bar=False) as sim:
                sim.run_steps(60)
                results.append([np.array(sim.data[probe]) for probe in probes])
    finally:
        nengo.rc["precision"]["bits"] = "64"
    counts = np.count_nonzero(results[1][0], axis=1)
    assert counts.max() > 150 and 0 < np.median(counts) <= most_spikes(200)
    np.testing.assert_array_equal(results[0][0], results[1][0])
    tolerance = 1e-12 if bits == "64" else 1e-5
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=tolerance, atol=1e-3)
