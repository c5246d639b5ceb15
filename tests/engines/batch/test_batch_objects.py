"""Which states of Python objects each member has for itself."""

import heapq
import warnings
from array import array
from collections import Counter, OrderedDict, UserDict, deque
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from random import Random
from types import ModuleType, SimpleNamespace

import nengo
import numpy as np
import pytest

import nengo_jit
from nengo_jit.engines.batch.objects import LARGEST, MOST_ITEMS, objects_of, restore

needs_jax = pytest.mark.skipif(find_spec("jax") is None, reason="JAX is not installed")
ENGINES = ("cpu", "reference", pytest.param("jax", marks=needs_jax))
each_engine = pytest.mark.parametrize("engine", ENGINES)


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


class Counting:
    def __init__(self):
        self.count, self.array = 0, np.zeros(1)

    def up(self):
        self.count += 1
        self.array += 1
        return (self.count + self.array[0]) / 2


class Deep:
    """A function with a state in collections, and behind functions."""

    def __init__(self):
        other = Counting()
        self.arrays = {"a": np.zeros(1), "b": [np.zeros(1)]}
        self.lists, self.dicts = [[0], [0]], {"a": {"b": 0}}
        self.counters, self.pair = [Counting(), Counting()], (Counting(), np.zeros(1))
        self.method, self.partial, self.function = (
            other.up,
            partial(Counting.up, Counting()),
            Late(),
        )
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
    counters, arrays = [Counting(), Counting()], {"a": [np.zeros(1)]}
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


def with_lists():
    """A function with a state in lists and dictionaries, as many write it."""
    state, last, queue, entries = {"v": 0, "in": {"v": 0}}, [0], [0, 0], {}
    heap, numbers, seen, both = [0], array("d", [0]), set(), {"a": [0], "b": []}
    named, ordered = Counter(), OrderedDict(a=0, b=0)

    def function(t):
        state["v"] += 1
        state["in"]["v"] = state["in"]["v"] + 1
        last[0] = last[0] + 1
        queue.append(queue[-1] + 1)
        queue.pop(0)
        entries.update(n=entries.setdefault("n", 0) + 1)
        heapq.heappush(heap, -len(heap))
        numbers[0] += 1
        seen.add(len(seen))
        both["a"][0] += 1
        named["a"] += 1
        ordered["a"] += 1
        ordered.move_to_end("a")
        sizes = (*queue[-1:], entries["n"], -heap[0], numbers[0], len(seen), *both["a"])
        return [state["v"], state["in"]["v"], *last, *sizes, named["a"], ordered["a"]]

    return function


def with_default(t, last=[0]):  # noqa: B006
    last[0] += 1
    return last[0]


STATE, RECORDED = {"v": 0}, []


def of_a_dictionary(t):
    STATE["v"] += 1
    return STATE["v"]


class Behind:
    """A function with a state that only its methods refer to."""

    n, last, made = 0, [0], []

    def __call__(self, t):
        self.up()
        self.last[0] += 1
        self.made.append(t)
        return [of_a_dictionary(t), Behind.n, self.last[0], len(Behind.made), OfAClass.up()]

    @classmethod
    def up(cls):
        cls.n += 1


class OfAClass:
    n = 0

    @staticmethod
    def up():
        OfAClass.n += 1
        return OfAClass.n


def of_a_class(t):
    OfAClass.n += 1
    return OfAClass.n


def of_a_method_of_a_class(t):
    return OfAClass.up()


def of_itself(t):
    of_itself.count = getattr(of_itself, "count", 0) + 1
    return of_itself.count


@dataclass
class Point:
    x: float = 0.0
    trace: list = field(default_factory=list)


def with_a_dataclass():
    point, namespace = Point(), SimpleNamespace(points=[Point()])
    data = UserDict(n=0)

    def function(t):
        point.x += 1
        point.trace.append(t)
        namespace.points[0].x += 1
        data["n"] += 1
        return [point.x, len(point.trace), namespace.points[0].x, data["n"]]

    return function


def with_a_partial():
    def up(last, t):
        last[0] += 1
        return last[0]

    bound = partial(up, [0])
    return lambda t: bound(t)


OTHER = ModuleType("other")
CODE = """
count, table = 0, {"v": 0}
def up():
    table["v"] += 1
    return table["v"]
"""


