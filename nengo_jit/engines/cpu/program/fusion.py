"""Fusion: which operators are carried out by the kernels of others, and which copy a result.

This is a pass over the plan, before lowering. It depends on the operators, on the other users of
their operands, and on which signals are constant or exposed. Lowering an operator then depends on
that operator and on the result of this pass alone.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Hashable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import TypeAlias

import numpy as np

from nengo_jit.engines.cpu.language.kernel import start
from nengo_jit.engines.cpu.language.primitives import FLOAT16
from nengo_jit.engines.cpu.program.arena import CHUNK
from nengo_jit.engines.cpu.program.facts import Facts
from nengo_jit.engines.cpu.program.keeping import held_products
from nengo_jit.engines.cpu.program.learned import learned_weights
from nengo_jit.engines.cpu.program.products import (
    Strategy,
    as_matrix,
    sparse_strategy_of,
    strategy_of,
)
from nengo_jit.engines.cpu.program.sums import adds_nothing, bias_of, product_of, terms_of
from nengo_jit.engines.cpu.program.unstored import Unstored
from nengo_jit.ir.base import Operator
from nengo_jit.ir.neurons import SimNeurons
from nengo_jit.ir.operator import Copy, DotInc, Reset, SparseDotInc
from nengo_jit.ir.signal import Signal
from nengo_jit.ir.transforms import ConvInc, ConvTransposeInc, GeneralConvInc
from nengo_jit.neurons import formula_of
from nengo_jit.neurons.lif import FORMULA as LIF
from nengo_jit.planner.graph import Graph
from nengo_jit.planner.plan import Plan

Product: TypeAlias = DotInc  # of which `SparseDotInc` is a subclass
CONVOLUTIONS = ConvInc, ConvTransposeInc, GeneralConvInc


class Part(Enum):
    """Role of an operator for the one that it is fused into."""

    BIAS = "bias"  # initial value of the sum that a product or a convolution is added to
    CURRENTS = "currents"  # product that computes the currents of neurons
    TERM = "term"  # another summand of currents, of which there may be several
    DELTA = "delta"  # change of weights by a learning rule, which still computes its factors
    UPDATE = "update"  # operator that adds a delta to weights, which still does the first step's


@dataclass(frozen=True, slots=True)
class Fused:
    """Where a fused operator is carried out.

    Attributes
    ----------
    into : Operator
        The operator whose kernels do it.
    part : Part
        Role of the fused operator there.
    """

    into: Operator
    part: Part


@dataclass(frozen=True)
class Fusion:
    """Result of the pass.

    Attributes
    ----------
    fused_into : mapping of (Operator, Fused)
        Operators that others carry out. Such an operator has no kernels of its own, unless it is
        a learning rule, or adds a delta to weights.
    duplicate_of : mapping of (Operator, Operator)
        Products that copy the result of another, equal product.
    strategies : mapping of (Operator, Strategy)
        How each product is computed.
    held : frozenset of Operator
        Products with constant matrices that are kept for as long as the vector is the same.
    listed : frozenset of Signal
        Outputs of spiking neurons whose kernels list the neurons that spiked.
    searched : frozenset of Signal
        Outputs of spiking neurons that user code may change, so that products have to search them
        for spikes.
    without_currents : frozenset of SimNeurons
        Neurons whose currents are stored only when somebody looks.
    without_output : mapping of (Signal, SimNeurons)
        Outputs that are stored only when somebody looks, with their neurons.
    """

    fused_into: Mapping[Operator, Fused]
    duplicate_of: Mapping[Operator, Product]
    strategies: Mapping[Product, Strategy]
    held: frozenset[Operator]
    listed: frozenset[Signal]
    searched: frozenset[Signal]
    without_currents: frozenset[SimNeurons]
    without_output: Mapping[Signal, SimNeurons]

    @property
    def parts(self) -> dict[Operator, dict[Part, Operator]]:
        """Dict of (Operator, dict of (Part, Operator)): what is fused into an operator, by part.

        Of terms there may be several, see `terms`.
        """
        found: dict[Operator, dict[Part, Operator]] = {}
        for operator, each in self.fused_into.items():
            if each.part is not Part.TERM:
                found.setdefault(each.into, {})[each.part] = operator
        return found

    @cached_property
    def terms(self) -> dict[Operator, list[Operator]]:
        """Dict of (Operator, list of Operator): for neurons, what else is added to currents."""
        found: dict[Operator, list[Operator]] = defaultdict(list)
        for operator, each in self.fused_into.items():
            if each.part is Part.TERM:
                found[each.into].append(operator)
        return found

    def output_of(self, x: Signal) -> Signal:
        """The output of spiking neurons that a signal is, or is a view of."""
        return _output_of(x, self.listed | self.searched)

    def is_absorbed(self, operator: Operator) -> bool:
        """Whether an operator has no kernels of its own, since another one carries it out."""
        fused = self.fused_into.get(operator)
        return fused is not None and fused.part not in (Part.DELTA, Part.UPDATE)

    def graph(self, graph: Graph) -> Graph:
        """Dependency graph of the operators that have kernels.

        Parameters
        ----------
        graph : dict of (Operator, list of Operator)
            The plan's graph: maps each operator to those that depend on it directly.
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
        for rule, fused in self.fused_into.items():
            update = self.fused_into.get(fused.into)
            if update is not None and update.part is Part.UPDATE:  # needs the factors of the rule
                new[update.into].append(rule)
        return new


