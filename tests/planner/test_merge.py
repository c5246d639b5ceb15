"""Merging: operators of one kind and level in one group, each in exactly one."""

import nengo
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_graph import touch
from test_levels import operators

from nengo_jit.ir.neurons import SimNeurons
from nengo_jit.ir.operator import Copy, DotInc, Reset
from nengo_jit.ir.processes import SimProcess
from nengo_jit.ir.signal import Signal
from nengo_jit.planner.graph import dependency_graph, topological_order
from nengo_jit.planner.levels import levels
from nengo_jit.planner.merge import kind_of, merge


def vector(name=None):
    return Signal(np.zeros(3), name=name)


def process(synapse, mode="update"):
    state = {"X": Signal(np.zeros((1, 3)))}
    return SimProcess(synapse, vector(), vector(), Signal(shape=()), mode=mode, state=state)


@pytest.mark.parametrize(
    "op, kind",
    [
        (Reset(vector()), "Reset"),
        (Copy(vector(), vector()), "Copy"),
        (Copy(vector(), vector(), inc=True), "Copy inc"),
        (DotInc(Signal(np.eye(3)), vector(), vector()), "DotInc"),
        (SimNeurons(nengo.LIFRate(), vector(), vector()), "SimNeurons LIFRate"),
        (SimNeurons(nengo.Tanh(), vector(), vector()), "SimNeurons Tanh"),
        (process(nengo.Lowpass(0.1)), "SimProcess Lowpass update"),
        (process(nengo.Alpha(0.1)), "SimProcess Alpha update"),
        (process(nengo.Lowpass(0.1), "set"), "SimProcess Lowpass set"),
        (touch(), "Touch"),
    ],
)
def test_kinds(op, kind):
    assert kind_of(op) == kind


def test_a_subclass_is_a_kind_of_its_own():
    class FastCopy(Copy):
        pass

    assert kind_of(FastCopy(vector(), vector(), inc=True)) == "FastCopy"


def test_parameters_and_sizes_may_differ():
    ops = [Reset(Signal(np.zeros(n)), value=n) for n in (1, 2, 5)]
    (group,) = merge(ops, dict.fromkeys(ops, 0))
    assert (group.level, group.kind, group.members) == (0, "Reset", tuple(ops))


def test_levels_and_kinds_are_kept_apart():
    resets = [Reset(vector()) for _ in range(3)]
    copies = [Copy(vector(), vector()) for _ in range(2)]
    level = {resets[0]: 0, resets[1]: 1, resets[2]: 0, copies[0]: 0, copies[1]: 1}
    groups = merge([*copies, *resets], level)
    assert [(group.level, group.kind, group.members) for group in groups] == [
        (0, "Copy", (copies[0],)),
        (0, "Reset", (resets[0], resets[2])),
        (1, "Copy", (copies[1],)),
        (1, "Reset", (resets[1],)),
    ]


def test_groups_come_by_level_then_by_first_member():
    ops = [Copy(vector(), vector()), Reset(vector()), Copy(vector(), vector(), inc=True)]
    kinds = [group.kind for group in merge(ops, {ops[0]: 1, ops[1]: 0, ops[2]: 0})]
    assert kinds == ["Reset", "Copy inc", "Copy"]


def test_nothing_makes_no_groups():
    assert merge([], {}) == ()


def test_groups_are_frozen():
    op = Reset(vector())
    with pytest.raises(AttributeError):
        merge([op], {op: 0})[0].level = 1


@settings(max_examples=80, deadline=None, derandomize=True)
@given(operators(), st.data())
def test_groups_of_random_operators(ops, data):
    graph = dependency_graph(ops)
    order = topological_order(graph)
    goals = data.draw(st.sets(st.sampled_from(ops)) if ops else st.just(set()))
    level = levels(graph, order, goals)
    groups = merge(ops, level)
    members = [op for group in groups for op in group.members]
    assert len(members) == len(set(members)) == len(ops)
    assert set(members) == set(ops)
    keys = [(group.level, group.kind) for group in groups]
    assert len(set(keys)) == len(keys)
    assert [group.level for group in groups] == sorted(group.level for group in groups)
    number = {op: i for i, op in enumerate(ops)}
    for group in groups:
        assert {kind_of(op) for op in group.members} == {group.kind}
        assert {level[op] for op in group.members} == {group.level}
        assert list(group.members) == sorted(group.members, key=number.get)
        for op in group.members:
            assert not set(graph[op]) & set(group.members)
    firsts = [(group.level, number[group.members[0]]) for group in groups]
    assert firsts == sorted(firsts)
    assert merge(ops, dict(reversed(list(level.items())))) == groups
