"""Verification: a plan that is broken in any way is refused."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from test_graph import touch
from test_levels import operators

from nengo_jit.ir.operator import Copy, Reset
from nengo_jit.ir.signal import Signal
from nengo_jit.planner.graph import dependency_graph, topological_order
from nengo_jit.planner.layout import layout
from nengo_jit.planner.levels import levels
from nengo_jit.planner.merge import Group, merge
from nengo_jit.planner.verify import (
    PlanError,
    verify_calls,
    verify_deferred,
    verify_groups,
    verify_invariant,
    verify_layout,
    verify_order,
)


@pytest.fixture
def plan():
    """A chain of two operators beside a free one: operators, graph, order, groups, runs."""
    a, b, c = (Signal(np.zeros(2), name=name) for name in "abc")
    ops = [
        touch("sets", sets=[a]),
        touch("reads", reads=[a], sets=[b]),
        touch("free", sets=[c]),
    ]
    graph = dependency_graph(ops)
    order = topological_order(graph)
    groups = merge(ops, levels(graph, order, set()))
    return ops, graph, order, groups, layout(groups)


def test_a_plan_error_is_not_an_error_of_the_user():
    assert issubclass(PlanError, AssertionError)


def test_what_the_passes_make_is_accepted(plan):
    _, graph, order, groups, runs = plan
    verify_order(graph, order)
    verify_groups(graph, groups)
    verify_layout(groups, runs)


def test_an_order_that_lacks_an_operator(plan):
    _, graph, order, _, _ = plan
    with pytest.raises(PlanError, match="exactly once"):
        verify_order(graph, order[:-1])


def test_an_order_that_repeats_an_operator(plan):
    _, graph, order, _, _ = plan
    with pytest.raises(PlanError, match="exactly once"):
        verify_order(graph, [*order, order[0]])


def test_an_order_with_a_stranger(plan):
    _, graph, order, _, _ = plan
    with pytest.raises(PlanError, match="exactly once"):
        verify_order(graph, [*order, touch("stranger")])
    with pytest.raises(PlanError, match="exactly once"):
        verify_order(graph, [*order[:-1], touch("stranger")])


def test_an_order_that_is_the_wrong_way_round_names_both(plan):
    (sets, reads, free), graph, _, _, _ = plan
    with pytest.raises(PlanError, match=r"reads.*before.*sets"):
        verify_order(graph, [free, reads, sets])


def test_groups_that_lack_an_operator(plan):
    _, graph, _, groups, _ = plan
    with pytest.raises(PlanError, match="exactly once"):
        verify_groups(graph, groups[:-1])


def test_groups_that_repeat_an_operator(plan):
    _, graph, _, groups, _ = plan
    with pytest.raises(PlanError, match="exactly once"):
        verify_groups(graph, [*groups, groups[0]])


def test_groups_with_one_operator_twice_and_another_never(plan):
    (sets, reads, _), graph, _, _, _ = plan
    with pytest.raises(PlanError, match="exactly once"):
        verify_groups(graph, [Group(0, "", (sets, sets)), Group(1, "", (reads,))])


def test_groups_with_a_stranger(plan):
    _, graph, _, groups, _ = plan
    with pytest.raises(PlanError, match="exactly once"):
        verify_groups(graph, [*groups, Group(9, "", (touch("stranger"),))])


def test_a_group_with_members_that_depend_on_each_other(plan):
    (sets, reads, free), graph, _, _, _ = plan
    with pytest.raises(PlanError, match=r"reads.*sets"):
        verify_groups(graph, [Group(0, "", (sets, reads, free))])


def test_groups_that_are_the_wrong_way_round(plan):
    (sets, reads, free), graph, _, _, _ = plan
    with pytest.raises(PlanError, match=r"reads.*not come after.*sets"):
        verify_groups(graph, [Group(0, "", (reads, free)), Group(1, "", (sets,))])


def test_a_layout_that_lacks_a_signal(plan):
    *_, groups, runs = plan
    with pytest.raises(PlanError, match="exactly once"):
        verify_layout(groups, runs[:-1])


def test_a_layout_that_repeats_a_signal(plan):
    *_, groups, runs = plan
    with pytest.raises(PlanError, match="exactly once"):
        verify_layout(groups, (*runs, runs[0][:1]))


def test_a_layout_with_a_stranger(plan):
    *_, groups, runs = plan
    with pytest.raises(PlanError, match="exactly once"):
        verify_layout(groups, (*runs, (Signal(np.zeros(1)),)))
    with pytest.raises(PlanError, match="exactly once"):
        verify_layout(groups, (*runs[:-1], (Signal(np.zeros(1)),)))


def test_a_layout_with_a_view_in_place_of_its_base(plan):
    *_, groups, runs = plan
    views = tuple(tuple(signal[:1] for signal in run) for run in runs)
    with pytest.raises(PlanError, match="exactly once"):
        verify_layout(groups, views)


def test_a_layout_with_a_constant():
    constant, y = Signal(np.zeros(2), readonly=True), Signal(np.zeros(2))
    groups = [Group(0, "", (touch(reads=[constant], sets=[y]),))]
    verify_layout(groups, ((y,),))
    with pytest.raises(PlanError, match="exactly once"):
        verify_layout(groups, ((y,), (constant,)))


@settings(max_examples=80, deadline=None, derandomize=True)
@given(operators(), st.data())
def test_an_order_is_accepted_exactly_if_it_is_topological(ops, data):
    graph = dependency_graph(ops)
    order = data.draw(st.permutations(ops))
    place = {op: number for number, op in enumerate(order)}
    if all(place[op] < place[after] for op in graph for after in graph[op]):
        verify_order(graph, order)
    else:
        with pytest.raises(PlanError):
            verify_order(graph, order)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(operators(), st.data())
def test_groups_are_accepted_exactly_if_each_comes_after_what_it_depends_on(ops, data):
    graph = dependency_graph(ops)
    number = {op: data.draw(st.integers(0, 4)) for op in ops}
    groups = [
        Group(n, "", tuple(op for op in ops if number[op] == n))
        for n in sorted(set(number.values()))
    ]
    if all(number[op] < number[after] for op in graph for after in graph[op]):
        verify_groups(graph, groups)
    else:
        with pytest.raises(PlanError):
            verify_groups(graph, groups)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(operators(), st.data())
def test_calls_are_accepted_exactly_if_their_levels_keep_the_order(ops, data):
    number = {op: data.draw(st.integers(0, 4)) for op in ops}
    callers = {op for op in ops if data.draw(st.booleans())}
    groups = [Group(n, "", tuple(op for op in ops if number[op] == n)) for n in range(5)]
    along = [number[op] for op in ops if op in callers]
    if along == sorted(along):
        verify_calls(ops, groups, callers)
    else:
        with pytest.raises(PlanError, match="calls Python before"):
            verify_calls(ops, groups, callers)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(operators(), st.data())
def test_taking_any_one_thing_away_breaks_a_plan(ops, data):
    assume(ops)
    graph = dependency_graph(ops)
    order = topological_order(graph)
    groups = merge(ops, levels(graph, order, set()))
    runs = layout(groups)
    verify_order(graph, order)
    verify_groups(graph, groups)
    verify_layout(groups, runs)
    op = data.draw(st.sampled_from(ops))
    with pytest.raises(PlanError):
        verify_order(graph, [other for other in order if other is not op])
    fewer = [
        Group(group.level, group.kind, tuple(other for other in group.members if other is not op))
        for group in groups
    ]
    with pytest.raises(PlanError):
        verify_groups(graph, fewer)
    listed = [signal for run in runs for signal in run]
    if listed:
        gone = data.draw(st.sampled_from(listed))
        with pytest.raises(PlanError):
            verify_layout(groups, tuple(tuple(s for s in run if s is not gone) for run in runs))


def chain():
    """What is constant, what changes, and a sum of both that nothing reads."""
    constant, changing, total = (Signal(np.zeros(2), name=name) for name in "abc")
    ops = [
        Reset(constant),
        touch("changing", sets=[changing]),
        Reset(total),
        Copy(constant, total, inc=True),
        Copy(changing, total, inc=True),
    ]
    return ops, dependency_graph(ops), total


def test_what_is_invariant_depends_on_nothing_that_changes():
    (invariant, changing, *rest), graph, _ = chain()
    verify_invariant(graph, {invariant, rest[0]})
    with pytest.raises(PlanError, match="not invariant"):
        verify_invariant(graph, {invariant, *rest})
    with pytest.raises(PlanError, match="every step"):
        verify_invariant(graph, {invariant, changing})


def test_what_is_unread_is_read_by_nothing_else_and_not_recorded():
    (constant, changing, *rest), graph, total = chain()
    verify_deferred(graph, {constant, *rest}, [])
    with pytest.raises(PlanError, match="records"):
        verify_deferred(graph, {*rest}, [total])
    with pytest.raises(PlanError, match="depend on"):
        verify_deferred(graph, {constant}, [])
    with pytest.raises(PlanError, match="every step"):
        verify_deferred(graph, {changing, *rest}, [])
