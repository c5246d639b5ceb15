"""Operators keep nengo's order with code that looks at their memory, and with nothing else."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st
from test_graph import touch

from nengo_jit.ir.signal import Signal
from nengo_jit.planner.graph import dependency_graph, topological_order
from nengo_jit.planner.looks import touches, with_looks


def signals(n):
    return [Signal(shape=2, name=f"{i}") for i in range(n)]


def reachable(graph, operator):
    found, pending = set(), [operator]
    while pending:
        for each in graph[pending.pop()]:
            if each not in found:
                found.add(each)
                pending.append(each)
    return found


def test_without_looks_nothing_is_added():
    a, b = signals(2)
    ops = touch(sets=[a]), touch(reads=[b]), touch(reads=[a])
    graph = dependency_graph(ops)
    assert with_looks(graph, ops, {}, ()) == graph
    assert with_looks(graph, ops, {ops[1]: ()}, ()) == graph


def test_readers_keep_their_place_beside_code_that_changes_what_it_reads():
    a, b = signals(2)
    before, looker, after, other = (touch(reads=[x]) for x in (a, a, a, b))
    order = [before, looker, after, other]
    graph = with_looks(dependency_graph(order), order, {looker: (a,)}, ())
    assert graph == {before: [looker], looker: [after], after: [], other: []}


def test_public_memory_orders_all_code():
    a, b = signals(2)
    first, op, second, hidden = touch(), touch(sets=[a]), touch(), touch(sets=[b])
    order = [first, op, hidden, second]
    graph = with_looks(dependency_graph(order), order, {first: (), second: ()}, {a})
    assert set(graph[first]) == {op, second}
    assert graph[op] == [second]
    assert graph[hidden] == []


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.integers(0, 10**6))
def test_any_two_of_which_one_looks_are_in_order(seed):
    rng = random.Random(seed)
    bases = signals(5)
    views = [*bases, *(base[:1] for base in bases)]
    ops = [touch(reads=rng.sample(views, rng.randint(0, 3))) for _ in range(12)]
    order = topological_order(dependency_graph(ops))
    lookers = {op: tuple(rng.sample(bases, rng.randint(0, 2))) for op in rng.sample(ops, 4)}
    public = set(rng.sample(bases, rng.randint(0, 2)))
    graph = with_looks(dependency_graph(ops), order, lookers, public)
    later = {op: reachable(graph, op) for op in ops}
    for i, one in enumerate(order):
        assert not later[one] & set(order[: i + 1])
        for other in order[i + 1 :]:
            for looker, op in ((one, other), (other, one)):
                if looker in lookers and touches(op, {*lookers[looker], *public}):
                    assert other in later[one]
