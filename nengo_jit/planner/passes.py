"""Make a plan from a model: first the order that every engine needs, then a backend's passes.

A pass is a pure function from a plan to a plan. It fills in a field, checks the result, and takes
time linear in operators and edges.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from nengo.utils.progress import Progress

from nengo_jit.ir.base import Operator
from nengo_jit.ir.model import Model
from nengo_jit.ir.signal import Signal
from nengo_jit.planner.deferred import deferred
from nengo_jit.planner.graph import dependency_graph, operators_before, topological_order
from nengo_jit.planner.invariant import invariant
from nengo_jit.planner.layout import layout
from nengo_jit.planner.levels import levels
from nengo_jit.planner.looks import with_looks
from nengo_jit.planner.merge import merge
from nengo_jit.planner.plan import Plan, ProbePlan
from nengo_jit.planner.sums import with_sums_in_order
from nengo_jit.planner.verify import (
    verify_calls,
    verify_deferred,
    verify_groups,
    verify_invariant,
    verify_layout,
    verify_order,
)
from nengo_jit.stages import advance, begin

Pass = Callable[[Plan], Plan]

GRAPH, ORDER = 2, 1  # steps of progress; a pass is one


def make_plan(model: Model, passes: Sequence[Pass] = (), progress: Progress | None = None) -> Plan:
    """Plan how to run a model.

    Parameters
    ----------
    model : Model or nengo.builder.Model
        The model.
    passes : sequence of callable
        The passes of the engine's backend.
    progress : nengo.utils.progress.Progress, optional
        Is updated after each part of the work.

    Returns
    -------
    Plan

    Raises
    ------
    BuildError
        If the operators depend on each other in a cycle.
    """
    begin(progress, "Planning", GRAPH + ORDER + len(passes))
    graph = dependency_graph([op for op in model.operators if hasattr(op, "make_step")])
    advance(progress, GRAPH)
    order = topological_order(graph)
    verify_order(graph, order)
    advance(progress, ORDER)
    probes = tuple(
        ProbePlan(
            probe=probe,
            signal=model.sig[probe]["in"],
            period=1 if probe.sample_every is None else probe.sample_every / model.dt,
        )
        for probe in model.probes
    )
    plan = Plan(
        dt=model.dt,
        step=model.step,
        time=model.time,
        operators=tuple(order),
        graph=graph,
        probes=probes,
    )
    for each in passes:
        plan = each(plan)
        advance(progress)
    return plan


def find_invariant(plan: Plan, exposed: Collection[Signal] = ()) -> Plan:
    """Find the operators that compute the same values in every step of a run.

    Parameters
    ----------
    plan : Plan
        A plan.
    exposed : collection of Signal
        Bases that user code may write to during a run.
    """
    before = operators_before(plan.graph)
    found = invariant(plan.graph, before, plan.operators, exposed)
    verify_invariant(plan.graph, found)
    return replace(plan, invariant=found)


def find_deferred(plan: Plan, exposed: Collection[Signal] = ()) -> Plan:
    """Find the operators whose results no other operator and no probe reads.

    Parameters
    ----------
    plan : Plan
        A plan.
    exposed : collection of Signal
        Bases that user code may access during a run.
    """
    before, recorded = operators_before(plan.graph), [planned.signal for planned in plan.probes]
    found = deferred(plan.graph, before, plan.operators, recorded, exposed)
    verify_deferred(plan.graph, found, recorded)
    return replace(plan, deferred=found)


def keep_sums_in_order(plan: Plan) -> Plan:
    """Make operators that increment the same memory keep nengo's order, so that bits are equal."""
    return replace(plan, graph=with_sums_in_order(plan.graph, plan.operators))


def group(plan: Plan, callers: Iterable[Operator] = ()) -> Plan:
    """Group operators of one kind, of any sizes, that do not depend on each other.

    Parameters
    ----------
    plan : Plan
        A plan.
    callers : iterable of Operator
        Operators that call Python. They keep nengo's order. They and the operators that they
        depend on come first in a step, so that little has changed if one of them raises.
    """
    callers = frozenset(callers)
    groups = merge(list(plan.graph), levels(plan.graph, plan.operators, callers))
    verify_groups(plan.graph, groups)
    verify_calls(plan.operators, groups, callers)
    return replace(plan, callers=callers, groups=groups)


def lay_out(plan: Plan) -> Plan:
    """Make the operands of a group's members contiguous in memory."""
    runs = layout(plan.groups)
    verify_layout(plan.groups, runs)
    return replace(plan, runs=runs)


def expose(
    plan: Plan, looks: Mapping[Operator, Collection[Signal]], public: Collection[Signal]
) -> Plan:
    """Update a plan for user code that accesses more memory than its operators state.

    Parameters
    ----------
    plan : Plan
        A plan after all passes.
    looks : mapping of (Operator, collection of Signal)
        For each operator that calls user code, the bases that this code accesses.
    public : collection of Signal
        Bases that any user code may access, also in other threads.
    """
    exposed = {*public, *(base for bases in looks.values() for base in bases)}
    graph = with_looks(plan.graph, plan.operators, looks, public)
    exposed_plan = find_deferred(find_invariant(plan, exposed), exposed)
    if all(len(graph[operator]) == len(plan.graph[operator]) for operator in graph):
        return exposed_plan
    return lay_out(group(replace(exposed_plan, graph=graph), plan.callers))
