"""The Model and the Builder: what they offer, and how a build function is found."""

import inspect
import pickle

import nengo
import numpy as np
import pytest
from nengo.cache import NoDecoderCache
from nengo.exceptions import BuildError

import nengo_jit
from nengo_jit.builder import Builder, Model
from nengo_jit.ir.base import Operator
from nengo_jit.ir.operator import Copy, TimeUpdate
from nengo_jit.ir.signal import Signal

DOCUMENTED = [
    "config",
    "decoder_cache",
    "dt",
    "has_built",
    "label",
    "operators",
    "params",
    "probes",
    "seeded",
    "seeds",
    "sig",
    "step",
    "time",
    "toplevel",
]
OF_NENGO = sorted(name for name in dir(nengo.builder.Model()) if not name.startswith("_"))
DOCUMENTED_BUILD_FUNCTIONS = [
    "build_network",
    "build_ensemble",
    "build_node",
    "build_probe",
    "build_connection",
    "build_lifrate",
    "build_lif",
    "build_alifrate",
    "build_alif",
    "build_pes",
    "build_bcm",
    "build_oja",
    "build_synapse",
]


class Thing:
    """Something that nobody knows how to build."""


class SpecialThing(Thing):
    """A subclass of it."""


class VerySpecialThing(SpecialThing):
    """A subclass of that."""


class Unfinished(Operator):
    """An operator whose step cannot be made."""

    def __init__(self):
        super().__init__("unfinished", sets=[], incs=[], reads=[], updates=[])

    def make_step(self, signals, dt, rng):
        raise ZeroDivisionError("no step")


@pytest.fixture
def registry(monkeypatch):
    """A copy of the registered build functions, which is thrown away after the test."""
    monkeypatch.setattr(Builder, "builders", dict(Builder.builders))
    return Builder.builders


@pytest.fixture
def fail_fast():
    nengo.rc.set("nengo.Simulator", "fail_fast", "True")
    yield
    nengo.rc.set("nengo.Simulator", "fail_fast", "False")


# --- Model: attributes


@pytest.mark.parametrize("name", sorted({*DOCUMENTED, *OF_NENGO}))
def test_model_has_every_attribute_of_nengos_model(name):
    assert hasattr(Model(), name)


@pytest.mark.parametrize("method", ["__init__", "add_op", "build", "has_built"])
def test_model_takes_the_arguments_of_nengos_model(method):
    ours = inspect.signature(getattr(Model, method)).parameters
    nengos = inspect.signature(getattr(nengo.builder.Model, method)).parameters
    assert list(ours) == list(nengos)
    assert [p.default for p in ours.values()] == [p.default for p in nengos.values()]


@pytest.mark.parametrize("name", DOCUMENTED_BUILD_FUNCTIONS)
def test_documented_build_functions_are_exported(name):
    assert name in nengo_jit.builder.__all__
    assert callable(getattr(nengo_jit.builder, name))


def test_model_begins_empty():
    model = Model()
    assert model.dt == 0.001
    assert model.label is model.config is model.toplevel is model.build_callback is None
    assert isinstance(model.decoder_cache, NoDecoderCache)
    assert isinstance(model.builder, Builder)
    assert model.params == model.seeds == model.seeded == {}
    assert model.probes == []
    assert list(model.sig) == ["common"]


def test_model_keeps_what_it_is_given():
    cache, builder = NoDecoderCache(), Builder()
    model = Model(dt=0.5, label="mine", decoder_cache=cache, builder=builder)
    assert model.dt == 0.5
    assert model.label == "mine"
    assert model.decoder_cache is cache
    assert model.builder is builder


def test_str_of_a_model_shows_its_label():
    assert str(Model(label="mine")) == "Model: mine"


def test_model_begins_with_the_operator_that_counts_time():
    model = Model()
    (operator,) = model.operators
    assert type(operator) is TimeUpdate
    assert operator.step is model.step
    assert operator.time is model.time


@pytest.mark.parametrize("bits", [16, 32, 64])
def test_step_and_time_have_the_configured_precision(bits):
    nengo.rc.set("precision", "bits", str(bits))
    model = Model()
    assert model.step.dtype == np.dtype(f"int{bits}")
    assert model.time.dtype == np.dtype(f"float{bits}")
    assert model.step.shape == model.time.shape == ()
    assert model.step.initial_value == model.time.initial_value == 0


@pytest.mark.parametrize("value", [0, 1])
def test_common_signals_are_constants(value):
    signal = Model().sig["common"][value]
    assert signal.initial_value == value
    assert signal.shape == ()
    assert signal.readonly


def test_sig_makes_room_for_any_object():
    model = Model()
    thing = Thing()
    model.sig[thing]["in"] = model.time
    assert model.sig[thing] == {"in": model.time}


