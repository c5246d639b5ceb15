"""Networks: the order in which they are built, their seeds, and what is true meanwhile."""

from itertools import pairwise

import nengo
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from nengo.connection import LearningRule
from nengo.exceptions import BuildError
from nengo.utils.numpy import maxint
from nengo.utils.progress import Progress

from nengo_jit.builder import Builder, Model
from nengo_jit.builder.network import seed_network


class CustomError(Exception):
    """An error of the user's own."""


class CountingProgress(Progress):
    """Progress that counts its steps, whatever it is set to at the end."""

    def __init__(self):
        super().__init__("Building", "Build")
        self.sizes = []

    @property
    def counted(self):
        return sum(self.sizes)

    def step(self, n=1):
        self.sizes.append(n)
        super().step(n)


class RecordingCache(nengo.cache.NoDecoderCache):
    """A decoder cache that notes what is done with it."""

    def __init__(self):
        self.log = []

    def __enter__(self):
        self.log.append("enter")
        return self

    def __exit__(self, *exception):
        self.log.append("exit")

    def shrink(self, limit=None):
        self.log.append("shrink")


@pytest.fixture
def global_random():
    """Put the state of NumPy's global generator back after the test."""
    state = np.random.get_state()
    yield np.random
    np.random.set_state(state)


def build(network, model=None):
    model = Model() if model is None else model
    model.build(network)
    return model


# --- order


@pytest.fixture
def nested_network():
    """A network with one of everything, defined in an order that is not that of building."""
    with nengo.Network(seed=1, label="outer") as net:
        net.first_node = nengo.Node(1)
        net.node_probe = nengo.Probe(net.first_node)
        with nengo.Network(label="inner") as net.inner:
            net.inner_node = nengo.Node(size_in=1)
            net.inner_ens = nengo.Ensemble(5, 1)
            net.inner_probe = nengo.Probe(net.inner_ens, "input")
            net.inner_conn = nengo.Connection(net.inner_node, net.inner_ens)
        net.ens = nengo.Ensemble(5, 1)
        net.learned = nengo.Connection(
            net.ens, net.inner_node, learning_rule_type=nengo.PES(), label="learned"
        )
        net.error = nengo.Connection(net.first_node, net.learned.learning_rule)
        net.second_ens = nengo.Ensemble(5, 1)
        net.second_node = nengo.Node(lambda t: t)
    return net


def built_in_order(model, network, types):
    built = []
    model.build_callback = built.append
    model.build(network)
    return [obj for obj in built if isinstance(obj, types)]


def test_objects_are_built_in_the_documented_order(nested_network):
    net = nested_network
    types = (
        nengo.Ensemble,
        nengo.Node,
        nengo.Network,
        nengo.Connection,
        LearningRule,
        nengo.Probe,
    )
    assert built_in_order(Model(), net, types) == [
        # ensembles, then nodes
        net.ens,
        net.second_ens,
        net.first_node,
        net.second_node,
        # subnetworks, each in the same order
        net.inner_ens,
        net.inner_node,
        net.inner_conn,
        net.inner_probe,
        net.inner,
        # connections, after their learning rules
        net.learned.learning_rule,
        net.learned,
        net.error,
        # probes
        net.node_probe,
    ]


def test_everything_is_built_in_nengos_order(nested_network):
    ours = built_in_order(Model(), nested_network, object)
    nengos = built_in_order(nengo.builder.Model(), nested_network, object)
    assert ours == nengos


def test_networks_have_no_parameters_of_their_own(nested_network):
    model = build(nested_network)
    assert model.params[nested_network] is None
    assert model.params[nested_network.inner] is None


def test_the_first_network_is_the_toplevel(nested_network):
    model = build(nested_network)
    assert model.toplevel is nested_network


def test_an_empty_network_adds_nothing():
    model = build(nengo.Network(seed=0))
    assert len(model.operators) == 1  # that of the time


def test_the_decoder_cache_is_open_during_the_build_and_shrunk_at_its_end(nested_network):
    cache = RecordingCache()
    model = Model(decoder_cache=cache)
    model.build_callback = lambda obj: cache.log.append("build")
    model.build(nested_network)
    assert cache.log[0] == "enter"
    assert set(cache.log[1:-2]) == {"build"}
    assert cache.log[-2:] == ["shrink", "exit"]


def test_the_decoder_cache_is_closed_after_an_error():
    cache = RecordingCache()
    with nengo.Network(seed=0) as net:
        node = nengo.Node(0)
        nengo.Node.output.data[node] = object()
    with pytest.raises(BuildError):
        Model(decoder_cache=cache).build(net)
    assert cache.log == ["enter", "exit"]


# --- seeds

seeds = st.none() | st.integers(0, 2**31 - 1)
leaves = st.fixed_dictionaries(
    {
        "seed": seeds,
        "ensembles": st.lists(seeds, max_size=2),
        "nodes": st.integers(0, 2),
        "connections": st.lists(seeds, max_size=2),
        "probes": st.lists(seeds, max_size=2),
        "networks": st.just([]),
    }
)
trees = st.recursive(
    leaves,
    lambda children: st.builds(
        lambda tree, networks: {**tree, "networks": networks},
        leaves,
        st.lists(children, min_size=1, max_size=3),
    ),
    max_leaves=8,
)


