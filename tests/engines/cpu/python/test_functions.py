"""Functions of connections, evaluated natively: what Python returns, to the last bit."""

import math
import pickle
import signal
import warnings

import nengo
import numpy as np
import pytest

import nengo_jit
from nengo_jit.builder.targets import IN_PYTHON, get_targets
from nengo_jit.engines.cpu.python import functions
from nengo_jit.engines.cpu.python.functions import WORTH_TRACING, Functions
from nengo_jit.engines.cpu.python.instructions import Field, Opcode
from nengo_jit.engines.cpu.python.tracing import tape
from nengo_jit.engines.cpu.python.tracing.bytecode import IS_KNOWN_PYTHON

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
    evaluator = Functions()
    assert evaluate(conn, evaluator) == evaluate(conn, IN_PYTHON)
    natively = evaluator.natively(conn.function, POINTS, np.zeros((500, size_out)))
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

    evaluator = Functions()
    conn = connection(function, 3)
    assert evaluate(conn, evaluator) == ((POINTS * 2).tobytes(), [])
    assert evaluate(conn, evaluator) == ((POINTS * 2).tobytes(), [])
    gain = 3.0
    assert evaluate(conn, evaluator) == ((POINTS * 3).tobytes(), [])
    Weights.slope = 4.0
    try:
        conn = connection(Weights.scaled, 3)
        before = evaluate(conn, evaluator)
        Weights.slope = 5.0
        assert evaluate(conn, evaluator) == evaluate(conn, IN_PYTHON) != before
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
    evaluator, points = Functions(), np.zeros((WORTH_TRACING, 1))
    assert evaluator.natively(np.negative, points, points.copy()) is not None
    assert evaluator._known
    copied = pickle.loads(pickle.dumps(evaluator))
    assert type(copied) is Functions
    assert not copied._known


# --- compared with Python


class Log:
    """A function that notes where Python calls it, though it is traced as if it did not."""

    def __init__(self, function, monkeypatch):
        self.function, self.points = function, []
        monkeypatch.setattr(functions._Function, "_call", self._call_of(functions._Function._call))

    def _call_of(self, call):
        def calling(task):
            self.points.append(task._points[task._number[0]].tolist())
            call(task)

        return calling


def product(x):
    return x[0] * x[1]


def in_parts(x):
    return x[0] * 2 if x[1] > 0.99 else x[0] + 1


def only_far_out(x):
    return x[0] if x[2] < MOST else x[0] * x[1]


MOST = POINTS[:, 2].max()


@pytest.mark.parametrize(
    "function, chosen",
    [
        (product, slice(None)),
        (product, slice(None, None, -1)),
        (in_parts, slice(None)),
        (only_far_out, slice(None)),
    ],
)
def test_targets_are_right_if_tapes_are_wrong(function, chosen, wrong_tapes, caplog):
    conn = connection(function, 1, chosen)
    evaluator = Functions()
    assert evaluate(conn, evaluator) == evaluate(conn, IN_PYTHON)
    (record,) = caplog.records
    message = record.getMessage()
    assert f"'{function.__name__}' stays in Python from now on: it gave" in message
    assert "at the point [" in message
    assert evaluate(conn, evaluator) == evaluate(conn, IN_PYTHON)
    assert len(caplog.records) == 1
    assert evaluator.natively(function, POINTS, np.zeros((500, 1))) is None


def test_what_was_filled_before_a_difference_is_filled_again(monkeypatch):
    """A tape that becomes wrong has been so for up to a thousand points."""
    monkeypatch.setattr(tape, "N_PROOFS", 3)
    monkeypatch.setattr(tape, "INTERVAL", 100)
    evaluator, conn = Functions(), connection(product, 1)
    evaluate(conn, evaluator)
    (known,) = evaluator._known.values()
    monkeypatch.setattr(functions, "extremes", lambda points: [])
    code = known.traced.tape.code[1:]
    (line,) = (line for line in code if line[Field.OPCODE] == Opcode.MULTIPLY)
    line[Field.OPCODE] = Opcode.ADD
    assert evaluate(conn, evaluator) == evaluate(conn, IN_PYTHON)
    assert "gave" in known.wrong
    assert known.traced is None


