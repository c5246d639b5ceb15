"""Decoders that connections share: nengo's results, whatever is shared and however many threads."""

import gc
import math
import os
import re
import signal
import threading
from functools import partial

import nengo
import numpy as np
import pytest
from comparing import assert_same_decoders
from nengo.cache import DecoderCache
from nengo.exceptions import BuildError
from nengo.solvers import (
    Lstsq,
    LstsqL2,
    LstsqL2nz,
    LstsqMultNoise,
    LstsqNoise,
    NnlsL2,
    NnlsL2nz,
)
from nengo.utils.least_squares_solvers import SVD, Cholesky

import nengo_jit
from nengo_jit.builder import Model, decoders, systems
from nengo_jit.builder.decoders import Decoders
from nengo_jit.engines.cpu.python.functions import Functions
from nengo_jit.engines.cpu.python.tracing.bytecode import IS_KNOWN_PYTHON
from nengo_jit.parallel import one_thread_in_blas


class MySolver(LstsqL2):
    """Not exactly nengo's, whatever it does."""


def square(x):
    return x**2


def make_network(seed=0, n_ensembles=4, solver=None, **ensemble_arguments):
    """Ensembles from which values, slices of them and functions are decoded, some repeatedly."""
    arguments = {"solver": solver} if solver is not None else {}
    with nengo.Network(seed=seed) as net:
        net.ensembles_made = [
            nengo.Ensemble(30, 3, n_eval_points=200, **ensemble_arguments)
            for _ in range(n_ensembles)
        ]
        out = nengo.Node(size_in=3)
        points = np.random.RandomState(seed).uniform(-1, 1, size=(200, 3))
        for repeat in range(2):
            for ens in net.ensembles_made:
                nengo.Connection(ens, out, **arguments)
                nengo.Connection(ens[:2], out[1:], **arguments)
                nengo.Connection(ens[[2, 0]], out[:2], transform=0.5, **arguments)
                nengo.Connection(ens, out, function=square, **arguments)
                nengo.Connection(ens, out, eval_points=points, **arguments)
        nengo.Probe(net.ensembles_made[0])
        nengo.Probe(net.ensembles_made[1][1])
    return net


def built_weights(net, model=None):
    model = Model() if model is None else model
    model.build(net)
    return [model.params[conn] for conn in net.all_connections]


def nengos_weights(net):
    """What nengo builds on one thread: its own solvers are called on one by us, too."""
    with one_thread_in_blas():
        return built_weights(net, nengo.builder.Model())


def assert_close(net, ours, theirs):
    for conn, mine, other in zip(net.all_connections, ours, theirs, strict=True):
        assert_same_decoders(conn, mine.weights, other.weights)
        np.testing.assert_allclose(
            mine.solver_info["rmses"], other.solver_info["rmses"], rtol=1e-9, atol=1e-9
        )


SOLVERS = [
    LstsqL2(),
    LstsqL2(reg=0.02),
    LstsqL2(reg=1e-4),
    LstsqL2(solver=Cholesky(transpose=True)),
    LstsqL2(solver=SVD()),
    LstsqL2nz(),
    LstsqL2nz(reg=0.05),
    nengo.solvers.Lstsq(),
    nengo.solvers.LstsqNoise(),
    nengo.solvers.LstsqMultNoise(),
    NnlsL2(),
    NnlsL2nz(reg=0.05),
    NnlsL2nz(reg=1e-4),
    MySolver(),
]


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("solver", SOLVERS, ids=str)
def test_decoders_are_those_of_nengo(solver, threads):
    net = make_network(solver=solver)
    model = Model()
    model.decoders = Decoders(threads)
    assert_close(net, built_weights(net, model), nengos_weights(net))


@pytest.mark.parametrize("solver", [LstsqL2(), LstsqL2nz()], ids=repr)
def test_decoders_of_zero_need_no_matrix(solver, monkeypatch):
    with nengo.Network(seed=0) as net:
        ens, post = nengo.Ensemble(30, 2), nengo.Node(size_in=2)
        nengo.Connection(ens, post, function=lambda x: [0, 0], solver=solver)
    (nengos,) = nengos_weights(net)
    monkeypatch.setattr(systems, "gram", None)
    (ours,) = built_weights(net)
    np.testing.assert_array_equal(ours.weights, nengos.weights)
    assert ours.weights.dtype == nengos.weights.dtype
    np.testing.assert_array_equal(ours.solver_info["rmses"], nengos.solver_info["rmses"])


def test_more_neurons_than_points_are_solved_the_other_way():
    with nengo.Network(seed=0) as net:
        ens = nengo.Ensemble(40, 1, n_eval_points=25)
        for solver in (LstsqL2(), LstsqL2nz(), LstsqL2(solver=Cholesky(transpose=False))):
            nengo.Connection(ens, nengo.Node(size_in=1), solver=solver)
    assert_close(net, built_weights(net), nengos_weights(net))