def of_another_module(t):
    OTHER.count += 1
    return [OTHER.count, OTHER.up()]


def of_an_imported_module():
    module = OTHER

    def function(t):
        module.count += 1
        return [module.count, module.up()]

    return function


@pytest.fixture(autouse=True)
def begin_anew():
    global COUNTED
    COUNTED = STATE["v"] = OfAClass.n = Behind.n = Behind.last[0] = 0
    with_default.__defaults__[0][0] = 0
    exec(CODE, vars(OTHER))
    Behind.made.clear()
    vars(of_itself).clear()
    with_keywords.__kwdefaults__["kept"][0] = 0


@each_engine
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
        (with_lists, 11),
        (lambda: with_default, 1),
        (lambda: of_a_dictionary, 1),
        (Behind, 5),
        (lambda: of_a_class, 1),
        (lambda: of_a_method_of_a_class, 1),
        (lambda: of_itself, 1),
        (with_a_dataclass, 4),
        (lambda: of_another_module, 2),
        (of_an_imported_module, 2),
        (with_a_partial, 1),
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


@each_engine
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
    names = {"a": set(), "b": []}

    def function(t):
        seen.append(t)
        names["a"].add((t, len(table)))
        names["b"].append(t)
        table[0] += 1
        return table[0]

    with nengo.Network() as net:
        probe = nengo.Probe(nengo.Node(function, size_out=1))
    with nengo_jit.Simulator(net, batch=2) as sim:
        sim.run_steps(4)
        assert len(seen) == len(names["b"]) == 8
        assert len(names["a"]) == 4
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
        restore(states)
        assert net.label == "changed"


@each_engine
def test_a_list_that_another_function_reads_does_not_collect(engine):
    queue = []
    with nengo.Network() as net:
        nengo.Node(lambda t: queue.append(t), size_out=0)
        probe = nengo.Probe(nengo.Node(lambda t: len(queue), size_out=1))
    with nengo_jit.Simulator(net, batch=3, engine=engine) as sim:
        sim.run_steps(20)
        np.testing.assert_array_equal(sim.data[probe][..., 0], [np.arange(1, 21)] * 3)


def test_a_long_list_is_data():
    data = [1.0] * (MOST_ITEMS + 1)
    with nengo.Network() as net:
        nengo.Node(lambda t: data[0])
    with nengo_jit.Simulator(net) as sim:
        assert not any(
            content.owner is data for content, _ in objects_of(sim._engine).save().values()
        )


def items():
    yield from range(1000)


@each_engine
@pytest.mark.parametrize(
    "iterator", [items(), iter([1, 2]), map(abs, [1.0])], ids=["yield", "iter", "map"]
)
def test_iterators_are_warned_of(iterator, engine):
    with nengo.Network() as net:
        nengo.Node(lambda t: next(iterator), size_out=1, label="reader")
    with pytest.warns(UserWarning, match="reader.*take items from the same one"):
        nengo_jit.Simulator(net, batch=2, engine=engine).close()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nengo_jit.Simulator(net, batch=1, engine=engine).close()


def test_files_that_are_written_are_not_warned_of(tmp_path):
    with open(tmp_path / "log", "w", encoding="ascii") as file, nengo.Network() as net:
        nengo.Node(lambda t: file.write(str(t)), size_out=0)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            nengo_jit.Simulator(net, batch=2).close()


@each_engine
def test_a_state_that_only_some_steps_change(engine):
    state = {"n": 0}

    def counts(t, x):
        if x[0] > 0.5:
            state["n"] = state["n"] + 1
        return state["n"]

    with nengo.Network() as net:
        source = nengo.Node([0.0])
        node = nengo.Node(counts, size_in=1, size_out=1)
        nengo.Connection(source, node, synapse=None)
        probe = nengo.Probe(node)
    rows = np.random.RandomState(0).randint(0, 2, (3, 30, 1))
    rows[:, :5] = 0
    with nengo_jit.Simulator(net, batch=3, engine=engine) as sim:
        sim.run_steps(20, inputs={source: rows[:, :20]})
        sim.run_steps(10, inputs={source: rows[:, 20:]})
        np.testing.assert_array_equal(sim.data[probe], np.cumsum(rows, axis=1))
