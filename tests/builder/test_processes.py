import nengo
import numpy as np
import pytest
from counting import DT, MODES, Counter, every_mode
from nengo.processes import FilteredNoise, PresentInput, WhiteNoise, WhiteSignal
from nengo.synapses import Alpha, LinearFilter, Lowpass, Triangle

from nengo_jit.builder import Model, build_process, build_synapse
from nengo_jit.ir.operator import TimeUpdate
from nengo_jit.ir.processes import SimProcess
from nengo_jit.ir.signal import Signal

N_STEPS = 30
INPUTS = np.random.RandomState(3).uniform(-1, 1, (N_STEPS, 2))


def filtered(prepare, synapse, mode="set", dt=DT):
    """What a synapse, built into a model, makes of INPUTS in each step."""
    model = Model(dt=dt)
    sig_in = Signal(shape=INPUTS.shape[1], name="input")
    sig_out = build_process(model, synapse, sig_in, mode=mode)
    signals, step = prepare(*model.operators, dt=dt)
    outputs = []
    for x in INPUTS:
        signals[sig_in] = x
        step()
        outputs.append(signals[sig_out].copy())
    return np.array(outputs)


class TestBuildProcess:
    def test_the_output_is_like_the_input_if_not_given(self):
        model, sig_in = Model(dt=DT), Signal(shape=3, name="input")
        sig_out = build_process(model, Lowpass(0.1), sig_in)
        assert sig_out.shape == (3,)
        assert sig_out is not sig_in
        assert sig_out.name.startswith("input")

    @every_mode
    def test_one_operator_joins_the_signals(self, mode):
        model, process = Model(dt=DT), Lowpass(0.1)
        sig_in, sig_out = Signal(shape=2), Signal(shape=2)
        assert build_process(model, process, sig_in, sig_out, mode=mode) is sig_out
        operator = model.operators[-1]
        assert len(model.operators) == 2  # the other one is the clock
        assert isinstance(operator, SimProcess)
        assert operator.process is process
        assert operator.mode == mode
        assert (operator.input, operator.output, operator.t) == (sig_in, sig_out, model.time)
        assert operator.tag == str(process)

    def test_the_mode_is_set_by_default(self):
        model = Model(dt=DT)
        build_process(model, Lowpass(0.1), Signal(shape=1))
        assert model.operators[-1].mode == "set"

    def test_state_arrays_become_signals(self):
        model, process = Model(dt=DT), Counter()
        build_process(model, process, Signal(shape=2), Signal(shape=2))
        state = model.operators[-1].state
        assert state.keys() == {"count", "total"}
        assert state["total"].initial_value.tolist() == [10, 10]
        assert model.sig[process]["_state_count"] is state["count"]
        assert model.sig[process]["_state_total"] is state["total"]

    def test_state_is_made_for_shapes_time_step_and_precision(self):
        class Asked(Counter):
            def make_state(self, shape_in, shape_out, dt, dtype=None):
                self.__dict__["asked"] = (shape_in, shape_out, dt, dtype)
                return {}

        process = Asked()
        sig_out = Signal(np.zeros(4, np.float32))
        build_process(Model(dt=DT), process, Signal(shape=2), sig_out)
        assert process.asked == ((2,), (4,), DT, np.float32)
        build_process(Model(dt=DT), process, sig_out=sig_out)
        assert process.asked == ((0,), (4,), DT, np.float32)

    def test_a_process_can_be_built_many_times(self, prepare):
        model, process = Model(dt=DT), Counter()
        inputs = [Signal([1.0, 2.0]), Signal([3.0, 4.0])]
        outputs = [build_process(model, process, signal) for signal in inputs]
        signals, step = prepare(*model.operators, dt=DT)
        step()
        step()
        assert signals[outputs[0]].tolist() == [2 * (10 + 2 * 1), 2 * (10 + 2 * 2)]
        assert signals[outputs[1]].tolist() == [2 * (10 + 2 * 3), 2 * (10 + 2 * 4)]

    @pytest.mark.parametrize("build", [build_synapse, Model.build])
    @pytest.mark.parametrize("mode", [None, *MODES])
    def test_a_synapse_is_a_process(self, build, mode):
        model, synapse = Model(dt=DT), Alpha(0.1)
        sig_in = Signal(shape=2, name="input")
        sig_out = build(model, synapse, sig_in, **({} if mode is None else {"mode": mode}))
        operator = model.operators[-1]
        assert operator.process is synapse
        assert (operator.input, operator.output) == (sig_in, sig_out)
        assert operator.mode == (mode or "set")
        assert operator.state.keys() == {"X"}

    def test_a_synapse_may_write_to_a_signal_that_is_given(self):
        model, sig_in, sig_out = Model(dt=DT), Signal(shape=2), Signal(shape=2)
        assert build_synapse(model, Lowpass(0.1), sig_in, sig_out) is sig_out
        assert model.operators[-1].output is sig_out

    def test_an_unknown_mode_is_refused(self):
        with pytest.raises(ValueError, match="mode 'sum'"):
            build_synapse(Model(dt=DT), Lowpass(0.1), Signal(shape=1), mode="sum")


