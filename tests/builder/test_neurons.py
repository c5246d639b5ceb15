import nengo
import numpy as np
import pytest
from nengo.dists import Choice, Uniform
from nengo.exceptions import BuildError
from populations import (
    DIRECT_TYPES,
    DT,
    N_NEURONS,
    SEED,
    fresh_state,
    random_currents,
    type_name,
)

from nengo_jit.builder import (
    Model,
    build_alif,
    build_alifrate,
    build_lif,
    build_lifrate,
    build_neurons,
    build_rates_to_spikes,
)
from nengo_jit.ir.neurons import SimNeurons
from nengo_jit.ir.signal import Signal

WRAPPED_TYPES = [
    nengo.PoissonSpiking(nengo.LIFRate()),
    nengo.StochasticSpiking(nengo.LIFRate()),
    nengo.RegularSpiking(nengo.LIFRate()),
    nengo.RegularSpiking(nengo.AdaptiveLIFRate(), amplitude=0.5),
    nengo.PoissonSpiking(nengo.Tanh()),
]


def model_of(neuron_type, n_neurons=N_NEURONS):
    """A model with the input and output of neurons that are yet to be built."""
    with nengo.Network(add_to_container=False):
        ens = nengo.Ensemble(n_neurons, 1, neuron_type=neuron_type, label="ens")
    model = Model(dt=DT)
    model.seeds[ens] = SEED
    model.sig[ens.neurons]["in"] = Signal(shape=n_neurons, name="in")
    model.sig[ens.neurons]["out"] = Signal(shape=n_neurons, name="out")
    return model, ens.neurons


def operators_of(model):
    return [operator for operator in model.operators if isinstance(operator, SimNeurons)]


class TestBuildNeurons:
    @pytest.mark.parametrize("neuron_type", DIRECT_TYPES, ids=type_name)
    def test_one_operator_joins_input_output_and_state(self, neuron_type):
        model, neurons = model_of(neuron_type)
        build_neurons(model, neuron_type, neurons)
        (operator,) = operators_of(model)
        sig = model.sig[neurons]
        assert operator.neurons is neuron_type
        assert (operator.J, operator.output) == (sig["in"], sig["out"])
        assert operator.state == {name: sig[name] for name in neuron_type.state}
        assert set(sig) == {"in", "out", *neuron_type.state}

    @pytest.mark.parametrize("neuron_type", DIRECT_TYPES, ids=type_name)
    def test_the_initial_state_is_drawn_with_the_seed_plus_one(self, neuron_type):
        model, neurons = model_of(neuron_type)
        build_neurons(model, neuron_type, neurons)
        for name, value in fresh_state(neuron_type).items():
            assert np.array_equal(model.sig[neurons][name].initial_value, value), name

    def test_states_are_drawn_in_the_order_in_which_they_are_declared(self):
        state = {"voltage": Uniform(0, 1), "refractory_time": Uniform(0, 0.1)}
        model, neurons = model_of(nengo.LIF(initial_state=state))
        build_neurons(model, neurons.ensemble.neuron_type, neurons)
        rng = np.random.RandomState(SEED + 1)
        for name in nengo.LIF.state:
            expected = state[name].sample(N_NEURONS, rng=rng)
            assert np.array_equal(model.sig[neurons][name].initial_value, expected), name

    def test_the_initial_state_may_be_given(self):
        voltages = np.linspace(0, 0.9, N_NEURONS)
        neuron_type = nengo.LIF(initial_state={"voltage": voltages, "refractory_time": Choice([1])})
        model, neurons = model_of(neuron_type)
        build_neurons(model, neuron_type, neurons)
        assert np.array_equal(model.sig[neurons]["voltage"].initial_value, voltages)
        assert np.all(model.sig[neurons]["refractory_time"].initial_value == 1)

    def test_states_have_the_precision_of_the_input(self):
        model, neurons = model_of(nengo.LIF())
        model.sig[neurons]["in"] = Signal(np.zeros(N_NEURONS, np.float32))
        build_neurons(model, nengo.LIF(), neurons)
        assert model.sig[neurons]["voltage"].dtype == np.float32

    def test_other_signals_can_be_given(self):
        model, neurons = model_of(nengo.LIFRate())
        source, target = Signal(shape=N_NEURONS), Signal(shape=N_NEURONS)
        build_neurons(model, nengo.LIFRate(), neurons, input_sig=source, output_sig=target)
        (operator,) = operators_of(model)
        assert (operator.J, operator.output) == (source, target)

    def test_a_type_can_be_built_for_several_populations(self):
        neuron_type = nengo.LIF()
        model, neurons = model_of(neuron_type)
        _, others = model_of(neuron_type)
        model.seeds[others.ensemble] = SEED + 5
        model.sig[others].update({"in": Signal(shape=N_NEURONS), "out": Signal(shape=N_NEURONS)})
        model.build(neuron_type, neurons)
        model.build(neuron_type, others)
        assert len(operators_of(model)) == 2
        one, other = (model.sig[n]["voltage"].initial_value for n in (neurons, others))
        assert one is not other

    @pytest.mark.parametrize("name", ["in", "out", "bias"])
    def test_a_state_cannot_have_the_name_of_another_signal(self, name):
        class Overlapping(nengo.LIFRate):
            state = {name: Choice([0])}

        model, neurons = model_of(Overlapping())
        model.sig[neurons]["bias"] = Signal(shape=N_NEURONS)
        with pytest.raises(BuildError, match=f"State name '{name}'.*overlaps"):
            build_neurons(model, Overlapping(), neurons)

    @pytest.mark.parametrize("value", ["text", None, {}, np.random])
    def test_a_state_must_be_an_array_or_a_generator(self, value):
        class Strange(nengo.LIFRate):
            def make_state(self, n_neurons, rng=np.random, dtype=None):
                return {"strange": value}

        model, neurons = model_of(Strange())
        with pytest.raises(BuildError, match=f"'strange'.*'{type(value).__name__}'"):
            build_neurons(model, Strange(), neurons)

    @pytest.mark.parametrize("value", [1.0, [0.5] * N_NEURONS, np.zeros((N_NEURONS, 2))])
    def test_a_state_may_be_anything_like_an_array(self, value):
        class Stateful(nengo.LIFRate):
            def make_state(self, n_neurons, rng=np.random, dtype=None):
                return {"memory": value}

        model, neurons = model_of(Stateful())
        build_neurons(model, Stateful(), neurons)
        assert np.array_equal(model.sig[neurons]["memory"].initial_value, value)

    @pytest.mark.parametrize(
        "build, neuron_type, states",
        [
            (build_lifrate, nengo.LIFRate(), set()),
            (build_lif, nengo.LIF(), {"voltage", "refractory_time"}),
            (build_alifrate, nengo.AdaptiveLIFRate(), {"adaptation"}),
            (build_alif, nengo.AdaptiveLIF(), {"voltage", "refractory_time", "adaptation"}),
        ],
        ids=["lifrate", "lif", "alifrate", "alif"],
    )
    def test_lif_neurons_have_build_functions_of_their_own(self, build, neuron_type, states):
        model, neurons = model_of(neuron_type)
        build(model, neuron_type, neurons)
        (operator,) = operators_of(model)
        assert operator.neurons is neuron_type
        assert set(operator.state) == states
        for name, value in fresh_state(neuron_type).items():
            assert np.array_equal(model.sig[neurons][name].initial_value, value), name

    @pytest.mark.parametrize("neuron_type", DIRECT_TYPES + WRAPPED_TYPES, ids=type_name)
    def test_every_type_can_be_built_by_the_model(self, neuron_type):
        model, neurons = model_of(neuron_type)
        model.build(neuron_type, neurons)
        assert operators_of(model)[-1].neurons is neuron_type

    def test_a_subclass_is_built_like_its_base(self, prepare):
        class Doubled(nengo.RectifiedLinear):
            def step(self, dt, J, output):
                super().step(dt, J, output)
                output *= 2

        model, neurons = model_of(Doubled())
        model.build(Doubled(), neurons)
        signals, step = prepare(*operators_of(model))
        signals[model.sig[neurons]["in"]] = 3
        step()
        assert np.all(signals[model.sig[neurons]["out"]] == 6)


