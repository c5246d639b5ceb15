import numpy as np
import pytest

from nengo_jit.ir.learning_rules import SimBCM, SimOja, SimPES, SimRLS, SimVoja
from nengo_jit.ir.signal import Signal

DT = 0.002
N_PRE, N_POST, N_DIMS = 4, 3, 2


def close(actual, expected):
    return np.allclose(actual, expected, rtol=1e-10, atol=1e-15)


@pytest.fixture
def operands():
    """Random values for the operands of all rules, by name, for three steps."""
    rng = np.random.RandomState(7)
    shapes = {
        "pre_filtered": (N_PRE,),
        "post_filtered": (N_POST,),
        "theta": (N_POST,),
        "error": (N_POST,),
        "weights": (N_POST, N_PRE),
        "pre_decoded": (N_DIMS,),
        "scaled_encoders": (N_POST, N_DIMS),
        "learning_signal": (1,),
    }
    return [{name: rng.uniform(-1, 3, shape) for name, shape in shapes.items()} for _ in range(3)]


def signals_for(*names):
    shapes = {
        "pre_filtered": N_PRE,
        "post_filtered": N_POST,
        "theta": N_POST,
        "error": N_POST,
        "weights": (N_POST, N_PRE),
        "delta": (N_POST, N_PRE),
        "pre_decoded": N_DIMS,
        "scaled_encoders": (N_POST, N_DIMS),
        "learning_signal": 1,
    }
    return {name: Signal(shape=shapes[name], name=name) for name in names}


def deltas(prepare, operator, operands):
    """What a rule's operator leaves in delta after each of some steps."""
    signals, step = prepare(operator, dt=DT)
    results = []
    for values in operands:
        for signal in operator.reads:
            signals[signal] = values[signal.name]
        step()
        results.append(signals[operator.delta].copy())
    return results


class TestSimPES:
    operator_signals = ("pre_filtered", "error", "delta")

    def test_the_change_is_the_error_times_the_activities(self, prepare, operands):
        operator = SimPES(**signals_for(*self.operator_signals), learning_rate=0.5)
        for delta, now in zip(deltas(prepare, operator, operands), operands):
            for i in range(N_POST):
                for j in range(N_PRE):
                    expected = -0.5 * DT / N_PRE * now["error"][i] * now["pre_filtered"][j]
                    assert close(delta[i, j], expected)

    def test_it_reads_activities_and_error_and_updates_delta(self):
        signals = signals_for(*self.operator_signals)
        operator = SimPES(**signals, learning_rate=0.5)
        assert operator.reads == [signals["pre_filtered"], signals["error"]]
        assert operator.updates == [operator.delta] == [signals["delta"]]
        assert operator.sets == operator.incs == []
        assert operator.learning_rate == 0.5


class TestSimBCM:
    operator_signals = ("pre_filtered", "post_filtered", "theta", "delta")

    def test_the_change_turns_its_sign_at_the_threshold(self, prepare, operands):
        operator = SimBCM(**signals_for(*self.operator_signals), learning_rate=0.5)
        for delta, now in zip(deltas(prepare, operator, operands), operands):
            for i in range(N_POST):
                for j in range(N_PRE):
                    post, theta = now["post_filtered"][i], now["theta"][i]
                    expected = 0.5 * DT * post * (post - theta) * now["pre_filtered"][j]
                    assert close(delta[i, j], expected)

    def test_it_reads_activities_and_threshold_and_updates_delta(self):
        signals = signals_for(*self.operator_signals)
        operator = SimBCM(**signals, learning_rate=0.5)
        names = ("pre_filtered", "post_filtered", "theta")
        assert operator.reads == [signals[name] for name in names]
        assert operator.updates == [operator.delta] == [signals["delta"]]
        assert operator.sets == operator.incs == []
        assert operator.learning_rate == 0.5