@pytest.mark.parametrize("is_found", [True, False])
@pytest.mark.parametrize("solver", [NnlsL2(), NnlsL2nz(), NnlsL2nz(reg=0.02)], ids=str)
def test_non_negative_decoders_are_those_of_nengo(solver, is_found, monkeypatch):
    """Those of neurons that are silent, too, and where SciPy has to find which are zero."""
    if not is_found:
        monkeypatch.setattr("nengo_jit.builder.linalg.MOST_EXCHANGES", 0)
    with nengo.Network(seed=0) as net:
        ens = nengo.Ensemble(
            40,
            1,
            intercepts=np.linspace(-1, 0.98, 40),
            encoders=np.ones((40, 1)),
            eval_points=np.linspace(-1, 0.5, 100)[:, np.newaxis],
        )
        for function in (lambda x: max(0, x), lambda x: [1 - x, x], lambda x: -1):
            size = np.size(function(0.5))
            nengo.Connection(ens, nengo.Node(size_in=size), function=function, solver=solver)
    ours, theirs = built_weights(net), nengos_weights(net)
    assert_close(net, ours, theirs)
    for mine, other in zip(ours, theirs):
        assert set(mine.solver_info) == set(other.solver_info)
        scale = max(1, np.abs(other.solver_info["residuals"]).max())
        difference = mine.solver_info["residuals"] - other.solver_info["residuals"]
        assert np.abs(difference).max() <= 1e-9 * scale


NOISE = [LstsqNoise(), LstsqMultNoise(), LstsqMultNoise(noise=0.5)]


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("solver", NOISE, ids=str)
def test_noise_leaves_generators_in_nengos_state(solver, threads):
    """What is drawn after the noise is nengo's, too: here a transform."""
    with nengo.Network(seed=0) as net:
        for _ in range(2):
            ens = nengo.Ensemble(20, 2)
            for function in (None, square, lambda x: [x[0] ** 3, math.sin(x[1])]):
                drawn = nengo.dists.Uniform(1, 2)
                post = nengo.Node(size_in=3)
                nengo.Connection(ens, post, function=function, solver=solver, transform=drawn)
        nengo.Probe(ens, solver=solver)
    model = Model()
    model.decoders = Decoders(threads)
    assert_close(net, built_weights(net, model), nengos_weights(net))


def assert_same_error(net):
    with pytest.raises(Exception) as nengos:
        nengos_weights(net)
    with pytest.raises(type(nengos.value), match=re.escape(str(nengos.value)[:20])):
        built_weights(net)


def test_errors_of_solvers_without_regularisation_are_nengos():
    with nengo.Network(seed=0) as net:  # a silent neuron
        ens = nengo.Ensemble(10, 1, intercepts=np.linspace(-1, 0.9, 10), encoders=np.ones((10, 1)))
        ens.eval_points = np.linspace(-1, 0.5, 50)[:, np.newaxis]
        nengo.Connection(ens, ens, solver=LstsqMultNoise())
    assert_same_error(net)
    with nengo.Network(seed=0) as net:  # fewer points than neurons
        ens = nengo.Ensemble(10, 1, n_eval_points=5)
        nengo.Connection(ens, ens, solver=LstsqNoise())
    assert_same_error(net)


@pytest.mark.parametrize("solver", [Lstsq(), *NOISE], ids=str)
def test_where_rounding_may_matter_nengos_solver_is_called(solver, monkeypatch):
    monkeypatch.setattr("nengo_jit.builder.least_squares.TOLERANCE", 0)
    monkeypatch.setattr("nengo_jit.builder.least_squares.MOST_CONDITIONED", 0)
    net = make_network(solver=solver)
    for mine, other in zip(built_weights(net), nengos_weights(net)):
        np.testing.assert_array_equal(mine.weights, other.weights)
        info, nengos = mine.solver_info, other.solver_info
        for name in nengos.keys() - {"time"}:
            np.testing.assert_array_equal(info[name], nengos[name])


@pytest.mark.parametrize("rcond", [1e-3, 0.01, 0.2])
def test_info_of_truncated_solutions_is_nengos(rcond):
    net = make_network(solver=Lstsq(rcond=rcond))
    for mine, other in zip(built_weights(net), nengos_weights(net)):
        info, nengos = mine.solver_info, other.solver_info
        assert info.keys() == nengos.keys()
        assert info["rank"] == nengos["rank"]
        largest = nengos["singular_values"][0]
        for name in ("singular_values", "residuals"):
            np.testing.assert_allclose(info[name], nengos[name], rtol=1e-9, atol=1e-8 * largest)


