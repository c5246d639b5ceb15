"""What users change in Python objects between runs holds for all members."""

from array import array
from collections import deque
from random import Random

import nengo
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nengo_jit

GLOBAL = 0.0


class Part:
    __slots__ = ("number",)

    def __init__(self):
        self.number = 0.0


class Model:
    """A function with a state of every kind, which all depends on its input."""

    shared = 0.0

    def __init__(self):
        self.number, self.rebound = 0.0, np.zeros(3)
        self.array, self.list, self.names = np.zeros(3), [0.0, 0.0], {"a": 0.0, "b": {"c": 0.0}}
        self.queue, self.set, self.rng = deque([0.0] * 3, maxlen=3), set(), np.random.RandomState(1)
        self.part, self.numbers, self.random = Part(), array("d", [0.0, 0.0]), Random(3)
        self.longer = []
        self.closed, self.set_closed = closing()

    def __call__(self, t, x):
        global GLOBAL
        GLOBAL = GLOBAL + x[0]
        Model.shared = Model.shared + x[0]
        self.number += x[0]
        self.rebound = self.rebound + x[0]
        self.array += x[0]
        self.list[1] += x[0]
        self.names["a"] += x[0]
        self.names["b"]["c"] += x[0]
        self.queue.append(x[0])
        self.set.add(round(t, 3))
        self.part.number += x[0]
        self.numbers[1] += x[0]
        self.longer.append(x[0])
        return self.values(x[0])

    def values(self, x=0.0):
        names = sorted(f"{name}{value}" for name, value in self.names.items() if name != "b")
        return [
            *(GLOBAL, Model.shared, self.number, *self.rebound, *self.array, *self.list),
            *(self.names["a"], self.names["b"]["c"], len(names), *self.queue, len(self.set)),
            *(sum(self.longer), len(self.longer)),
            *(self.part.number, *self.numbers, self.closed(x)),
            *(self.rng.uniform() + x, self.random.random() + x),
        ]


def closing():
    inside = 0.0

    def function(x):
        nonlocal inside
        inside += x
        return inside

    def set_inside(value):
        nonlocal inside
        inside = value

    return function, set_inside


def set_global(model):
    global GLOBAL
    GLOBAL = 5.0


CHANGES = {
    "attribute": lambda model: setattr(model, "number", 10.0),
    "item of an array": lambda model: model.array.__setitem__(1, 7.0),
    "item of an array that is made anew": lambda model: model.rebound.__setitem__(2, 7.0),
    "another array": lambda model: setattr(model, "array", np.full(3, 3.0)),
    "item of a list": lambda model: model.list.__setitem__(0, 4.0),
    "another list": lambda model: model.list.__setitem__(slice(None), [2.0, 3.0]),
    "entry": lambda model: model.names.update(a=9.0),
    "new entry": lambda model: model.names.update(z=1.0),
    "entry of a dictionary in it": lambda model: model.names["b"].update(c=1.0),
    "end of a queue": lambda model: model.queue.append(8.0),
    "item of a queue": lambda model: model.queue.__setitem__(0, 8.0),
    "end of a list": lambda model: model.longer.append(1.0),
    "front of a list": lambda model: model.longer.pop(0),
    "set": lambda model: model.set.discard(0.001),
    "slot": lambda model: setattr(model.part, "number", 6.0),
    "class": lambda model: setattr(Model, "shared", 2.0),
    "global variable": set_global,
    "enclosing variable": lambda model: model.set_closed(3.0),
    "numbers": lambda model: model.numbers.__setitem__(0, 5.0),
    "generator": lambda model: model.rng.seed(5),
    "generator of Python": lambda model: model.random.seed(5),
}


@pytest.fixture(autouse=True)
def begin_anew():
    global GLOBAL
    GLOBAL = Model.shared = 0.0


def network():
    with nengo.Network(seed=0) as net:
        net.source = nengo.Node([0.0])
        net.model = Model()
        node = nengo.Node(net.model, size_in=1, size_out=len(Model().values()))
        nengo.Connection(net.source, node, synapse=None)
        net.probe = nengo.Probe(node)
    return net


def single(inputs, changes, n_steps):
    """Return the data of a simulation on nengo's terms: with changes after a number of steps."""
    global GLOBAL
    GLOBAL = Model.shared = 0.0
    net = network()
    net.source.output = nengo.processes.PresentInput(inputs, 0.001)
    with nengo_jit.Simulator(net, engine="reference", progress_bar=False) as sim:
        for change in changes:
            sim.run_steps(n_steps)
            change(net.model)
        sim.run_steps(n_steps)
        return sim.data[net.probe]


def check(engine, names, n_members, n_steps=3):
    global GLOBAL
    changes = [CHANGES[name] for name in names]
    rows = np.random.RandomState(0).randint(1, 9, (n_members, n_steps * (len(names) + 1), 1)) / 8
    expected = [single(each, changes, n_steps) for each in rows]
    GLOBAL = Model.shared = 0.0
    net = network()
    with nengo_jit.Simulator(net, batch=n_members, engine=engine, progress_bar=False) as sim:
        for number, change in enumerate([*changes, None]):
            steps = slice(number * n_steps, (number + 1) * n_steps)
            sim.run_steps(n_steps, inputs={net.source: rows[:, steps]})
            sim.state()  # which members take turns for
            if change is not None:
                change(net.model)
        np.testing.assert_array_equal(sim.data[net.probe], expected)


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("engine", ["cpu", "reference", "jax"])
def test_a_change_holds_for_all_members(engine, name):
    if engine == "jax":
        pytest.importorskip("jax")
    check(engine, [name], 3)


@given(names=st.lists(st.sampled_from(sorted(CHANGES)), max_size=5), n_members=st.integers(1, 4))
@settings(deadline=None, max_examples=15)
def test_any_changes_hold_for_all_members(names, n_members):
    check("cpu", names, n_members, 2)


def test_a_change_before_a_reset_and_before_a_state():
    count = 0

    def function(t):
        nonlocal count
        count += 1
        return count

    with nengo.Network() as net:
        probe = nengo.Probe(nengo.Node(function, size_out=1))
    with nengo_jit.Simulator(net, batch=2, progress_bar=False) as sim:
        sim.run_steps(3)
        count = 10
        sim.reset()
        sim.run_steps(2)
        np.testing.assert_array_equal(sim.data[probe][..., 0], [[11, 12]] * 2)


def test_a_simulator_is_put_into_a_list_after_it_is_made():
    sims = []
    with nengo.Network() as net:
        probe = nengo.Probe(nengo.Node(lambda t: sims[0].n_steps, size_out=1))
    with nengo_jit.Simulator(net, batch=2, progress_bar=False) as sim:
        sims.append(sim)
        sim.run_steps(2)
        assert sim.data[probe].shape == (2, 2, 1)
