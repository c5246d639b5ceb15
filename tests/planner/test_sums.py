"""Increments of the same bytes keep nengo's order."""

import numpy as np
import pytest

from nengo_jit.builder.operator import Copy
from nengo_jit.builder.signal import Signal
from nengo_jit.planner.graph import dependency_graph, overlap, topological_order
from nengo_jit.planner.sums import with_sums_in_order


def reachable(graph, operator):
    found, left = set(), [operator]
    while left:
        for each in graph[left.pop()]:
            if each not in found:
                found.add(each)
                left.append(each)
    return found


@pytest.mark.parametrize("seed", range(20))
def test_operators_that_increment_the_same_bytes_are_in_order(seed):
    rng = np.random.RandomState(seed)
    bases = [Signal(np.zeros(10)) for _ in range(2)]
    operators = []
    for _ in range(12):
        first, last = sorted(rng.choice(11, 2, replace=False))
        part = bases[rng.randint(2)][first : last : rng.choice([1, 1, 2])]
        operators.append(Copy(Signal(np.zeros(part.size)), part, inc=True))
    graph = dependency_graph(operators)
    order = topological_order(graph)
    ordered = with_sums_in_order(graph, order)
    for i, earlier in enumerate(order):
        later = reachable(ordered, earlier)
        for other in order[i + 1 :]:
            if overlap([earlier.dst], [other.dst]):
                assert other in later
        assert not later & set(order[:i])
        assert set(graph[earlier]) <= set(ordered[earlier])


def test_parts_that_do_not_overlap_stay_independent():
    base = Signal(np.zeros(100))
    operators = [Copy(Signal(np.zeros(1)), base[i : i + 1], inc=True) for i in range(100)]
    whole = Copy(Signal(np.zeros(100)), base, inc=True)
    graph = with_sums_in_order(dependency_graph([*operators, whole]), [*operators, whole])
    assert all(graph[each] == [whole] for each in operators)


def test_a_part_within_a_whole_leaves_both_ends():
    base = Signal(np.zeros(10))
    whole, middle, left, right = (
        Copy(Signal(np.zeros(part.size)), part, inc=True)
        for part in (base, base[3:5], base[:3], base[5:])
    )
    order = [whole, middle, left, right]
    assert with_sums_in_order(dependency_graph(order), order)[whole] == [middle, left, right]


def test_empty_signals_do_not_matter():
    base = Signal(np.zeros(4))
    empty, whole = (Copy(Signal(np.zeros(s.size)), s, inc=True) for s in (base[2:2], base))
    assert with_sums_in_order(dependency_graph([empty, whole]), [empty, whole])[empty] == []
