"""Sums that are made where they are needed: what they begin with, and what is added to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nengo_jit.engines.cpu.program.contracts import contiguous
from nengo_jit.engines.cpu.program.facts import Facts
from nengo_jit.ir.neurons import SimNeurons
from nengo_jit.ir.operator import Copy, DotInc, ElementwiseInc, Reset
from nengo_jit.ir.signal import Signal
from nengo_jit.planner.plan import Plan

FEWEST = 512  # neurons from which on the terms of their currents are added block by block


def bias_of(product: Any, facts: Facts) -> Any:
    """What sets the whole sum to a constant, before a product alone is added; None if none does."""
    setter = facts.uses.other_writer(product, product.Y)
    return setter if _is_bias(setter, product.Y, facts) else None


def _is_bias(setter: Any, total: Signal, facts: Facts) -> bool:
    """Whether an operator sets a whole sum to a constant."""
    if type(setter) not in (Copy, Reset) or facts.is_exposed(total):
        return False
    if type(setter) is Copy and (
        setter.inc or not is_whole(setter) or not facts.is_fixed(setter.src)
    ):
        return False
    return _is_same(setter.dst, total, facts)


def _is_same(signal: Signal, total: Signal, facts: Facts) -> bool:
    """Whether a signal is a sum, or lies where it lies, without gaps."""
    array = facts.array(signal)
    is_there = signal is total or facts.address(signal) == facts.address(total)
    return is_there and array.size == total.size and contiguous(array)


def is_whole(operator: Copy) -> bool:
    """Whether all of a signal is copied."""
    return operator.src_slice is None and operator.dst_slice is None


def product_of(neurons: SimNeurons, facts: Facts) -> Any:
    """The only product that is added to currents, if it may wait for its neurons; else None.

    Nothing that it reads is changed once it has been read, and nobody else reads the currents.
    """
    uses, J = facts.uses, neurons.J
    products = [each for each in uses.writers_of(J) if type(each) is DotInc]
    if len(products) != 1 or uses.only_reader_of(J) is not neurons:
        return None
    (product,) = products
    if facts.is_exposed(*product.reads, *product.incs) or any(map(uses.is_updated, product.reads)):
        return None
    is_same = product.Y is J or facts.address(product.Y) == facts.address(J)
    return product if is_same and product.Y.size == J.size else None


def terms_of(
    neurons: SimNeurons, product: Any, level: Mapping[Any, int], plan: Plan, facts: Facts
) -> tuple[Any, list[Any]]:
    """What else makes the currents of many neurons than a product, if all of it may wait for them.

    Parameters
    ----------
    neurons : SimNeurons
        The neurons.
    product : DotInc
        From `product_of`.
    level : mapping of (Operator, int)
        On which level each operator is.
    plan : Plan
        What is lowered.
    facts : Facts
        What is known of operands.

    Returns
    -------
    setter : Operator or None
        What sets the currents to a constant; None if something has to be computed before.
    terms : list of Operator
        What is added to that besides the product, in the order of the levels.
    """
    setters, terms = [], []
    for operator in facts.uses.writers_of(neurons.J):
        if operator.sets:
            setters.append(operator)
        elif operator is not product:
            terms.append(operator)
    if neurons.J.size < FEWEST or len(setters) != 1 or not _is_bias(setters[0], product.Y, facts):
        return None, []
    if not all(_is_term(each, neurons, level, plan, facts) for each in terms):
        return None, []
    return setters[0], sorted(terms, key=lambda each: level[each])


def _is_term(
    operator: Any, neurons: SimNeurons, level: Mapping[Any, int], plan: Plan, facts: Facts
) -> bool:
    """Whether neurons can add a term, number by number, when its turn to be added is over.

    What changes its operands, once they have been read, must come after the neurons.
    """
    if type(operator) is Copy:
        is_simple = operator.inc and is_whole(operator)
    else:
        is_simple = type(operator) is ElementwiseInc
    if not is_simple or not _is_same(operator.incs[0], neurons.J, facts):
        return False
    arrays = [facts.array(each) for each in operator.reads]
    *factor, n = sorted(each.size for each in arrays)
    if n != neurons.J.size or factor not in ([], [1], [n]) or not all(map(contiguous, arrays)):
        return False
    if operator in plan.invariant or operator in plan.deferred:
        return False
    return not facts.is_exposed(*operator.reads, *operator.incs) and all(
        level[each] > level[neurons]
        for read in operator.reads
        for each in facts.uses.updaters_of(read)
    )
