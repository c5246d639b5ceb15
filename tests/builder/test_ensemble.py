"""Ensembles: their parameters, signals and operators, and the errors of impossible ones."""

import warnings

import nengo
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nengo.dists import Choice, Gaussian, Samples, Uniform, UniformHypersphere
from nengo.exceptions import BuildError, NengoWarning
from nengo.utils.builder import default_n_eval_points

import nengo_jit
from nengo_jit.builder import Model
from nengo_jit.builder.ensemble import (
    BuiltEnsemble,
    gen_eval_points,
    get_activities,
    get_encoders,
    get_gain_bias,
)
from nengo_jit.ir.operator import Copy, DotInc, Reset
from nengo_jit.ir.processes import SimProcess

SPREAD = np.linspace(-1, 1, 8)


class Clipped(nengo.neurons.NeuronType):
    """A neuron type of the user's own, with a state of its own."""

    state = {"peak": Choice([0])}
    negative = False

    def gain_bias(self, max_rates, intercepts):
        gain = max_rates / (1 - intercepts)
        return gain, -intercepts * gain

    def max_rates_intercepts(self, gain, bias):
        return gain + bias, -bias / gain

    def step(self, dt, J, output, peak):
        output[...] = np.clip(J, 0, 100)
        np.maximum(peak, output, out=peak)


NEURON_TYPES = [
    nengo.LIF(),
    nengo.LIF(tau_rc=0.05, tau_ref=0.001, amplitude=0.5),
    nengo.LIF(initial_state={"voltage": Choice([0.5])}),
    nengo.LIFRate(),
    nengo.AdaptiveLIF(tau_n=0.1, inc_n=0.02),
    nengo.AdaptiveLIFRate(),
    nengo.Izhikevich(),
    nengo.RectifiedLinear(),
    nengo.SpikingRectifiedLinear(),
    nengo.Sigmoid(),
    nengo.Tanh(),
    nengo.RegularSpiking(nengo.LIFRate()),
    nengo.PoissonSpiking(nengo.LIFRate()),
    nengo.StochasticSpiking(nengo.AdaptiveLIFRate()),
    nengo.Direct(),
    Clipped(),
]
each_neuron_type = pytest.mark.parametrize(
    "neuron_type", NEURON_TYPES, ids=[str(neuron_type) for neuron_type in NEURON_TYPES]
)

# Arguments of ensembles of eight neurons in two dimensions
CONFIGURATIONS = {
    "defaults": {},
    "radius": {"radius": 2.5},
    "encoders from a distribution": {"encoders": Gaussian(0, 1)},
    "encoders from samples": {"encoders": Samples(np.stack([SPREAD, 1 - SPREAD], axis=1))},
    "encoders from an array": {"encoders": np.stack([SPREAD, 2 + SPREAD], axis=1)},
    "encoders from a list": {"encoders": [[1, 0], [0, 1], [-1, 0], [0, -2]] * 2},
    "encoders as they are": {"encoders": Gaussian(0, 3), "normalize_encoders": False},
    "encoders of length zero as they are": {
        "encoders": np.zeros((8, 2)),
        "normalize_encoders": False,
    },
    "max rates from a distribution": {"max_rates": Uniform(50, 60)},
    "max rates from an array": {"max_rates": np.linspace(50, 90, 8)},
    "intercepts from a distribution": {"intercepts": Uniform(-0.2, 0.2)},
    "intercepts from an array": {"intercepts": 0.9 * SPREAD},
    "gain and bias from distributions": {"gain": Uniform(2, 4), "bias": Uniform(1, 2)},
    "gain and bias from arrays": {"gain": 3 + SPREAD, "bias": 2 - SPREAD},
    "gain and bias of both kinds": {"gain": Choice([3]), "bias": 2 - SPREAD},
    "eval points from a distribution": {"eval_points": UniformHypersphere(surface=True)},
    "eval points from an array": {"eval_points": np.ones((5, 2)) * 0.5, "radius": 3},
    "number of eval points": {"n_eval_points": 17},
    "number of eval points that fits the array": {
        "n_eval_points": 3,
        "eval_points": np.zeros((3, 2)),
    },
    "noise": {"noise": nengo.processes.WhiteNoise(Gaussian(0, 0.1))},
    "seeded noise": {"noise": nengo.processes.FilteredNoise(nengo.Alpha(0.01), seed=3)},
    "Direct with a radius": {"neuron_type": nengo.Direct(), "radius": 2},
    "Direct with encoders": {"neuron_type": nengo.Direct(), "encoders": Gaussian(0, 1)},
    "everything": {
        "radius": 0.5,
        "encoders": Gaussian(0, 1),
        "intercepts": Uniform(-0.5, 0.5),
        "max_rates": np.linspace(100, 200, 8),
        "eval_points": Uniform(-0.5, 0.5),
        "n_eval_points": 40,
        "neuron_type": nengo.AdaptiveLIF(),
        "noise": nengo.processes.WhiteNoise(seed=9),
        "seed": 11,
    },
}
each_configuration = pytest.mark.parametrize("name", CONFIGURATIONS)