def make_network(tree):
    """A network of Direct ensembles and nodes from a drawn description."""
    with nengo.Network(seed=tree["seed"]) as net:
        targets = [
            nengo.Ensemble(1, 1, neuron_type=nengo.Direct(), n_eval_points=2, seed=seed)
            for seed in tree["ensembles"]
        ]
        targets += [nengo.Node(size_in=1) for _ in range(tree["nodes"])]
        for subtree in tree["networks"]:
            make_network(subtree)
        if targets:
            for seed in tree["connections"]:
                nengo.Connection(targets[0], targets[-1], seed=seed)
            for seed in tree["probes"]:
                nengo.Probe(targets[0], seed=seed)
    return net


def everything_in(net):
    return [net, *net.all_objects]


@settings(max_examples=30, deadline=None, derandomize=True)
@given(tree=trees, global_seed=st.integers(0, 2**32 - 1))
def test_seeds_are_those_of_nengo(tree, global_seed):
    net = make_network(tree)
    state = np.random.get_state()
    try:
        models = []
        for model in (Model(), nengo.builder.Model()):
            np.random.seed(global_seed)
            models.append(build(net, model))
    finally:
        np.random.set_state(state)
    ours, nengos = models
    for obj in everything_in(net):
        assert ours.seeds[obj] == nengos.seeds[obj]
        assert ours.seeded[obj] == nengos.seeded[obj]
    # hidden connections of decoded probes, which are not the same objects in both
    assert list(ours.seeds.values()) == list(nengos.seeds.values())
    assert list(ours.seeded.values()) == list(nengos.seeded.values())


@settings(max_examples=30, deadline=None, derandomize=True)
@given(tree=trees, preset=st.lists(st.tuples(st.integers(0, 100), seeds, st.booleans())))
def test_preset_seeds_are_treated_like_nengo_treats_them(tree, preset):
    net = make_network({**tree, "seed": 1})
    objects = everything_in(net)
    ours, nengos = ({}, {}), ({}, {})
    for number, seed, is_seeded in preset:
        obj = objects[number % len(objects)]
        for chosen, seeded in (ours, nengos):
            if seed is not None:
                chosen[obj] = seed
            seeded[obj] = is_seeded
    seed_network(net, *ours)
    nengo.builder.network.seed_network(net, *nengos)
    assert ours == nengos


@settings(max_examples=30, deadline=None, derandomize=True)
@given(tree=trees, number=st.integers(0, 100), seed=st.integers(0, 2**31 - 1))
def test_the_seed_of_one_object_does_not_change_those_of_others(tree, number, seed):
    net = make_network({**tree, "seed": 1})
    before = build(net).seeds
    # Nodes cannot have a seed; that of a network does change those inside it.
    candidates = net.all_ensembles + net.all_connections + net.all_probes
    assume(candidates)
    changed = candidates[number % len(candidates)]
    changed.seed = seed
    after = build(net).seeds
    for obj in everything_in(net):
        assert after[obj] == (seed if obj is changed else before[obj])


def test_preset_seeds_are_kept_and_used():
    def make(ens_seed):
        with nengo.Network(seed=1) as net:
            net.ens = nengo.Ensemble(5, 1, seed=ens_seed)
        return net

    net, explicit = make(None), make(1234)
    model = Model()
    model.seeds[net.ens] = 1234
    build(net, model)
    assert model.seeds[net.ens] == 1234
    np.testing.assert_array_equal(
        model.params[net.ens].encoders, build(explicit).params[explicit.ens].encoders
    )


def test_objects_inherit_being_seeded_from_networks_around_them():
    with nengo.Network() as net:
        free = nengo.Ensemble(5, 1)
        own = nengo.Ensemble(5, 1, seed=2)
        with nengo.Network(seed=3), nengo.Network():
            inherited = nengo.Ensemble(5, 1)
    model = build(net)
    assert not model.seeded[net]
    assert not model.seeded[free]
    assert model.seeded[own]
    assert model.seeded[inherited]


def test_a_missing_toplevel_seed_comes_from_the_global_generator(global_random):
    net = nengo.Network()
    global_random.seed(5)
    model = build(net)
    assert model.seeds[net] == np.random.RandomState(5).randint(maxint)
    assert not model.seeded[net]


def test_a_given_toplevel_seed_is_used():
    net = nengo.Network(seed=77)
    model = build(net)
    assert model.seeds[net] == 77
    assert model.seeded[net]


@pytest.mark.parametrize("seed", [None, 8])
def test_the_global_generator_advances_as_with_nengo(global_random, seed):
    with nengo.Network(seed=seed) as net:
        nengo.Probe(nengo.Ensemble(5, 1))
    following = []
    for model in (Model(), nengo.builder.Model()):
        global_random.seed(6)
        build(net, model)
        following.append(global_random.randint(maxint))
    assert following[0] == following[1]


