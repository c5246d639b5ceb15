import nengo
import numpy as np
import pytest
from nengo.exceptions import BuildError
from populations import (
    DIRECT_TYPES,
    DT,
    N_NEURONS,
    fresh_state,
    random_currents,
    type_name,
)

from nengo_jit.ir.neurons import SimNeurons
from nengo_jit.ir.signal import Signal


class TestSimNeurons:
    @pytest.mark.parametrize("neuron_type", DIRECT_TYPES, ids=type_name)
    def test_it_steps_the_neurons(self, prepare, neuron_type):
        J, output = Signal(shape=N_NEURONS), Signal(shape=N_NEURONS)
        state = {name: Signal(value) for name, value in fresh_state(neuron_type).items()}
        signals, step = prepare(SimNeurons(neuron_type, J, output, state), dt=DT)

        expected, expected_state = np.zeros(N_NEURONS), fresh_state(neuron_type)
        activity = 0
        for currents in random_currents():
            signals[J] = currents
            step()
            neuron_type.step(DT, currents, expected, **expected_state)
            assert np.array_equal(signals[output], expected)
            for name, signal in state.items():
                assert np.array_equal(signals[signal], expected_state[name]), name
            activity += np.abs(expected).sum()
        assert activity > 0

    def test_random_number_generators_are_passed_on(self, prepare):
        neuron_type = nengo.PoissonSpiking(nengo.LIFRate())
        J, output = Signal(np.full(N_NEURONS, 300.0)), Signal(shape=N_NEURONS)
        operator = SimNeurons(neuron_type, J, output, {"rng": np.random.RandomState(5)})
        signals, step = prepare(operator, dt=DT)
        rng, expected = np.random.RandomState(5), np.zeros(N_NEURONS)
        for _ in range(10):
            step()
            neuron_type.step(DT, J.initial_value, expected, rng=rng)
            assert np.array_equal(signals[output], expected)

    def test_output_and_state_are_set_and_the_current_is_read(self):
        J, output = Signal(shape=2), Signal(shape=2)
        voltage, refractory_time = Signal(shape=2), Signal(shape=2)
        rng = np.random.RandomState(0)
        state = {"voltage": voltage, "rng": rng, "refractory_time": refractory_time}
        operator = SimNeurons(nengo.LIF(), J, output, state)
        assert operator.sets == [output, voltage, refractory_time]
        assert operator.reads == [J]
        assert operator.incs == operator.updates == []
        assert (operator.J, operator.output) == (J, output)
        assert operator.state == {"voltage": voltage, "refractory_time": refractory_time}
        assert operator.state_extra == {"rng": rng}

    def test_neurons_may_keep_no_state(self):
        operator = SimNeurons(nengo.LIFRate(), Signal(shape=2), Signal(shape=2))
        assert operator.state == operator.state_extra == {}
        assert operator.sets == [operator.output]

    def test_a_state_that_replaces_another_in_sets_is_used(self, run):
        J, output = Signal([5.0]), Signal(shape=1)
        unused, voltage = Signal([0.0]), Signal([0.25])
        operator = SimNeurons(nengo.SpikingRectifiedLinear(), J, output, {"voltage": unused})
        operator.sets[1] = voltage
        assert operator.state == {"voltage": voltage}
        assert run(operator, dt=0.01)[voltage] == pytest.approx(0.25 + 0.05)

    @pytest.mark.parametrize("value", [np.zeros(2), None, np.random, [0.0, 0.0]])
    def test_a_state_must_be_a_signal_or_a_generator(self, value):
        with pytest.raises(BuildError, match="State 'voltage' of LIF"):
            SimNeurons(nengo.LIF(), Signal(shape=2), Signal(shape=2), {"voltage": value})

    def test_nengos_signals_are_states_too(self):
        voltage = nengo.builder.Signal(np.zeros(2), name="voltage")
        operator = SimNeurons(nengo.LIF(), Signal(shape=2), Signal(shape=2), {"voltage": voltage})
        assert operator.state == {"voltage": voltage}