def make_network(n_neurons=8, dimensions=2, seed=6, **arguments):
    with nengo.Network(seed=seed) as net:
        net.ens = nengo.Ensemble(n_neurons, dimensions, **arguments)
    return net


def arguments_for(neuron_type):
    """Arguments with which a type of neurons can work."""
    arguments = {"neuron_type": neuron_type}
    if isinstance(neuron_type, (nengo.Sigmoid, nengo.Tanh)):
        arguments.update(max_rates=Uniform(250, 350), intercepts=Uniform(-0.9, -0.5))
    return arguments


def build(net):
    model = Model()
    model.build(net)
    return model


def assert_same_parameters(net):
    """Compare, to the last bit, what we and nengo build for ``net.ens``."""
    ours, nengos = Model(), nengo.builder.Model()
    for model in (ours, nengos):
        model.build(net)
    expected = nengos.params[net.ens]._asdict()
    actual = ours.params[net.ens]._asdict()
    assert list(actual) == list(expected)
    for field, value in expected.items():
        if value is None:
            assert actual[field] is None, field
        else:
            assert actual[field].dtype == value.dtype, field
            np.testing.assert_array_equal(actual[field], value, err_msg=field)


# --- parameters


@each_configuration
def test_parameters_are_those_of_nengo(name):
    assert_same_parameters(make_network(**CONFIGURATIONS[name]))


@each_neuron_type
def test_parameters_are_those_of_nengo_for_every_neuron_type(neuron_type):
    assert_same_parameters(make_network(**arguments_for(neuron_type)))


@pytest.mark.parametrize("bits", [16, 32])
@pytest.mark.parametrize("name", ["defaults", "gain and bias from arrays", "everything"])
def test_parameters_are_those_of_nengo_in_other_precisions(name, bits):
    nengo.rc.set("precision", "bits", str(bits))
    net = make_network(**CONFIGURATIONS[name])
    assert_same_parameters(net)
    assert {field.dtype for field in build(net).params[net.ens]} == {np.dtype(f"float{bits}")}


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    n_neurons=st.integers(1, 12),
    dimensions=st.integers(1, 4),
    radius=st.floats(0.01, 100),
    n_eval_points=st.none() | st.integers(2, 30),
    seed=st.integers(0, 2**31 - 1),
)
def test_parameters_are_those_of_nengo_for_any_seed(
    n_neurons, dimensions, radius, n_eval_points, seed
):
    assert_same_parameters(
        make_network(n_neurons, dimensions, seed, radius=radius, n_eval_points=n_eval_points)
    )


def test_parameters_are_a_built_ensemble_of_the_documented_shapes():
    net = make_network()
    built = build(net).params[net.ens]
    assert isinstance(built, BuiltEnsemble)
    assert built.eval_points.shape == (default_n_eval_points(8, 2), 2)
    assert built.encoders.shape == built.scaled_encoders.shape == (8, 2)
    for vector in (built.intercepts, built.max_rates, built.gain, built.bias):
        assert vector.shape == (8,)


def test_scaled_encoders_have_gain_and_radius_in_them():
    net = make_network(radius=2)
    built = build(net).params[net.ens]
    np.testing.assert_array_equal(
        built.scaled_encoders, built.encoders * (built.gain / 2)[:, np.newaxis]
    )


def test_direct_mode_has_identity_encoders_and_no_tuning_curves():
    net = make_network(neuron_type=nengo.Direct(), radius=2)
    built = build(net).params[net.ens]
    np.testing.assert_array_equal(built.encoders, np.eye(2))
    np.testing.assert_array_equal(built.scaled_encoders, np.eye(2))
    assert built.gain is built.bias is None


