"""Fusion: which operators are carried out by the kernels of others, and which copy a result.

A pass over the plan, before anything is lowered. What is fused into what follows from the
operators, from who else touches their operands, and from what is constant and what is exposed.
Lowering an operator then depends on the operator, and on what is said of it here, alone.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any

import numpy as np

from nengo_jit.engines.cpu.program.arena import CHUNK
from nengo_jit.engines.cpu.program.contracts import contiguous
from nengo_jit.engines.cpu.program.facts import Facts
from nengo_jit.engines.cpu.program.products import (
    Strategy,
    as_matrix,
    sparse_strategy_of,
    strategy_of,
)
from nengo_jit.engines.cpu.program.sums import bias_of, is_whole, product_of, terms_of
from nengo_jit.ir.learning_rules import SimBCM, SimOja, SimPES, SimVoja
from nengo_jit.ir.neurons import SimNeurons
from nengo_jit.ir.operator import Copy, DotInc, Reset, SparseDotInc
from nengo_jit.ir.signal import Signal
from nengo_jit.neurons import formula_of
from nengo_jit.neurons.lif import FORMULA as LIF
from nengo_jit.planner.graph import Graph
from nengo_jit.planner.plan import Plan

# Rules whose change can be applied to weights at once, and which weights they lose a part of
RULES: dict[type, str | None] = {
    SimPES: None,
    SimBCM: None,
    SimOja: "weights",
    SimVoja: "scaled_encoders",
}


class Part(Enum):
    """What an operator is for the one that it is fused into."""

    BIAS = "bias"  # what the sum that a product is added to begins with
    CURRENTS = "currents"  # the product that makes the currents of neurons
    TERM = "term"  # something else that is added to currents, of which there may be several
    DELTA = "delta"  # what a learning rule adds to weights; the rule still computes its factors


@dataclass(frozen=True, slots=True)
class Fused:
    """Where an operator is carried out.

    Attributes
    ----------
    into : Operator
        The one whose kernels do it.
    part : Part
        What the operator is for that one.
    """

    into: Any
    part: Part


@dataclass(frozen=True)
class Fusion:
    """What becomes of operators.

    Attributes
    ----------
    fused_into : mapping of (Operator, Fused)
        Those that others carry out. Such an operator has no kernels of its own, unless it is a
        learning rule.
    duplicate_of : mapping of (Operator, Operator)
        Products that copy the result of another one, which is equal.
    strategies : mapping of (Operator, Strategy)
        How each product is computed.
    listed : frozenset of Signal
        Outputs of spiking neurons whose kernels list those that spiked.
    searched : frozenset of Signal
        Outputs of spiking neurons that code of users may change, so that whoever multiplies them
        has to look for spikes.
    """

    fused_into: Mapping[Any, Fused]
    duplicate_of: Mapping[Any, Any]
    strategies: Mapping[Any, Strategy]
    listed: frozenset[Signal]
    searched: frozenset[Signal]

    @property
    def parts(self) -> dict[tuple[Any, Part], Any]:
        """Dict of ((Operator, Part), Operator): what is fused into an operator as which part.

        Of terms there may be several, see `terms`.
        """
        return {
            (each.into, each.part): op
            for op, each in self.fused_into.items()
            if each.part is not Part.TERM
        }

    @cached_property
    def terms(self) -> dict[Any, list[Any]]:
        """Dict of (Operator, list of Operator): for neurons, what else is added to currents."""
        found: dict[Any, list[Any]] = defaultdict(list)
        for operator, each in self.fused_into.items():
            if each.part is Part.TERM:
                found[each.into].append(operator)
        return found

    def output_of(self, x: Signal) -> Signal:
        """The output of spiking neurons that a signal is, or is a view of."""
        return _output_of(x, self.listed | self.searched)

    def is_absorbed(self, operator: Any) -> bool:
        """Whether an operator has no kernels of its own, since another one carries it out."""
        fused = self.fused_into.get(operator)
        return fused is not None and fused.part is not Part.DELTA

    def graph(self, graph: Graph) -> Graph:
        """The graph of dependencies of what runs.

        Parameters
        ----------
        graph : dict of (Operator, list of Operator)
            The plan's: from each operator to those that depend on it directly.
        """
        runs = {
            operator: fused.into
            for operator, fused in self.fused_into.items()
            if fused.part in (Part.CURRENTS, Part.TERM)
        }
        new = {op: [runs.get(each, each) for each in after] for op, after in graph.items()}
        for operator, neurons in runs.items():  # what changes operands waits for the neurons
            new[neurons] += [each for each in new[operator] if each is not neurons]
        for operator, other in self.duplicate_of.items():
            new[other].append(operator)
        return new


def fuse(plan: Plan, facts: Facts, native: Collection[Any]) -> Fusion:
    """Find what can be carried out together.

    Parameters
    ----------
    plan : Plan
        What is lowered.
    facts : Facts
        What is known of the operands.
    native : collection of Operator
        Those that meet what kernels need of them; nothing else is fused.

    Returns
    -------
    Fusion
    """
    neurons = [op for op in plan.operators if type(op) is SimNeurons and op in native]
    weighted = {op.X for op in plan.operators if type(op) is DotInc}
    sparse = [op for op in plan.operators if type(op) is SparseDotInc and op in native]
    weighted.update(signal for op in sparse for signal in (op.X, op.X.base))
    spiking = {op.output for op in neurons if _is_event_source(op, weighted, facts)}
    searched = {output for output in spiking if facts.is_exposed(output)}
    strategies = {}
    for operator in _products(plan, native):
        a, x, y = (facts.array(signal) for signal in (operator.A, operator.X, operator.Y))
        is_fixed = facts.is_fixed(operator.A)
        if isinstance(a, np.ndarray):
            strategies[operator] = strategy_of(a, x, y, is_fixed, operator.X in spiking)
        else:
            has_spikes = _output_of(operator.X, spiking) in spiking
            strategies[operator] = sparse_strategy_of(a, x, y, is_fixed, has_spikes)
    fused: dict[Any, Fused] = {}
    with_bias: dict[Any, Any] = {}
    for operator, strategy in strategies.items():
        setter = bias_of(operator, facts) if _takes_bias(operator, strategy, facts) else None
        if setter in native:
            with_bias[operator] = setter
            fused[setter] = Fused(operator, Part.BIAS)
    level = {op: group.level for group in plan.groups for op in group.members}
    for each in neurons:
        if formula_of(each.neurons) is not LIF:
            continue
        product = product_of(each, facts)
        if strategies.get(product) is not Strategy.COLUMNS or product in plan.invariant:
            continue
        if product in with_bias:
            fused[product] = Fused(each, Part.CURRENTS)
            continue
        setter, terms = terms_of(each, product, level, plan, facts)
        if setter is not None and {setter, *terms} <= set(native):
            fused[setter] = Fused(product, Part.BIAS)
            fused[product] = Fused(each, Part.CURRENTS)
            fused.update((term, Fused(each, Part.TERM)) for term in terms)
    for rule in plan.operators:
        if type(rule) in RULES and rule in native:
            inc = _applier_of(rule, facts)
            if inc in native:
                fused[rule] = Fused(inc, Part.DELTA)
    return Fusion(
        fused_into=fused,
        duplicate_of=_equal_products(plan, strategies, with_bias, facts),
        strategies=strategies,
        listed=frozenset(spiking - searched),
        searched=frozenset(searched),
    )


def _products(plan: Plan, native: Collection[Any]) -> Iterator[Any]:
    """Products, group by group."""
    for group in plan.groups:
        for operator in group.members:
            if type(operator) in (DotInc, SparseDotInc) and operator in native:
                yield operator


def _output_of(x: Signal, spiking: Collection[Signal]) -> Signal:
    return x if x in spiking else x.base


def _takes_bias(product: Any, strategy: Strategy, facts: Facts) -> bool:
    """Whether what computes a product may begin with a bias."""
    is_sparse = not isinstance(facts.array(product.A), np.ndarray)
    return strategy in (Strategy.EVENTS, Strategy.ROWS if is_sparse else Strategy.COLUMNS)


def _is_event_source(operator: SimNeurons, weighted: set[Signal], facts: Facts) -> bool:
    """Whether neurons spike, and products that do not look at the others would be quicker."""
    formula = formula_of(operator.neurons)
    return (
        formula is not None
        and formula.spiking
        and operator.output in weighted
        and facts.uses.is_only_writer(operator, operator.output)
    )


def _applier_of(rule: Any, facts: Facts) -> Any:
    """The operator that adds a rule's whole delta to weights that nothing else changes, if any."""
    uses, delta = facts.uses, rule.delta
    inc = uses.only_reader_of(delta)
    if type(inc) is not Copy or not inc.inc or not is_whole(inc) or inc.src is not delta:
        return None
    weights, lost = inc.dst, RULES[type(rule)]
    is_alone = uses.is_only_writer(rule, delta) and uses.is_only_writer(inc, weights)
    return (
        inc
        if is_alone
        and not facts.is_exposed(*rule.reads, delta, weights)
        and (lost is None or getattr(rule, lost) is weights)
        and contiguous(facts.array(weights))
        and weights.shape == delta.shape
        else None
    )