class TestRatesToSpikes:
    @pytest.mark.parametrize("neuron_type", WRAPPED_TYPES, ids=type_name)
    def test_two_operators_are_joined_by_the_rates(self, neuron_type):
        model, neurons = model_of(neuron_type)
        build_rates_to_spikes(model, neuron_type, neurons)
        base, wrapper = operators_of(model)
        sig = model.sig[neurons]
        assert (base.neurons, wrapper.neurons) == (neuron_type.base_type, neuron_type)
        assert (base.J, base.output) == (sig["in"], sig["rate_out"])
        assert (wrapper.J, wrapper.output) == (sig["rate_out"], sig["out"])
        assert sig["rate_out"].shape == (N_NEURONS,)

    @pytest.mark.parametrize("neuron_type", WRAPPED_TYPES, ids=type_name)
    def test_both_types_are_stepped(self, prepare, neuron_type):
        model, neurons = model_of(neuron_type)
        build_rates_to_spikes(model, neuron_type, neurons)
        signals, step = prepare(*operators_of(model), dt=DT)

        base_type = neuron_type.base_type
        rates, spikes = np.zeros(N_NEURONS), np.zeros(N_NEURONS)
        base_state, state = fresh_state(base_type), fresh_state(neuron_type)
        n_spikes = 0
        for currents in random_currents():
            signals[model.sig[neurons]["in"]] = currents
            step()
            base_type.step(DT, currents, rates, **base_state)
            neuron_type.step(DT, rates, spikes, **state)
            assert np.array_equal(signals[model.sig[neurons]["rate_out"]], rates)
            assert np.array_equal(signals[model.sig[neurons]["out"]], spikes)
            n_spikes += np.count_nonzero(spikes)
        assert n_spikes > 0

    def test_states_of_both_types_are_drawn_alike(self):
        neuron_type = nengo.RegularSpiking(
            nengo.AdaptiveLIFRate(initial_state={"adaptation": Uniform(0, 1)})
        )
        model, neurons = model_of(neuron_type)
        build_rates_to_spikes(model, neuron_type, neurons)
        expected = Uniform(0, 1).sample(N_NEURONS, rng=np.random.RandomState(SEED + 1))
        for name in ("adaptation", "voltage"):
            assert np.array_equal(model.sig[neurons][name].initial_value, expected), name

    @pytest.mark.parametrize("wrapper", [nengo.PoissonSpiking, nengo.StochasticSpiking])
    def test_random_spikes_have_a_generator_of_their_own(self, wrapper):
        neuron_type = wrapper(nengo.LIFRate())
        model, neurons = model_of(neuron_type)
        build_rates_to_spikes(model, neuron_type, neurons)
        base, operator = operators_of(model)
        assert base.state_extra == {}
        (rng,) = operator.state_extra.values()
        expected = np.random.RandomState(SEED + 1)
        assert np.array_equal(rng.random_sample(5), expected.random_sample(5))
        assert "rng" not in model.sig[neurons]