def test_the_seed_of_the_ensemble_decides():
    first, second = make_network(seed=1), make_network(seed=1)
    other = make_network(seed=2)
    encoders = [build(net).params[net.ens].encoders for net in (first, second, other)]
    np.testing.assert_array_equal(encoders[0], encoders[1])
    assert not np.array_equal(encoders[0], encoders[2])


def test_the_users_arrays_are_not_changed():
    encoders, eval_points = np.ones((8, 2)), np.ones((3, 2))
    net = make_network(encoders=encoders, eval_points=eval_points, radius=2)
    build(net)
    for array in (encoders, net.ens.encoders, eval_points, net.ens.eval_points):
        np.testing.assert_array_equal(array, 1)


# --- signals and operators


@each_configuration
def test_operators_are_those_of_nengo(name):
    net = make_network(**CONFIGURATIONS[name])
    names = []
    for model in (Model(), nengo.builder.Model()):
        model.build(net)
        names.append([type(op).__name__ for op in model.operators])
    assert names[0] == names[1]


@each_neuron_type
def test_operators_are_those_of_nengo_for_every_neuron_type(neuron_type):
    net = make_network(**arguments_for(neuron_type))
    names = []
    for model in (Model(), nengo.builder.Model()):
        model.build(net)
        names.append([type(op).__name__ for op in model.operators])
    assert names[0] == names[1]


def test_signals_of_an_ensemble():
    net = make_network()
    model = build(net)
    assert {key: s.shape for key, s in model.sig[net.ens].items()} == {
        "in": (2,),
        "out": (8,),
        "encoders": (8, 2),
    }
    neurons = model.sig[net.ens.neurons]
    assert {key: s.shape for key, s in neurons.items()} == {
        "in": (8,),
        "out": (8,),
        "bias": (8,),
        "voltage": (8,),
        "refractory_time": (8,),
    }
    assert model.sig[net.ens]["out"] is neurons["out"]


def test_signals_of_a_direct_ensemble():
    net = make_network(neuron_type=nengo.Direct())
    model = build(net)
    sig, neurons = model.sig[net.ens], model.sig[net.ens.neurons]
    assert sig["in"].shape == (2,)
    assert sig["in"] is not neurons["in"]
    assert sig["out"] is neurons["out"] is neurons["in"]
    assert "bias" not in neurons


def test_encoders_and_bias_are_constants():
    net = make_network()
    model = build(net)
    built = model.params[net.ens]
    encoders = model.sig[net.ens]["encoders"]
    bias = model.sig[net.ens.neurons]["bias"]
    assert encoders.readonly
    assert bias.readonly
    np.testing.assert_array_equal(encoders.initial_value, built.scaled_encoders)
    np.testing.assert_array_equal(bias.initial_value, built.bias)


def test_currents_are_bias_plus_noise_plus_encoded_input():
    net = make_network(noise=nengo.processes.WhiteNoise())
    model = build(net)
    sig, neurons = model.sig[net.ens], model.sig[net.ens.neurons]
    reset, copy, _, noise, encoding = model.operators[1:]
    assert type(reset) is Reset
    assert reset.dst is sig["in"]
    assert type(copy) is Copy
    assert copy.src is neurons["bias"]
    assert copy.sets == [neurons["in"]]
    assert type(noise) is SimProcess
    assert noise.incs == [neurons["in"]]
    assert type(encoding) is DotInc
    assert encoding.A is sig["encoders"]
    assert encoding.X is sig["in"]
    assert encoding.Y is neurons["in"]


# --- results


def assert_same_results(net, n_steps=40):
    with nengo_jit.Simulator(net, progress_bar=False, engine="reference") as ours:
        ours.run_steps(n_steps)
    with nengo.Simulator(net, progress_bar=False, optimize=False) as nengos:
        nengos.run_steps(n_steps)
    for probe in net.all_probes:
        assert len(ours.data[probe]) == n_steps
        np.testing.assert_array_equal(ours.data[probe], nengos.data[probe])


def stimulate_and_probe(net):
    with net:
        stimulus = nengo.Node(lambda t: [np.sin(100 * t), 0.5])
        nengo.Connection(stimulus, net.ens, synapse=None)
        nengo.Probe(net.ens, "input")
        if not isinstance(net.ens.neuron_type, nengo.Direct):
            nengo.Probe(net.ens.neurons)
            nengo.Probe(net.ens.neurons, "input")