def _equal_products(
    plan: Plan, strategies: Mapping[Any, Strategy], with_bias: Mapping[Any, Any], facts: Facts
) -> dict[Any, Any]:
    """From products of spikes to equal ones that come before them.

    Connections from one ensemble that decode the same have the same numbers in their matrices.
    """
    alike: dict[Any, list[Any]] = defaultdict(list)
    for operator, strategy in strategies.items():  # group by group
        setter = with_bias.get(operator)
        if (
            strategy is not Strategy.EVENTS
            or type(operator) is not DotInc
            or type(setter) is not Reset
            or operator in plan.deferred
        ):
            continue
        if not facts.is_exposed(*operator.reads, *operator.incs):
            bias = np.asarray(setter.value, facts.dtype).tobytes()
            alike[operator.X, operator.Y.size, bias].append(operator)
    found = {}
    for operators in alike.values():
        first: dict[Any, Any] = {}
        for operator in operators if len(operators) > 1 else ():
            other = first.setdefault(_content(operator, facts), operator)
            if other is not operator:
                found[operator] = other
    return found


def _content(product: Any, facts: Facts) -> Any:
    """What tells a matrix from others; of large ones, where it lies."""
    a = as_matrix(facts.array(product.A), product.Y.size, product.X.size)
    if a.nbytes < CHUNK:
        return hashlib.blake2b(a.tobytes()).digest()
    return a.__array_interface__["data"][0] if a.T.flags.c_contiguous else product
