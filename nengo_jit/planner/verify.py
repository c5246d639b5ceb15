"""Check the invariants of the results of the planner's passes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import pairwise

from nengo_jit.ir.base import Operator
from nengo_jit.ir.signal import Signal
from nengo_jit.planner.graph import Graph
from nengo_jit.planner.invariant import is_stateless
from nengo_jit.planner.layout import Runs
from nengo_jit.planner.merge import Group


class PlanError(AssertionError):
    """The planner made an invalid plan: a bug in the planner."""


def verify_order(graph: Graph, order: Sequence[Operator]) -> None:
    """Check that an order has each operator once, after all operators that it depends on."""
    place = {operator: number for number, operator in enumerate(order)}
    if len(place) != len(order) or place.keys() != graph.keys():
        raise PlanError("the order does not have every operator exactly once")
    for operator, dependents in graph.items():
        for dependent in dependents:
            if place[operator] >= place[dependent]:
                raise PlanError(f"{dependent} comes before {operator}, which it depends on")


def verify_invariant(graph: Graph, invariant: Collection[Operator]) -> None:
    """Check that invariant operators have no state, and depend on invariant operators only."""
    _verify_stateless(graph, invariant)
    for operator, dependents in graph.items():
        if operator not in invariant and any(each in invariant for each in dependents):
            raise PlanError(f"an invariant operator depends on {operator}, which is not invariant")


def verify_deferred(
    graph: Graph, deferred: Collection[Operator], recorded: Iterable[Signal]
) -> None:
    """Check that only deferred operators read the results of deferred operators."""
    _verify_stateless(graph, deferred)
    bases = {signal.base for signal in recorded}
    for operator in deferred:
        if any(signal.base in bases for signal in (*operator.sets, *operator.incs)):
            raise PlanError(f"a probe records the output of {operator}, which is deferred")
        if not all(each in deferred for each in graph[operator]):
            raise PlanError(f"other operators depend on {operator}, which is deferred")


def _verify_stateless(graph: Graph, chosen: Collection[Operator]) -> None:
    for operator in chosen:
        if operator not in graph or not is_stateless(operator):
            raise PlanError(f"{operator} has to run in every step")


def verify_groups(graph: Graph, groups: Sequence[Group]) -> None:
    """Check that groups have each operator once, after the groups that it depends on."""
    place = {operator: number for number, group in enumerate(groups) for operator in group.members}
    if sum(len(group.members) for group in groups) != len(graph) or place.keys() != graph.keys():
        raise PlanError("the groups do not have every operator exactly once")
    for operator, dependents in graph.items():
        for dependent in dependents:
            if place[operator] >= place[dependent]:
                raise PlanError(f"the group of {dependent} does not come after that of {operator}")


def verify_calls(
    order: Sequence[Operator], groups: Sequence[Group], callers: Collection[Operator]
) -> None:
    """Check that the levels of operators that call Python keep their order."""
    level = {operator: group.level for group in groups for operator in group.members}
    for earlier, later in pairwise(operator for operator in order if operator in callers):
        if level[earlier] > level[later]:
            raise PlanError(f"{later} calls Python before {earlier}, which comes first in nengo")


def verify_layout(groups: Sequence[Group], runs: Runs) -> None:
    """Check that runs have the base of each writable signal exactly once."""
    needed = {
        signal.base
        for group in groups
        for member in group.members
        for signal in member.all_signals
        if not signal.base.readonly and not signal.base.sparse
    }
    listed = [signal for run in runs for signal in run]
    if len(listed) != len(needed) or set(listed) != needed:
        raise PlanError("the layout does not have every writable signal exactly once")
