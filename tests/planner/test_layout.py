"""The layout: every writable signal once, the operands of the biggest group side by side."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_graph import touch
from test_levels import operators

from nengo_jit.ir.memory import SignalDict, address
from nengo_jit.ir.operator import Copy, DotInc, Reset
from nengo_jit.ir.signal import Signal
from nengo_jit.planner.graph import dependency_graph, topological_order
from nengo_jit.planner.layout import layout
from nengo_jit.planner.levels import levels
from nengo_jit.planner.merge import Group, merge


def vector(n=3, name=None, **options):
    return Signal(np.zeros(n), name=name, **options)


def group(*members, level=0):
    return Group(level, type(members[0]).__name__, members)


def test_each_operand_of_a_group_is_a_run():
    sources, targets = [vector() for _ in range(4)], [vector() for _ in range(4)]
    runs = layout([group(*(Copy(a, b) for a, b in zip(sources, targets)))])
    assert runs == (tuple(targets), tuple(sources))


def test_the_group_that_touches_most_is_served_first():
    a, b = vector(10, "a"), vector(10, "b")
    small = group(Reset(a))
    large = group(Copy(b, vector(10, "c")), Copy(a, vector(10, "d")))
    for groups in ([small, large], [large, small]):
        assert [signal.name for run in layout(groups) for signal in run] == ["c", "d", "b", "a"]


def test_what_an_earlier_group_placed_stays_there():
    signals = [vector(name=str(i)) for i in range(3)]
    large = group(*(touch(sets=[signal], reads=[vector(9)]) for signal in signals))
    small = group(*map(Reset, reversed(signals)))
    runs = layout([small, large])
    assert runs[0] == tuple(signals)
    assert len(runs) == 2


def test_matrices_do_not_count_and_are_placed_all_the_same():
    matrix = Signal(np.zeros((100, 2)), name="matrix")
    few = group(DotInc(matrix, vector(2, "x"), vector(100, "y")))
    many = group(*(Reset(vector(60)) for _ in range(2)))
    runs = layout([few, many])
    assert runs[0] == tuple(op.dst for op in many.members)
    assert (matrix,) in runs


def test_views_stand_for_their_bases():
    base = vector(8, "base")
    runs = layout([group(Reset(base[:3]), Reset(base[5:]))])
    assert runs == ((base,),)


def test_constants_and_sparse_matrices_are_not_laid_out():
    scipy_sparse = pytest.importorskip("scipy.sparse")
    sparse = Signal(scipy_sparse.csr_matrix(np.eye(3)), name="sparse")
    constant, y = vector(readonly=True), vector(name="y")
    assert layout([group(touch(reads=[sparse, constant[1:]], incs=[y]))]) == ((y,),)


def test_members_with_different_numbers_of_operands():
    a, b, c = (vector(name=name) for name in "abc")
    assert layout([group(touch(sets=[a]), touch(sets=[b, c]))]) == ((a, b), (c,))


def test_an_operator_that_touches_nothing():
    assert layout([group(touch())]) == ()
    assert layout([]) == ()


def test_runs_have_no_gaps_in_memory():
    signals = [vector(n, str(n)) for n in (1, 3, 5, 7)]
    memory = SignalDict()
    memory.allocate_runs(layout([group(*map(Reset, signals))]))
    for before, after in pairwise(signals):
        assert address(memory[after]) == address(memory[before]) + before.nbytes


def elements(group):
    """How many elements of writable vectors a group touches."""
    return sum(
        signal.size
        for op in group.members
        for signal in (*op.sets, *op.incs, *op.reads, *op.updates)
        if signal.ndim < 2 and not signal.base.readonly
    )


@settings(max_examples=80, deadline=None, derandomize=True)
@given(operators(), st.randoms(use_true_random=False))
def test_layout_of_random_operators(ops, random):
    graph = dependency_graph(ops)
    groups = merge(ops, levels(graph, topological_order(graph), set()))
    runs = layout(groups)
    listed = [signal for run in runs for signal in run]
    needed = {signal.base for op in ops for signal in op.all_signals if not signal.readonly}
    assert len(listed) == len(set(listed))
    assert set(listed) == needed
    assert all(runs)
    assert layout(groups) == runs
    if groups and max(map(elements, groups)):
        biggest = max(groups, key=elements)
        placed = set()
        for column in range(8):
            run = []
            for op in biggest.members:
                operands = [*op.sets, *op.incs, *op.reads, *op.updates]
                if column < len(operands):
                    base = operands[column].base
                    if not base.readonly and base not in placed:
                        placed.add(base)
                        run.append(base)
            if run:
                assert tuple(run) in runs


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=20))
def test_operands_of_the_biggest_group_are_adjacent_in_memory(sizes):
    sources, targets = [vector(n) for n in sizes], [vector(n) for n in sizes]
    copies = [Copy(a, b) for a, b in zip(sources, targets)]
    graph = dependency_graph([*map(Reset, reversed(sources)), *copies])
    groups = merge(list(graph), levels(graph, topological_order(graph), set()))
    memory = SignalDict()
    memory.allocate_runs(layout(groups))
    for signals in (sources, targets):
        for before, after in pairwise(signals):
            assert address(memory[after]) == address(memory[before]) + before.nbytes
