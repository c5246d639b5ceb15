"""What functions read may be replaced between runs, or within one: the next call sees it."""

import functools
import math

import nengo
import numpy as np
import pytest
from nengo.params import FrozenObject, NumberParam

import nengo_jit
from nengo_jit.engines.cpu.python.tracing.guards import Guards


def replaced_kwdefaults():
    def function(t, *, gain=1.0):
        return gain * t

    def replace():
        function.__kwdefaults__ = {"gain": 3.0}

    return function, replace


def changed_kwdefaults():
    def function(t, *, gain=1.0):
        return gain * t

    return function, lambda: function.__kwdefaults__.update(gain=3.0)


def replaced_defaults():
    def function(t, gain=1.0):
        return gain * t

    return function, lambda: setattr(function, "__defaults__", (3.0,))


def replaced_code():
    def function(t):
        return t

    return function, lambda: setattr(function, "__code__", (lambda t: 3 * t).__code__)


def code_of_helper():
    def helper(t, *, gain=1.0):
        return gain * t

    return lambda t: helper(t), lambda: helper.__kwdefaults__.update(gain=3.0)


def keywords_of_partial():
    function = functools.partial(lambda t, gain: gain * t, gain=1.0)
    return lambda t: function(t), lambda: function.keywords.update(gain=3.0)


def new_keyword_of_partial():
    function = functools.partial(lambda t, gain=1.0: gain * t)
    return function, lambda: function.keywords.update(gain=3.0)


def state_of_partial():
    function = functools.partial(lambda t, gain=1.0: gain * t)
    state = (lambda t: 3.0 * t, (), {}, {})
    return function, lambda: function.__setstate__(state)


def bases_of_class():
    class One:
        gain = 1.0

    class Three:
        gain = 3.0

    class Gains(One):
        pass

    return lambda t: Gains.gain * t, lambda: setattr(Gains, "__bases__", (Three,))


def attribute_of_class():
    class Gains:
        gain = 1.0

    return lambda t: Gains.gain * t, lambda: setattr(Gains, "gain", 3.0)


def method_of_frozen_class():
    class Gain(FrozenObject):
        value = NumberParam("value")

        def __init__(self):
            super().__init__()
            self.value = 1.0

        def of(self, t):
            return self.value * t

    gain = Gain()
    return lambda t: gain.of(t), lambda: setattr(Gain, "of", lambda self, t: 3.0 * t)


def function_of_math():
    return lambda t: math.sin(t), lambda: setattr(math, "sin", math.cos)


def function_of_numpy():
    return lambda t: np.sin(t), lambda: setattr(np, "sin", np.cos)


def type_of_array():
    gains = np.array([1.0, 2.0])
    return lambda t: gains[1] * t, lambda: setattr(gains, "dtype", np.int64)


def name_of_type():
    gains = np.array([1.0, 2.0])
    return lambda t: (gains.dtype == float) * t, lambda: setattr(gains, "dtype", np.int64)


CASES = [
    *(replaced_kwdefaults, changed_kwdefaults, replaced_defaults, replaced_code, code_of_helper),
    *(keywords_of_partial, new_keyword_of_partial, state_of_partial, bases_of_class),
    *(attribute_of_class, method_of_frozen_class, function_of_math, function_of_numpy),
    *(type_of_array, name_of_type),
]


@pytest.fixture
def run(monkeypatch):
    """Run a case; the change is made between runs, or by a node within one."""
    monkeypatch.setattr(math, "sin", math.sin)
    monkeypatch.setattr(np, "sin", np.sin)
    sines = math.sin, np.sin

    def run_case(case, engine, within):
        math.sin, np.sin = sines
        function, change = case()

        def changer(t):
            if within and str(t) == "0.25":  # str: only Python can do that
                change()
            return t

        with nengo.Network() as net:
            nengo.Node(changer)
            probe = nengo.Probe(nengo.Node(function, size_out=1))
        with nengo_jit.Simulator(net, engine=engine, progress_bar=False) as sim:
            sim.run_steps(200)
            if engine == "cpu":
                assert any(op.fn is function for op, _ in sim.plan.compiled)
            if not within:
                change()
            sim.run_steps(200)
            return np.array(sim.data[probe])

    return run_case


@pytest.mark.parametrize("within", [False, True], ids=["between", "within"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_changes_are_seen(run, case, within):
    data, expected = run(case, "cpu", within), run(case, "reference", within)
    assert data.tobytes() == expected.tobytes()
    assert abs(expected[399] / expected[199]) != 2.0  # it was a change


def test_what_was_there_first_counts():
    namespace = {"gain": 1.0}
    watched, other = Guards(), Guards()
    watched.add_name(namespace, "gain")
    namespace["gain"] = 2.0
    watched.add_name(namespace, "gain")
    assert watched.have_changed()
    other.add_name(namespace, "gain")
    assert not other.have_changed()
    watched.update(other)
    assert watched.have_changed()
