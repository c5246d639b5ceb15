import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import nengo
import numpy as np
import pytest

from nengo_jit.builder import Model
from nengo_jit.ir.neurons import SimNeurons
from nengo_jit.ir.python import SimPyFunc
from nengo_jit.planner import dependency_graph, make_plan
from nengo_jit.planner.passes import find_deferred, find_invariant, group, lay_out
from nengo_jit.planner.plan import ProbePlan

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def model():
    with nengo.Network(seed=0) as net:
        stim = nengo.Node(np.sin, label="stim")
        ens = nengo.Ensemble(10, 1, label="ens")
        nengo.Connection(stim, ens)
        nengo.Probe(ens, sample_every=0.002, label="probe")
        nengo.Probe(stim)
    model = Model()
    model.build(net)
    return model


def whole_plan(model, calls_python=lambda operator: False):
    """A plan that all passes have been through."""

    def group_callers(plan):
        return group(plan, filter(calls_python, plan.operators))

    return make_plan(model, [find_invariant, find_deferred, group_callers, lay_out])


def test_plan_has_every_operator_once(model):
    plan = make_plan(model)
    assert set(plan.operators) == set(model.operators)
    assert len(plan.operators) == len(model.operators)


def test_plan_knows_probes_and_clock(model):
    plan = make_plan(model)
    assert [planned.probe for planned in plan.probes] == model.probes
    assert [planned.period for planned in plan.probes] == [2, 1]
    assert [planned.signal for planned in plan.probes] == [
        model.sig[probe]["in"] for probe in model.probes
    ]
    assert (plan.dt, plan.step, plan.time) == (model.dt, model.step, model.time)


def test_plan_is_the_same_every_time(model):
    assert whole_plan(model) == whole_plan(model)


def test_plan_is_frozen(model):
    with pytest.raises(AttributeError):
        make_plan(model).dt = 1.0


def test_groups_have_every_operator_once_and_run_after_what_they_wait_for(model):
    plan = whole_plan(model)
    members = [op for group in plan.groups for op in group.members]
    assert len(members) == len(model.operators)
    assert set(members) == set(model.operators)
    graph = dependency_graph(model.operators)
    place = {op: number for number, group in enumerate(plan.groups) for op in group.members}
    assert all(place[op] < place[after] for op in graph for after in graph[op])


def test_runs_have_every_writable_signal_once(model):
    listed = [signal for run in whole_plan(model).runs for signal in run]
    assert len(listed) == len(set(listed))
    assert set(listed) == {
        signal.base
        for op in model.operators
        for signal in op.all_signals
        if not signal.base.readonly
    }


def test_operators_that_run_python_come_first_with_what_they_wait_for(model):
    def calls_python(op):
        return type(op) is SimPyFunc

    plan = whole_plan(model, calls_python)
    levels = {op: group.level for group in plan.groups for op in group.members}
    last = max(level for op, level in levels.items() if calls_python(op))
    early = {type(op).__name__ for op, level in levels.items() if level <= last}
    assert early == {"TimeUpdate", "SimPyFunc"}
    assert plan.operators == make_plan(model).operators  # one by one, the order is nengo's


def test_groups_can_be_made_anew_for_other_operators_that_call_python(model):
    plan = whole_plan(model)
    assert plan.callers == frozenset()
    (neurons,) = (op for op in plan.operators if type(op) is SimNeurons)
    again = lay_out(group(plan, [neurons]))
    assert again.callers == {neurons}
    assert again == whole_plan(model, lambda op: op is neurons)
    assert again.groups != plan.groups
    assert lay_out(group(again)) == plan


def test_a_hundred_nodes_share_a_level_and_so_do_the_copies_between_them():
    with nengo.Network() as net:
        for _ in range(100):
            node = nengo.Node(lambda t, x: x, size_in=1)
            nengo.Connection(nengo.Node(np.sin), node, synapse=None)
    model = Model()
    model.build(net)
    plan = whole_plan(model, lambda op: type(op) is SimPyFunc)
    sizes = [len(group.members) for group in plan.groups if group.kind in ("SimPyFunc", "Copy inc")]
    assert sizes == [100, 100, 100]


