"""Let users give the outputs of nodes: a pass over a plan."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import replace

from nengo import Node

from nengo_jit.ir.base import Operator
from nengo_jit.ir.given import Given
from nengo_jit.ir.python import SimPyFunc
from nengo_jit.ir.signal import Signal
from nengo_jit.planner.graph import dependency_graph
from nengo_jit.planner.plan import Plan
from nengo_jit.planner.verify import verify_order


def accept_inputs(plan: Plan, outputs: Mapping[Node, Signal]) -> tuple[Plan, dict[Node, Given]]:
    """Insert a `Given` between each node and what reads its output.

    The order of all other operators stays, and so does the order in which processes draw seeds.

    Parameters
    ----------
    plan : Plan
        The plan, before it is grouped.
    outputs : dict of (nengo.Node, Signal)
        The output of each node, which one operator sets, or none if it is constant.

    Returns
    -------
    Plan, dict of (nengo.Node, Given)
        The plan with the new operators, and those by node.
    """
    writers = {signal: op for op in plan.operators for signal in op.sets}
    made: dict[Node, Given] = {}
    replaced: dict[Operator, list[Operator]] = {}
    constants: list[Operator] = []
    for node, output in outputs.items():
        writer = writers.get(output)
        name = f"{output.name}.computed"
        computed = Signal(output.initial_value, name=name, readonly=writer is None)
        if writer is None:
            made[node] = Given(output, computed, plan.step, tag=str(node))
            constants.append(made[node])
            continue
        changed = copy(writer)  # the model's operator stays as it is
        changed.sets = [computed if each is output else each for each in writer.sets]
        function = changed if isinstance(changed, SimPyFunc) else None
        made[node] = Given(output, computed, plan.step, function, str(node))
        replaced[writer] = [changed, made[node]]
    order: list[Operator] = []
    clock = next(op for op in plan.operators if plan.step in op.sets)
    for operator in plan.operators:
        order += replaced.get(operator, [operator])
        order += constants if operator is clock else ()
    graph = dependency_graph(order)
    verify_order(graph, order)
    return replace(plan, operators=tuple(order), graph=graph), made