class TestSimOja:
    operator_signals = ("pre_filtered", "post_filtered", "weights", "delta")

    def test_the_change_is_growth_minus_forgetting(self, prepare, operands):
        signals = signals_for(*self.operator_signals)
        operator = SimOja(**signals, learning_rate=0.5, beta=0.75)
        for delta, now in zip(deltas(prepare, operator, operands), operands):
            for i in range(N_POST):
                for j in range(N_PRE):
                    pre, post = now["pre_filtered"][j], now["post_filtered"][i]
                    forgetting = 0.75 * post**2 * now["weights"][i, j]
                    assert close(delta[i, j], 0.5 * DT * (post * pre - forgetting))

    def test_it_reads_activities_and_weights_and_updates_delta(self):
        signals = signals_for(*self.operator_signals)
        operator = SimOja(**signals, learning_rate=0.5, beta=0.75)
        names = ("pre_filtered", "post_filtered", "weights")
        assert operator.reads == [signals[name] for name in names]
        assert operator.updates == [operator.delta] == [signals["delta"]]
        assert operator.sets == operator.incs == []
        assert (operator.learning_rate, operator.beta) == (0.5, 0.75)


class TestSimVoja:
    scale = np.array([0.5, 1.0, 2.0])

    def operator(self):
        names = ("pre_decoded", "post_filtered", "scaled_encoders", "learning_signal")
        delta = Signal(shape=(N_POST, N_DIMS), name="delta")
        return SimVoja(**signals_for(*names), delta=delta, scale=self.scale, learning_rate=0.5)

    def test_encoders_move_towards_the_input(self, prepare, operands):
        for delta, now in zip(deltas(prepare, self.operator(), operands), operands):
            for i in range(N_POST):
                for d in range(N_DIMS):
                    post, x = now["post_filtered"][i], now["pre_decoded"][d]
                    pull = self.scale[i] * post * x - post * now["scaled_encoders"][i, d]
                    assert close(delta[i, d], 0.5 * DT * now["learning_signal"][0] * pull)

    def test_the_learning_signal_turns_learning_off(self, prepare, operands):
        for values in operands:
            values["learning_signal"] = 0
        for delta in deltas(prepare, self.operator(), operands):
            assert not np.any(delta)

    def test_it_reads_input_activities_encoders_and_signal_and_updates_delta(self):
        operator = self.operator()
        names = ["pre_decoded", "post_filtered", "scaled_encoders", "learning_signal"]
        assert [signal.name for signal in operator.reads] == names
        assert operator.reads == [getattr(operator, name) for name in names]
        assert operator.weights is operator.scaled_encoders
        assert operator.updates == [operator.delta]
        assert operator.sets == operator.incs == []
        assert operator.scale is self.scale


class TestSimRLS:
    P = np.eye(N_PRE) * 0.3 + 0.1

    def operator(self):
        inv_gamma = Signal(self.P, name="inv_gamma")
        return SimRLS(**signals_for("pre_filtered", "error", "delta"), inv_gamma=inv_gamma)

    def test_the_change_follows_the_running_inverse(self, prepare, operands):
        operator = self.operator()
        signals, step = prepare(operator, dt=DT)
        P = self.P.copy()
        for now in operands:
            r, error = now["pre_filtered"], now["error"]
            signals[operator.pre_filtered] = r
            signals[operator.error] = error
            step()
            k = 1 / (1 + r @ P @ r)
            assert close(signals[operator.delta], -k * np.outer(error, P @ r))
            P = P - k * np.outer(P @ r, P @ r)
            assert close(signals[operator.inv_gamma], P)

    def test_the_running_inverse_is_that_of_all_activities(self, prepare, operands):
        operator = self.operator()
        signals, step = prepare(operator, dt=DT)
        correlation = np.linalg.inv(self.P)
        for now in operands:
            signals[operator.pre_filtered] = now["pre_filtered"]
            step()
            correlation += np.outer(now["pre_filtered"], now["pre_filtered"])
        assert close(signals[operator.inv_gamma], np.linalg.inv(correlation))

    def test_it_reads_activities_and_error_and_updates_delta_and_inverse(self):
        operator = self.operator()
        assert [signal.name for signal in operator.reads] == ["pre_filtered", "error"]
        assert operator.reads == [operator.pre_filtered, operator.error]
        assert [signal.name for signal in operator.updates] == ["delta", "inv_gamma"]
        assert operator.updates == [operator.delta, operator.inv_gamma]
        assert operator.sets == operator.incs == []
