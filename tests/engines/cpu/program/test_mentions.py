"""Code that mentions arrays of signals is found wherever functions, classes and objects lead."""

import functools
import types
import weakref

import nengo
import numpy as np
import pytest

import nengo_jit
from nengo_jit.builder.operator import Operator, SimPyFunc
from nengo_jit.builder.processes import SimProcess
from nengo_jit.builder.signal import Signal
from nengo_jit.engines.cpu.program.mentions import GETTING, mentioned

SIM = []


def plain(t):
    return np.sin(t)


def looks(t):
    return SIM[0].signals


def writes(t):
    SIM[0].setflags(write=True)


def by_name(t):
    return getattr(SIM[0], "signals")  # noqa: B009  the name is a string on purpose


def by_flags(t):
    SIM[0].flags.writeable = True


def by_key(t):
    SIM[0].flags["WRITEABLE"] = True


def calls_global(t):
    return looks(t)


def nested(t):
    return [(lambda: SIM[0].signals)() for _ in range(2)]


def closure():
    helper = looks
    return lambda t: helper(t)


def default(t, helper=looks):
    return helper(t)


def keyword(t, *, helper=looks):
    return helper(t)


class Monitor:
    def __call__(self, t):
        return self.look()

    def look(self):
        return SIM[0].signals

    @property
    def shown(self):
        return SIM[0].signals

    @staticmethod
    def static(t):
        return SIM[0].signals


class Blind:
    def __init__(self, helper=None):
        self.helpers = [helper]

    def __call__(self, t):
        return self.helpers[0](t)


module = types.ModuleType("users")
module.looks = looks


def of_a_module(t):
    return module.looks(t)


@functools.lru_cache
def cached(t):
    return SIM[0].signals


FOUND = [
    *(looks, writes, by_name, by_flags, by_key, calls_global, nested, closure(), default, keyword),
    *(Monitor(), Monitor().look, Monitor.static, Blind(looks), of_a_module, cached),
    functools.partial(looks, 0),
]


def operator_of(function):
    return SimPyFunc(None, function, Signal(0.0), None)


@pytest.mark.parametrize("function", FOUND)
def test_functions_that_mentioned(function):
    names = mentioned([operator_of(plain), operator_of(function)])
    opening = {writes: {"setflags"}, by_flags: {"writeable"}, by_key: {"WRITEABLE"}}
    assert names == opening.get(function, GETTING)


@pytest.mark.parametrize("function", [plain, Blind(), Blind(plain), np.sin, nengo.Lowpass(0.1)])
def test_functions_that_do_not(function):
    assert not mentioned([operator_of(function)])


def test_processes_and_operators():
    class Quiet(nengo.Process):
        def make_step(self, shape_in, shape_out, dt, rng, state):
            return lambda t: np.zeros(shape_out)

    class Curious(Quiet):
        def make_step(self, shape_in, shape_out, dt, rng, state):
            return lambda t: SIM[0].signals

    class Third(Operator):
        def make_step(self, signals, dt, rng):
            return lambda: SIM[0].setflags(write=True)

    def process(kind):
        return SimProcess(kind(), None, Signal(np.zeros(2)), Signal(0.0))

    assert not mentioned([process(Quiet)])
    assert mentioned([process(Curious)])
    assert mentioned([Third()])


def test_what_refers_to_itself_comes_to_an_end():
    blind = Blind()
    blind.helpers += [blind, blind.helpers]
    assert not mentioned([operator_of(blind)])


def strangers():
    """Objects that do not let themselves be looked at, by name."""

    class Strange(type):
        def __getattribute__(cls, name):
            raise RuntimeError(name)

    class Touchy(metaclass=Strange):
        def __getattribute__(self, name):
            raise RuntimeError(name)

    class AnswersForAll:
        def __getattr__(self, name):
            return lambda *arguments: name

        __dict__ = property(lambda self: self.anything)

    class LazyModule(types.ModuleType):
        def __getattribute__(self, name):
            raise RuntimeError(name)

    touchy, answers, lazy = Touchy(), AnswersForAll(), LazyModule("lazy")

    def function(t):
        return touchy, answers, lazy

    return {
        "object": touchy,
        "class": Touchy,
        "answers": answers,
        "module": lazy,
        "weakref": weakref.proxy(Monitor()),
        "function": function,
    }


@pytest.mark.parametrize("name", strangers())
def test_objects_that_do_not_let_themselves_be_looked_at_are_left_alone(name):
    blind = Blind()
    blind.helpers = [strangers()[name]]
    assert not mentioned([operator_of(blind)])


def test_what_a_container_says_of_itself_does_not_matter():
    class Lazy(dict):
        __len__ = __iter__ = values = get = None

    assert mentioned([operator_of(Blind(Lazy(a=looks)))]) == GETTING


def test_a_model_with_such_objects_runs():
    with nengo.Network() as net:
        kept = strangers()
        nengo.Probe(nengo.Node(lambda t: len(kept)))
    with nengo_jit.Simulator(net) as sim:
        sim.run_steps(3)
    assert sim.n_steps == 3


def test_long_lists_are_not_looked_through():
    blind = Blind()
    blind.helpers = [looks] * 1000
    assert not mentioned([operator_of(blind)])