# --- Model: add_op


def test_operators_are_kept_in_the_order_in_which_they_are_added():
    model = Model()
    signal = Signal(shape=1, name="s")
    operators = [Copy(signal, Signal(shape=1, name=str(i))) for i in range(3)]
    for operator in operators:
        model.add_op(operator)
    assert model.operators[1:] == operators


def test_a_step_is_not_made_when_an_operator_is_added():
    model = Model()
    operator = Unfinished()
    model.add_op(operator)
    assert model.operators[-1] is operator


@pytest.mark.usefixtures("fail_fast")
def test_fail_fast_raises_where_the_operator_is_added():
    model = Model()
    with pytest.raises(ZeroDivisionError, match="no step"):
        model.add_op(Unfinished())


@pytest.mark.usefixtures("fail_fast")
def test_fail_fast_accepts_operators_that_work():
    with nengo.Network(seed=0) as net:
        nengo.Probe(nengo.Ensemble(5, 1, noise=nengo.processes.WhiteNoise()), synapse=0.01)
    model = Model()
    model.build(net)
    assert len(model.probes) == 1


@pytest.mark.usefixtures("fail_fast")
def test_fail_fast_leaves_initial_values_alone():
    model = Model()
    dst = Signal(np.array([1.0]), name="dst")
    model.add_op(Copy(Signal(np.array([2.0]), name="src"), dst))
    assert dst.initial_value == [1.0]


# --- Model: build


@pytest.mark.usefixtures("registry")
def test_build_passes_arguments_on_and_returns_the_result():
    @Builder.register(Thing)
    def build_thing(model, thing, *args, **kwargs):
        return model, thing, args, kwargs

    model, thing = Model(), Thing()
    assert model.build(thing, 1, mode="set") == (model, thing, (1,), {"mode": "set"})


@pytest.mark.usefixtures("registry")
def test_build_asks_the_builder_that_the_model_was_given():
    class Refusing(Builder):
        @classmethod
        def build(cls, model, obj, *args, **kwargs):
            return "refused"

    assert Model(builder=Refusing()).build(Thing()) == "refused"


@pytest.mark.usefixtures("registry")
def test_build_callback_is_called_with_each_object_once_it_is_built():
    whole, part = Thing(), SpecialThing()
    log = []
    Builder.register(Thing)(lambda model, thing: model.build(part))
    Builder.register(SpecialThing)(lambda model, thing: log.append("building the part"))
    model = Model()
    model.build_callback = log.append
    model.build(whole)
    assert log == ["building the part", part, whole]


def test_build_callback_hears_of_the_parts_of_an_ensemble():
    neuron_type = nengo.LIF()
    noise = nengo.processes.WhiteNoise()
    with nengo.Network(seed=0) as net:
        ens = nengo.Ensemble(5, 1, neuron_type=neuron_type, noise=noise)
    built = []
    model = Model()
    model.build_callback = built.append
    model.build(net)
    assert built == [neuron_type, noise, ens]


# --- Model: has_built


def test_has_built_tells_whether_an_object_is_in_the_model():
    with nengo.Network(seed=0) as net:
        node = nengo.Node(1)
    with nengo.Network():
        elsewhere = nengo.Node(1)
    model = Model()
    assert not model.has_built(net)
    model.build(net)
    assert model.has_built(net)
    assert model.has_built(node)
    assert not model.has_built(elsewhere)


def test_objects_without_parameters_can_be_built_again():
    model = Model()
    synapse = nengo.Lowpass(0.1)
    signal = Signal(shape=1, name="in")
    first = model.build(synapse, signal)
    assert not model.has_built(synapse)
    assert model.build(synapse, signal) is not first


@pytest.mark.usefixtures("registry")
def test_building_an_object_again_warns_and_does_nothing():
    @Builder.register(Thing)
    def build_thing(model, thing):
        model.params[thing] = "built"
        return "result"

    model, thing = Model(), Thing()
    assert model.build(thing) == "result"
    with pytest.warns(UserWarning, match="has already been built"):
        assert model.build(thing) is None
    assert model.params[thing] == "built"


def test_building_a_network_again_adds_nothing():
    with nengo.Network(seed=0) as net:
        nengo.Node(lambda t: t)
    model = Model()
    model.build(net)
    n_operators = len(model.operators)
    with pytest.warns(UserWarning, match="has already been built"):
        model.build(net)
    assert len(model.operators) == n_operators


# --- Builder


@pytest.mark.usefixtures("registry")
def test_register_returns_the_function_and_takes_it():
    def build_thing(model, thing):
        return "built"

    assert Builder.register(Thing)(build_thing) is build_thing
    assert Builder.builders[Thing] is build_thing
    assert Model().build(Thing()) == "built"


