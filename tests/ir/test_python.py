import numpy as np
import pytest
from nengo.exceptions import SimulationError

from nengo_jit.ir.python import SimPyFunc
from nengo_jit.ir.signal import Signal

ROLES = ("sets", "incs", "reads", "updates")


def roles(operator):
    return {role: getattr(operator, role) for role in ROLES}


class TestSimPyFunc:
    @pytest.mark.parametrize("t_passed", [False, True])
    @pytest.mark.parametrize("x_passed", [False, True])
    @pytest.mark.parametrize("has_output", [False, True])
    def test_roles_follow_from_what_is_passed(self, t_passed, x_passed, has_output):
        t = Signal(0.0, name="t") if t_passed else None
        x = Signal(shape=2, name="x") if x_passed else None
        output = Signal(shape=2, name="output") if has_output else None
        operator = SimPyFunc(output, len, t, x)
        assert operator.fn is len
        assert (operator.t, operator.x, operator.output) == (t, x, output)
        assert (operator.t_passed, operator.x_passed) == (t_passed, x_passed)
        assert roles(operator) == {
            "sets": [output] if has_output else [],
            "incs": [],
            "reads": [signal for signal in (t, x) if signal is not None],
            "updates": [],
        }

    @pytest.mark.parametrize(
        "t, x, fn, expected",
        [
            (None, None, lambda: 3, [3, 3]),
            (0.25, None, lambda t: [t, 2 * t], [0.25, 0.5]),
            (None, [1.0, 2.0], lambda x: x[::-1], [2, 1]),
            (0.25, [1.0, 2.0], lambda t, x: t * x, [0.25, 0.5]),
        ],
    )
    @pytest.mark.parametrize("has_output", [False, True])
    def test_the_function_gets_what_is_passed(self, run, t, x, fn, expected, has_output):
        results = []

        def recorded(*args):
            results.append(fn(*args))
            return results[-1]

        signals = [None if value is None else Signal(value) for value in (t, x)]
        output = Signal(shape=2) if has_output else None
        memory = run(SimPyFunc(output, recorded, *signals))
        assert np.array_equal(np.broadcast_to(results[0], 2), expected)
        assert len(results) == 1
        if has_output:
            assert memory[output].tolist() == expected

    @pytest.mark.parametrize(
        "t, x, expected",
        [
            (Signal(0.5), None, [float]),
            (None, Signal([1.0]), [np.ndarray]),
            (Signal(0.5), Signal([1.0]), [float, np.ndarray]),
        ],
    )
    def test_the_time_is_a_float_and_the_input_an_array(self, run, t, x, expected):
        types = []
        run(SimPyFunc(None, lambda *args: types.extend(map(type, args)), t, x))
        assert types == expected

    def test_the_function_is_not_called_before_the_first_step(self, prepare):
        calls = []
        operator = SimPyFunc(None, lambda: calls.append(1), None, None)
        _, step = prepare(operator)
        assert len(calls) == 0
        step()
        step()
        assert len(calls) == 2

    @pytest.mark.parametrize("t", [None, Signal(0.0)])
    def test_the_function_may_keep_its_input(self, prepare, t):
        kept = []
        x = Signal([1.0, 2.0])
        signals, step = prepare(SimPyFunc(None, lambda *args: kept.append(args[-1]), t, x))
        step()
        signals[x] = 5
        step()
        assert [array.tolist() for array in kept] == [[1, 2], [5, 5]]

    @pytest.mark.parametrize("t", [None, Signal(0.0)])
    def test_the_function_may_write_to_its_input(self, run, t):
        def write(*args):
            args[-1][...] = 9
            return args[-1]

        x, output = Signal([1.0, 2.0]), Signal(shape=2)
        signals = run(SimPyFunc(output, write, t, x))
        assert signals[x].tolist() == [1, 2]
        assert signals[output].tolist() == [9, 9]

    @pytest.mark.parametrize("value", [4, 4.0, np.float32(4), [4], np.array([[4]])])
    def test_the_result_is_broadcast(self, run, value):
        output = Signal(shape=(1, 3))
        assert run(SimPyFunc(output, lambda: value, None, None))[output].tolist() == [[4, 4, 4]]

    @pytest.mark.parametrize("value", [None, np.nan, "text", [1, 2, 3, 4, 5]])
    def test_a_result_that_goes_nowhere_may_be_anything(self, run, value):
        run(SimPyFunc(None, lambda: value, None, None))

    @pytest.mark.parametrize(
        "value",
        [
            None,
            np.inf,
            -np.inf,
            np.nan,
            [1.0, np.nan],
            "text",
            "1.5",
            ["1", "2"],
            object(),
            {},
            [1, 2, 3],
            [[1], [2], [3]],
            [[1, 2], [3]],
            [],
            [None, 1],
        ],
    )
    def test_a_result_that_cannot_be_stored_names_the_function(self, prepare, value):
        def culprit():
            return value

        output = Signal([5.0, 6.0])
        signals, step = prepare(SimPyFunc(output, culprit, None, None))
        with pytest.raises(SimulationError, match="Function 'culprit' returned"):
            step()
        assert signals[output].tolist() == [5, 6]

    def test_errors_of_the_function_come_through(self, prepare):
        def fail(x):
            raise TypeError("my own mistake")

        _, step = prepare(SimPyFunc(Signal(shape=1), fail, None, Signal(shape=1)))
        with pytest.raises(TypeError, match="my own mistake"):
            step()

    def test_str_names_the_function(self):
        def square(x):
            return x**2

        x, output = Signal(shape=1, name="x"), Signal(shape=1, name="y")
        text = str(SimPyFunc(output, square, None, x, tag="it"))
        assert text == f"SimPyFunc{{{x} -> {output}, fn='square' 'it'}}"
