"""Verify the result of fusion, by the plan and by the users of operands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nengo_jit.engines.cpu.program.facts import Facts
from nengo_jit.engines.cpu.program.fusion import Fusion, Part, Product, Rule
from nengo_jit.ir.base import Operator
from nengo_jit.ir.operator import Copy, DotInc
from nengo_jit.planner.plan import Plan
from nengo_jit.planner.verify import PlanError


def verify_fusion(plan: Plan, facts: Facts, fusion: Fusion) -> None:
    """Check that each fused operator is carried out once, with the same results.

    Parameters
    ----------
    plan : Plan
        The plan that is lowered.
    facts : Facts
        Facts about the operands.
    fusion : Fusion
        From `nengo_jit.engines.cpu.program.fusion.fuse`.

    Raises
    ------
    PlanError
        If it is wrong: a bug in the pass.
    """
    if len(fusion.parts) != len(fusion.fused_into):
        raise PlanError("two operators are fused into one as the same part of it")
    level = {op: group.level for group in plan.groups for op in group.members}
    for operator, fused in fusion.fused_into.items():
        first, second = operator, fused.into
        if fused.part is Part.DELTA:  # it is computed in the step before
            first, second = second, first
        if second not in plan.graph[first]:
            raise PlanError(f"{operator} is fused into {fused.into}, which does not depend on it")
        if level[first] >= level[second]:
            raise PlanError(f"{operator} is fused into {fused.into} across a lower level")
        runs = fused.into
        if fused.part is Part.BIAS and fusion.is_absorbed(runs):
            runs = fusion.fused_into[runs].into
        if fusion.is_absorbed(runs):
            raise PlanError(f"{operator} is fused into {runs}, which does not run")
        if (operator in plan.deferred) is not (fused.into in plan.deferred):
            raise PlanError(f"{operator} runs in other steps than {fused.into}")
        if fused.part is Part.UPDATE:
            rule = fusion.parts.get((operator, Part.DELTA))
            if rule is None or level[fused.into] >= level[rule]:
                raise PlanError(f"{fused.into} would get the factors of another step")
        CHECKS[fused.part](operator, fused.into, plan, facts)
    for operator, other in fusion.duplicate_of.items():
        if other in fusion.duplicate_of or fusion.is_absorbed(other):
            raise PlanError(f"{operator} copies the result of {other}, which is not computed")
        if fusion.is_absorbed(operator) or level[other] > level[operator]:
            raise PlanError(f"{operator} copies the result of {other} where there is none yet")
        if operator.X is not other.X or not {operator, other}.isdisjoint(plan.deferred):
            raise PlanError(f"{operator} copies the result of {other}, which may be another one")
        _verify_hidden(operator, other, facts)


def _verify_hidden(operator: Operator, other: Operator, facts: Facts) -> None:
    """Check that user code cannot access what two operators write."""
    if facts.is_exposed(*operator.sets, *operator.incs, *other.incs):
        raise PlanError(f"user code may read what {operator} writes")


def _verify_bias(setter: Operator, product: Product, plan: Plan, facts: Facts) -> None:
    """Check that a sum has no other terms than its bias and a product."""
    if set(facts.uses.writers_of(product.Y)) != {setter, product}:
        raise PlanError(f"others than {setter} and {product} write to the same sum")
    _verify_hidden(setter, product, facts)


def _verify_currents(product: Product, neurons: Operator, plan: Plan, facts: Facts) -> None:
    """Check that a product may be delayed until the neurons run that read it."""
    if facts.uses.only_reader_of(product.Y) is not neurons:
        raise PlanError(f"others than {neurons} read what {product} computes")
    if product in plan.invariant or any(map(facts.uses.is_updated, product.reads)):
        raise PlanError(f"{product} cannot be delayed until {neurons} runs")
    if facts.is_exposed(*product.reads):
        raise PlanError(f"user code may change what {product} reads")
    _verify_hidden(product, product, facts)


def _verify_delta(rule: Rule, inc: Copy, plan: Plan, facts: Facts) -> None:
    """Check that only the next step's weights depend on a delta."""
    uses = facts.uses
    if uses.only_reader_of(rule.delta) is not inc or not uses.is_only_writer(rule, rule.delta):
        raise PlanError(f"others than {rule} and {inc} touch the delta")
    if not uses.is_only_writer(inc, inc.dst):
        raise PlanError(f"others than {inc} write to the weights")
    if facts.is_exposed(*rule.reads, rule.delta, inc.dst):
        raise PlanError(f"user code may read what {rule} learns")


def _verify_update(inc: Copy, product: Product, plan: Plan, facts: Facts) -> None:
    """Check that no other product reads weights before a product changes them."""
    others = set(facts.uses.readers_of(inc.dst)) - {product}
    if any(type(each) is DotInc for each in others):
        raise PlanError(f"others than {product} use the weights that {inc} changes")
    if facts.is_exposed(inc.dst):
        raise PlanError(f"user code may read what {inc} changes")


CHECKS: dict[Part, Callable[[Any, Any, Plan, Facts], None]] = {
    Part.BIAS: _verify_bias,
    Part.CURRENTS: _verify_currents,
    Part.DELTA: _verify_delta,
    Part.UPDATE: _verify_update,
}
