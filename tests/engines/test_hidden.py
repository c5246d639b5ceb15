"""What a state cannot hold is known; plain functions are not suspected."""

import functools
import math

import nengo
import numpy as np
import pytest

from nengo_jit.builder import Model
from nengo_jit.engines.hidden import changeable, changeable_of, hides_state, lasts, may_change
from nengo_jit.ir.base import Operator
from nengo_jit.ir.neurons import SimNeurons
from nengo_jit.ir.signal import Signal

FACTOR, HISTORY = 2.0, []
NEURONS = [
    *[nengo.LIF(), nengo.AdaptiveLIF(tau_n=0.2), nengo.Izhikevich(), nengo.Sigmoid()],
    *[nengo.PoissonSpiking(nengo.Tanh()), nengo.RegularSpiking(nengo.LIFRate())],
]


def by_a_constant(t):
    return FACTOR * t


def into_a_list(t):
    HISTORY.append(t)
    return len(HISTORY)


def through_others(t):
    return by_a_constant(t) + math.sin(t)


def through_others_into_a_list(t):
    return through_others(t) + into_a_list(t)


def inner(t):
    def inside():
        return len(HISTORY)

    return inside()


def recursive(t):
    return t if t <= 0 else recursive(t - 1)


def enclosing(value):
    return lambda t: (value, t)[1]


def counting():
    n = 0

    def step(t):
        nonlocal n
        n += 1
        return n

    return step


def by_global(t):
    global FACTOR
    FACTOR = FACTOR + 0.0
    return FACTOR


def with_inner_variable(t):
    n = 0

    def step():
        nonlocal n
        n += 1

    step()
    return n


def with_default(t, known={}):  # noqa: B006
    return known.setdefault(t, t)


class Callable:
    def __call__(self, t):
        return t

    def method(self, t):
        return t


def with_attribute():
    def function(t):
        return t

    function.count = 0
    return function


def wrapped():
    @functools.wraps(by_a_constant)
    def function(t):
        return t

    return function


class OfAClass:
    """A class with a state."""

    n = 0

    @classmethod
    def up(cls):
        cls.n += 1


class WithItems:
    items = []


class Plain:
    """A class without a state, whose objects have one."""

    names, limit = ("a", "b"), 3

    def __init__(self):
        self.value = 0


def of_a_class(t):
    OfAClass.n += 1


def by_a_class(t):
    return OfAClass.up()


def by_items_of_a_class(t):
    return len(WithItems.items)


def by_a_plain_class(t):
    plain = Plain()
    plain.value = t
    return plain.value + Plain.limit


def of_itself(t):
    of_itself.count = t


class Behind:
    def __call__(self, t):
        return len(HISTORY)


def read_only():
    array = np.arange(3.0)
    array.setflags(write=False)
    return array


@pytest.mark.parametrize(
    "function",
    [
        *[np.sin, math.cos, abs, lambda t: t + 1, by_a_constant, through_others, recursive],
        *[with_inner_variable, by_a_plain_class],
        *[enclosing(value) for value in (1, "a", None, (1, (2.0,)), np.float64(3), nengo.LIF())],
        *[enclosing(value) for value in (np, np.tanh, by_a_constant, read_only())],
        wrapped(),
        functools.partial(enclosing, 3),
    ],
)
def test_functions_of_what_stays_as_it_is(function):
    assert not may_change(function)


@pytest.mark.parametrize(
    "function",
    [
        *[into_a_list, through_others_into_a_list, inner, counting(), by_global, with_default],
        *[with_attribute(), of_itself, of_a_class, by_a_class, by_items_of_a_class],
        *[Callable(), Callable().method, HISTORY.append, np.random.RandomState(0).uniform],
        *[enclosing(value) for value in ([], {}, (1, []), np.zeros(3), Callable())],
        functools.partial(enclosing, []),
        functools.partial(into_a_list),
    ],
)
def test_functions_of_what_may_change(function):
    assert may_change(function)


