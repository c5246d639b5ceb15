"""The order of operators: right, nengo's, and found in linear time."""

from itertools import pairwise

import nengo
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nengo.exceptions import BuildError
from nengo.utils.graphs import toposort
from nengo.utils.simulator import operator_dependency_graph

from nengo_jit.builder import Model
from nengo_jit.ir.base import Operator
from nengo_jit.ir.operator import Copy, DotInc, Reset
from nengo_jit.ir.signal import Signal
from nengo_jit.planner.graph import dependency_graph, find_cycle, region_of, topological_order

ROLES = ("sets", "incs", "reads", "updates")


class Touch(Operator):
    """An operator that does nothing but touch signals."""

    def make_step(self, signals, dt, rng):
        return lambda: None


def touch(tag="", **roles):
    return Touch(tag, **{role: roles.get(role, []) for role in ROLES})


def in_order(*operators):
    return topological_order(dependency_graph(operators))


def test_set_before_inc_before_read_before_update():
    signal = Signal(shape=3)
    by_role = {role: touch(role, **{role: [signal]}) for role in ROLES}
    shuffled = [by_role[role] for role in ("updates", "reads", "incs", "sets")]
    assert in_order(*shuffled) == [by_role[role] for role in ROLES]


def test_views_that_overlap_depend_on_each_other():
    signal = Signal(np.zeros(6))
    reads = touch(reads=[signal[2:4]])
    sets = touch(sets=[signal[3:6]])
    assert in_order(reads, sets) == [sets, reads]


def test_views_that_do_not_overlap_are_independent():
    signal = Signal(np.zeros(6))
    reads, sets = touch(reads=[signal[:3]]), touch(sets=[signal[3:]])
    assert dependency_graph([reads, sets]) == {reads: [], sets: []}


def test_interleaved_views_count_as_overlapping():
    signal = Signal(np.zeros(6))
    reads, incs = touch(reads=[signal[::2]]), touch(incs=[signal[1::2]])
    assert dependency_graph([reads, incs]) == {reads: [], incs: [reads]}


@pytest.mark.parametrize("role", ["sets", "updates"])
def test_setting_or_updating_twice_names_both_operators(role):
    signal = Signal(np.zeros(4), name="shared")
    first, second = touch("first", **{role: [signal[:3]]}), touch("second", **{role: [signal[2:]]})
    with pytest.raises(BuildError, match=r"shared.*first.*second"):
        dependency_graph([first, second])


def test_setting_one_part_by_two_views_names_both_operators():
    base = Signal(np.zeros(8), name="shared")
    operators = [touch(name, sets=[base[2:4]]) for name in ("first", "second")]
    with pytest.raises(BuildError, match=r"shared.*first.*second"):
        dependency_graph(operators)


def test_one_view_inside_another_is_found_beyond_a_third():
    signal = Signal(np.zeros(9), name="shared")
    whole = touch("whole", sets=[signal[0:9]])
    parts = [touch(f"part {i}", sets=[signal[i : i + 1]]) for i in (1, 5)]
    with pytest.raises(BuildError, match=r"whole.*part 1"):
        dependency_graph([*parts, whole])


def test_neighbouring_views_may_each_be_set():
    signal = Signal(np.zeros(4))
    dependency_graph([touch(sets=[signal[:2]]), touch(sets=[signal[2:]])])


def test_a_cycle_names_its_operators():
    a, b = Signal(shape=1), Signal(shape=1)
    there, back = touch("there", sets=[a], reads=[b]), touch("back", sets=[b], reads=[a])
    outside = touch("outside", reads=[a])
    with pytest.raises(BuildError, match="cycles") as info:
        in_order(outside, there, back)
    assert "there" in str(info.value)
    assert "back" in str(info.value)
    assert "outside" not in str(info.value)


def test_an_operator_that_waits_for_itself_is_a_cycle():
    signal = Signal(shape=1)
    operator = touch("selfish", reads=[signal], updates=[signal])
    graph = dependency_graph([operator])
    assert find_cycle(graph, set()) == [operator, operator]
    with pytest.raises(BuildError, match="selfish"):
        topological_order(graph)