class TestSynapses:
    @pytest.mark.parametrize("mode", ["set", "update"])
    def test_lowpass(self, prepare, mode):
        tau, y, expected = 0.01, np.zeros(2), []
        decay = np.exp(-DT / tau)
        for x in INPUTS:
            y = decay * y + (1 - decay) * x
            expected.append(y)
        outputs = filtered(prepare, Lowpass(tau), mode)
        np.testing.assert_allclose(outputs, expected, rtol=1e-10, atol=1e-14)

    def test_lowpass_that_is_added_up(self, prepare):
        y, total, expected = np.zeros(2), np.zeros(2), []
        decay = np.exp(-DT / 0.01)
        for x in INPUTS:
            y = decay * y + (1 - decay) * x
            total = total + y
            expected.append(total)
        outputs = filtered(prepare, Lowpass(0.01), "inc")
        np.testing.assert_allclose(outputs, expected, rtol=1e-10, atol=1e-14)

    def test_a_lowpass_without_time_constant_passes_its_input_on(self, prepare):
        assert np.array_equal(filtered(prepare, Lowpass(0)), INPUTS)

    def test_alpha_is_solved_for_an_input_that_is_held_during_a_step(self, prepare):
        # tau^2 y'' + 2 tau y' + y = x, and so y = x + (constant + linear t) exp(-t / tau)
        tau = 0.01
        decay = np.exp(-DT / tau)
        y, slope, expected = np.zeros(2), np.zeros(2), []
        for x in INPUTS:
            constant, linear = y - x, slope + (y - x) / tau
            deviation = (constant + linear * DT) * decay
            y, slope = x + deviation, linear * decay - deviation / tau
            expected.append(y)
        outputs = filtered(prepare, Alpha(tau))
        np.testing.assert_allclose(outputs, expected, rtol=1e-8, atol=1e-12)

    def test_a_filter_that_passes_some_input_on_uses_the_state_of_the_step_before(self, prepare):
        # y = (z + 0.5) / (z - 0.25) x = x + 0.75 / (z - 0.25) x
        state, expected = np.zeros(2), []
        for x in INPUTS:
            expected.append(x + 0.75 * state)
            state = 0.25 * state + x
        outputs = filtered(prepare, LinearFilter([1, 0.5], [1, -0.25], analog=False))
        np.testing.assert_allclose(outputs, expected, rtol=1e-12, atol=1e-14)

    def test_a_digital_filter_of_second_order(self, prepare):
        # y = (z + 2) / (z^2 - 0.5 z + 0.25) x, without the delay of one step
        y = np.zeros((N_STEPS + 2, 2))
        x = np.vstack([np.zeros((1, 2)), INPUTS])
        for i in range(N_STEPS):
            y[i + 2] = 0.5 * y[i + 1] - 0.25 * y[i] + x[i + 1] + 2 * x[i]
        outputs = filtered(prepare, LinearFilter([1, 2], [1, -0.5, 0.25], analog=False))
        np.testing.assert_allclose(outputs, y[2:], rtol=1e-11, atol=1e-13)

    def test_a_filter_without_state_scales(self, prepare):
        outputs = filtered(prepare, LinearFilter([3], [2], analog=False))
        np.testing.assert_allclose(outputs, 1.5 * INPUTS, rtol=1e-14)

    @pytest.mark.parametrize("n_taps", [1, 2, 5])
    def test_triangle_weighs_the_latest_inputs(self, prepare, n_taps):
        weights = np.arange(n_taps, 0, -1.0)
        weights /= weights.sum()
        expected = [
            sum(weights[lag] * INPUTS[i - lag] for lag in range(min(n_taps, i + 1)))
            for i in range(N_STEPS)
        ]
        outputs = filtered(prepare, Triangle((n_taps - 1) * DT))
        np.testing.assert_allclose(outputs, expected, rtol=1e-10, atol=1e-13)

    def test_matrices_are_filtered_too(self, prepare):
        model, sig_in = Model(dt=DT), Signal(np.ones((2, 3)))
        sig_out = build_process(model, Lowpass(0.01), sig_in)
        signals, step = prepare(*model.operators, dt=DT)
        step()
        np.testing.assert_allclose(signals[sig_out], np.full((2, 3), 1 - np.exp(-DT / 0.01)))