def test_decoders_are_right_if_tapes_are_wrong(wrong_tapes, caplog):
    with nengo.Network(seed=0) as net:
        ens = nengo.Ensemble(50, 3)
        conns = [
            nengo.Connection(ens, nengo.Node(size_in=1), function=function)
            for function in (product, lambda x: x[1] * x[2])
        ]
    weights = []
    for compiles in (True, False):
        with nengo_jit.Simulator(net, progress_bar=False, compile_python=compiles) as sim:
            weights.append([sim.data[conn].weights for conn in conns])
    assert len(caplog.records) == 2
    for compiled, in_python in zip(*weights):
        np.testing.assert_array_equal(compiled, in_python)


def test_a_sample_of_points_is_evaluated_by_python(monkeypatch):
    log = Log(in_parts, monkeypatch)
    rng = np.random.RandomState(1)
    points = rng.uniform(-1, 1, size=(5000, 2))
    points[:, 1] = np.minimum(points[:, 1], 0.9)
    points[7] = 0.0
    rare = [100, 200, 4000]
    points[rare, 1] = 0.995
    targets = np.zeros((5000, 1))
    natively = Functions().natively(in_parts, points, targets)
    extremes = np.unique(
        [*points.argmin(axis=0), *points.argmax(axis=0), 7, (points**2).sum(axis=1).argmax()]
    )
    assert log.points == points[extremes].tolist()
    log.points.clear()
    assert natively(points, targets) == 5000
    assert targets[:, 0].tolist() == [in_parts(point) for point in points]
    assert all(points[i].tolist() in log.points for i in rare)
    assert 20 < len(log.points) < 30
    log.points.clear()
    natively(points, targets)
    assert all(points[i].tolist() in log.points for i in rare)  # twenty times
    assert len(log.points) < 3 + 2 * 5


def test_functions_with_a_state_are_left_to_python():
    """They are evaluated once at each point, in order, though tapes might be performed twice."""

    def make():
        count = np.zeros(1)

        def function(x):
            count[0] += 1.0
            return x[0] * count[0]

        return function, count

    with nengo.Network(seed=0) as net:
        ens = nengo.Ensemble(50, 3)
        function, count = make()
        nengo.Connection(ens, nengo.Node(size_in=1), function=function)
    assert Functions().natively(function, POINTS, np.zeros((500, 1))) is None
    counts = []
    for simulator in (nengo_jit.Simulator, nengo.Simulator):
        count[0] = 0
        with simulator(net, progress_bar=False):
            counts.append(count[0])
    assert counts[0] == counts[1] > 0


def test_python_raises_where_the_tape_has_a_value(wrong_tapes):
    conn = connection_without_call(lambda x: 1 / (x[0] * 0))
    evaluator = Functions()
    outcomes = []
    for each in (evaluator, IN_PYTHON):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            outcomes.append((get_targets(conn, POINTS, evaluator=each).tobytes(), len(caught) > 0))
    assert outcomes[0] == outcomes[1]

    def failing(x):
        return 1 / (2.0 * float(x[0]) - 2.0 * float(x[0]))

    for each in (evaluator, IN_PYTHON):
        with pytest.raises(ZeroDivisionError):
            get_targets(connection_without_call(failing), POINTS, evaluator=each)


def connection_without_call(function):
    """A connection whose function is not called when it is made."""

    class Sized:
        pass

    conn = Sized()
    conn.function, conn.pre_slice, conn.size_mid = function, slice(None), 1
    return conn


def test_ctrl_c_while_a_function_is_compared(monkeypatch, ctrl_c):
    call, n_left = functions._Function._call, iter([False, False, True])

    def interrupted(task):
        if next(n_left, False):
            signal.raise_signal(signal.SIGINT)
        call(task)

    monkeypatch.setattr(functions._Function, "_call", interrupted)
    conn, evaluator = connection(product, 1), Functions()
    with pytest.raises(KeyboardInterrupt):
        evaluate(conn, evaluator)
    assert evaluate(conn, evaluator) == evaluate(conn, IN_PYTHON)
    (known,) = evaluator._known.values()
    assert not known.wrong
    assert known.traced is not None
