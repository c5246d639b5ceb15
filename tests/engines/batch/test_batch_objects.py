"""Which states of Python objects each member has for itself."""

from collections import deque
from functools import partial
from random import Random
from types import SimpleNamespace

import nengo
import numpy as np
import pytest

import nengo_jit
from nengo_jit.engines.batch.objects import LARGEST, objects_of


class Nested:
    def __init__(self):
        self.total = 0


class Stateful:
    def __init__(self):
        self.number, self.array, self.rebound = 0, np.zeros(2), [0]
        self.items, self.names, self.queue = [], {}, deque()
        self.nested = Nested()

    def __call__(self, t):
        self.number += 1
        self.array += 1
        self.rebound = [*self.rebound, 1]
        self.items.append(1)
        self.names[self.number] = 1
        self.queue.append(1)
        self.nested.total += 1
        sizes = map(len, (self.rebound[1:], self.items, self.names, self.queue))
        return [self.number, self.array[1], self.nested.total, *sizes]


class Slots:
    __slots__ = ("__late", "array", "number")

    def __init__(self):
        self.number, self.array = 0, np.zeros(1)

    def __call__(self, t):
        if self.number == 0:
            self.__late = 0
        self.__late += 1
        self.number += 1
        self.array += 1
        return [self.number, self.array[0], self.__late]


class Late:
    def __call__(self, t):
        self.count = getattr(self, "count", 0) + 1
        return self.count


class Counter:
    def __init__(self):
        self.count, self.array = 0, np.zeros(1)

    def up(self):
        self.count += 1
        self.array += 1
        return (self.count + self.array[0]) / 2


class Deep:
    """A function with a state in collections, and behind functions."""

    def __init__(self):
        other = Counter()
        self.arrays = {"a": np.zeros(1), "b": [np.zeros(1)]}
        self.lists, self.dicts = [[0], [0]], {"a": {"b": 0}}
        self.counters, self.pair = [Counter(), Counter()], (Counter(), np.zeros(1))
        self.method, self.partial, self.function = other.up, partial(Counter.up, Counter()), Late()
        self.me = self

    def __call__(self, t):
        self.arrays["a"] += 1
        self.arrays["b"][0][:] += 1
        self.lists[1][0] += 1
        self.dicts["a"]["b"] += 1
        self.me.pair[1][0] += 1
        return [
            *(self.arrays["a"][0], self.arrays["b"][0][0], self.lists[1][0], self.dicts["a"]["b"]),
            *(self.counters[1].up(), self.pair[0].up(), self.pair[1][0]),
            *(self.method(), self.partial(), self.function(t)),
        ]


def with_attributes():
    def function(t):
        function.count += 1
        return function.count

    function.count = 0
    return function


def with_contents():
    counters, arrays = [Counter(), Counter()], {"a": [np.zeros(1)]}
    names = SimpleNamespace(count=0, array=np.zeros(1))

    def function(t):
        arrays["a"][0][:] += 1
        names.count += 1
        names.array += 1
        return [counters[1].up(), arrays["a"][0][0], names.count, names.array[0]]

    return function


class SavesItself:
    def __init__(self):
        self.hidden = iter(range(1000))
        self.count = 0

    def state(self):
        return self.count

    def load_state(self, state):
        self.count, self.hidden = state, iter(range(state, 1000))

    def __call__(self, t):
        self.count = next(self.hidden) + 1
        return self.count


def with_enclosing_variables():
    count, array = 0, np.zeros(1)
    queue, rng = deque([0, 0], maxlen=2), np.random.RandomState(0)

    def function(t):
        nonlocal count
        count += 1
        array[0] += 1
        queue.append(count)
        rng.uniform()
        return [count, array[0], queue[-1], rng.get_state()[2] / 2]

    return function


def with_keywords(t, *, kept=np.zeros(1)):  # noqa: B008
    kept[0] += 1
    return kept[0]


COUNTED = 0


def of_a_module(t):
    global COUNTED
    COUNTED += 1
    return COUNTED


@pytest.fixture(autouse=True)
def begin_anew():
    global COUNTED
    COUNTED = 0
    with_keywords.__kwdefaults__["kept"][0] = 0


@pytest.mark.parametrize("engine", ["cpu", "reference"])
@pytest.mark.parametrize(
    ("make", "size"),
    [
        (Stateful, 7),
        (SavesItself, 1),
        (with_enclosing_variables, 4),
        (lambda: with_keywords, 1),
        (lambda: of_a_module, 1),
        (lambda: Stateful().__call__, 7),
        (Slots, 3),
        (Late, 1),
        (Deep, 10),
        (with_attributes, 1),
        (with_contents, 4),
    ],
)
def test_each_member_counts_for_itself(make, size, engine):
    with nengo.Network() as net:
        probe = nengo.Probe(nengo.Node(make(), size_out=size))
    with nengo_jit.Simulator(net, batch=3, engine=engine) as sim:
        sim.run_steps(150)
        sim.run_steps(20)
        expected = np.arange(1, 171)[:, np.newaxis] * np.ones(size)
        if make is with_enclosing_variables:  # the generator begins at its end
            expected[:, 3] = sim.data[probe][0, :, 3]
        np.testing.assert_array_equal(sim.data[probe], [expected] * 3)


@pytest.mark.parametrize("engine", ["cpu", "reference"])
def test_each_member_draws_for_itself(engine):
    rng, numbers = Random(3), Random(3)
    with nengo.Network() as net:
        probe = nengo.Probe(nengo.Node(lambda t: rng.random(), size_out=1))
    rng.seed(3)
    with nengo_jit.Simulator(net, batch=2, engine=engine) as sim:
        sim.run_steps(20)
        expected = [[numbers.random()] for _ in range(20)]
        np.testing.assert_array_equal(sim.data[probe], [expected] * 2)


def test_what_all_members_share():
    seen, table = [], np.ones(LARGEST)  # eight megabytes
    names = {}

    def function(t):
        seen.append(t)
        names[len(seen)] = t
        table[0] += 1
        return table[0]

    with nengo.Network() as net:
        probe = nengo.Probe(nengo.Node(function, size_out=1))
    with nengo_jit.Simulator(net, batch=2) as sim:
        sim.run_steps(4)
        assert len(seen) == len(names) == 8
        assert sim.data[probe][:, -1].max() == 9


def test_objects_of_libraries_are_left_alone():
    class Holder:
        def __init__(self, net):
            self.net = net

        def __call__(self, t):
            self.net.label = str(t)
            return 0.0

    with nengo.Network() as net:
        nengo.Node(Holder(net))
    with nengo_jit.Simulator(net) as sim:
        sim.run_steps(2)
        states = objects_of(sim._engine).save()
        net.label = "changed"
        for restore in states:
            restore()
        assert net.label == "changed"
