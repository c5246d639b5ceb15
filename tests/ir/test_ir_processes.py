import nengo
import numpy as np
import pytest
from counting import Counter, every_mode
from nengo.utils.numpy import maxint

from nengo_jit.ir.filters import linear_filter
from nengo_jit.ir.processes import SimProcess
from nengo_jit.ir.signal import Signal


class Recorder(nengo.Process):
    """Keeps what it is given."""

    def __init__(self, default_size_in=0, seed=None):
        super().__init__(default_size_in=default_size_in, default_size_out=1, seed=seed)

    def make_step(self, shape_in, shape_out, dt, rng, state):
        self.__dict__["made_with"] = (shape_in, shape_out, dt, rng, state)
        self.__dict__["calls"] = calls = []

        def step(*args):
            calls.append(args)
            return [len(calls)]

        return step


def sim_process(process, mode="set", output=None, input=None, state=None):
    """An operator, and signals for its operands."""
    output = Signal(shape=1, name="output") if output is None else output
    return SimProcess(process, input, output, Signal(0.0, name="t"), mode, state)


class TestSimProcess:
    @every_mode
    @pytest.mark.parametrize("has_input", [False, True])
    @pytest.mark.parametrize("state_names", [(), ("count",), ("total", "count")])
    def test_roles_follow_from_mode_input_and_state(self, mode, has_input, state_names):
        t, output = Signal(0.0, name="t"), Signal(shape=2, name="output")
        input = Signal(shape=2, name="input") if has_input else None
        state = {name: Signal(shape=1, name=name) for name in state_names}
        operator = SimProcess(Counter(), input, output, t, mode=mode, state=state)
        assert operator.sets == ([output] if mode == "set" else [])
        assert operator.incs == ([output] if mode == "inc" else [])
        assert operator.reads == ([t, input] if has_input else [t])
        updated = [output] if mode == "update" else []
        assert operator.updates == updated + list(state.values())
        assert operator.mode == mode
        assert (operator.t, operator.input, operator.output) == (t, input, output)
        assert operator.state == state

    def test_the_mode_is_set_by_default(self):
        output = Signal(shape=1)
        operator = SimProcess(Recorder(), None, output, Signal(0.0))
        assert operator.mode == "set"
        assert operator.sets == [output]
        assert operator.state == {}

    @pytest.mark.parametrize("mode", ["reset", "", None, "SET"])
    def test_an_unknown_mode_is_refused(self, mode):
        with pytest.raises(ValueError, match=f"mode '{mode}'"):
            SimProcess(Recorder(), None, Signal(shape=1), Signal(0.0), mode=mode)

    @every_mode
    @pytest.mark.parametrize("has_input", [False, True])
    def test_the_output_is_assigned_or_incremented(self, prepare, mode, has_input):
        output = Signal([100.0], name="output")
        input = Signal([5.0], name="input") if has_input else None
        operator = sim_process(Recorder(), mode, output, input)
        signals, step = prepare(operator)
        values = []
        for _ in range(3):
            step()
            values.append(signals[output].item())
        assert values == ([101, 103, 106] if mode == "inc" else [1, 2, 3])

    @every_mode
    def test_the_process_gets_time_and_a_copy_of_its_input(self, prepare, mode):
        process, input = Recorder(), Signal([5.0, 6.0], name="input")
        operator = sim_process(process, mode, input=input)
        signals, step = prepare(operator)
        signals[operator.t] = 0.5
        step()
        signals[operator.t] = 1.0
        signals[input] = 7
        step()
        (t0, x0), (t1, x1) = process.calls
        assert (t0, t1) == (0.5, 1.0)
        assert isinstance(t0, float)
        assert (x0.tolist(), x1.tolist()) == ([5, 6], [7, 7])
        x1[...] = 0
        assert signals[input].tolist() == [7, 7]

    def test_without_input_the_process_gets_only_the_time(self, run):
        process = Recorder()
        run(sim_process(process))
        assert process.calls == [(0.0,)]

    @pytest.mark.parametrize("input_shape", [None, (3,), (2, 2)])
    def test_the_step_is_made_for_the_shapes_and_the_time_step(self, prepare, input_shape):
        process = Recorder()
        input = None if input_shape is None else Signal(shape=input_shape)
        memory = Signal([1.0], name="memory")
        operator = sim_process(process, input=input, state={"memory": memory})
        signals, _ = prepare(operator, dt=0.25)
        shape_in, shape_out, dt, _, state = process.made_with
        assert shape_in == ((0,) if input_shape is None else input_shape)
        assert shape_out == (1,)
        assert dt == 0.25
        assert state.keys() == {"memory"}
        assert state["memory"] is signals[memory]

    def test_a_process_with_a_seed_draws_from_it(self, prepare):
        process = Recorder(seed=8)
        prepare(sim_process(process), seed=0)
        drawn = process.made_with[3].random_sample(3)
        assert np.array_equal(drawn, np.random.RandomState(8).random_sample(3))

    def test_processes_without_a_seed_draw_one_each_in_turn(self, prepare):
        processes = [Recorder(), Recorder(seed=8), Recorder()]
        prepare(*map(sim_process, processes), seed=4)
        seeds = np.random.RandomState(4).randint(maxint, size=2)
        for process, seed in zip(processes[::2], seeds):
            drawn = process.made_with[3].random_sample(3)
            assert np.array_equal(drawn, np.random.RandomState(seed).random_sample(3))

    def test_errors_of_the_process_come_through(self, prepare):
        class Failing(nengo.Process):
            def make_step(self, shape_in, shape_out, dt, rng, state):
                def step(t):
                    raise RuntimeError("my own mistake")

                return step

        _, step = prepare(sim_process(Failing()))
        with pytest.raises(RuntimeError, match="my own mistake"):
            step()


class TestLinearFilters:
    """How often nengo is asked to discretise a filter."""

    @staticmethod
    def parameters(synapse, dt=0.001, size=3):
        state = {"X": Signal(np.zeros((len(synapse.den) - 1, size)), name="X")}
        return linear_filter(synapse, state, dt)

    def test_equal_ones_are_discretised_once(self):
        once, again = (self.parameters(nengo.Alpha(0.0123)) for _ in range(2))
        assert all(mine is other for mine, other in zip(once, again, strict=True))

    @pytest.mark.parametrize(
        "synapse, dt",
        [
            (nengo.Alpha(0.0124), 0.001),
            (nengo.Alpha(0.0123), 0.002),
            (nengo.Lowpass(0.0123), 0.001),
        ],
    )
    def test_others_have_their_own_numbers(self, synapse, dt):
        self.parameters(nengo.Alpha(0.0123))
        _, *numbers = self.parameters(synapse, dt)
        X = np.zeros((len(synapse.den) - 1, 3))
        step = synapse.make_step((3,), (3,), dt, None, {"X": X})
        u = np.ones((4, 3))
        expected = [step(t, each).copy() for t, each in enumerate(u)]
        function, *_ = self.parameters(synapse, dt)
        Y = np.zeros_like(X)
        for each, theirs in zip(u, expected, strict=True):
            y, Y = function(np, *numbers, each, Y)
            np.testing.assert_allclose(y, theirs, rtol=1e-12)

    def test_those_of_other_classes_may_change(self):
        class Changing(nengo.synapses.LinearFilter):
            def _get_ss(self, dt):
                return nengo.Lowpass(taus[0])._get_ss(dt)

        taus, synapse = [0.01], Changing([1], [0.01, 1])
        first = self.parameters(synapse)
        taus[0] = 0.02
        second = self.parameters(synapse)
        assert first[1] != second[1]
