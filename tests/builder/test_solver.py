"""Decoders: the equations that are solved, by which solver, and when not at all."""

import nengo
import numpy as np
import pytest
from comparing import assert_same_decoders
from nengo.builder import connection as reference
from nengo.cache import CacheIndex, DecoderCache
from nengo.dists import Choice, Uniform
from nengo.exceptions import BuildError
from nengo.solvers import (
    Lstsq,
    LstsqDrop,
    LstsqL1,
    LstsqL2,
    LstsqL2nz,
    LstsqMultNoise,
    LstsqNoise,
    Nnls,
    NnlsL2,
    NnlsL2nz,
    NoSolver,
    Solver,
)
from nengo.utils.least_squares_solvers import SVD, BlockConjgrad, ConjgradScipy
from test_targets import FUNCTIONS, POINTS

import nengo_jit
from nengo_jit.builder import Model, solver
from nengo_jit.builder.solver import (
    build_linear_system,
    get_eval_points,
    solve_for_decoders,
)

N_NEURONS = 15
LEAST_CACHED = solver.LEAST_CACHED  # which other tests change


class MeanRate(Solver):
    """A solver of the user's own: every neuron is weighted by its mean rate."""

    def __call__(self, A, Y, rng=np.random):
        return np.outer(A.mean(axis=0), Y.mean(axis=0)), {"called": True}


SOLVERS = {
    "LstsqL2": lambda **kw: LstsqL2(**kw),
    "LstsqL2 with less regularisation": lambda **kw: LstsqL2(reg=0.01, **kw),
    "LstsqL2 by SVD": lambda **kw: LstsqL2(solver=SVD(), **kw),
    "LstsqL2 by block conjugate gradients": lambda **kw: LstsqL2(solver=BlockConjgrad(), **kw),
    "LstsqL2 by SciPy's conjugate gradients": lambda **kw: LstsqL2(solver=ConjgradScipy(), **kw),
    "Lstsq": lambda **kw: Lstsq(**kw),
    "LstsqNoise": lambda **kw: LstsqNoise(**kw),
    "LstsqMultNoise": lambda **kw: LstsqMultNoise(**kw),
    "LstsqL2nz": lambda **kw: LstsqL2nz(**kw),
    "LstsqL1": lambda **kw: LstsqL1(l1=1e-3, **kw),
    "LstsqDrop": lambda **kw: LstsqDrop(**kw),
    "Nnls": lambda **kw: Nnls(**kw),
    "NnlsL2": lambda **kw: NnlsL2(**kw),
    "NnlsL2nz": lambda **kw: NnlsL2nz(**kw),
    "the user's own": lambda **kw: MeanRate(**kw),
}
NEEDS = {
    "LstsqL1": "sklearn",
    "LstsqL2 by SciPy's conjugate gradients": "scipy",
    "Nnls": "scipy",
    "NnlsL2": "scipy",
    "NnlsL2nz": "scipy",
}
each_solver = pytest.mark.parametrize("name", SOLVERS)


def make_solver(name, **arguments):
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    return SOLVERS[name](**arguments)


def square(x):
    return x**2


def make_network(seed=3, pre_arguments=None, n_neurons=N_NEURONS, size_out=2, **arguments):
    """A connection between two ensembles, the first one of two dimensions."""
    if pre_arguments is None:
        pre_arguments = {"n_eval_points": 60}
    with nengo.Network(seed=seed) as net:
        net.pre = nengo.Ensemble(n_neurons, 2, **pre_arguments)
        net.post = nengo.Ensemble(12, size_out, n_eval_points=60)
        net.conn = nengo.Connection(net.pre, net.post, **arguments)
    return net


def build(net, model=None):
    model = Model() if model is None else model
    model.build(net)
    return model


def build_both(net):
    """The parameters of ``net.conn`` as we and as nengo build them."""
    return build(net).params[net.conn], build(net, nengo.builder.Model()).params[net.conn]


def assert_same_connection(net):
    """Check ``net.conn`` against nengo's; returns our parameters of it."""
    ours, nengos = build_both(net)
    assert_same_decoders(net.conn, ours.weights, nengos.weights)
    np.testing.assert_array_equal(ours.eval_points, nengos.eval_points)
    assert list(ours.solver_info) == list(nengos.solver_info)
    for key in {"rmses", "residuals"} & set(nengos.solver_info):
        np.testing.assert_allclose(ours.solver_info[key], nengos.solver_info[key], rtol=1e-9)
    return ours


