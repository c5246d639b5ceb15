"""Which states of Python objects each member has for itself."""

from collections import deque

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