def fuse(plan: Plan, facts: Facts, native: Collection[Operator]) -> Fusion:
    """Find operators that can be carried out together.

    Parameters
    ----------
    plan : Plan
        The plan that is lowered.
    facts : Facts
        Facts about the operands.
    native : collection of Operator
        Operators that meet their contracts; no others are fused.

    Returns
    -------
    Fusion
        The result of the pass.
    """
    neurons = [op for op in plan.operators if type(op) is SimNeurons and op in native]
    weighted = {op.X for op in plan.operators if type(op) is DotInc}
    sparse = [op for op in plan.operators if type(op) is SparseDotInc and op in native]
    weighted.update(signal for op in sparse for signal in (op.X, op.X.base))
    spiking = {op.output for op in neurons if _is_event_source(op, weighted, facts)}
    searched = {output for output in spiking if facts.is_exposed(output)}
    strategies, is_half = {}, facts.dtype == FLOAT16
    for operator in _products(plan, native):
        a, x, y = (facts.array(signal) for signal in (operator.A, operator.X, operator.Y))
        is_fixed = facts.is_fixed(operator.A)
        if isinstance(a, np.ndarray):
            strategies[operator] = strategy_of(a, x, y, is_fixed, operator.X in spiking)
        else:
            has_spikes = _output_of(operator.X, spiking) in spiking
            strategies[operator] = sparse_strategy_of(a, x, y, is_fixed, has_spikes)
    fused: dict[Operator, Fused] = {}
    with_bias: dict[Operator, Copy | Reset] = {}  # sums of nothing else
    for operator, strategy in strategies.items():
        setter = bias_of(operator, facts) if _takes_bias(operator, strategy, facts) else None
        if setter is not None and setter in native:
            with_bias[operator] = setter
            fused[setter] = Fused(operator, Part.BIAS)
    for operator in plan.operators:
        if type(operator) in CONVOLUTIONS and operator in native:
            setter = bias_of(operator, facts)
            if type(setter) is Reset and setter in native:
                with_bias[operator] = setter
                fused[setter] = Fused(operator, Part.BIAS)
    level = {op: group.level for group in plan.groups for op in group.members}
    for each in neurons:
        if is_half or formula_of(each.neurons) is not LIF:
            continue
        product = product_of(each, facts)
        if (
            product is None
            or strategies.get(product) is not Strategy.COLUMNS
            or product in plan.invariant
        ):
            continue
        if product in with_bias:
            fused[product] = Fused(each, Part.CURRENTS)
            continue
        setter, terms = terms_of(each, product, level, plan, facts)
        if setter is not None and all(each in native for each in (setter, *terms)):
            fused[setter] = Fused(product, Part.BIAS)
            fused[product] = Fused(each, Part.CURRENTS)
            fused.update((term, Fused(each, Part.TERM)) for term in terms)
    for product in strategies:
        if product not in fused and product not in with_bias and adds_nothing(product, facts):
            strategies[product] = Strategy.NONE
    for changes, product in learned_weights(plan, native, level, facts):
        fused.update((rule, Fused(inc, Part.DELTA)) for rule, inc in changes)
        if (
            product is not None
            and strategies.get(product) in (Strategy.ROWS, Strategy.ROWS_OF_EVENTS)
            and not is_half
            and product.X not in searched
            and product not in plan.deferred
            and all(level[product] < level[rule] for rule, _ in changes)
        ):
            fused[changes[-1][1]] = Fused(product, Part.UPDATE)
    held = frozenset(held_products(plan, strategies, with_bias, spiking, facts))
    lif = [op for op in neurons if formula_of(op.neurons) is LIF and not is_half]
    unstored, listed = Unstored(lif, level, plan, facts), spiking - searched
    alone = {
        each.into: op
        for op, each in fused.items()
        if each.part is Part.CURRENTS and op in with_bias and op not in held
    }
    return Fusion(
        fused_into=fused,
        duplicate_of=_equal_products(plan, strategies, with_bias, facts),
        strategies=strategies,
        held=held,
        listed=frozenset(listed),
        searched=frozenset(searched),
        without_currents=frozenset(unstored.currents(alone)),
        without_output={each.output: each for each in unstored.outputs(listed, strategies)},
    )