# --- config


def config_by_object(model, network):
    """Build and return which config was visible when each object was done."""
    seen = {}

    def note(obj):
        seen[obj] = model.config

    model.build_callback = note
    model.build(network)
    return seen


def test_the_config_of_the_network_is_visible_during_the_build(nested_network):
    net = nested_network
    seen = config_by_object(Model(), net)
    for obj in (net.ens, net.first_node, net.learned, net.error, net.node_probe):
        assert seen[obj] is net.config
    for obj in (net.inner_ens, net.inner_node, net.inner_conn, net.inner_probe):
        assert seen[obj] is net.inner.config


def test_the_outer_config_is_back_after_a_subnetwork(nested_network):
    seen = config_by_object(Model(), nested_network)
    assert seen[nested_network.inner] is nested_network.config


@pytest.mark.parametrize("outer", [None, nengo.Config(nengo.Ensemble)])
def test_the_config_is_restored_after_the_build(nested_network, outer):
    model = Model()
    model.config = outer
    build(nested_network, model)
    assert model.config is outer


@pytest.mark.parametrize("outer", [None, nengo.Config(nengo.Ensemble)])
def test_the_config_is_restored_after_an_error_in_a_subnetwork(nested_network, outer):
    nengo.Node.output.data[nested_network.inner_node] = object()
    model = Model()
    model.config = outer
    with pytest.raises(BuildError):
        build(nested_network, model)
    assert model.config is outer


# --- progress


@pytest.mark.parametrize("with_nengos_model", [False, True])
def test_progress_counts_up_to_its_end(nested_network, with_nengos_model):
    model = nengo.builder.Model(builder=Builder()) if with_nengos_model else Model()
    progress = CountingProgress()
    model.build(nested_network, progress=progress)
    assert progress.counted == progress.n_steps == progress.max_steps
    assert progress.finished
    assert progress.success


def test_progress_moves_evenly_whatever_takes_the_time():
    with nengo.Network(seed=0) as net:
        ensembles = [nengo.Ensemble(50, 2) for _ in range(20)]
        for pre, post in pairwise(ensembles):
            nengo.Connection(pre, post)
            nengo.Connection(pre, post, function=lambda x: x**2)
        nengo.Probe(ensembles[-1])
    progress = CountingProgress()
    Model().build(net, progress=progress)
    assert progress.counted == progress.max_steps
    assert max(progress.sizes) < progress.max_steps / 20


def test_progress_is_finished_without_success_after_an_error(nested_network):
    nengo.Node.output.data[nested_network.inner_node] = object()
    progress = CountingProgress()
    with pytest.raises(BuildError):
        Model().build(nested_network, progress=progress)
    assert progress.finished
    assert not progress.success


@pytest.mark.parametrize("fails", [False, True])
def test_no_callback_is_left_behind(nested_network, fails):
    if fails:
        nengo.Node.output.data[nested_network.inner_node] = object()
    model = Model()
    try:
        model.build(nested_network, progress=CountingProgress())
    except BuildError:
        assert fails
    assert model.build_callback is None


# --- errors


def fail_after_the_first_call():
    """A connection function that nengo may call once, to find its size."""
    calls = []

    def function(x):
        calls.append(x)
        if len(calls) > 1:
            raise CustomError("cannot compute")
        return 0

    return function


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_an_error_names_the_object_that_was_being_built(depth):
    def make(depth):
        with nengo.Network(seed=0, label=f"level {depth}"):
            ens = nengo.Ensemble(5, 1, label="bystander")
            if depth > 0:
                return make(depth - 1)
            return nengo.Connection(ens, ens, function=fail_after_the_first_call(), label="culprit")

    with nengo.Network(seed=0) as net:
        conn = make(depth)
    with pytest.raises(CustomError) as caught:
        build(net)
    (context,) = caught.value.__notes__
    assert "while building" in context
    assert str(conn) in context


def test_an_error_in_a_learning_rule_names_its_connection():
    with nengo.Network(seed=0) as net:
        ens = nengo.Ensemble(5, 1)
        conn = nengo.Connection(
            ens, ens.neurons[[1, 0, 2]], transform=np.ones((3, 1)), learning_rule_type=nengo.PES()
        )
    with pytest.raises(BuildError) as caught:
        build(net)
    (context,) = caught.value.__notes__
    assert str(conn) in context


@pytest.mark.parametrize("error_type", [CustomError, ZeroDivisionError, BuildError])
def test_an_error_keeps_its_type_and_message(error_type):
    class Failing(nengo.Process):
        def make_state(self, shape_in, shape_out, dt, dtype=None):
            raise error_type("cannot start")

        def make_step(self, shape_in, shape_out, dt, rng, state):
            raise NotImplementedError

    with nengo.Network(seed=0) as net:
        nengo.Node(Failing(), size_out=1)
    with pytest.raises(error_type) as caught:
        build(net)
    assert type(caught.value) is error_type
    assert str(caught.value) == "cannot start"