# --- solvers


@pytest.mark.filterwarnings("ignore:Objective did not converge")
@each_solver
def test_decoders_are_those_of_nengo(name):
    net = make_network(solver=make_solver(name))
    assert assert_same_connection(net).weights.shape == (2, N_NEURONS)


@pytest.mark.filterwarnings("ignore:Objective did not converge")
@each_solver
def test_weights_are_those_of_nengo(name):
    net = make_network(solver=make_solver(name, weights=True), transform=[[1, 2], [0, 1]])
    assert assert_same_connection(net).weights.shape == (12, N_NEURONS)


@pytest.mark.parametrize("name", ["LstsqL2", "LstsqNoise", "LstsqDrop"])
def test_weights_contain_transform_and_slices(name):
    with nengo.Network(seed=2) as net:
        pre = nengo.Ensemble(N_NEURONS, 2, n_eval_points=60)
        post = nengo.Ensemble(12, 3, n_eval_points=60)
        net.conn = nengo.Connection(
            pre[1],
            post[[2, 0]],
            function=square,
            transform=nengo.Dense((2, 1), init=Uniform(1, 2)),
            solver=make_solver(name, weights=True),
        )
    assert_same_connection(net)


@pytest.mark.parametrize("name", ["LstsqL2", "LstsqNoise", "LstsqMultNoise"])
def test_solvers_draw_the_random_numbers_that_nengo_lets_them_draw(name):
    """The connection's own evaluation points come first, the transform comes last."""
    net = make_network(
        solver=make_solver(name),
        eval_points=Uniform(-1, 1),
        transform=nengo.Dense((2, 2), init=Uniform(-1, 1)),
        seed=None,
        pre_arguments={"seed": 8},
    )
    net.conn.seed = 5
    ours = assert_same_connection(net)
    net.conn.seed = 6
    assert not np.allclose(build(net).params[net.conn].weights, ours.weights)