def _products(plan: Plan, native: Collection[Operator]) -> Iterator[Product]:
    """Products, group by group."""
    for group in plan.groups:
        for operator in group.members:
            if type(operator) in (DotInc, SparseDotInc) and operator in native:
                yield operator


def _output_of(x: Signal, spiking: Collection[Signal]) -> Signal:
    return x if x in spiking else x.base


def _takes_bias(product: Product, strategy: Strategy, facts: Facts) -> bool:
    """Whether what computes a product may begin with a bias."""
    is_sparse = not isinstance(facts.array(product.A), np.ndarray)
    return strategy in (Strategy.EVENTS, Strategy.ROWS if is_sparse else Strategy.COLUMNS)


def _is_event_source(operator: SimNeurons, weighted: set[Signal], facts: Facts) -> bool:
    """Whether neurons spike, and products of their output can skip neurons that do not."""
    formula = formula_of(operator.neurons)
    return (
        formula is not None
        and formula.spiking
        and operator.output in weighted
        and facts.uses.is_only_writer(operator, operator.output)
    )


def _equal_products(
    plan: Plan,
    strategies: Mapping[Product, Strategy],
    with_bias: Mapping[Operator, Copy | Reset],
    facts: Facts,
) -> dict[Operator, Product]:
    """Map products of spikes to equal ones that come before them.

    Connections from one ensemble that decode the same function have equal matrices.
    """
    alike: dict[tuple[Signal, int, bytes], list[Product]] = defaultdict(list)
    for operator, strategy in strategies.items():  # group by group
        setter = with_bias.get(operator)
        if (
            strategy is not Strategy.EVENTS
            or type(operator) is not DotInc
            or not isinstance(setter, Reset)
            or operator in plan.deferred
        ):
            continue
        if not facts.is_exposed(*operator.reads, *operator.incs):
            bias = np.asarray(setter.value, facts.dtype).tobytes()
            alike[operator.X, operator.Y.size, bias].append(operator)
    found: dict[Operator, Product] = {}
    for operators in alike.values():
        first: dict[Hashable, Product] = {}
        for operator in operators if len(operators) > 1 else ():
            other = first.setdefault(_content(operator, facts), operator)
            if other is not operator:
                found[operator] = other
    return found


def _content(product: Product, facts: Facts) -> Hashable:
    """Key that equal matrices share: a digest, or the address of a large matrix."""
    a = as_matrix(facts.array(product.A), product.Y.size, product.X.size)
    if a.nbytes < CHUNK:
        return hashlib.blake2b(a.tobytes()).digest()
    return start(a) if a.T.flags.c_contiguous else product
