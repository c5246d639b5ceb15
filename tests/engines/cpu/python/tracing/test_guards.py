"""What functions read may be replaced between runs, or within one: the next call sees it."""

import ctypes
import functools
import math
import sys
from types import CellType

import nengo
import numpy as np
import pytest
from nengo.params import FrozenObject, NumberParam

import nengo_jit
from nengo_jit.engines.cpu.python.tapes_in_use import Tracing
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


def closure_variable():
    gain = 1.0

    def change():
        nonlocal gain
        gain = 3.0

    return lambda t: gain * t, change


def closure_variable_of_helper():
    gain = 1.0

    def helper(t):
        return gain * t

    def change():
        nonlocal gain
        gain = 3.0

    return lambda t: helper(t), change


def function_of_partial():
    function = functools.partial(lambda t, gain: gain * t, gain=1.0)
    other = functools.partial(lambda t, gain: 3.0 * t, gain=1.0)
    return lambda t: function(t), lambda: function.__setstate__(other.__reduce__()[2])


def arguments_of_partial():
    function = functools.partial(lambda gain, t: gain * t, 1.0)
    return lambda t: function(t), lambda: function.__setstate__((function.func, (3.0,), {}, {}))


def mro_of_class():
    class Gains:
        gain = 1.0

    class Special(Gains):
        pass

    def change():
        Special.__bases__ = (type("Three", (), {"gain": 3.0}), Gains)

    return lambda t: Special.gain * t, change


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
    *(closure_variable, closure_variable_of_helper, function_of_partial, arguments_of_partial),
    *(
        mro_of_class,
        attribute_of_class,
        method_of_frozen_class,
        function_of_math,
        function_of_numpy,
    ),
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


def changeable_objects():
    """Kinds of objects that guards compare in memory, with changes that must be seen."""

    def variable():
        value = object()

        def function():
            return value

        def change(new):
            nonlocal value
            value = new

        (cell,) = function.__closure__
        return cell, lambda: change(object())

    def deleted_variable():
        cell, _ = variable()
        return cell, lambda: delattr(cell, "cell_contents")

    def function(name, value, **keywords):
        def function(x=1, *, y=2):
            return x, y

        vars(function).update(keywords)
        return function, lambda: setattr(function, name, value)

    def of_partial(change, **keywords):
        changed = functools.partial(max, 1, **keywords)
        return changed, lambda: change(changed)

    class Base:
        pass

    class Class(Base):
        pass

    return [
        variable(),
        deleted_variable(),
        function("__code__", changeable_objects.__code__.replace(co_name="other")),
        function("__defaults__", None),
        function("__defaults__", (2,)),
        function("__kwdefaults__", {"y": 3}),
        function("__kwdefaults__", None),
        of_partial(lambda each: each.__setstate__((min, (1,), {}, {}))),
        of_partial(lambda each: each.__setstate__((max, (2,), {}, {}))),
        of_partial(lambda each: each.keywords.update(key=abs)),
        of_partial(lambda each: each.keywords.update(key=float), key=abs),
        of_partial(lambda each: each.keywords.clear(), key=abs),
        (Class, lambda: setattr(Class, "__bases__", (type("Base", (), {}),))),
    ]


@pytest.mark.parametrize("index", range(len(changeable_objects())))
def test_changes_are_visible_in_memory(index):
    """Without words, a model of k nodes would take time in proportion to k squared."""
    value, change = changeable_objects()[index]
    guards = Guards()
    (guards.add_cell if isinstance(value, CellType) else guards.add_object)(value)
    words = guards.words()
    if not words:  # the items of a dictionary, in Python 3.13
        assert sys.version_info >= (3, 13)
        pytest.skip("only Python can compare it")

    def are_equal():
        return all(ctypes.c_int64.from_address(at).value == word for at, word in words)

    assert are_equal()
    change()
    assert not are_equal() and guards.have_changed()
    assert not guards.without_words().have_changed()


def test_a_variable_that_is_restored():
    """A tape after the change has the new value, and a tape after the restoration the old one."""
    gain = 1.0

    def set_gain(value, t):
        nonlocal gain
        gain = value + 0 * len(str(t))  # str: only Python can do that
        return t

    def simulate(engine):
        with nengo.Network() as net:
            probes = []
            for value in (3.0, 1.0):
                probes.append(nengo.Probe(nengo.Node(lambda t: gain * t)))
                nengo.Node(lambda t, value=value: set_gain(value, t))
                probes.append(nengo.Probe(nengo.Node(lambda t: gain * t + 1.0)))
        with nengo_jit.Simulator(net, engine=engine, progress_bar=False) as sim:
            sim.run_steps(150)
            sim.run_steps(150)
            return [np.array(sim.data[probe]) for probe in probes]

    assert np.array_equal(simulate("cpu"), simulate("reference"))


def test_one_check_for_neighbouring_calls_of_python(monkeypatch):
    """However many functions Python calls in a step, tapes after them are checked once."""
    checks = []

    def count(tracing):
        checks.append(tracing)
        check(tracing)

    check = Tracing._check
    monkeypatch.setattr(Tracing, "_check", count)
    with nengo.Network() as net:
        for i in range(20):
            source = nengo.Node(lambda t, i=i: i * math.sin(t))
            called = nengo.Node(lambda t, x: float(str(x[0])), size_in=1)
            nengo.Connection(source, called, synapse=None)
    with nengo_jit.Simulator(net, engine="cpu", progress_bar=False) as sim:
        sim.run_steps(200)
        assert len(sim.plan.compiled) == 20
        checks.clear()
        sim.run_steps(200)
    assert 0 < len(checks) <= 200
