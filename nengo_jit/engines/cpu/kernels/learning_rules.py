"""Kernels for learning rules.

All rules change the weights by ``outer(gain, pre) - loss * weights``, where RLS has another vector
for pre. A kernel of each rule computes the two factors, of which there is one for each row of the
weights; the rest is common to all. In rows, n is the number of columns of the weights and m that
of rows, so that work is divided between columns; the distances from row to row are in bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from nengo_jit.engines.cpu.kernels.operator import copy, copy_inc
from nengo_jit.engines.cpu.language.kernel import (
    Address,
    Count,
    Factor,
    In,
    Out,
    Own,
    Row,
    kernel,
    start,
)
from nengo_jit.engines.cpu.language.primitives import Memory, vector
from nengo_jit.engines.cpu.program.contracts import contiguous
from nengo_jit.engines.cpu.program.fusion import RULES, Part
from nengo_jit.engines.cpu.program.lowering import Lowered, Lowering, lowers, lowers_with
from nengo_jit.ir.learning_rules import SimBCM, SimOja, SimPES, SimRLS, SimVoja
from nengo_jit.ir.memory import hold
from nengo_jit.ir.operator import Copy
from nengo_jit.ir.signal import Signal

# what a run begins with, see `lower_rule`
first_inc = copy_inc.but(when="first")


# The factors of a change


@kernel()
def pes_factors(memory: Memory, error: In, gain: Out, n: Count, alpha: Address) -> None:
    """``gain = alpha * error``; nothing is lost."""
    errors, gains = vector(memory, error, n), vector(memory, gain, n)
    rate = vector(memory, alpha, 1)[0]
    for i in range(n):
        gains[i] = rate * errors[i]


@kernel()
def bcm_factors(
    memory: Memory, post: Address, theta: Address, gain: Own, m: Factor, alpha: Address
) -> None:
    """``gain = alpha * post * (post - theta)``; nothing is lost."""
    activities, thresholds = vector(memory, post, m), vector(memory, theta, m)
    gains, rate = vector(memory, gain, m), vector(memory, alpha, 1)[0]
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


# What becomes of the factors


@kernel(stage=2, contract=False)
def outer(
    memory: Memory,
    pre: In,
    gain: Address,
    delta: Out,
    n: Count,
    m: Factor,
    distance: int,
) -> None:
    """``delta = outer(gain, pre)``."""
    activities, gains = vector(memory, pre, n), vector(memory, gain, m)
    for i in range(m):
        changes, height = vector(memory, delta + i * distance, n), gains[i]
        for j in range(n):
            changes[j] = height * activities[j]


@kernel(when="later", contract=False)
def outer_inc(
    memory: Memory,
    pre: In,
    gain: Address,
    weights: Out,
    n: Count,
    m: Factor,
    distance: int,
) -> None:
    """``weights += outer(gain, pre)``."""
    activities, gains = vector(memory, pre, n), vector(memory, gain, m)
    for i in range(m):
        row, height = vector(memory, weights + i * distance, n), gains[i]
        for j in range(n):
            row[j] += height * activities[j]


@kernel(stage=2, contract=False)
def outer_with_loss(
    memory: Memory,
    pre: In,
    gain: Address,
    delta: Out,
    loss: Address,
    weights: In,
    n: Count,
    m: Factor,
    distance: int,
    weights_distance: int,
) -> None:
    """``delta = outer(gain, pre) - loss * weights``."""
    activities, gains = vector(memory, pre, n), vector(memory, gain, m)
    losses = vector(memory, loss, m)
    for i in range(m):
        changes = vector(memory, delta + i * distance, n)
        row = vector(memory, weights + i * weights_distance, n)
        height, share = gains[i], losses[i]
        for j in range(n):
            changes[j] = height * activities[j] - share * row[j]


@kernel(when="later", contract=False)
def outer_with_loss_inc(
    memory: Memory,
    pre: In,
    gain: Address,
    weights: Out,
    loss: Address,
    n: Count,
    m: Factor,
    distance: int,
) -> None:
    """``weights += outer(gain, pre) - loss * weights``."""
    activities, gains = vector(memory, pre, n), vector(memory, gain, m)
    losses = vector(memory, loss, m)
    for i in range(m):
        row = vector(memory, weights + i * distance, n)
        height, share = gains[i], losses[i]
        for j in range(n):
            row[j] += height * activities[j] - share * row[j]


@dataclass(frozen=True)
class Change:
    """How a rule changes weights in a step: ``outer(gain, pre) - loss * weights``.

    Attributes
    ----------
    pre, delta : numpy.ndarray
        (n_pre,) activities, and (n_post, n_pre) signal that the change is written to.
    gain : Address
        Of (n_post,) numbers.
    loss : Address or None
        Of (n_post,) numbers, if weights are lost.
    weights : Signal or None
        Those that are lost, if any are.
    kept : Address
        Where the activities are kept until the next step, if the change is applied then.
    """

    pre: np.ndarray
    delta: np.ndarray
    gain: Address
    loss: Address | None
    weights: Signal | None
    kept: Address

    def set_delta(self, lowering: Lowering, pre: Address) -> Row:
        """What writes the change to delta, from activities at an address."""
        m, n = self.delta.shape
        common: Any = {
            "pre": pre,
            "gain": self.gain,
            "delta": start(self.delta),
            "n": n,
            "m": m,
            "distance": self.delta.strides[0],
        }
        if self.weights is None or self.loss is None:
            return outer.row(**common)
        old = lowering.array(self.weights)
        return outer_with_loss.row(
            loss=self.loss, weights=start(old), weights_distance=old.strides[0], **common
        )

    def inc_weights(self, weights: np.ndarray) -> Row:
        """What adds the change to weights, from the activities that were kept."""
        m, n = weights.shape
        common: Any = {
            "pre": self.kept,
            "gain": self.gain,
            "weights": start(weights),
            "n": n,
            "m": m,
            "distance": weights.strides[0],
        }
        if self.loss is None:
            return outer_inc.row(**common)
        return outer_with_loss_inc.row(loss=self.loss, **common)


def change_by(rule: Any, lowering: Lowering) -> Change:
    """How a rule changes weights; always in the same memory."""
    delta, lost = lowering.array(rule.delta), RULES[type(rule)]
    names = {"gain": len(delta), "loss": len(delta), "kept": delta.shape[1]}
    if lost is None:
        del names["loss"]
    buffers = {name: lowering.arena.numbers_of(rule, name, n) for name, n in names.items()}

    def forget(_: Any) -> None:
        for each in buffers.values():
            each.fill(0)

    lowering.at_reset[rule] = forget
    weights = None if lost is None else getattr(rule, lost)
    if type(rule) is SimRLS:  # whose product with the activities is nobody else's
        pre = buffers["kept"]
    else:
        pre = lowering.array(rule.pre_decoded if type(rule) is SimVoja else rule.pre_filtered)
    own: Any = {name: start(each) for name, each in buffers.items()}
    return Change(pre, delta, weights=weights, **{"loss": None, **own})


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
    """Address of the scale: where it lies, if it can be read there, since it may be changed."""
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
def lower_rule(operator: Any, lowering: Lowering) -> Lowered:
    """Compute the factors, then delta.

    Where nothing but the next step's weights depends on delta, those are changed by the factors
    themselves, see `lower_weights`, so that delta, which is as large as they are, need not be
    written and read again. It is set when somebody looks.
    """
    change = change_by(operator, lowering)
    rows = [FACTORS[type(operator)](operator, change, lowering)]
    if operator in lowering.fusion.fused_into:
        rows.append(copy.row(src=start(change.pre), dst=change.kept, n=change.pre.size))
    return [*rows, lower_delta(operator, change, lowering)]


def lower_delta(operator: Any, change: Change, lowering: Lowering) -> Row:
    """Set delta, in each step or when somebody looks."""
    if operator not in lowering.fusion.fused_into:
        return change.set_delta(lowering, start(change.pre))
    lowering.delayed.add(operator.delta.base)
    if change.weights is not None:  # which delta is made of, when somebody looks
        lowering.delayed.add(change.weights.base)
    set_delta = change.set_delta(lowering, change.kept)
    return set_delta.by(set_delta.kernel.but(when="after"))


@lowers_with(Part.DELTA)
def lower_weights(operator: Copy, rule: Any, lowering: Lowering) -> Lowered:
    """Add a rule's change to weights; in the first step the delta that is there.

    In later steps the product with the weights may do it, see `lower_learned_product`.
    """
    change, weights = change_by(rule, lowering), lowering.array(operator.dst)
    first = first_inc.row(src=start(change.delta), dst=start(weights), n=weights.size)
    if operator in lowering.fusion.fused_into:
        return [first]
    return [first, change.inc_weights(weights)]
