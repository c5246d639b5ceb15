"""Functions of connections, evaluated natively: what Python returns, to the last bit."""

import math
import pickle
import warnings

import nengo
import numpy as np
import pytest

import nengo_jit
from nengo_jit.builder.targets import IN_PYTHON, get_targets
from nengo_jit.engines.cpu.functions import WORTH_TRACING, Functions
from nengo_jit.engines.cpu.tracing.bytecode import IS_KNOWN_PYTHON

pytestmark = pytest.mark.skipif(not IS_KNOWN_PYTHON, reason="Python calls functions there")

POINTS = np.random.RandomState(0).uniform(-1, 1, size=(500, 3))


def connection(function, size_out, chosen=slice(None)):
    with nengo.Network(seed=0):
        pre = nengo.Ensemble(10, 3)
        return nengo.Connection(pre[chosen], nengo.Node(size_in=size_out), function=function)


def evaluate(conn, evaluator, points=POINTS):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        targets = get_targets(conn, points, evaluator=evaluator)
    return targets.tobytes(), [str(each.message) for each in caught]


class Weights:
    slope = 2.0

    @classmethod
    def scaled(cls, x):
        return x * 0 if x[0] < 0.2 else cls.slope * (x - 0.2)

    @staticmethod
    def halved(x):
        return x / 2


@pytest.mark.parametrize(
    "function, size_out",
    [
        (lambda x: x**2, 3),
        (lambda x: x[0] * x[1], 1),
        (lambda x: [x[1], math.sin(x[0]), 1], 3),
        (lambda x: (x[0], np.exp(x[2])), 2),
        (lambda x: np.dot(x, [1.0, 2.0, 3.0]), 1),
        (lambda x: 1 if x[0] > 0 else -1, 1),
        (Weights.scaled, 3),
        (Weights.halved, 3),
        (np.prod, 1),
    ],
)
@pytest.mark.parametrize("chosen", [slice(None), slice(None, None, -1), [2, 0, 1]], ids=str)
def test_native_evaluation_is_that_of_python(function, size_out, chosen):
    conn = connection(function, size_out, chosen)
    functions = Functions()
    assert evaluate(conn, functions) == evaluate(conn, IN_PYTHON)
    natively = functions.natively(conn.function, POINTS, np.zeros((500, size_out)))
    assert natively is not None
    assert natively(POINTS, np.zeros((500, size_out))) == 500


def test_what_is_out_of_the_ordinary_is_done_by_python():
    conn = connection(lambda x: np.log(x[0] + 0.9) if x[1] > -0.9 else 0.0, 1)
    targets, messages = evaluate(conn, Functions())
    assert (targets, messages) == evaluate(conn, IN_PYTHON)
    assert any("invalid value" in message for message in messages)


@pytest.mark.parametrize("name", ["calls", "writes", "short", "single", "strict"])
def test_what_is_left_to_python(name):
    calls = []

    def function(x):
        if name == "calls":
            calls.append(x[0])
        return x * 2

    def writing(x):
        x[0] = 0.0
        return x

    points = POINTS[: WORTH_TRACING - 1] if name == "short" else POINTS
    targets = np.zeros(points.shape, np.float32 if name == "single" else np.float64)
    chosen = writing if name == "writes" else function
    with np.errstate(under="raise" if name == "strict" else "ignore"):
        assert Functions().natively(chosen, points, targets) is None
    assert calls == []


def test_an_object_is_called_once_at_each_point_in_order():
    class Callable:
        def __init__(self):
            self.calls = []

        def __call__(self, x):
            self.calls.append(x.tolist())
            return x

    function = Callable()
    conn = connection(function, 3)
    function.calls.clear()
    get_targets(conn, POINTS, evaluator=Functions())
    assert function.calls == POINTS.tolist()


def test_tapes_are_shared_and_made_anew_when_something_is_rebound():
    gain = 2.0

    def function(x):
        return x * gain

    functions = Functions()
    conn = connection(function, 3)
    assert evaluate(conn, functions) == ((POINTS * 2).tobytes(), [])
    assert evaluate(conn, functions) == ((POINTS * 2).tobytes(), [])
    gain = 3.0
    assert evaluate(conn, functions) == ((POINTS * 3).tobytes(), [])
    Weights.slope = 4.0
    try:
        conn = connection(Weights.scaled, 3)
        before = evaluate(conn, functions)
        Weights.slope = 5.0
        assert evaluate(conn, functions) == evaluate(conn, IN_PYTHON) != before
    finally:
        Weights.slope = 2.0


def test_models_have_the_same_decoders_either_way():
    calls = []

    def counted(x):
        calls.append(1)
        return x

    with nengo.Network(seed=0) as net:
        ens = nengo.Ensemble(30, 2)
        conns = [
            nengo.Connection(ens, nengo.Node(size_in=size), function=function, seed=1)
            for function, size in ((lambda x: x[0] * x[1], 1), (np.tanh, 2), (counted, 2))
        ]
    n_calls = []
    weights = []
    for compiles in (True, False):
        calls.clear()
        with nengo_jit.Simulator(net, progress_bar=False, compile_python=compiles) as sim:
            weights.append([sim.data[conn].weights for conn in conns])
        n_calls.append(len(calls))
    assert n_calls[0] == n_calls[1] == len(sim.data[ens].eval_points)
    for compiled, in_python in zip(*weights):
        np.testing.assert_array_equal(compiled, in_python)


def test_what_has_been_traced_is_not_pickled():
    """Another process would call addresses of this one."""
    functions, points = Functions(), np.zeros((WORTH_TRACING, 1))
    assert functions.natively(np.negative, points, points.copy()) is not None
    assert functions._known
    copied = pickle.loads(pickle.dumps(functions))
    assert type(copied) is Functions
    assert not copied._known
