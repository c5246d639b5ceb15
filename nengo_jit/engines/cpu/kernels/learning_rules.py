"""Kernels for learning rules.

All rules change the weights by ``outer(gain, pre) - loss * weights``, where RLS has another vector
in place of pre. Each rule has a kernel for its two factors, gain and loss, one number for each row
of the weights; the kernels that apply them are common to all rules. Threads divide the rows of
the weights, as products with them do, so that each row stays in the cache of one core.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from nengo_jit.engines.cpu.kernels.half_rules import delta_in_half
from nengo_jit.engines.cpu.kernels.operator import copy, copy_inc
from nengo_jit.engines.cpu.language.columns import (
    Count,
    Distance,
    Factor,
    In,
    Out,
    OutRows,
    Own,
    RowsOf,
)
from nengo_jit.engines.cpu.language.kernel import Row, kernel, start
from nengo_jit.engines.cpu.language.primitives import FLOAT16, Address, Memory, scalars, vector
from nengo_jit.engines.cpu.program.contracts import contiguous
from nengo_jit.engines.cpu.program.fusion import Part
from nengo_jit.engines.cpu.program.learned import RULES
from nengo_jit.engines.cpu.program.lowering import Lowered, Lowering, lowers, lowers_with
from nengo_jit.ir.learning_rules import SimBCM, SimOja, SimPES, SimRLS, SimVoja
from nengo_jit.ir.memory import hold
from nengo_jit.ir.operator import Copy
from nengo_jit.ir.signal import Signal

# adds delta in the first step of a run, see `lower_weights`
first_inc = copy_inc.variant(when="first")

AFTER_LOSS = 1  # stage of changes without loss, if another rule decays the same weights


# Gain and loss of each rule


@kernel()
def pes_factors(memory: Memory, error: In, gain: Out, n: Count, alpha: Address) -> None:
    """``gain = alpha * error``, without loss."""
    errors, gains = vector(memory, error, n), vector(memory, gain, n)
    rate = scalars(memory, alpha, 1)[0]
    for i in range(n):
        gains[i] = rate * errors[i]


@kernel()
def bcm_factors(
    memory: Memory, post: Address, theta: Address, gain: Own, m: Factor, alpha: Address
) -> None:
    """``gain = alpha * post * (post - theta)``, without loss."""
    activities, thresholds = vector(memory, post, m), vector(memory, theta, m)
    gains, rate = vector(memory, gain, m), scalars(memory, alpha, 1)[0]
    for i in range(m):
        gains[i] = rate * activities[i] * (activities[i] - thresholds[i])


@kernel()
def oja_factors(
    memory: Memory, post: Address, gain: Own, loss: Own, m: Factor, parameters: Address
) -> None:
    """``gain = alpha * post`` and ``loss = beta * gain * post``."""
    p = vector(memory, parameters, 2)
    activities, gains = vector(memory, post, m), vector(memory, gain, m)
    losses, alpha, beta = vector(memory, loss, m), p[0], p[1]
    for i in range(m):
        gains[i] = alpha * activities[i]
        losses[i] = beta * gains[i] * activities[i]


@kernel()
def voja_factors(
    memory: Memory,
    post: Address,
    gain: Own,
    loss: Own,
    m: Factor,
    alpha: Address,
    learning: Address,
    scale: Address,
) -> None:
    """``loss = alpha * learning * post`` and ``gain = loss * scale``."""
    rate = vector(memory, alpha, 1)[0] * vector(memory, learning, 1)[0]
    activities, gains = vector(memory, post, m), vector(memory, gain, m)
    losses, scales = vector(memory, loss, m), vector(memory, scale, m)
    for i in range(m):
        losses[i] = rate * activities[i]
        gains[i] = losses[i] * scales[i]


# Kernels that apply gain and loss


@kernel(stage=2, contract=False)
def outer(
    memory: Memory,
    pre: Address,
    gain: In,
    delta: OutRows,
    n: Count,
    m: Factor,
    distance: Distance,
) -> None:
    """``delta = outer(gain, pre)``."""
    activities, gains = vector(memory, pre, m), vector(memory, gain, n)
    for i in range(n):
        changes, height = vector(memory, delta + i * distance, m), gains[i]
        for j in range(m):
            changes[j] = height * activities[j]


@kernel(when="later", contract=False)
def outer_inc(
    memory: Memory,
    pre: Address,
    gain: In,
    weights: OutRows,
    n: Count,
    m: Factor,
    distance: Distance,
) -> None:
    """``weights += outer(gain, pre)``."""
    activities, gains = vector(memory, pre, m), vector(memory, gain, n)
    for i in range(n):
        row, height = vector(memory, weights + i * distance, m), gains[i]
        for j in range(m):
            row[j] += height * activities[j]


@kernel(stage=2, contract=False)
def outer_with_loss(
    memory: Memory,
    pre: Address,
    gain: In,
    delta: OutRows,
    loss: In,
    weights: RowsOf,
    n: Count,
    m: Factor,
    distance: Distance,
) -> None:
    """``delta = outer(gain, pre) - loss * weights``."""
    activities, gains = vector(memory, pre, m), vector(memory, gain, n)
    losses = vector(memory, loss, n)
    for i in range(n):
        changes = vector(memory, delta + i * distance, m)
        row = vector(memory, weights + i * distance, m)
        height, share = gains[i], losses[i]
        for j in range(m):
            changes[j] = height * activities[j] - share * row[j]


@kernel(when="later", contract=False)
def outer_with_loss_inc(
    memory: Memory,
    pre: Address,
    gain: In,
    weights: OutRows,
    loss: In,
    n: Count,
    m: Factor,
    distance: Distance,
) -> None:
    """``weights += outer(gain, pre) - loss * weights``."""
    activities, gains = vector(memory, pre, m), vector(memory, gain, n)
    losses = vector(memory, loss, n)
    for i in range(n):
        row = vector(memory, weights + i * distance, m)
        height, share = gains[i], losses[i]
        for j in range(m):
            row[j] += height * activities[j] - share * row[j]


Rule = SimPES | SimBCM | SimOja | SimVoja


@dataclass(frozen=True)
class Change:
    """The change of weights by a rule: ``outer(gain, pre) - loss * weights``.

    Attributes
    ----------
    pre, delta : numpy.ndarray
        (n_pre,) activities, and (n_post, n_pre) signal that the change is written to.
    gain : Address
        Of (n_post,) numbers.
    loss : Address or None
        Of (n_post,) numbers; None if the rule has no loss.
    weights : Signal or None
        What the loss is multiplied by; None if the rule has no loss.
    kept : Address
        Of a copy of the activities, for changes that are applied in the next step.
    """

    pre: np.ndarray
    delta: np.ndarray
    gain: Address
    loss: Address | None
    weights: Signal | None
    kept: Address

    def set_delta(self, lowering: Lowering, pre: Address) -> Row:
        """Return the row that writes the change to delta, from activities at an address."""
        n, m = self.delta.shape
        delta, distance = start(self.delta), self.delta[0].nbytes
        if self.weights is None or self.loss is None:
            return outer.row(pre=pre, gain=self.gain, delta=delta, n=n, m=m, distance=distance)
        return outer_with_loss.row(
            pre=pre,
            gain=self.gain,
            delta=delta,
            loss=self.loss,
            weights=start(lowering.array(self.weights)),
            n=n,
            m=m,
            distance=distance,
        )

    def inc_weights(self, weights: np.ndarray) -> Row:
        """Return the row that adds the change to weights, from the activities that were kept."""
        n, m = weights.shape
        pre, target, distance = self.kept, start(weights), weights[0].nbytes
        if self.loss is None:
            return outer_inc.row(
                pre=pre, gain=self.gain, weights=target, n=n, m=m, distance=distance
            )
        return outer_with_loss_inc.row(
            pre=pre, gain=self.gain, weights=target, loss=self.loss, n=n, m=m, distance=distance
        )


def change_by(rule: Rule, lowering: Lowering) -> Change:
    """Return the change of weights by a rule; its memory is the same in every call."""
    delta, lost = lowering.array(rule.delta), RULES[type(rule)]
    names = {"gain": len(delta), "loss": len(delta), "kept": delta.shape[1]}
    if lost is None:
        del names["loss"]
    own = {name: lowering.arena.numbers_of(rule, name, n) for name, n in names.items()}

    def forget(_: np.random.RandomState) -> None:
        for each in own.values():
            each.fill(0)

    lowering.at_reset[rule] = forget
    if isinstance(rule, SimRLS):  # applies its product, see `lower_sim_rls`
        pre = own["kept"]
    else:
        pre = lowering.array(rule.pre_decoded if isinstance(rule, SimVoja) else rule.pre_filtered)
    return Change(
        pre=pre,
        delta=delta,
        gain=start(own["gain"]),
        loss=None if lost is None else start(own["loss"]),
        weights=None if lost is None else getattr(rule, lost),
        kept=start(own["kept"]),
    )


def _pes(operator: SimPES, change: Change, lowering: Lowering) -> Row:
    error = lowering.array(operator.error)
    alpha = -operator.learning_rate * lowering.dt / change.pre.size
    return pes_factors.row(
        error=start(error),
        gain=change.gain,
        n=error.size,
        alpha=lowering.arena.parameters([alpha]),
    )


def _bcm(operator: SimBCM, change: Change, lowering: Lowering) -> Row:
    post, theta = lowering.array(operator.post_filtered), lowering.array(operator.theta)
    alpha = lowering.arena.parameters([operator.learning_rate * lowering.dt])
    return bcm_factors.row(
        post=start(post), theta=start(theta), gain=change.gain, m=post.size, alpha=alpha
    )


def _oja(operator: SimOja, change: Change, lowering: Lowering) -> Row:
    post = lowering.array(operator.post_filtered)
    alpha = operator.learning_rate * lowering.dt
    assert change.loss is not None
    return oja_factors.row(
        post=start(post),
        gain=change.gain,
        loss=change.loss,
        m=post.size,
        parameters=lowering.arena.parameters([alpha, operator.beta]),
    )


def _voja(operator: SimVoja, change: Change, lowering: Lowering) -> Row:
    post, learning = (
        lowering.array(operator.post_filtered),
        lowering.array(operator.learning_signal),
    )
    assert change.loss is not None
    return voja_factors.row(
        post=start(post),
        gain=change.gain,
        loss=change.loss,
        m=post.size,
        alpha=lowering.arena.parameters([operator.learning_rate * lowering.dt]),
        learning=start(learning),
        scale=_scale(operator, lowering),
    )


def _scale(operator: SimVoja, lowering: Lowering) -> Address:
    """Return the address of the scale: its own if possible, since user code may change it."""
    scale = operator.scale
    held = hold(scale)
    if held is None or scale.dtype != lowering.dtype or not contiguous(scale):
        lowering.assumptions.rely_on(operator, scale.tobytes)
        return lowering.arena.constant(scale)
    lowering.arena.keep(held)
    return start(scale)


FACTORS: dict[type, Callable[[Any, Change, Lowering], Row]] = {
    SimPES: _pes,
    SimBCM: _bcm,
    SimOja: _oja,
    SimVoja: _voja,
}


@lowers(SimPES)
@lowers(SimBCM)
@lowers(SimOja)
@lowers(SimVoja)
def lower_rule(operator: Rule, lowering: Lowering) -> Lowered:
    """Compute gain and loss, then delta.

    If only the weights of the next step depend on delta, `lower_weights` applies gain and loss to
    them directly: delta, which is as large as the weights, need not be written and read again. It
    is computed when user code reads it.
    """
    if lowering.dtype == FLOAT16 and isinstance(operator, (SimOja, SimVoja)):
        scale = _scale(operator, lowering) if isinstance(operator, SimVoja) else Address(0)
        return [delta_in_half(operator, scale, lowering)]
    change = change_by(operator, lowering)
    rows = [FACTORS[type(operator)](operator, change, lowering)]
    if operator in lowering.fusion.fused_into:
        rows.append(copy.row(src=start(change.pre), dst=change.kept, n=change.pre.size))
    return [*rows, lower_delta(operator, change, lowering)]


def lower_delta(operator: Rule, change: Change, lowering: Lowering) -> Row:
    """Return the row that computes delta, in each step or when user code reads it."""
    if operator not in lowering.fusion.fused_into:
        return change.set_delta(lowering, start(change.pre))
    lowering.delayed.add(operator.delta.base)
    if change.weights is not None:  # delta is computed from them
        lowering.delayed.add(change.weights.base)
    set_delta = change.set_delta(lowering, change.kept)
    return set_delta.for_kernel(set_delta.kernel.variant(when="after"))


@lowers_with(Part.DELTA)
def lower_weights(operator: Copy, rule: Rule, lowering: Lowering) -> Lowered:
    """Add a rule's change to weights; in the first step of a run, add the delta in memory.

    In later steps the product with the weights may do it, see `lower_learned_product`. If several
    rules change the weights, the one with a loss comes first: its loss is of the weights before.
    """
    change, weights = change_by(rule, lowering), lowering.array(operator.dst)
    rows = [first_inc.row(src=start(change.delta), dst=start(weights), n=weights.size)]
    if operator not in lowering.fusion.fused_into:
        rows.append(change.inc_weights(weights))
    others = lowering.facts.uses.writers_of(operator.dst)
    if change.loss is None and len(others) > 1:
        return [row.for_kernel(row.kernel.variant(stage=AFTER_LOSS)) for row in rows]
    return rows