def test_an_empty_cell_is_no_error():
    def make():
        def function(t):
            return later

        if False:
            later = 1
        return function

    assert not may_change(make())


class Remembering(nengo.RectifiedLinear):
    """Counts its steps."""

    def __init__(self, **options):
        super().__init__(**options)
        self.tau, self.steps = 0.1, []

    def step(self, dt, J, output):
        self.steps.append(dt)
        output[...] = len(self.steps)


@pytest.mark.parametrize("neurons", [*NEURONS, Remembering()], ids=lambda each: type(each).__name__)
def test_neuron_types(neurons):
    operator = SimNeurons(neurons, Signal(np.zeros(2)), Signal(np.zeros(2)))
    assert hides_state(operator) == isinstance(neurons, Remembering)


class Foreign(Operator):
    def make_step(self, signals, dt, rng):
        return lambda: None


def test_operators():
    with nengo.Network(seed=0) as net:
        nengo.Node(into_a_list, label="suspect")
        nengo.Node(by_a_constant, label="plain")
        ensemble = nengo.Ensemble(5, 1, noise=nengo.processes.WhiteNoise())
        learned = nengo.Connection(ensemble, ensemble, learning_rule_type=nengo.PES())
        nengo.Connection(ensemble, learned.learning_rule)
        nengo.Ensemble(5, 1, neuron_type=nengo.PoissonSpiking(nengo.Tanh()))
        nengo.Node(nengo.processes.Piecewise({0: into_a_list}), label="process")
    model = Model()
    model.build(net)
    foreign = Foreign("foreign", sets=[], incs=[], reads=[], updates=[])
    model.add_op(foreign)
    hidden = [operator for operator in model.operators if hides_state(operator)]
    assert len(hidden) == 3
    assert "suspect" in str(hidden[0])
    assert hidden[1].process.data == {0: into_a_list}
    assert hidden[2] is foreign


class Lasting(Callable):
    """An object that saves its state."""

    def state(self):
        return 0

    def load_state(self, state):
        pass


GENERATOR, SAVED, BEHIND = np.random.RandomState(0), Lasting(), Behind()


def by_a_generator(t):
    return GENERATOR.normal() + SAVED.method(t)


@pytest.mark.parametrize(
    "function, found",
    [
        (by_a_generator, [GENERATOR, SAVED]),
        (GENERATOR.uniform, [GENERATOR]),
        (SAVED, [SAVED]),
        (SAVED.method, [SAVED]),
        (functools.partial(math.pow, 2.0), []),
        (functools.partial(SAVED.method, HISTORY), [SAVED, HISTORY]),
        (enclosing((SAVED, HISTORY, 1)), [SAVED, HISTORY]),
        (HISTORY.append, [HISTORY]),
        (BEHIND, [BEHIND, HISTORY]),
    ],
)
def test_objects_that_may_change(function, found):
    assert sorted(map(id, changeable(function))) == sorted(map(id, found))


def test_objects_that_save_their_state():
    with nengo.Network() as net:
        for obj in (GENERATOR, np.random.default_rng(0), SAVED):
            assert lasts(obj)
        for obj in (HISTORY, Callable(), nengo.LIF(), len):
            assert not lasts(obj)
        nengo.Node(by_a_generator, label="saved")
        nengo.Node(enclosing((SAVED, HISTORY)), label="in part")
    model = Model()
    model.build(net)
    saved, partly = (each for each in model.operators if "SimPyFunc" in str(each))
    assert (hides_state(saved), hides_state(partly)) == (False, True)


def test_memory_of_an_operator_is_not_hidden():
    memory, other = np.zeros(3), np.zeros(3)
    foreign = Foreign("foreign", sets=[], incs=[], reads=[], updates=[])

    def step():
        return memory[0] + other[0]

    assert [each is other for each in changeable_of(foreign, step, [memory])] == [True]
    assert changeable_of(foreign, step, [memory, other]) == []
    assert changeable_of(foreign) == [foreign]
