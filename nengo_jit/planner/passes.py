"""From a model to a plan: one step that every engine needs, then the passes that a backend names.

A pass is a pure function from a plan to a plan. It fills in something that is left empty without
it, checks the result, and costs time linear in operators and edges.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace

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
from nengo_jit.planner.verify import (
    verify_calls,
    verify_deferred,
    verify_groups,
    verify_invariant,
    verify_layout,
    verify_order,
)

Pass = Callable[[Plan], Plan]


def make_plan(model: Model, passes: Iterable[Pass] = ()) -> Plan:
    """Plan how to run a model.

    Parameters
    ----------
    model : Model or nengo.builder.Model
        What to run.
    passes : iterable of callable
        What an engine needs to know beside the order of the operators.

    Returns
    -------
    Plan

    Raises
    ------
    BuildError
        If there is no order in which the operators could run.
    """
    graph = dependency_graph([op for op in model.operators if hasattr(op, "make_step")])
    order = topological_order(graph)
    verify_order(graph, order)
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
    return plan


def find_invariant(plan: Plan, exposed: Collection[Signal] = ()) -> Plan:
    """Find the operators that compute the same in every step of a run.

    Parameters
    ----------
    plan : Plan
        A plan.
    exposed : collection of Signal
        Bases that code of users may write to within a run.
    """
    before = operators_before(plan.graph)
    found = invariant(plan.graph, before, plan.operators, exposed)
    verify_invariant(plan.graph, found)
    return replace(plan, invariant=found)


def find_deferred(plan: Plan, exposed: Collection[Signal] = ()) -> Plan:
    """Find the operators whose results nothing else reads.

    Parameters
    ----------
    plan : Plan
        A plan.
    exposed : collection of Signal
        Bases that code of users may look at within a run.
    """
    before, recorded = operators_before(plan.graph), [planned.signal for planned in plan.probes]
    found = deferred(plan.graph, before, plan.operators, recorded, exposed)
    verify_deferred(plan.graph, found, recorded)
    return replace(plan, deferred=found)


def group(plan: Plan, callers: Iterable[Operator] = ()) -> Plan:
    """Group operators of one kind that do not depend on each other, whatever their sizes.

    Parameters
    ----------
    plan : Plan
        A plan.
    callers : iterable of Operator
        Those that call Python while they run. They come in nengo's order; they, and what they
        depend on, come first in a step, so that little has changed yet if one raises.
    """
    callers = frozenset(callers)
    groups = merge(list(plan.graph), levels(plan.graph, plan.operators, callers))
    verify_groups(plan.graph, groups)
    verify_calls(plan.operators, groups, callers)
    return replace(plan, callers=callers, groups=groups)


def lay_out(plan: Plan) -> Plan:
    """Place what the members of a group work on side by side in memory."""
    runs = layout(plan.groups)
    verify_layout(plan.groups, runs)
    return replace(plan, runs=runs)


def expose(
    plan: Plan, looks: Mapping[Operator, Collection[Signal]], public: Collection[Signal]
) -> Plan:
    """Plan anew for code of users that looks at more memory than its operators say.

    Parameters
    ----------
    plan : Plan
        A plan that all passes have been through.
    looks : mapping of (Operator, collection of Signal)
        For each operator that calls code of users: bases that this code looks at.
    public : collection of Signal
        Bases that any code of users may look at, in other threads, too.
    """
    exposed = {*public, *(base for bases in looks.values() for base in bases)}
    graph = with_looks(plan.graph, plan.operators, looks, public)
    exposed_plan = find_deferred(find_invariant(plan, exposed), exposed)
    if all(len(graph[operator]) == len(plan.graph[operator]) for operator in graph):
        return exposed_plan
    return lay_out(group(replace(exposed_plan, graph=graph), plan.callers))
