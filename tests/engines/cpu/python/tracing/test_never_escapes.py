"""Whatever goes wrong while a function is traced, it runs in Python as it would in Nengo."""

import functools
import math
import sys

import nengo
import numpy as np
import pytest

import nengo_jit
from nengo_jit.engines.cpu.python.tracing import Unsupported, calls_are_observed, trace, tracer
from nengo_jit.engines.cpu.python.tracing.bytecode import operations

X = np.array([[0.5, -1.0], [2.0, 3.0], [0.25, 0.0]])
HUGE = 10**400


def contains_itself():
    values = []
    values.append(values)
    return 1.0 if values else 0.0


def contain_each_other():
    first, second = [], []
    first.append(second)
    second.append(first)
    return float(len(first))


def of_many_lists():
    values = [1.0]
    for _ in range(40):
        values = [values, values]
    return float(len(values))


def nested(depth):
    values = 1.0
    for _ in range(depth):
        values = (values,)
    return float(values == values)


CASES = {
    "right shift": lambda t, x: int(t * 1000) >> 3,
    "left shift": lambda t, x: int(t * 1000) << 2,
    "shift of array": lambda t, x: (x > 0) << 2,
    "power of list": lambda t, x: x ** [1, 2],
    "power of tuple": lambda t, x: x ** (1, 2),
    "list to a power": lambda t, x: [1.0, 2.0] ** x,
    "huge integer": lambda t, x: 1.0 if t < HUGE else 0.0,
    "huge constant": lambda t, x: 10**400 > 5,
    "huge sum": lambda t, x: float(HUGE + int(t) > 5),
    "contains itself": lambda t, x: contains_itself(),
    "contain each other": lambda t, x: contain_each_other(),
    "many lists": lambda t, x: of_many_lists(),
    "nested": lambda t, x: nested(200) + t,
    "append of one": lambda t, x: np.append(x) if t > 50 else t,
    "reshape": lambda t, x: np.reshape() if t > 50 else t,
    "no argument": lambda t, x: math.sin() if t > 50 else t,
    "string": lambda t, x: ("ab" * 2 == "abab") * t,
    "long string": lambda t, x: float(len("a" * 10**6)),
    "long range": lambda t, x: t if t < 50 else sum(range(10**15)),
    "longer range": lambda t, x: t if t < 50 else max(range(10**15)),
    "long list": lambda t, x: t if t < 50 else ([0.0] * 10**4 * 10**8)[0],
    "large array": lambda t, x: t if t < 50 else np.zeros((10**5, 10**6))[0],
    "large range": lambda t, x: t if t < 50 else np.arange(0, 1, step=1e-12)[0],
    "large tile": lambda t, x: t if t < 50 else np.tile(x, 10**11)[0],
    "large repeat": lambda t, x: t if t < 50 else x.repeat(10**11)[0],
    "large outer": lambda t, x: t if t < 50 else np.outer(np.ones(9999), np.ones(9999))[0, 0],
    "many parts": lambda t, x: t if t < 50 else len(np.array_split(x, 10**11)),
    "broadcast": lambda t, x: t if t < 50 else np.broadcast_to(x, (10**9, 2)).ravel()[0],
    "slice by array": lambda t, x: x[x : x + 1] if t > 50 else t,
    "minus list": lambda t, x: -[t] if t > 50 else t,
    "exponent of none": lambda t, x: t**None if t > 50 else t,
}


@pytest.mark.parametrize("function", CASES.values(), ids=CASES)
def test_functions_that_cannot_be_traced(run_function, function):
    n_out = np.size(function(0.001, X[0]))
    run_function(function, X, n_out)
    run_function(function, X, n_out, initial=300)


@pytest.mark.parametrize("error", [KeyError, RecursionError, MemoryError, AssertionError])
def test_any_error_is_a_reason(run_function, monkeypatch, error):
    def fail(*_):
        raise error("of ours")

    monkeypatch.setattr(operations, "compare", fail)
    remark = run_function(lambda t, x: t if x[0] > t else x[1], X)
    assert remark == f"cannot be compiled ({error.__name__}: {error('of ours')})"
    monkeypatch.undo()
    monkeypatch.setattr(tracer.Writer, "finish", fail)
    assert error.__name__ in run_function(lambda t, x: t, X)