@each_configuration
def test_results_are_those_of_nengo(name):
    net = make_network(**CONFIGURATIONS[name])
    stimulate_and_probe(net)
    assert_same_results(net)


@each_neuron_type
def test_results_are_those_of_nengo_for_every_neuron_type(neuron_type):
    net = make_network(**arguments_for(neuron_type))
    stimulate_and_probe(net)
    assert_same_results(net)


# --- gen_eval_points


@pytest.fixture
def rng():
    return np.random.RandomState(8)


@pytest.fixture
def ens():
    return make_network(radius=2).ens


def test_eval_points_are_as_many_as_nengo_takes_by_default(ens, rng):
    points = gen_eval_points(ens, ens.eval_points, rng)
    assert points.shape == (default_n_eval_points(8, 2), 2)


def test_eval_points_are_as_many_as_the_ensemble_asks_for(rng):
    ens = make_network(n_eval_points=13).ens
    assert gen_eval_points(ens, ens.eval_points, rng).shape == (13, 2)


def test_eval_points_fill_the_radius(ens, rng):
    lengths = np.linalg.norm(gen_eval_points(ens, ens.eval_points, rng), axis=1)
    assert 1.9 < lengths.max() <= 2


def test_eval_points_can_be_left_unscaled(ens):
    scaled = gen_eval_points(ens, ens.eval_points, np.random.RandomState(1))
    unscaled = gen_eval_points(
        ens, ens.eval_points, np.random.RandomState(1), scale_eval_points=False
    )
    np.testing.assert_array_equal(scaled, 2 * unscaled)


def test_given_eval_points_are_copied_and_scaled(ens, rng):
    given_points = np.array([[1.0, 2.0], [3.0, 4.0]])
    points = gen_eval_points(ens, given_points, rng)
    np.testing.assert_array_equal(points, [[2, 4], [6, 8]])
    np.testing.assert_array_equal(given_points, [[1, 2], [3, 4]])


def test_given_eval_points_draw_nothing(ens):
    rng = np.random.RandomState(1)
    gen_eval_points(ens, np.ones((3, 2)), rng)
    assert rng.randint(1000) == np.random.RandomState(1).randint(1000)


@pytest.mark.parametrize("source", ["distribution", "array"])
def test_eval_points_can_have_another_type(ens, rng, source):
    eval_points = ens.eval_points if source == "distribution" else np.ones((3, 2))
    assert gen_eval_points(ens, eval_points, rng, dtype=np.float32).dtype == np.float32


def test_eval_points_must_be_a_matrix(ens, rng):
    with pytest.raises(BuildError, match="must be a matrix"):
        gen_eval_points(ens, np.ones(3), rng)


def test_a_number_of_eval_points_that_does_not_fit_is_warned_about(rng):
    ens = make_network(n_eval_points=4).ens
    with pytest.warns(UserWarning, match="doesn't match n_eval_points"):
        points = gen_eval_points(ens, np.ones((3, 2)), rng)
    assert points.shape == (3, 2)


# --- get_activities


@pytest.mark.parametrize("radius", [1, 0.5])
def test_activities_are_the_rates_of_the_neurons_at_the_points(radius):
    net = make_network(radius=radius)
    built = build(net).params[net.ens]
    points = np.array([[0.1, 0.2], [-0.3, 0.4], [0, 0]])
    rates = get_activities(built, net.ens, points)
    assert rates.shape == (3, 8)
    currents = points @ built.scaled_encoders.T + built.bias
    expected = nengo.LIF().rates(currents, np.ones(8), np.zeros(8))
    np.testing.assert_allclose(rates, expected, rtol=1e-9)


def test_activities_reach_the_max_rates_at_the_encoders():
    net = make_network(radius=2)
    built = build(net).params[net.ens]
    rates = get_activities(built, net.ens, 2 * built.encoders)
    np.testing.assert_allclose(np.diag(rates), built.max_rates, rtol=1e-9)


def test_activities_are_those_of_nengo():
    net = make_network()
    built = build(net).params[net.ens]
    points = built.eval_points[:50]
    np.testing.assert_array_equal(
        get_activities(built, net.ens, points),
        nengo.builder.ensemble.get_activities(built, net.ens, points),
    )