@pytest.mark.parametrize("solver", [Lstsq(), *NOISE], ids=str)
def test_large_systems_that_do_not_use_threads_are_solved_ahead(solver, monkeypatch):
    """All when the first one is needed, with the same results."""
    solved = []

    class Noting(systems.System):
        def decode(self, *arguments):
            solved.append(len(model.params))
            return super().decode(*arguments)

    monkeypatch.setattr(decoders, "System", Noting)
    results = []
    for budget, in_work in ((0, 0), (0, 1 << 30)):
        monkeypatch.setattr(decoders, "BUDGET", budget)
        monkeypatch.setattr(decoders, "IN_WORK", in_work)
        solved.clear()
        with nengo.Network(seed=0) as net:
            for _ in range(4):
                ens = nengo.Ensemble(20, 2, n_eval_points=100)
                nengo.Connection(ens, nengo.Node(size_in=2), solver=solver)
        model = Model()
        model.decoders = Decoders(2)
        results.append([built.weights for built in built_weights(net, model)])
        assert (len(set(solved)) == 1) == (in_work > 0)
        assert len(solved) == 4
    for one, other in zip(*results):
        np.testing.assert_array_equal(one, other)


def test_results_do_not_depend_on_the_number_of_threads():
    with nengo.Network(seed=0) as net:
        for n_neurons in (300, 20, 50):
            ens = nengo.Ensemble(n_neurons, 2, n_eval_points=2500)
            nengo.Connection(ens, nengo.Node(size_in=2))
            nengo.Connection(ens, nengo.Node(size_in=2), function=square)
    results = []
    for threads in (1, 2, 5):
        model = Model()
        model.decoders = Decoders(threads)
        results.append([built.weights for built in built_weights(net, model)])
    for other in results[1:]:
        for a, b in zip(results[0], other):
            np.testing.assert_array_equal(a, b)


# --- what is shared


@pytest.fixture
def systems_made(monkeypatch):
    """A list that grows whenever a system of equations is set up."""
    made = []

    class Counted(systems.System):
        def __init__(self, key, *args):
            made.append(key)
            super().__init__(key, *args)

    monkeypatch.setattr(decoders, "System", Counted)
    return made


def test_one_system_for_all_connections_from_an_ensemble(systems_made):
    net = make_network()
    built_weights(net)
    assert [key.ensemble for key in systems_made] == net.ensembles_made


def test_one_system_for_each_regularisation(systems_made):
    with nengo.Network(seed=0) as net:
        ens = nengo.Ensemble(10, 1)
        for reg in (0.1, 0.2, 0.1):
            nengo.Connection(ens, nengo.Node(size_in=1), solver=LstsqL2(reg=reg))
    built_weights(net)
    assert [key.reg for key in systems_made] == [0.1, 0.2]


@pytest.mark.parametrize("budget", [0, 1 << 30])
def test_results_do_not_depend_on_what_is_kept(monkeypatch, budget, systems_made):
    expected = built_weights(make_network())
    monkeypatch.setattr(decoders, "BUDGET", budget)
    systems_made.clear()
    for mine, other in zip(built_weights(make_network()), expected):
        np.testing.assert_array_equal(mine.weights, other.weights)
    assert len(systems_made) == 4


# --- functions ahead


class Counting(Functions):
    """Counts the functions that are evaluated natively."""

    n = 0

    def natively(self, *args):
        evaluate = super().natively(*args)
        self.n += evaluate is not None
        return evaluate


@pytest.mark.parametrize("solver", [LstsqL2(), NnlsL2()], ids=str)
@pytest.mark.parametrize("threads", [1, 2])
def test_decoders_of_functions_are_found_ahead(solver, threads, monkeypatch):
    with nengo.Network(seed=0) as net:
        for _ in range(3):
            ens = nengo.Ensemble(30, 2)
            for function in (square, lambda x: x[0] * x[1]):
                post = nengo.Node(size_in=np.size(function(np.ones(2))))
                nengo.Connection(ens, post, function=function, solver=solver)
    expected = built_weights(net)
    model = Model()
    model.decoders = Decoders(threads, evaluator=Counting())
    before = []
    solve = systems.System.decode
    monkeypatch.setattr(
        systems.System,
        "decode",
        lambda self, targets: before.append(model.params.keys()) or solve(self, targets),
    )
    for mine, other in zip(built_weights(net, model), expected):
        np.testing.assert_array_equal(mine.weights, other.weights)
    assert len(before) == 6
    assert model.decoders.evaluator.n == 12 if IS_KNOWN_PYTHON else True