def test_weights_are_decoders_times_encoders_for_a_compositional_solver():
    decoded = make_network(solver=LstsqL2())
    weighted = make_network(solver=LstsqL2(weights=True))
    decoders = build(decoded).params[decoded.conn].weights
    model = build(weighted)
    encoders = model.params[weighted.post].scaled_encoders
    np.testing.assert_allclose(
        model.params[weighted.conn].weights, encoders @ decoders, rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize("bits", [32, 64])
def test_weights_have_the_configured_precision(bits):
    nengo.rc.set("precision", "bits", str(bits))
    net = make_network(function=square)
    ours = assert_same_connection(net)
    assert ours.weights.dtype == ours.eval_points.dtype == np.dtype(f"float{bits}")


def test_a_solver_for_all_weights_needs_a_dense_transform():
    net = make_network(
        solver=LstsqDrop(weights=True), transform=nengo.Sparse((2, 2), indices=[[0, 1]])
    )
    with pytest.raises(BuildError, match="only work with Dense transforms"):
        build(net)


def test_a_solver_for_all_weights_needs_an_ensemble_to_receive_them():
    with nengo.Network(seed=0) as net:
        pre = nengo.Ensemble(N_NEURONS, 1)
        with pytest.warns(UserWarning, match="weights=True"):
            nengo.Connection(
                pre, nengo.Node(size_in=1), solver=LstsqDrop(weights=True), transform=1
            )
    with pytest.raises(BuildError, match="needs an ensemble"):
        build(net)


# --- NoSolver


def test_no_solver_has_no_evaluation_points_and_no_decoders_by_default():
    net = make_network(solver=NoSolver())
    ours, nengos = build_both(net)
    assert ours.eval_points is None
    assert ours.solver_info == nengos.solver_info
    np.testing.assert_array_equal(ours.weights, np.zeros((2, N_NEURONS)))


def test_no_solver_brings_its_own_decoders():
    values = np.arange(2.0 * N_NEURONS).reshape(N_NEURONS, 2)
    net = make_network(solver=NoSolver(values), transform=2)
    ours, nengos = build_both(net)
    np.testing.assert_array_equal(ours.weights, 2 * values.T)
    np.testing.assert_array_equal(ours.weights, nengos.weights)


def test_no_solver_for_weights_multiplies_its_decoders_by_the_encoders():
    values = np.arange(2.0 * N_NEURONS).reshape(N_NEURONS, 2)
    net = make_network(solver=NoSolver(values, weights=True))
    ours, nengos = build_both(net)
    assert ours.weights.shape == (12, N_NEURONS)
    np.testing.assert_array_equal(ours.weights, nengos.weights)


def test_no_solver_evaluates_no_function():
    calls = []

    def function(x):
        calls.append(x)
        return x

    net = make_network(solver=NoSolver(), function=function)
    calls.clear()
    build(net)
    assert calls == []


def test_no_solver_works_where_no_neuron_fires():
    net = make_network(solver=NoSolver(), pre_arguments=SILENT)
    assert build(net).params[net.conn].eval_points is None


# --- evaluation points


def test_evaluation_points_are_those_of_the_ensemble_and_read_only():
    net = make_network()
    model = build(net)
    points = get_eval_points(model, net.conn, np.random.RandomState(0))
    np.testing.assert_array_equal(points, model.params[net.pre].eval_points)
    assert not points.flags.writeable
    assert model.params[net.pre].eval_points.flags.writeable


def test_the_connections_own_evaluation_points_come_first():
    net = make_network(eval_points=[[0.5, 0], [0, 0.5]], pre_arguments={"radius": 2})
    points = build(net).params[net.conn].eval_points
    np.testing.assert_array_equal(points, [[1, 0], [0, 1]])


def test_the_connections_own_evaluation_points_can_be_left_unscaled():
    net = make_network(
        eval_points=[[0.5, 0], [0, 0.5]], scale_eval_points=False, pre_arguments={"radius": 2}
    )
    points = build(net).params[net.conn].eval_points
    np.testing.assert_array_equal(points, [[0.5, 0], [0, 0.5]])


@pytest.mark.parametrize(
    "arguments",
    [
        {"eval_points": [[0.5, 0.1], [0, 0.5], [0.2, 0.3]]},
        {"eval_points": Uniform(-0.5, 0.5)},
        {"eval_points": Uniform(-0.5, 0.5), "scale_eval_points": False},
    ],
    ids=["array", "distribution", "unscaled"],
)
def test_decoders_for_own_evaluation_points_are_those_of_nengo(arguments):
    net = make_network(pre_arguments={"radius": 2}, **arguments)
    assert_same_connection(net)


# --- functions


@pytest.mark.parametrize("form", FUNCTIONS)
def test_decoders_for_every_form_of_function_are_those_of_nengo(form):
    function, expected = FUNCTIONS[form]
    arguments = {} if form == "none" else {"function": function}
    with nengo.Network(seed=1) as net:
        pre = nengo.Ensemble(N_NEURONS, 2)
        post = nengo.Node(size_in=expected.shape[1])
        net.conn = nengo.Connection(pre, post, eval_points=POINTS / 8, **arguments)
    assert_same_connection(net)


def test_a_function_is_called_once_for_each_evaluation_point():
    calls = []

    def function(x):
        calls.append(np.copy(x))
        return x

    net = make_network(function=function)
    calls.clear()
    points = build(net).params[net.conn].eval_points
    np.testing.assert_array_equal(calls, points)


def test_a_function_that_returns_none_is_an_error_that_names_the_connection():
    net = make_network(function=lambda x: None if x[0] != 0 else x)
    with pytest.raises(BuildError, match=r"Building .*Connection function returned None"):
        build(net)


# --- neurons that do not fire

SILENT = {"intercepts": Choice([0.5]), "eval_points": np.zeros((4, 2)), "n_eval_points": 4}


def test_neurons_that_never_fire_are_an_error_that_names_the_ensemble():
    net = make_network(pre_arguments={**SILENT, "label": "the silent ones"})
    with pytest.raises(BuildError, match=r"'activities' matrix is all zero for .*silent ones"):
        build(net)


def test_build_linear_system_finds_neurons_that_never_fire():
    net = make_network(pre_arguments=SILENT, solver=NoSolver())
    model = build(net)
    with pytest.raises(BuildError, match="'activities' matrix is all zero"):
        build_linear_system(model, net.conn, np.random.RandomState(0))


def test_solve_for_decoders_finds_neurons_that_never_fire():
    net = make_network(pre_arguments=SILENT, solver=NoSolver())
    built = build(net).params[net.pre]
    x = np.zeros((4, N_NEURONS))
    with pytest.raises(BuildError, match="'activities' matrix is all zero"):
        solve_for_decoders(
            net.conn, built.gain, built.bias, x, np.zeros((4, 2)), np.random.RandomState(0)
        )


# --- build_linear_system


@pytest.mark.parametrize("eval_points", [None, Uniform(-0.5, 0.5)], ids=["ensemble's", "own"])
def test_the_linear_system_is_that_of_nengo(eval_points):
    arguments = {} if eval_points is None else {"eval_points": eval_points}
    net = make_network(function=square, **arguments)
    ours = build_linear_system(build(net), net.conn, np.random.RandomState(4))
    nengos = reference.build_linear_system(
        build(net, nengo.builder.Model()), net.conn, np.random.RandomState(4)
    )
    for our_array, nengos_array in zip(ours, nengos):
        np.testing.assert_array_equal(our_array, nengos_array)


def test_the_linear_system_has_the_documented_shapes():
    net = make_network(function=lambda x: x[0], size_out=1)
    points, activities, targets = build_linear_system(
        build(net), net.conn, np.random.RandomState(4)
    )
    assert points.shape == (60, 2)
    assert activities.shape == (60, N_NEURONS)
    assert targets.shape == (60, 1)
    np.testing.assert_array_equal(targets, points[:, :1])


def test_decoders_solve_the_linear_system():
    net = make_network(solver=LstsqL2(reg=0.01), n_neurons=100)
    model = build(net)
    _, activities, targets = build_linear_system(model, net.conn, np.random.RandomState(0))
    decoded = activities @ model.params[net.conn].weights.T
    assert np.sqrt(np.mean((decoded - targets) ** 2)) < 0.1


# --- decoder cache


@pytest.fixture
def solver_calls(monkeypatch):
    """A list that grows whenever LstsqL2 solves something."""
    calls = []
    solve = LstsqL2.__call__

    def counted(self, *args, **kwargs):
        calls.append(self)
        return solve(self, *args, **kwargs)

    monkeypatch.setattr(LstsqL2, "__call__", counted)
    return calls


@pytest.fixture
def cache(tmp_path):
    return DecoderCache(cache_dir=tmp_path)


def decoders_with_cache(net, cache):
    with nengo_jit.Simulator(
        net, model=Model(decoder_cache=cache), progress_bar=False, engine="reference"
    ) as sim:
        return sim.data[net.conn].weights


def test_a_cache_hit_does_not_call_the_solver(cache, solver_calls):
    first = decoders_with_cache(make_network(seed=3), cache)
    assert len(solver_calls) == 1
    second = decoders_with_cache(make_network(seed=3), cache)
    assert len(solver_calls) == 1
    np.testing.assert_array_equal(first, second)


def test_the_cache_does_not_change_decoders(cache):
    net = make_network(seed=3)
    without = build(net).params[net.conn].weights
    for _ in range(2):
        np.testing.assert_array_equal(decoders_with_cache(net, cache), without)


def test_the_cache_distinguishes_functions(cache, solver_calls):
    decoders_with_cache(make_network(seed=3), cache)
    net = make_network(seed=3, function=square)
    decoders = decoders_with_cache(net, cache)
    assert len(solver_calls) == 2
    np.testing.assert_array_equal(decoders, build(net).params[net.conn].weights)


def test_the_cache_is_not_used_without_a_seed(cache, solver_calls):
    net = make_network(seed=None)
    for _ in range(2):
        decoders_with_cache(net, cache)
    assert len(solver_calls) == 2
    assert cache.get_files() == []


@pytest.mark.parametrize("seeded", [True, False])
def test_whether_the_cache_is_used_depends_on_the_models_entry_for_the_connection(
    cache, solver_calls, seeded
):
    for _ in range(2):
        net = make_network(seed=3)
        model = Model(decoder_cache=cache)
        model.seeded[net.conn] = seeded
        build(net, model)
    assert len(solver_calls) == (1 if seeded else 2)


def test_the_cache_is_used_for_the_hidden_connections_of_seeded_probes(cache, solver_calls):
    for _ in range(2):
        with nengo.Network(seed=3) as net:
            nengo.Probe(nengo.Ensemble(N_NEURONS, 1))
        build(net, Model(decoder_cache=cache))
    assert len(solver_calls) == 1


@pytest.mark.parametrize("nengo_first", [True, False])
def test_the_cache_is_shared_with_nengo(cache, solver_calls, nengo_first):
    net = make_network(seed=3)
    models = [Model(decoder_cache=cache), nengo.builder.Model(decoder_cache=cache)]
    first, second = reversed(models) if nengo_first else models
    first_decoders = build(net, first).params[net.conn].weights
    assert len(solver_calls) == 1
    second_decoders = build(net, second).params[net.conn].weights
    assert len(solver_calls) == 1
    np.testing.assert_array_equal(first_decoders, second_decoders)


def test_the_configured_cache_is_used_by_the_simulator(tmp_path, solver_calls):
    nengo.rc.set("decoder_cache", "enabled", "True")
    nengo.rc.set("decoder_cache", "path", str(tmp_path))
    for _ in range(2):
        with nengo_jit.Simulator(
            make_network(seed=3), progress_bar=False, engine="reference"
        ) as sim:
            assert sim.model.decoder_cache.cache_dir == tmp_path
    assert len(solver_calls) == 1


@pytest.mark.parametrize(
    "n_neurons, options, is_cached",
    [
        (50, {}, False),  # with 750 evaluation points
        (70, {}, True),
        (20, {"n_eval_points": 10_000}, True),
        (20, {"neuron_type": nengo.Izhikevich()}, True),  # rates take a simulation
        (20, {"neuron_type": nengo.LIFRate()}, False),
    ],
)
def test_decoders_are_cached_if_they_take_longer_than_looking_them_up(
    tmp_path, monkeypatch, n_neurons, options, is_cached
):
    monkeypatch.setattr(solver, "LEAST_CACHED", LEAST_CACHED)
    nengo.rc.set("decoder_cache", "enabled", "True")
    nengo.rc.set("decoder_cache", "path", str(tmp_path))
    with nengo.Network(seed=0) as net:
        a = nengo.Ensemble(n_neurons, 1, **options)
        nengo.Connection(a, a, function=square)
    nengo_jit.Simulator(net, progress_bar=False, engine="reference").close()
    assert len(list(tmp_path.rglob("*.nco"))) == is_cached


def keys(folder):
    with CacheIndex(folder) as index:
        return set(index._index)


@pytest.mark.parametrize("order", [("nengo", "reference", "cpu"), ("cpu", "nengo", "reference")])
def test_what_simulators_keep_is_their_own(tmp_path, order):
    """Their decoders differ in the last bits, so nobody may get another's."""

    def decoders(name):
        net = make_network(seed=3)
        chosen = {} if name == "nengo" else {"engine": name}
        simulator = nengo.Simulator if name == "nengo" else nengo_jit.Simulator
        with simulator(net, progress_bar=False, **chosen) as sim:
            return sim.data[net.conn].weights

    alone = [decoders(name) for name in order]
    nengo.rc.set("decoder_cache", "enabled", "True")
    nengo.rc.set("decoder_cache", "path", str(tmp_path))
    for n_keys, (name, expected) in enumerate(zip(order, alone), start=1):
        for _ in range(2):  # the second time from the cache
            np.testing.assert_array_equal(decoders(name), expected)
            assert len(keys(tmp_path)) == n_keys


def test_the_configured_cache_may_be_for_reading_only(tmp_path, solver_calls):
    nengo.rc.set("decoder_cache", "enabled", "True")
    nengo.rc.set("decoder_cache", "path", str(tmp_path))
    nengo.rc.set("decoder_cache", "readonly", "True")
    (tmp_path / "index").write_bytes(b"")
    with pytest.warns(UserWarning, match="cache"):
        nengo_jit.Simulator(make_network(seed=3), progress_bar=False, engine="reference").close()
    assert [path.name for path in tmp_path.iterdir()] == ["index"]


def test_no_solver_leaves_the_cache_empty(cache):
    decoders_with_cache(make_network(seed=3, solver=NoSolver()), cache)
    assert cache.get_files() == []