def test_plan_prints_as_a_table(model):
    plan = whole_plan(model)
    text = str(plan)
    lines = text.splitlines()
    assert lines[0] == (
        f"Plan: {len(model.operators)} operators in {len(plan.groups)} groups, 2 probes, "
        "dt = 0.001 s"
    )
    assert lines[1].split() == ["level", "members", "elements", "kind", "first", "member"]
    assert len(lines) == 2 + len(plan.groups) + 2
    for line, each in zip(lines[2:], plan.groups):
        assert line.split()[:2] == [str(each.level), str(len(each.members))]
        assert each.kind in line
    assert "<Ensemble 'ens'> encoding" in text
    assert "every 2 steps" in lines[-2]


def test_without_passes_there_is_an_order_and_nothing_else(model):
    plan = make_plan(model)
    assert (plan.invariant, plan.deferred, plan.groups, plan.runs) == (
        frozenset(),
        frozenset(),
        (),
        (),
    )
    assert plan.operators == whole_plan(model).operators
    lines = str(plan).splitlines()
    assert lines[0].startswith(f"Plan: {len(model.operators)} operators one after the other, 2")
    counts = [line.split()[0] for line in lines[2:-2:2]]
    assert sum(map(int, counts)) == len(model.operators)


def test_passes_are_carried_out_in_order_and_make_new_plans(model):
    seen = []

    def note(plan):
        seen.append((bool(plan.groups), bool(plan.runs)))
        return plan

    make_plan(model, [note, group, note, lay_out, note])
    assert seen == [(False, False), (True, False), (True, True)]


def test_plan_prints_what_runs_in_python(model):
    plan = make_plan(model)
    (function,) = (op for op in plan.operators if type(op) is SimPyFunc)
    assert "in Python" not in str(plan)
    plan = replace(plan, in_python=((function, "calls `print`"),), compiled=((function, ""),))
    lines = [f"in Python: {function}: it calls `print`", f"compiled: {function}"]
    assert plan.functions() == lines
    assert str(plan).endswith("\n".join(lines))
    plan = replace(plan, in_python=(), compiled=((function, "calls `print`"),))
    assert plan.functions() == [f"compiled: {function}, except where it calls `print`"]


PRINT_PLAN = """
import nengo
from nengo_jit.builder import Model
from nengo_jit.builder.neurons import SimNeurons
from nengo_jit.planner import make_plan
from nengo_jit.planner.passes import find_invariant, find_deferred, group, lay_out

with nengo.Network(seed=0) as net:
    stim = nengo.Node([0.5] * 4, label="stim")
    array = nengo.networks.EnsembleArray(10, 4, label="array")
    ens = nengo.Ensemble(20, 2, neuron_type=nengo.AdaptiveLIF(), label="ens")
    nengo.Connection(stim, array.input)
    nengo.Connection(array.output[[3, 0]], ens)
    learned = nengo.Connection(ens, ens, learning_rule_type=[nengo.PES(), nengo.Voja()])
    nengo.Connection(stim[:2], learned.learning_rule[0])
    nengo.Probe(ens.neurons, "voltage", sample_every=0.01)
model = Model()
model.build(net)
callers = [op for op in model.operators if "SimPES" in type(op).__name__]
plan = lay_out(group(find_deferred(find_invariant(make_plan(model))), callers))
print(plan)
for operator in plan.operators:
    print(operator)
for group in plan.groups:
    print(group.level, group.kind, *group.members)
for run in plan.runs:
    print(*run)
"""


def test_the_plan_is_the_same_in_every_process():
    def printed(hash_seed):
        finished = subprocess.run(
            [sys.executable, "-c", PRINT_PLAN],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        )
        return re.sub("0x[0-9a-f]+", "0x", finished.stdout)

    first, second = printed("1"), printed("2")
    assert "SimPES" in first
    assert first == second


def test_an_operator_without_make_step_is_not_run(model):
    class Marker:
        sets = incs = updates = ()
        reads = (model.time,)

    model.operators.append(Marker())
    assert not any(isinstance(op, Marker) for op in make_plan(model).operators)


@pytest.mark.parametrize(
    "period, due", [(1, [1, 2, 3, 4, 5]), (2, [2, 4]), (0.5, [1, 2, 3, 4, 5]), (1.5, [2, 3, 5])]
)
def test_samples_are_due_as_in_nengo(period, due):
    planned = ProbePlan(probe=None, signal=None, period=period)
    assert [n for n in range(1, 6) if planned.is_due(n)] == due