def test_an_interrupt_is_not_swallowed(monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(operations, "compare", interrupt)
    with pytest.raises(KeyboardInterrupt):
        trace(lambda: 1 if np.pi > 2 else 3)


@pytest.mark.parametrize("n_left", range(1, 60, 3))
def test_tracing_near_the_limit_of_recursion(n_left):
    def function():
        return [[abs(each) for each in (math.pi, 2.0)] for _ in range(3)]

    def depth():
        frame, n = sys._getframe(), 0
        while frame is not None:
            frame, n = frame.f_back, n + 1
        return n

    def descend(n):
        if n:
            return descend(n - 1)
        try:
            trace(function)
        except Unsupported as reason:
            return str(reason)
        return "traced"

    before = sys.getrecursionlimit()
    try:
        assert descend(0) == "traced"
        descend(before - depth() - n_left)
    except RecursionError:
        assert n_left < 20  # not even `trace` could be called
    finally:
        sys.setrecursionlimit(before)


def test_connection_functions_that_cannot_be_traced():
    functions = [lambda x: x ** [1, 2], lambda x: [int(x[0]) >> 1, 10**400 > 5]]
    functions.append(lambda x: np.append(x) if x[0] > 5 else x)
    with nengo.Network(seed=0) as net:
        ens = nengo.Ensemble(30, 2)
        node = nengo.Node(size_in=2)
        connections = [nengo.Connection(ens, node, function=each) for each in functions]
    with nengo_jit.Simulator(net, progress_bar=False) as sim:
        weights = [sim.data[each].weights for each in connections]
    with nengo.Simulator(net, progress_bar=False) as sim:
        for each, got in zip(connections, weights):
            np.testing.assert_allclose(got, sim.data[each].weights, rtol=1e-8, atol=1e-10)


# Debuggers, profilers, coverage


def observe_by_trace():
    before = sys.gettrace()
    sys.settrace(lambda *_: None)
    return functools.partial(sys.settrace, before)


def observe_by_profile():
    sys.setprofile(lambda *_: None)
    return functools.partial(sys.setprofile, None)


def observe_by_monitoring():
    monitoring = getattr(sys, "monitoring", None)
    if monitoring is None:
        pytest.skip("there is no sys.monitoring before Python 3.12")
    monitoring.use_tool_id(monitoring.PROFILER_ID, "test")
    return functools.partial(monitoring.free_tool_id, monitoring.PROFILER_ID)


@pytest.mark.parametrize("observe", [observe_by_trace, observe_by_profile, observe_by_monitoring])
def test_who_watches_sees_every_call(observe):
    n_calls = 0
    calls = []

    def function(t):
        return t * 2

    def follow(frame, event, arg):
        if event == "call" and frame.f_code is function.__code__:
            calls.append(1)

    with nengo.Network() as net:
        nengo.Node(function)
    with nengo_jit.Simulator(net, progress_bar=False) as sim:
        assert not calls_are_observed()
        sim.run_steps(300)
        assert len(sim.plan.compiled) == 1
        end = observe()
        try:
            assert calls_are_observed()
            if sys.getprofile() is not None:
                sys.setprofile(follow)
                n_calls = 50
            sim.run_steps(50)
            with nengo_jit.Simulator(net, progress_bar=False) as other:
                (_, remark), *_ = other.plan.in_python
            assert "debugger" in remark
        finally:
            end()
        assert len(calls) == n_calls
        sim.run_steps(50)
        assert len(sim.plan.compiled) == 1


def test_a_debugger_that_begins_in_mid_run_sees_calls():
    calls = []

    def function(t):
        return t * 2

    def follow(frame, event, arg):
        if event == "call" and frame.f_code is function.__code__:
            calls.append(1)

    def begin(t):
        if str(t) == "0.2":  # str: only Python can do that
            sys.setprofile(follow)
        return t

    with nengo.Network() as net:
        nengo.Node(begin)
        nengo.Node(function)
    with nengo_jit.Simulator(net, progress_bar=False) as sim:
        try:
            sim.run_steps(300)
        finally:
            sys.setprofile(None)
    assert 100 <= len(calls) <= 101


def test_large_arrays_are_not_kept(run_function):
    assert "large array" in run_function(lambda t: np.ones((1000, 1000))[0, 0] * t)
    assert "large array" in run_function(lambda t: np.outer(np.ones(1000), np.arange(1000))[3, 2])

    def many(t):
        total = 0.0
        for i in range(100):
            total += (t + i + np.ones(100_000))[i]
        return total

    assert "computes too" in run_function(many)


@pytest.mark.parametrize("function", [lambda: max(x for x in X[:0]), lambda: min(iter(()))])
def test_the_largest_element_of_an_empty_iterable_is_left_to_python(function):
    with pytest.raises(Unsupported, match="on an empty iterable"):
        trace(function, ())


@pytest.mark.parametrize(
    "function",
    [
        lambda t: t ** np.argmax(X[:, 0]) + np.argmax(X[0]) ** t,  # in NumPy's loops for arrays
        lambda t: np.dot(-1e-310, X.T * t).ravel()[:1],  # a product of BLAS's
    ],
)
def test_what_rounds_in_another_way_is_left_to_numpy(function):
    with nengo.Network() as net:
        probe = nengo.Probe(nengo.Node(function, size_out=1))
    data = []
    for simulator in (nengo_jit.Simulator, nengo.Simulator):
        with simulator(net, progress_bar=False) as sim:
            sim.run_steps(300)
            if simulator is nengo_jit.Simulator:
                assert not any("gave" in reason for _, reason in sim.plan.in_python)
            data.append(sim.data[probe].tobytes())
    assert data[0] == data[1]