def test_a_cycle_is_written_in_the_order_of_waiting():
    signals = [Signal(shape=1) for _ in range(3)]
    ring = [touch(str(i), sets=[signals[i]], reads=[signals[i - 1]]) for i in range(3)]
    graph = dependency_graph(ring)
    cycle = find_cycle(graph, set())
    assert cycle[0] is cycle[-1]
    assert all(after in graph[before] for before, after in pairwise(cycle))


def test_a_network_without_synapses_in_a_loop_names_its_connections():
    with nengo.Network() as net:
        a, b = nengo.Node(size_in=1, label="one"), nengo.Node(size_in=1, label="two")
        nengo.Connection(a, b, synapse=None)
        nengo.Connection(b, a, synapse=None)
    model = Model()
    model.build(net)
    with pytest.raises(BuildError, match=r"cycles(.|\n)*'one'(.|\n)*'two'"):
        in_order(*model.operators)


def test_an_operator_without_roles_is_named():
    class Silent(Touch):
        pass

    with pytest.raises(BuildError, match=r"Silent.*'sets'"):
        dependency_graph([Silent()])


@given(st.data())
@settings(max_examples=100, deadline=None, derandomize=True)
def test_regions_are_what_numpy_says_overlaps(data):
    base = Signal(np.zeros((5, 6)))

    def draw_view():
        bounds = st.integers(0, 6)
        steps = st.sampled_from([-2, -1, 1, 2])
        index = tuple(
            slice(data.draw(bounds), data.draw(bounds), data.draw(steps)) for _ in range(2)
        )
        return base[index]

    a, b = draw_view(), draw_view()
    (a_start, a_stop), (b_start, b_stop) = region_of(a), region_of(b)
    overlap = max(a_start, b_start) < min(a_stop, b_stop)
    assert overlap == np.may_share_memory(a.initial_value, b.initial_value)


@given(st.data())
@settings(max_examples=150, deadline=None, derandomize=True)
def test_order_is_nengos_on_random_operators(data):
    """Random operators on views of a few signals, without double sets and updates."""
    bases = [Signal(np.zeros(8), name=f"base{i}") for i in range(3)]
    pool = []
    for base in bases:
        for _ in range(4):
            start = data.draw(st.integers(0, 7))
            pool.append(base[start : data.draw(st.integers(start + 1, 8))])
        pool.append(base)
    operators, taken = [], {"sets": [], "updates": []}
    for number in range(data.draw(st.integers(1, 12))):
        roles = {}
        for role in ROLES:
            chosen = data.draw(st.lists(st.sampled_from(pool), max_size=2, unique=True))
            if role in taken:
                free = []
                for signal in chosen:
                    if not any(signal.may_share_memory(other) for other in taken[role]):
                        taken[role].append(signal)
                        free.append(signal)
                chosen = free
            roles[role] = chosen
        operators.append(touch(str(number), **roles))
    theirs = operator_dependency_graph(operators)
    ours = dependency_graph(operators)
    assert {op: list(dependents) for op, dependents in theirs.items()} == ours
    try:
        expected = toposort(theirs)
    except BuildError:
        with pytest.raises(BuildError, match="cycles"):
            topological_order(ours)
    else:
        assert topological_order(ours) == expected


def test_many_slices_of_one_signal_take_linear_work(monkeypatch):
    """Counted, not timed: an ensemble array's node, written and read by slices and as a whole."""
    work = 0

    def count(region):
        nonlocal work
        work += 1
        return comparison(region)

    def edges(n):
        nonlocal work
        node, source = Signal(np.zeros(n)), Signal(np.zeros(n))
        out, weights = Signal(np.zeros(n)), Signal(np.zeros((n, n)))
        operators = [Reset(node), Reset(out)]
        operators += [Copy(source[i : i + 1], node[i : i + 1], inc=True) for i in range(n)]
        operators += [Copy(node[i : i + 1], out[i : i + 1], inc=True) for i in range(n)]
        operators += [DotInc(weights, node, out)]
        graph = dependency_graph(operators)
        assert len(topological_order(graph)) == len(operators)
        return sum(len(dependents) for dependents in graph.values())

    from nengo_jit.planner import graph as module

    comparison = module.region_of
    monkeypatch.setattr(module, "region_of", count)
    small, work_small = edges(50), work
    work = 0
    large, work_large = edges(500), work
    assert large <= 10 * small
    assert work_large <= 10 * work_small
