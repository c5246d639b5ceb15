"""Targets: what functions of connections are at evaluation points, in Python and natively."""

import nengo
import numpy as np
import pytest
from nengo.exceptions import BuildError

from nengo_jit.builder import targets
from nengo_jit.builder.targets import get_targets, targets_ahead
from nengo_jit.ir.evaluator import Evaluator

N_NEURONS = 15

POINTS = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
FUNCTIONS = {
    "none": (None, POINTS),
    "array": (lambda x: x + 1, POINTS + 1),
    "list": (lambda x: [x[1], x[0]], POINTS[:, ::-1]),
    "tuple": (lambda x: (x[0], 0), POINTS * [1, 0]),
    "list of arrays": (lambda x: [x[:1], x[1:]], POINTS),
    "scalar": (lambda x: x[0] * x[1], np.array([[2.0], [12.0], [30.0]])),
    "array of no dimensions": (lambda x: np.sum(x), np.array([[3.0], [7.0], [11.0]])),
    "integers": (lambda x: [1, 2, 3], np.tile([1.0, 2.0, 3.0], (3, 1))),
    "points": (POINTS * 2, POINTS * 2),
}


@pytest.mark.parametrize("form", FUNCTIONS)
def test_targets_are_what_the_function_says(form):
    function, expected = FUNCTIONS[form]
    arguments = {} if form == "none" else {"function": function}
    with nengo.Network(seed=0):
        pre = nengo.Ensemble(N_NEURONS, 2)
        post = nengo.Node(size_in=expected.shape[1])
        conn = nengo.Connection(pre, post, eval_points=POINTS, **arguments)
    targets = get_targets(conn, POINTS)
    assert targets.shape == expected.shape
    np.testing.assert_array_equal(targets, expected)


@pytest.mark.parametrize("sl", [0, slice(None, None, -1), [1, 1, 0]], ids=str)
def test_functions_are_given_the_slice(sl):
    with nengo.Network(seed=0):
        pre = nengo.Ensemble(N_NEURONS, 2)
        conn = nengo.Connection(pre[sl], nengo.Node(size_in=1), function=np.sum)
    expected = POINTS[:, [sl] if isinstance(sl, int) else sl].sum(axis=1, keepdims=True)
    np.testing.assert_array_equal(get_targets(conn, POINTS), expected)


def test_targets_can_have_another_type():
    conn = connection(np.sin)
    assert get_targets(conn, POINTS, dtype=np.float32).dtype == np.float32


def connection(function, size_out=2):
    with nengo.Network(seed=0):
        pre = nengo.Ensemble(N_NEURONS, 2)
        return nengo.Connection(pre, nengo.Node(size_in=size_out), function=function)


# --- native evaluation


class UpTo(Evaluator):
    """Adds one, natively, to points whose first number is below a limit."""

    def __init__(self, limit):
        self.limit = limit
        self.n_calls = 0

    def natively(self, function, points, targets):
        def evaluate(points, targets):
            self.n_calls += 1
            n_done = next((i for i, x in enumerate(points) if x[0] >= self.limit), len(points))
            targets[:n_done] = points[:n_done] + 1
            return n_done

        return evaluate


def plus_one_with(calls):
    def function(x):
        calls.append(x[0])
        return x + 1

    return function


@pytest.mark.parametrize("limit, in_python", [(9, []), (5, [5]), (3, [3, 5]), (0, [1, 3, 5])])
def test_python_is_called_for_what_cannot_be_evaluated_natively(limit, in_python):
    calls = []
    conn = connection(plus_one_with(calls))
    calls.clear()
    found = get_targets(conn, POINTS, evaluator=UpTo(limit))
    np.testing.assert_array_equal(found, POINTS + 1)
    assert calls == in_python


def test_native_evaluation_is_given_up_where_it_mostly_stops():
    points = np.arange(200.0).reshape(100, 2)
    evaluator = UpTo(0)
    found = get_targets(connection(plus_one_with([])), points, evaluator=evaluator)
    np.testing.assert_array_equal(found, points + 1)
    assert evaluator.n_calls == targets.MOST_STOPS


def test_none_is_an_error_after_native_evaluation_as_well():
    conn = connection(lambda x: None if x[0] == 3 else x)
    with pytest.raises(BuildError, match=r"Building .*Connection function returned None"):
        get_targets(conn, POINTS, evaluator=UpTo(2))


class Doubtful(Evaluator):
    """Fills targets with something else, and finds that out at the second stop."""

    def natively(self, function, points, targets):
        stops = iter([1, None])

        def evaluate(points, targets):
            targets[:1] = 99.0
            return next(stops)

        return evaluate


def test_python_evaluates_all_points_if_the_native_way_is_found_to_be_wrong():
    calls = []
    conn = connection(plus_one_with(calls))
    calls.clear()
    found = get_targets(conn, POINTS, evaluator=Doubtful())
    np.testing.assert_array_equal(found, POINTS + 1)
    assert calls == [3, 1, 3, 5]  # the first one where the evaluator stopped
    assert targets_ahead(conn, POINTS, Doubtful()) is None


def test_targets_ahead_are_complete_or_there_are_none():
    calls = []
    conn = connection(plus_one_with(calls))
    calls.clear()
    np.testing.assert_array_equal(targets_ahead(conn, POINTS, UpTo(9)), POINTS + 1)
    assert targets_ahead(conn, POINTS, UpTo(5)) is None
    assert targets_ahead(conn, POINTS, Evaluator()) is None
    assert calls == []
