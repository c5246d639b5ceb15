"""Tests of built parameters, whose evaluation points are dropped and drawn again."""

import pickle
import weakref

import nengo
import numpy as np
import pytest
from nengo.builder.connection import BuiltConnection as NengosConnection
from nengo.builder.ensemble import BuiltEnsemble as NengosEnsemble

from nengo_jit import Simulator
from nengo_jit.builder import Model
from nengo_jit.builder.built import BuiltConnection, BuiltEnsemble, points_of

KINDS = {
    "default": {},
    "radius": {"radius": 2.5},
    "plane": {"dimensions": 2, "n_eval_points": 70},
    "space": {"dimensions": 3},
    "surface": {"eval_points": nengo.dists.ScatteredHypersphere(surface=True), "dimensions": 2},
    "quasirandom": {"eval_points": nengo.dists.QuasirandomSequence()},
    "hypersphere": {"eval_points": nengo.dists.UniformHypersphere()},
    "given": {"eval_points": np.linspace(-1, 1, 40)[:, np.newaxis]},
    "direct": {"neuron_type": nengo.Direct()},
}


def make_network(**options):
    with nengo.Network(seed=3) as net:
        net.ens = nengo.Ensemble(**{"n_neurons": 20, "dimensions": 1, **options})
        node = nengo.Node(size_in=1)
        net.conn = nengo.Connection(net.ens[0], node)
        net.square = nengo.Connection(net.ens[0], node, function=np.square)
    return net


def build(net):
    model = Model()
    model.build(net)
    return model


@pytest.mark.parametrize("bits", ["16", "32", "64"])
@pytest.mark.parametrize("kind", KINDS)
def test_points_are_those_of_nengo(kind, bits):
    net = make_network(**KINDS[kind])
    nengo.rc.set("precision", "bits", bits)
    nengos = nengo.builder.Model()
    nengos.build(net)
    model = build(net)
    for obj in (net.ens, net.conn, net.square):
        found, expected = (each.params[obj].eval_points for each in (model, nengos))
        assert getattr(found, "dtype", None) == getattr(expected, "dtype", None)
        np.testing.assert_array_equal(found, expected)


def test_points_are_dropped_once_no_connection_needs_them():
    with nengo.Network(seed=0) as net:
        ensembles = [nengo.Ensemble(20, 1) for _ in range(3)]
        for ens in ensembles:
            nengo.Connection(ens, nengo.Node(size_in=1))
    known = []

    def note(obj):
        if isinstance(obj, nengo.Connection):
            known.append([each() is not None for each in points])
        elif isinstance(obj, nengo.Ensemble):
            points.append(weakref.ref(points_of(model.params[obj])))

    points, model = [], Model()
    build_object = model.build

    def noting(obj, *args, **kwargs):
        built = build_object(obj, *args, **kwargs)
        note(obj)
        return built

    model.build = noting
    model.build(net)
    assert known == [[False, True, True], [False, False, True], [False, False, False]]


def test_points_of_ensembles_without_connections_are_dropped_at_the_end():
    with nengo.Network(seed=0) as net:
        ens = nengo.Ensemble(20, 1)
    model = build(net)
    (kept,) = (each for each in tuple.__iter__(model.params[ens]) if hasattr(each, "drop"))
    points = weakref.ref(kept.array)
    kept.drop()
    assert points() is None


def test_points_that_have_been_read_are_kept():
    net = make_network()
    built = build(net).params[net.ens]
    points = built.eval_points
    points[0] = 7
    assert built.eval_points is points
    assert points.flags.writeable


def test_points_that_are_read_during_a_build_are_kept():
    net, seen = make_network(), []

    class Reading(Model):
        def build(self, obj, *args, **kwargs):
            built = super().build(obj, *args, **kwargs)
            if obj is net.ens:
                seen.append(self.params[obj].eval_points)
                seen[0][0] = 0.125
            return built

    model = Reading()
    model.build(net)
    assert model.params[net.ens].eval_points is seen[0]
    assert model.params[net.conn].eval_points[0] == 0.125


def test_points_of_connections_are_a_read_only_view():
    net = make_network()
    model = build(net)
    points = model.params[net.conn].eval_points
    assert points.base is model.params[net.ens].eval_points
    assert not points.flags.writeable


def test_a_change_of_the_ensemble_changes_no_points():
    net = make_network()
    expected = build(net).params[net.ens].eval_points
    model = build(net)
    net.ens.radius, net.ens.n_eval_points = 2, 10
    np.testing.assert_array_equal(model.params[net.ens].eval_points, expected)


@pytest.mark.parametrize("obj", ["ens", "conn"])
def test_built_parameters_are_tuples_as_in_nengo(obj):
    net = make_network()
    built = build(net).params[getattr(net, obj)]
    kinds = {"ens": (BuiltEnsemble, NengosEnsemble), "conn": (BuiltConnection, NengosConnection)}
    ours, nengos = kinds[obj]
    assert type(built) is ours
    assert issubclass(ours, nengos)
    first, *others = built
    np.testing.assert_array_equal(first, built.eval_points)
    np.testing.assert_array_equal(built[0], built.eval_points)
    assert list(built._asdict()) == list(nengos._fields)
    assert [id(each) for each in others] == [id(each) for each in built[1:]]
    assert built._replace(eval_points=None).eval_points is None
    assert repr(built) == repr(nengos(*built))
    again = pickle.loads(pickle.dumps(built))
    assert type(again) is nengos  # for those who have only nengo
    np.testing.assert_array_equal(again.eval_points, built.eval_points)


def test_reading_data_of_an_ensemble_draws_no_points():
    net = make_network()
    with Simulator(net, progress_bar=False) as sim:
        built = sim.data[net.ens]
        (kept,) = (each for each in tuple.__iter__(built) if hasattr(each, "drop"))
        points = weakref.ref(kept.array)
        kept.drop()
        assert points() is None
        np.testing.assert_array_equal(built.eval_points, sim.data[net.conn].eval_points)
