"""Levels: higher than those of everything that an operator depends on, the first ones first."""

from hypothesis import given, settings
from hypothesis import strategies as st
from nengo.exceptions import BuildError
from test_graph import ROLES, Touch, touch

from nengo_jit.ir.signal import Signal
from nengo_jit.planner.graph import dependency_graph, topological_order
from nengo_jit.planner.levels import ancestors, levels


class Other(Touch):
    """Another type of operator that does nothing."""


@st.composite
def operators(draw, max_size=14):
    """Operators that can run: no memory is set or updated twice, and there is no cycle."""
    bases = [Signal(shape=8, name=f"base {i}", readonly=i == 0) for i in range(4)]
    pool = list(bases)
    for base in bases:
        for _ in range(3):
            start = draw(st.integers(0, 7))
            pool.append(base[start : draw(st.integers(start + 1, 8)) : draw(st.integers(1, 2))])
    writable = [signal for signal in pool if not signal.readonly]
    made = []
    for number in range(draw(st.integers(1, max_size))):
        roles = {
            role: draw(st.lists(st.sampled_from(signals), max_size=2, unique=True))
            for role, signals in zip(ROLES, (writable, writable, pool, writable))
        }
        operator = draw(st.sampled_from([Touch, Other]))(f"{number}", **roles)
        try:
            topological_order(dependency_graph([*made, operator]))
        except BuildError:
            continue
        made.append(operator)
    return made


def reachable(graph, start):
    """All operators that depend on ``start``, directly or not."""
    found, todo = set(), [start]
    while todo:
        for dependent in graph[todo.pop()]:
            if dependent not in found:
                found.add(dependent)
                todo.append(dependent)
    return found


def any_order(graph, ranks):
    """The topological order in which of all operators that are ready the lowest rank is next."""
    order, left = [], list(ranks)
    while left:
        waiting = {after for op in left for after in graph[op]}
        order.append(next(op for op in left if op not in waiting))
        left.remove(order[-1])
    return order


def chain(n):
    """Operators each of which reads what the one before it sets."""
    signals = [Signal(shape=1, name=f"{i}") for i in range(n + 1)]
    return [touch(f"{i}", reads=[signals[i]], sets=[signals[i + 1]]) for i in range(n)]


def test_a_chain_has_a_level_for_each_operator():
    ops = chain(5)
    assert levels(dependency_graph(ops), ops, set()) == {op: i for i, op in enumerate(ops)}


def test_independent_operators_share_the_lowest_level():
    ops = [touch(sets=[Signal(shape=1)]) for _ in range(3)]
    assert levels(dependency_graph(ops), ops, set()) == dict.fromkeys(ops, 0)


def test_the_longest_way_counts():
    a, b, c = (Signal(shape=1) for _ in range(3))
    top, middle = touch(sets=[a]), touch(reads=[a], sets=[b])
    bottom = touch(reads=[a, b], sets=[c])
    graph = dependency_graph([top, middle, bottom])
    level = levels(graph, topological_order(graph), set())
    assert [level[op] for op in (top, middle, bottom)] == [0, 1, 2]


def test_first_operators_come_before_all_others_even_where_they_must_wait():
    ops, others = chain(3), [touch(sets=[Signal(shape=1)]) for _ in range(2)]
    graph = dependency_graph([*others, *ops])
    order = topological_order(graph)
    level = levels(graph, order, {ops[1]})
    assert [level[op] for op in ops] == [0, 1, 2]
    assert [level[op] for op in others] == [2, 2]


def test_what_calls_python_waits_for_what_is_called_before_it():
    ops, other = chain(3), touch(sets=[Signal(shape=1)])
    graph = dependency_graph([*ops, other])
    order = [*ops, other]
    assert levels(graph, order, {*ops[1:], other}) == {**dict(zip(ops, range(3))), other: 2}
    assert levels(graph, order, {*ops[1:]})[other] == 3
    assert levels(graph, [other, *ops], {*ops[1:], other})[other] == 0


def test_levels_are_without_gaps_where_all_are_first():
    ops = chain(3)
    assert sorted(levels(dependency_graph(ops), ops, set(ops)).values()) == [0, 1, 2]


def test_nothing_has_no_levels():
    assert levels({}, [], set()) == {}
    assert ancestors({}, [], set()) == set()


def test_ancestors_of_nothing_are_nothing():
    ops = chain(3)
    assert ancestors(dependency_graph(ops), ops, set()) == set()


def test_ancestors_include_the_goal_and_all_it_waits_for():
    ops = chain(4)
    assert ancestors(dependency_graph(ops), ops, {ops[2]}) == set(ops[:3])


@settings(max_examples=80, deadline=None, derandomize=True)
@given(operators(), st.data())
def test_ancestors_are_those_from_which_a_goal_can_be_reached(ops, data):
    graph = dependency_graph(ops)
    goals = data.draw(st.sets(st.sampled_from(ops)) if ops else st.just(set()))
    expected = {op for op in ops if op in goals or reachable(graph, op) & goals}
    assert ancestors(graph, topological_order(graph), goals) == expected


@settings(max_examples=80, deadline=None, derandomize=True)
@given(operators(), st.data())
def test_levels_of_random_operators(ops, data):
    graph = dependency_graph(ops)
    callers = data.draw(st.sets(st.sampled_from(ops)) if ops else st.just(set()))
    order = any_order(graph, data.draw(st.permutations(ops)))
    first = ancestors(graph, order, callers)
    level = levels(graph, order, callers)
    assert level.keys() == graph.keys()
    for op in ops:
        assert all(level[after] > level[op] for after in reachable(graph, op))
    rest = [op for op in ops if op not in first]
    if first and rest:
        assert max(level[op] for op in first) < min(level[op] for op in rest)
    along = [level[op] for op in order if op in callers]
    assert along == sorted(along)
    # Operators that others depend on come just before these; the last ones, and the first part,
    # as early as can be.
    order.sort(key=lambda op: op not in first)
    earliest, latest = {}, 0
    for op in order:
        bottom = 0 if op in first else 1 + max((earliest[each] for each in first), default=-1)
        before = [other for other in ops if op in graph[other]]
        earliest[op] = max([bottom, *(earliest[other] + 1 for other in before)])
        if op in callers:
            latest = earliest[op] = max(latest, earliest[op])
    for op in ops:
        if op in first or not graph[op]:
            assert level[op] == earliest[op]
        else:
            assert level[op] == min(level[after] for after in graph[op]) - 1
    assert set(level.values()) == set(range(len(set(level.values()))))


@settings(max_examples=80, deadline=None, derandomize=True)
@given(operators(max_size=25), st.data())
def test_calls_in_nengos_order_need_no_more_levels(ops, data):
    """Nengo's order is by levels itself."""
    graph = dependency_graph(ops)
    order = topological_order(graph)
    callers = data.draw(st.sets(st.sampled_from(ops)) if ops else st.just(set()))
    first = ancestors(graph, order, callers)
    level = levels(graph, order, callers)
    for op in first:
        before = [level[other] for other in ops if op in graph[other]]
        assert level[op] == 1 + max(before, default=-1)
