"""Verify the result of fusion, by the plan and by the users of operands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nengo_jit.engines.cpu.program.facts import Facts
from nengo_jit.engines.cpu.program.fusion import Fusion, Part, Product
from nengo_jit.engines.cpu.program.learned import Rule, decays
from nengo_jit.engines.cpu.program.products import Strategy
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
    terms = {term for some in fusion.terms.values() for term in some}
    parts = fusion.parts
    if sum(map(len, parts.values())) + len(terms) != len(fusion.fused_into):
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
            rule = parts.get(operator, {}).get(Part.DELTA)
            if rule is None or level[fused.into] >= level[rule]:
                raise PlanError(f"{fused.into} would get the factors of another step")
        if fused.part is Part.TERM:
            updaters = [each for read in first.reads for each in facts.uses.updaters_of(read)]
            if first in plan.invariant or any(level[each] <= level[second] for each in updaters):
                raise PlanError(f"{first} cannot wait for {second}")
        CHECKS[fused.part](operator, fused.into, plan, facts)
        if fused.part is Part.BIAS:
            others = set(facts.uses.writers_of(fused.into.Y)) - {operator, fused.into}
            if not others <= set(fusion.terms.get(runs, ())):
                raise PlanError(f"others than {operator} and {fused.into} write to the same sum")
    for operator, other in fusion.duplicate_of.items():
        if other in fusion.duplicate_of or fusion.is_absorbed(other):
            raise PlanError(f"{operator} copies the result of {other}, which is not computed")
        if fusion.is_absorbed(operator) or level[other] > level[operator]:
            raise PlanError(f"{operator} copies the result of {other} where there is none yet")
        if operator.X is not other.X or not {operator, other}.isdisjoint(plan.deferred):
            raise PlanError(f"{operator} copies the result of {other}, which may be another one")
        _verify_hidden(operator, other, facts)
    for operator in fusion.held:
        if not facts.is_fixed(operator.reads[0]) or facts.is_exposed(operator.X, operator.Y):
            raise PlanError(f"{operator} is kept, though what it is made of may change unnoticed")
        if operator in plan.invariant or operator in plan.deferred:
            raise PlanError(f"{operator} is kept, though it is not computed in each step")
    last = max((level[each] for each in plan.callers), default=-1)
    for operator in (*fusion.without_currents, *fusion.without_output.values()):
        if level[operator] <= last:
            raise PlanError(f"{operator} does not store what Python may look at")
    for neurons in fusion.without_currents:
        product = parts.get(neurons, {}).get(Part.CURRENTS)
        if product is None or neurons in fusion.terms or product in fusion.held:
            raise PlanError(f"the currents of {neurons} cannot be computed after the step")
        if any(level[each] <= last for each in facts.uses.writers_of(product.X)):
            raise PlanError(f"{product} would not be the same after the step")
    for output, neurons in fusion.without_output.items():
        readers = facts.uses.readers_of(output)
        if facts.is_exposed(output) or any(
            not isinstance(each, DotInc) or fusion.strategies.get(each) is not Strategy.EVENTS
            for each in readers
        ):
            raise PlanError(f"somebody reads the output of {neurons}, which is not stored")


def _verify_hidden(operator: Operator, other: Operator, facts: Facts) -> None:
    """Check that user code cannot access what two operators write."""
    if facts.is_exposed(*operator.sets, *operator.incs, *other.incs):
        raise PlanError(f"user code may read what {operator} writes")


def _verify_bias(setter: Operator, product: Product, plan: Plan, facts: Facts) -> None:
    """Check that user code cannot see a sum before a product has been added to its bias."""
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


def _verify_term(term: Operator, neurons: Operator, plan: Plan, facts: Facts) -> None:
    """Check that a term may wait for the neurons whose currents it is added to."""
    if facts.uses.only_reader_of(term.incs[0]) is not neurons:
        raise PlanError(f"others than {neurons} read what {term} adds to")
    if facts.is_exposed(*term.reads):
        raise PlanError(f"code of users may change what {term} reads")
    _verify_hidden(term, term, facts)


def _verify_delta(rule: Rule, inc: Copy, plan: Plan, facts: Facts) -> None:
    """Check that only the next step's weights depend on a delta."""
    uses = facts.uses
    if uses.only_reader_of(rule.delta) is not inc or not uses.is_only_writer(rule, rule.delta):
        raise PlanError(f"others than {rule} and {inc} touch the delta")
    others = [each for each in uses.writers_of(inc.dst) if each is not inc]
    incs = [each for each in others if type(each) is Copy and each.inc]
    rules = [each for inc in incs for each in uses.writers_of(inc.src)[:1]]
    if len(rules) < len(others) or not all(isinstance(each, Rule) for each in rules):
        raise PlanError(f"others than rules write to the weights that {inc} changes")
    if decays(rule) and any(map(decays, rules)):
        raise PlanError(f"{rule} needs the weights before another rule has changed them")
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
    Part.TERM: _verify_term,
    Part.DELTA: _verify_delta,
    Part.UPDATE: _verify_update,
}
