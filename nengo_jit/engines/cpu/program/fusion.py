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
from typing import Any

import numpy as np

from nengo_jit.engines.cpu.program.arena import CHUNK
from nengo_jit.engines.cpu.program.contracts import contiguous
from nengo_jit.engines.cpu.program.facts import Facts
from nengo_jit.engines.cpu.program.products import Strategy, as_matrix, strategy_of
from nengo_jit.ir.learning_rules import SimBCM, SimOja, SimPES, SimVoja
from nengo_jit.ir.neurons import SimNeurons
from nengo_jit.ir.operator import Copy, DotInc, Reset, SparseDotInc
from nengo_jit.ir.signal import Signal
from nengo_jit.ir.transforms import ConvInc, ConvTransposeInc, GeneralConvInc
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
CONVOLUTIONS = ConvInc, ConvTransposeInc, GeneralConvInc


class Part(Enum):
    """What an operator is for the one that it is fused into."""

    BIAS = "bias"  # what the sum that a product or a convolution is added to begins with
    CURRENTS = "currents"  # the product that makes the currents of neurons
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
        """Dict of ((Operator, Part), Operator): what is fused into an operator as which part."""
        return {(each.into, each.part): op for op, each in self.fused_into.items()}

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
            if fused.part is Part.CURRENTS
        }
        new = {op: [runs.get(each, each) for each in after] for op, after in graph.items()}
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
    spiking = {op.output for op in neurons if _is_event_source(op, weighted, facts)}
    searched = {output for output in spiking if facts.is_exposed(output)}
    strategies = {}
    for operator in _products(plan, native, facts):
        a, x, y = (facts.array(signal) for signal in (operator.A, operator.X, operator.Y))
        is_fixed = facts.is_fixed(operator.A)
        strategies[operator] = strategy_of(a, x, y, is_fixed, has_spikes=operator.X in spiking)
    fused: dict[Any, Fused] = {}
    with_bias: dict[Any, Any] = {}
    for operator, strategy in strategies.items():
        setter = (
            _bias_of(operator, facts) if strategy in (Strategy.EVENTS, Strategy.COLUMNS) else None
        )
        if setter in native:
            with_bias[operator] = setter
            fused[setter] = Fused(operator, Part.BIAS)
    for operator in plan.operators:
        if type(operator) in CONVOLUTIONS and operator in native:
            setter = _bias_of(operator, facts)
            if type(setter) is Reset and setter in native:
                fused[setter] = Fused(operator, Part.BIAS)
    for each in neurons:
        product = _currents_of(each, facts) if formula_of(each.neurons) is LIF else None
        if (
            product in with_bias
            and strategies[product] is Strategy.COLUMNS
            and product not in plan.invariant
        ):
            fused[product] = Fused(each, Part.CURRENTS)
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


def _products(plan: Plan, native: Collection[Any], facts: Facts) -> Iterator[Any]:
    """Products of dense matrices, group by group; some are sparse, unless SciPy is missing."""
    for group in plan.groups:
        for operator in group.members:
            kind = type(operator)
            if kind is SparseDotInc and not isinstance(facts.array(operator.A), np.ndarray):
                continue
            if (kind is DotInc or kind is SparseDotInc) and operator in native:
                yield operator


def _is_event_source(operator: SimNeurons, weighted: set[Signal], facts: Facts) -> bool:
    """Whether neurons spike, and products that do not look at the others would be quicker."""
    formula = formula_of(operator.neurons)
    return (
        formula is not None
        and formula.spiking
        and operator.output in weighted
        and facts.uses.is_only_writer(operator, operator.output)
    )


def _bias_of(product: Any, facts: Facts) -> Any:
    """What sets the whole sum to a constant, before a product alone is added; None if none does."""
    setter = facts.uses.other_writer(product, product.Y)
    if type(setter) not in (Copy, Reset) or facts.is_exposed(product.Y):
        return None
    if type(setter) is Copy and (
        setter.inc or not _is_whole(setter) or not facts.is_fixed(setter.src)
    ):
        return None
    y, dst = facts.array(product.Y), facts.array(setter.dst)
    is_same = setter.dst is product.Y or facts.address(setter.dst) == facts.address(product.Y)
    return setter if is_same and dst.size == y.size and contiguous(dst) else None


def _is_whole(operator: Copy) -> bool:
    return operator.src_slice is None and operator.dst_slice is None


def _currents_of(neurons: SimNeurons, facts: Facts) -> Any:
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


def _applier_of(rule: Any, facts: Facts) -> Any:
    """The operator that adds a rule's whole delta to weights that nothing else changes, if any."""
    uses, delta = facts.uses, rule.delta
    inc = uses.only_reader_of(delta)
    if type(inc) is not Copy or not inc.inc or not _is_whole(inc) or inc.src is not delta:
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
