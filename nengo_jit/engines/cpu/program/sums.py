"""Sums: their initial values, and the terms that neurons can add to their currents themselves."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nengo_jit.engines.cpu.program.contracts import contiguous
from nengo_jit.engines.cpu.program.facts import Facts
from nengo_jit.ir.base import Operator
from nengo_jit.ir.neurons import SimNeurons
from nengo_jit.ir.operator import Copy, DotInc, ElementwiseInc, Reset
from nengo_jit.ir.signal import Signal
from nengo_jit.planner.plan import Plan

FEWEST = 32  # neurons from which on the terms of their currents are added by their kernel


def bias_of(product: DotInc, facts: Facts) -> Copy | Reset | None:
    """The operator that sets the sum to a constant before only the product is added, if any."""
    setter = facts.uses.other_writer(product, product.Y)
    return None if setter is None else _as_bias(setter, product.Y, facts)


def _as_bias(setter: Operator, total: Signal, facts: Facts) -> Copy | Reset | None:
    """The operator itself, if it sets a whole sum to a constant."""
    if type(setter) not in (Copy, Reset) or facts.is_exposed(total):
        return None
    if type(setter) is Copy and (
        setter.inc or not is_whole(setter) or not facts.is_fixed(setter.src)
    ):
        return None
    return setter if _is_same(setter.dst, total, facts) else None


def _is_same(signal: Signal, total: Signal, facts: Facts) -> bool:
    """Whether a signal is a sum, or lies where it lies, without gaps."""
    array = facts.array(signal)
    is_there = signal is total or facts.address(signal) == facts.address(total)
    return is_there and array.size == total.size and contiguous(array)


def adds_nothing(product: DotInc, facts: Facts) -> bool:
    """Whether a product is always zero, as that of the encoders of ensembles without input."""
    writers, matrix = facts.uses.writers_of(product.X), facts.array(product.A)
    if len(writers) != 1 or type(writers[0]) is not Reset or not isinstance(matrix, np.ndarray):
        return False
    if writers[0].dst is not product.X or np.any(writers[0].value):
        return False
    is_hidden = not facts.is_exposed(product.X, product.Y)
    return is_hidden and facts.is_fixed(product.A) and bool(np.isfinite(matrix).all())


def is_whole(operator: Copy) -> bool:
    """Whether all of a signal is copied."""
    return operator.src_slice is None and operator.dst_slice is None


def product_of(neurons: SimNeurons, facts: Facts) -> DotInc | None:
    """The only product that is added to currents, if it may be delayed until the neurons run.

    That is, its operands are not updated before, and nothing else reads the currents.
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
    neurons: SimNeurons, product: DotInc, level: Mapping[Operator, int], plan: Plan, facts: Facts
) -> tuple[Copy | Reset | None, list[Operator]]:
    """The other operators that compute the currents of many neurons, if all can be delayed.

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
        Sets the currents to a constant; None if the currents cannot be computed by the neurons.
    terms : list of Operator
        Add to the currents, besides the product, in the order of the levels.
    """
    setters, terms = [], []
    for operator in facts.uses.writers_of(neurons.J):
        if operator.sets:
            setters.append(operator)
        elif operator is not product:
            terms.append(operator)
    if neurons.J.size < FEWEST or len(setters) != 1:
        return None, []
    if not all(_is_term(each, neurons, level, plan, facts) for each in terms):
        return None, []
    return _as_bias(setters[0], product.Y, facts), sorted(terms, key=lambda each: level[each])


def _is_term(
    operator: Operator, neurons: SimNeurons, level: Mapping[Operator, int], plan: Plan, facts: Facts
) -> bool:
    """Whether an operator adds to currents element by element, and may be delayed.

    Operators that update its operands must come after the neurons.
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