class TestProcesses:
    @staticmethod
    def outputs(prepare, process, size_out, mode="set", n_steps=N_STEPS, seed=0):
        model, sig_out = Model(dt=DT), Signal(shape=size_out, name="output")
        model.build(process, sig_out=sig_out, mode=mode)
        signals, step = prepare(*model.operators, dt=DT, seed=seed)
        assert isinstance(model.operators[0], TimeUpdate)
        results = []
        for _ in range(n_steps):
            step()
            results.append(signals[sig_out].copy())
        return np.array(results)

    def test_white_noise_with_a_seed(self, prepare):
        outputs = self.outputs(prepare, WhiteNoise(nengo.dists.Uniform(-1, 1), seed=6), 3)
        rng = np.random.RandomState(6)
        expected = [rng.uniform(-1, 1, 3) / np.sqrt(DT) for _ in range(N_STEPS)]
        np.testing.assert_allclose(outputs, expected, rtol=1e-14)

    def test_white_noise_that_is_added_up(self, prepare):
        process = WhiteNoise(nengo.dists.Uniform(-1, 1), scale=False, seed=6)
        outputs = self.outputs(prepare, process, 3, mode="inc")
        rng = np.random.RandomState(6)
        expected = np.cumsum([rng.uniform(-1, 1, 3) for _ in range(N_STEPS)], axis=0)
        np.testing.assert_allclose(outputs, expected, rtol=1e-12, atol=1e-14)

    def test_white_noise_without_a_seed_depends_on_the_simulators(self, prepare):
        process = WhiteNoise(nengo.dists.Uniform(-1, 1))
        one, same, other = (self.outputs(prepare, process, 1, seed=s) for s in (1, 1, 2))
        assert np.array_equal(one, same)
        assert not np.any(one == other)

    def test_present_input_shows_each_row_for_its_time(self, prepare):
        rows = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
        outputs = self.outputs(prepare, PresentInput(rows, 3 * DT), 2, n_steps=12)
        expected = [rows[0]] * 3 + [rows[1]] * 3 + [rows[2]] * 3 + [rows[0]] * 3
        assert np.array_equal(outputs, expected)

    @pytest.mark.parametrize(
        "process",
        [
            FilteredNoise(Alpha(0.01), seed=1),
            WhiteSignal(period=0.5, high=20, seed=1),
            WhiteNoise(seed=1),
            nengo.processes.Piecewise({0.01: [1.0], 0.02: [-1.0]}),
        ],
        ids=lambda process: type(process).__name__,
    )
    def test_processes_run_as_they_do_by_themselves(self, prepare, process):
        expected = process.run_steps(N_STEPS, dt=DT, d=1)
        outputs = self.outputs(prepare, process, 1)
        np.testing.assert_allclose(outputs, expected, rtol=1e-12, atol=1e-14)

    def test_a_process_that_keeps_state_of_its_own(self, prepare):
        model, sig_in = Model(dt=DT), Signal(shape=2)
        sig_out = model.build(Counter(), sig_in, Signal(shape=2))
        signals, step = prepare(*model.operators, dt=DT)
        total = np.full(2, 10.0)
        for i, x in enumerate(INPUTS, start=1):
            signals[sig_in] = x
            step()
            total = total + x
            assert np.array_equal(signals[sig_out], total * i)
        state = model.operators[-1].state
        assert signals[state["count"]] == N_STEPS
        assert np.array_equal(signals[state["total"]], total)

    def test_state_begins_anew_where_its_memory_is_reset(self, prepare):
        model, sig_in = Model(dt=DT), Signal([1.0, 1.0])
        sig_out = model.build(Counter(), sig_in, Signal(shape=2))
        signals, step = prepare(*model.operators, dt=DT)
        step()
        step()
        for signal in list(signals):
            signals.reset(signal)
        step()
        assert signals[sig_out].tolist() == [11, 11]