@pytest.mark.usefixtures("registry")
def test_one_function_can_be_registered_for_several_classes():
    def build_thing(model, thing):
        return type(thing)

    Builder.register(Thing)(Builder.register(SpecialThing)(build_thing))
    assert Model().build(Thing()) is Thing
    assert Model().build(SpecialThing()) is SpecialThing


@pytest.mark.usefixtures("registry")
def test_registering_a_class_again_warns_and_overwrites():
    Builder.register(Thing)(lambda model, thing: "old")
    with pytest.warns(UserWarning, match="already has a builder. Overwriting"):
        Builder.register(Thing)(lambda model, thing: "new")
    assert Model().build(Thing()) == "new"


@pytest.mark.usefixtures("registry")
def test_our_registry_is_not_nengos():
    Builder.register(Thing)(lambda model, thing: "built")
    assert Thing not in nengo.builder.Builder.builders


@pytest.mark.usefixtures("registry")
def test_a_subclass_is_built_by_the_function_of_its_base():
    Builder.register(Thing)(lambda model, thing: "thing")
    assert Model().build(VerySpecialThing()) == "thing"


@pytest.mark.usefixtures("registry")
def test_the_nearest_class_wins():
    Builder.register(Thing)(lambda model, thing: "thing")
    Builder.register(SpecialThing)(lambda model, thing: "special")
    assert Model().build(VerySpecialThing()) == "special"
    assert Model().build(Thing()) == "thing"


@pytest.mark.usefixtures("registry")
def test_bases_are_searched_in_method_resolution_order():
    class Other:
        pass

    class Both(SpecialThing, Other):
        pass

    Builder.register(Other)(lambda model, thing: "other")
    assert Model().build(Both()) == "other"
    Builder.register(Thing)(lambda model, thing: "thing")
    assert Model().build(Both()) == "thing"


def test_unknown_types_are_named():
    with pytest.raises(BuildError, match="Cannot build object of type 'Thing'"):
        Model().build(Thing())


# --- pickling

quietly = pytest.mark.filterwarnings("ignore:'Node.size_out' is being overwritten")


def times_two(x):
    return 2 * x


@pytest.fixture
def built_model():
    """A model with views, sparse weights, neurons, learning and several probes."""
    with nengo.Network(seed=3) as net:
        stimulus = nengo.Node(nengo.processes.WhiteSignal(1, high=20, seed=1), size_out=2)
        ens = nengo.Ensemble(10, 2)
        relay = nengo.Node(size_in=4)
        nengo.Connection(stimulus, ens)
        nengo.Connection(ens[1], relay[1], function=times_two)
        nengo.Connection(stimulus, relay[2:], transform=nengo.Sparse((2, 2), [[0, 1]], [3.0]))
        learned = nengo.Connection(ens, relay[:2], learning_rule_type=nengo.PES())
        nengo.Connection(relay[2:], learned.learning_rule)
        nengo.Probe(relay)
        nengo.Probe(ens[0], synapse=0.01)
        nengo.Probe(ens.neurons[::2])
    model = Model(label="pickled")
    model.build(net)
    return model


def signals_of(model):
    return [signal for op in model.operators for signal in op.all_signals]


@quietly
def test_views_share_memory_after_pickling(built_model):
    copy = pickle.loads(pickle.dumps(built_model))
    views = [signal for signal in signals_of(copy) if signal.is_view]
    assert len(views) == sum(signal.is_view for signal in signals_of(built_model)) > 0
    for view in views:
        assert np.shares_memory(view.initial_value, view.base.initial_value)


@quietly
def test_signals_are_the_same_objects_everywhere_after_pickling(built_model):
    copy = pickle.loads(pickle.dumps(built_model))
    assert copy.operators[0].step is copy.step
    for probe in copy.probes:
        assert any(copy.sig[probe]["in"] is signal for signal in signals_of(copy))


@quietly
def test_operators_are_the_same_after_pickling(built_model):
    copy = pickle.loads(pickle.dumps(built_model))
    assert copy.label == "pickled"
    assert [type(op) for op in copy.operators] == [type(op) for op in built_model.operators]
    assert [s.shape for s in signals_of(copy)] == [s.shape for s in signals_of(built_model)]


@quietly
def test_a_pickled_model_runs_like_the_original(built_model):
    copy = pickle.loads(pickle.dumps(built_model))
    results = []
    for model in (built_model, copy):
        with nengo_jit.Simulator(
            None, model=model, seed=1, progress_bar=False, engine="reference"
        ) as sim:
            sim.run_steps(30)
        results.append([sim.data[probe] for probe in model.probes])
    for original, unpickled in zip(*results):
        assert original.shape[0] == 30
        np.testing.assert_array_equal(original, unpickled)