# --- get_gain_bias


@each_neuron_type
def test_gain_and_bias_are_those_of_nengo(neuron_type):
    ens = make_network(**arguments_for(neuron_type)).ens
    ours = get_gain_bias(ens, np.random.RandomState(2))
    nengos = nengo.builder.ensemble.get_gain_bias(ens, np.random.RandomState(2))
    for our_value, nengos_value in zip(ours, nengos):
        np.testing.assert_array_equal(our_value, nengos_value)


def test_gain_and_bias_come_with_the_max_rates_and_intercepts_that_they_lead_to(rng):
    ens = make_network(gain=3 + SPREAD, bias=2 - SPREAD).ens
    gain, bias, max_rates, intercepts = get_gain_bias(ens, rng)
    np.testing.assert_array_equal(gain, 3 + SPREAD)
    np.testing.assert_array_equal(bias, 2 - SPREAD)
    again = ens.neuron_type.gain_bias(max_rates, intercepts)
    np.testing.assert_allclose(again, (gain, bias), rtol=1e-9)


def test_gain_and_bias_can_have_another_type(rng):
    values = get_gain_bias(make_network().ens, rng, dtype=np.float32)
    assert [value.dtype for value in values] == [np.float32] * 4


def test_intercepts_that_are_too_large_are_an_error_that_names_the_ensemble():
    net = make_network(intercepts=Choice([1.5]), label="too late")
    with pytest.raises(BuildError, match=r"too late.*negative or non-finite gain"):
        build(net)


def test_intercepts_that_lead_to_infinite_gain_are_an_error():
    net = make_network(intercepts=Choice([1.0]))
    with np.errstate(divide="ignore"), pytest.raises(BuildError, match="non-finite gain"):
        build(net)


def test_gains_that_the_user_sets_may_be_negative():
    net = make_network(gain=-np.ones(8), bias=np.ones(8), neuron_type=nengo.RectifiedLinear())
    np.testing.assert_array_equal(build(net).params[net.ens].gain, -1)


@pytest.mark.parametrize("given_one", ["gain", "bias"])
def test_gain_and_bias_must_be_given_together(given_one):
    net = make_network(label="half", **{given_one: np.ones(8)})
    with pytest.raises(NotImplementedError, match=r"gain or bias set for .*half.*but not both"):
        build(net)


@pytest.mark.parametrize("useless", [{"max_rates": Uniform(1, 2)}, {"intercepts": Uniform(0, 0.1)}])
def test_rates_that_have_no_effect_beside_gain_and_bias_are_warned_about(useless):
    net = make_network(gain=np.ones(8), bias=np.ones(8), label="both ways", **useless)
    with pytest.warns(NengoWarning, match="both ways.* has no effect"):
        build(net)


def test_gain_and_bias_alone_give_no_warning():
    net = make_network(gain=3 * np.ones(8), bias=np.ones(8))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        build(net)


# --- get_encoders


def test_encoders_from_a_distribution_have_unit_length(rng):
    encoders = get_encoders(make_network(encoders=Gaussian(0, 5)).ens, rng)
    np.testing.assert_allclose(np.linalg.norm(encoders, axis=1), 1, rtol=1e-12)


def test_given_encoders_are_normalised(rng):
    encoders = get_encoders(make_network(2, encoders=[[3, 4], [0, -2]]).ens, rng)
    np.testing.assert_allclose(encoders, [[0.6, 0.8], [0, -1]], rtol=1e-12)


def test_encoders_can_be_left_as_they_are(rng):
    ens = make_network(2, encoders=[[3, 4], [0, -2]], normalize_encoders=False).ens
    np.testing.assert_array_equal(get_encoders(ens, rng), [[3, 4], [0, -2]])


@pytest.mark.parametrize("bits", [32, 64])
def test_encoders_have_the_configured_precision(rng, bits):
    nengo.rc.set("precision", "bits", str(bits))
    assert get_encoders(make_network().ens, rng).dtype == np.dtype(f"float{bits}")


def test_encoders_of_length_zero_are_an_error_that_names_the_ensemble():
    net = make_network(2, encoders=[[1, 0], [0, 0]], label="lengthless")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the error says enough
        with pytest.raises(BuildError, match=r"NaNs detected in '.*lengthless.*' encoders"):
            build(net)
