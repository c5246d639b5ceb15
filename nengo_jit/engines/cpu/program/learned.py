"""Weights that nothing but learning rules changes, and the product that they are changed for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TypeAlias

from nengo_jit.engines.cpu.language.primitives import FLOAT16
from nengo_jit.engines.cpu.program.contracts import contiguous
from nengo_jit.engines.cpu.program.facts import Facts
from nengo_jit.engines.cpu.program.sums import is_whole
from nengo_jit.ir.base import Operator
from nengo_jit.ir.learning_rules import SimBCM, SimOja, SimPES, SimRLS, SimVoja
from nengo_jit.ir.operator import Copy, DotInc
from nengo_jit.ir.probe import SimProbe
from nengo_jit.ir.signal import Signal
from nengo_jit.planner.plan import Plan, ProbePlan

Rule: TypeAlias = SimPES | SimBCM | SimOja | SimVoja | SimRLS
Change: TypeAlias = "tuple[Rule, Copy]"  # a rule, and what adds its delta to weights

# Rules whose delta can be added to weights directly, and the operand of those with weight decay
RULES: dict[type, str | None] = {
    SimPES: None,
    SimRLS: None,
    SimBCM: None,
    SimOja: "weights",
    SimVoja: "scaled_encoders",
}
OUTER_PRODUCTS = SimPES, SimBCM  # rules whose delta is one, in the precision of the model


def learned_weights(
    plan: Plan, native: Collection[Operator], level: Mapping[Operator, int], facts: Facts
) -> Iterator[tuple[list[Change], DotInc | None]]:
    """Find weights to which the changes of rules can be added without storing their deltas.

    Parameters
    ----------
    plan : Plan
        The plan that is lowered.
    native : collection of Operator
        Operators that meet their contracts; others are left alone.
    level : mapping of (Operator, int)
        The level of each operator.
    facts : Facts
        Facts about the operands.

    Yields
    ------
    list of Change
        All changes of some weights, in the order in which they are added.
    DotInc or None
        The only product with these weights, if nothing else reads them.
    """
    changes: dict[Signal, list[Change]] = defaultdict(list)  # by weights
    for group in plan.groups:
        for inc in group.members:
            rule = _rule_of(inc, facts) if type(inc) is Copy and inc in native else None
            if rule is not None and rule in native:
                changes[inc.dst].append((rule, inc))
    for weights, found in changes.items():
        if _are_all(weights, found, level, facts):
            found.sort(key=lambda change: not decays(change[0]))
            yield found, _product_with(weights, [rule for rule, _ in found], facts)


def decays(rule: Rule) -> bool:
    """Whether a rule takes a part of the weights away."""
    return RULES[type(rule)] is not None


def _rule_of(inc: Copy, facts: Facts) -> Rule | None:
    """Return the rule whose delta nothing but an operator reads, which adds it to weights."""
    uses, delta, weights = facts.uses, inc.src, inc.dst
    if not inc.inc or not is_whole(inc) or uses.only_reader_of(delta) is not inc:
        return None
    writers = uses.writers_of(delta)
    rule = writers[0] if len(writers) == 1 else None
    if not isinstance(rule, Rule) or type(rule) not in RULES or rule.delta is not delta:
        return None
    if facts.dtype == FLOAT16 and type(rule) not in OUTER_PRODUCTS:
        return None  # delta is rounded between its terms
    decaying = RULES[type(rule)]
    return (
        rule
        if not facts.is_exposed(*rule.reads, delta, weights)
        and (decaying is None or getattr(rule, decaying) is weights)
        and contiguous(facts.array(weights))
        and weights.shape == delta.shape
        else None
    )


def _are_all(
    weights: Signal,
    changes: Sequence[Change],
    level: Mapping[Operator, int],
    facts: Facts,
) -> bool:
    """Whether nothing else changes weights, and at most one rule makes them decay.

    What such a rule takes away depends on the weights before any rule has changed them.
    """
    incs = {inc for _, inc in changes}
    return (
        set(facts.uses.writers_of(weights)) == incs
        and len({level[inc] for inc in incs}) == 1
        and sum(decays(rule) for rule, _ in changes) <= 1
        and not (facts.dtype == FLOAT16 and len(incs) > 1)
    )


def _product_with(weights: Signal, rules: Collection[Rule], facts: Facts) -> DotInc | None:
    """Return the only product with weights that rules change, if nothing else reads them.

    Rules read them only when user code reads the delta, and probes at the end of a step.
    """
    readers = [
        each
        for each in facts.uses.readers_of(weights)
        if each not in rules and not isinstance(each, (SimProbe, ProbePlan))
    ]
    if len(readers) != 1 or type(readers[0]) is not DotInc:
        return None
    (product,) = readers
    return product if product.A is weights and product.X.base is not weights.base else None