def test_decoders_found_ahead_are_not_taken_if_the_function_has_changed():
    factor = np.ones(1)

    def scaled(x):
        return x * factor

    def changes(x):
        factor[...] = 3.0
        return x

    def network():
        factor[...] = 1.0
        with nengo.Network(seed=0) as net:
            post = nengo.Node(size_in=1)
            first, second = nengo.Ensemble(20, 1), nengo.Ensemble(20, 1)
            nengo.Connection(first, post, function=changes)
            nengo.Connection(second, post, function=scaled)
        factor[...] = 1.0
        return net

    expected = built_weights(network())
    model = Model()
    model.decoders = Decoders(evaluator=Counting())
    for mine, other in zip(built_weights(network(), model), expected):
        np.testing.assert_array_equal(mine.weights, other.weights)


def test_nothing_is_kept_after_building():
    model = Model()
    model.build(make_network())
    assert model.decoders.expected == []
    assert model.decoders._systems == {}


def test_connections_that_were_not_expected_have_decoders(systems_made):
    net = make_network()
    model = Model()
    model.build(net)
    with net:
        late = nengo.Connection(net.ensembles_made[0], net.ensembles_made[1], function=square)
        value = nengo.Connection(net.ensembles_made[0], net.ensembles_made[1])
    for conn in (late, value):
        model.seeds[conn], model.seeded[conn] = 1, False
        model.build(conn)
    earlier = model.params[net.all_connections[0]].weights
    np.testing.assert_array_equal(model.params[value].weights, earlier)


def test_info_is_not_shared():
    with nengo.Network(seed=0) as net:
        ens = nengo.Ensemble(10, 1)
        conns = [nengo.Connection(ens, nengo.Node(size_in=1)) for _ in range(2)]
    model = Model()
    model.build(net)
    infos = [model.params[conn].solver_info for conn in conns]
    infos[0]["mine"] = 1
    assert "mine" not in infos[1]


def test_a_cache_is_filled_from_shared_systems_and_hit(tmp_path, systems_made):
    weights = []
    for _ in range(2):
        with nengo.Network(seed=0) as net:
            ens = nengo.Ensemble(10, 1)
            nengo.Connection(ens, nengo.Node(size_in=1))
            nengo.Connection(ens, nengo.Node(size_in=1), function=square)
        cache = DecoderCache(cache_dir=tmp_path)
        weights.append([built.weights for built in built_weights(net, Model(decoder_cache=cache))])
        assert len(systems_made) == 1
    np.testing.assert_array_equal(weights[0], weights[1])


# --- what is not


@pytest.mark.parametrize("function", [None, square])
def test_neurons_that_never_fire_are_an_error(function):
    with nengo.Network(seed=0) as net:
        ens = nengo.Ensemble(5, 1, gain=np.ones(5), bias=np.full(5, -10.0))
        nengo.Connection(ens, nengo.Node(size_in=1), function=function)
    with pytest.raises(BuildError, match="'activities' matrix is all zero"):
        built_weights(net)


# --- Ctrl-C


with one_thread_in_blas() as can_limit:  # if the library is a known one
    pass


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture
def assert_unharmed(ctrl_c):
    """Check that nothing is left of a build that was interrupted, and what the next one gives."""
    return partial(_assert_unharmed, gc.isenabled(), threading.enumerate())


def _assert_unharmed(collects, threads, net):
    assert gc.isenabled() == collects
    assert threading.enumerate() == threads
    with one_thread_in_blas() as first, one_thread_in_blas() as second:
        assert not second
        assert first == can_limit
    with nengo_jit.Simulator(net, progress_bar=False, engine="reference") as sim:
        ours = [sim.data[conn] for conn in net.all_connections]
    assert_close(net, ours, nengos_weights(net))


def test_ctrl_c_in_a_function_of_the_users(assert_unharmed):
    calls = []

    def function(x):
        calls.append(x)
        if len(calls) == 20:
            interrupt()
        return x

    net = make_network(n_ensembles=2)
    with net:
        nengo.Connection(net.ensembles_made[0], nengo.Node(size_in=3), function=function)
    calls.clear()
    with pytest.raises(KeyboardInterrupt):
        nengo_jit.Simulator(net, progress_bar=False, engine="reference")
    assert len(calls) <= 21
    assert_unharmed(net)


def test_ctrl_c_while_threads_are_at_work(monkeypatch, assert_unharmed):
    calls, rates = [], systems.rates
    lock = threading.Lock()

    def slow_rates(*args, **options):
        with lock:
            calls.append(args)
            if len(calls) == 6:  # both threads have started
                interrupt()
        return rates(*args, **options)

    net = make_network(n_ensembles=30)
    monkeypatch.setattr(systems, "rates", slow_rates)
    monkeypatch.setattr(decoders, "BATCH", 1)  # one system at a time for each thread
    with pytest.raises(KeyboardInterrupt):
        nengo_jit.Simulator(net, progress_bar=False, engine="reference", threads=2)
    assert len(calls) < 20
    assert_unharmed(net)
