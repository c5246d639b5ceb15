# mypy: disable-error-code="no-untyped-def"
# (kernels are compiled: their arguments have no types in Python)
"""Kernels for learning rules.

All rules but RLS change the weights by ``outer(gain, pre) - loss * weights``. A kernel of each
rule computes the two factors, of which there is one for each row of the weights; the rest is
common to all. In tables, n is the number of columns of the weights and m that of rows, so that
work is divided between columns; the distances from row to row are in bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nengo_jit.engines.cpu.contracts import contiguous
from nengo_jit.engines.cpu.kernels.operator import copy, copy_inc, start
from nengo_jit.engines.cpu.lowering import Lowered, Lowering, lowers
from nengo_jit.engines.cpu.machine import Kernel, Row, helper, integers, kernel, vector
from nengo_jit.ir.learning_rules import SimBCM, SimOja, SimPES, SimRLS, SimVoja
from nengo_jit.ir.memory import hold
from nengo_jit.ir.operator import Copy
from nengo_jit.ir.signal import Signal

# what a run begins with, see `lower_rule`
first_inc = replace(copy_inc, when="first")

# The factors of a change


@kernel("awn=")
def pes_factors(memory, table):
    """``gain = alpha * error``; nothing is lost."""
    rows = integers(table, 1 + 4 * integers(table, 1)[0])
    for r in range(1, rows.size, 4):
        error, gain = vector(memory, rows[r], rows[r + 2]), vector(memory, rows[r + 1], rows[r + 2])
        alpha = vector(memory, rows[r + 3], 1)[0]
        for i in range(gain.size):
            gain[i] = alpha * error[i]
    return 0


@kernel("==pm=")
def bcm_factors(memory, table):
    """``gain = alpha * post * (post - theta)``; nothing is lost."""
    rows = integers(table, 1 + 5 * integers(table, 1)[0])
    for r in range(1, rows.size, 5):
        m = rows[r + 3]
        post, theta = vector(memory, rows[r], m), vector(memory, rows[r + 1], m)
        gain, alpha = vector(memory, rows[r + 2], m), vector(memory, rows[r + 4], 1)[0]
        for i in range(m):
            gain[i] = alpha * post[i] * (post[i] - theta[i])
    return 0


@kernel("=p=m=")
def oja_factors(memory, table):
    """``gain = alpha * post`` and ``loss = beta * gain * post``."""
    rows = integers(table, 1 + 5 * integers(table, 1)[0])
    for r in range(1, rows.size, 5):
        m, parameters = rows[r + 3], vector(memory, rows[r + 4], 2)
        post, gain = vector(memory, rows[r], m), vector(memory, rows[r + 1], m)
        loss, alpha, beta = vector(memory, rows[r + 2], m), parameters[0], parameters[1]
        for i in range(m):
            gain[i] = alpha * post[i]
            loss[i] = beta * gain[i] * post[i]
    return 0


@kernel("=p=m===")
def voja_factors(memory, table):
    """``loss = alpha * learning * post`` and ``gain = loss * scale``."""
    rows = integers(table, 1 + 7 * integers(table, 1)[0])
    for r in range(1, rows.size, 7):
        m, rate = rows[r + 3], vector(memory, rows[r + 4], 1)[0] * vector(memory, rows[r + 5], 1)[0]
        post, gain = vector(memory, rows[r], m), vector(memory, rows[r + 1], m)
        loss, scale = vector(memory, rows[r + 2], m), vector(memory, rows[r + 6], m)
        for i in range(m):
            loss[i] = rate * post[i]
            gain[i] = loss[i] * scale[i]
    return 0


# What becomes of the factors


@kernel("a=wnm=", stage=1, contract=False)
def outer(memory, table):
    """``delta = outer(gain, pre)``."""
    rows = integers(table, 1 + 6 * integers(table, 1)[0])
    for r in range(1, rows.size, 6):
        n, m = rows[r + 3], rows[r + 4]
        pre, gain = vector(memory, rows[r], n), vector(memory, rows[r + 1], m)
        for i in range(m):
            delta, height = vector(memory, rows[r + 2] + i * rows[r + 5], n), gain[i]
            for j in range(n):
                delta[j] = height * pre[j]
    return 0


@kernel("a=wnm=", when="later", contract=False)
def outer_inc(memory, table):
    """``weights += outer(gain, pre)``."""
    rows = integers(table, 1 + 6 * integers(table, 1)[0])
    for r in range(1, rows.size, 6):
        n, m = rows[r + 3], rows[r + 4]
        pre, gain = vector(memory, rows[r], n), vector(memory, rows[r + 1], m)
        for i in range(m):
            weights, height = vector(memory, rows[r + 2] + i * rows[r + 5], n), gain[i]
            for j in range(n):
                weights[j] += height * pre[j]
    return 0


@kernel("a=w=anm==", stage=1, contract=False)
def outer_with_loss(memory, table):
    """``delta = outer(gain, pre) - loss * weights``."""
    rows = integers(table, 1 + 9 * integers(table, 1)[0])
    for r in range(1, rows.size, 9):
        n, m = rows[r + 5], rows[r + 6]
        pre, gain = vector(memory, rows[r], n), vector(memory, rows[r + 1], m)
        loss = vector(memory, rows[r + 3], m)
        for i in range(m):
            delta = vector(memory, rows[r + 2] + i * rows[r + 7], n)
            weights = vector(memory, rows[r + 4] + i * rows[r + 8], n)
            height, share = gain[i], loss[i]
            for j in range(n):
                delta[j] = height * pre[j] - share * weights[j]
    return 0


@kernel("a=w=nm=", when="later", contract=False)
def outer_with_loss_inc(memory, table):
    """``weights += outer(gain, pre) - loss * weights``."""
    rows = integers(table, 1 + 7 * integers(table, 1)[0])
    for r in range(1, rows.size, 7):
        n, m = rows[r + 4], rows[r + 5]
        pre, gain = vector(memory, rows[r], n), vector(memory, rows[r + 1], m)
        loss = vector(memory, rows[r + 3], m)
        for i in range(m):
            weights = vector(memory, rows[r + 2] + i * rows[r + 6], n)
            height, share = gain[i], loss[i]
            for j in range(n):
                weights[j] += height * pre[j] - share * weights[j]
    return 0


# RLS


@kernel("r=wnm=", reassociate=True)
def rls_product(memory, table):
    """``product = P.dot(pre)``."""
    rows = integers(table, 1 + 6 * integers(table, 1)[0])
    for r in range(1, rows.size, 6):
        n, m = rows[r + 3], rows[r + 4]
        pre, product = vector(memory, rows[r + 1], m), vector(memory, rows[r + 2], n)
        for i in range(n):
            inverse = vector(memory, rows[r] + i * rows[r + 5], m)
            total = inverse[0] * pre[0]
            for j in range(1, m):
                total += inverse[j] * pre[j]
            product[i] = total
    return 0


@helper(forceinline=True)
def gain(memory: Any, pre: int, product: int, n: int) -> Any:
    """``1 / (1 + pre.dot(product))``."""
    activities, values = vector(memory, pre, n), vector(memory, product, n)
    total = activities[0] * values[0]
    for i in range(1, n):
        total += activities[i] * values[i]
    return 1 / (1 + total)


@kernel("===awnm=", reassociate=True, stage=1)
def rls_delta(memory, table):
    """``delta = -gain * outer(error, product)``."""
    rows = integers(table, 1 + 8 * integers(table, 1)[0])
    for r in range(1, rows.size, 8):
        n, m = rows[r + 5], rows[r + 6]
        error, product = vector(memory, rows[r + 2], m), vector(memory, rows[r + 3], n)
        factor = -gain(memory, rows[r], rows[r + 1], rows[r + 7] // error.itemsize)
        for i in range(m):
            delta = vector(memory, rows[r + 4] + i * rows[r + 7], n)
            height = factor * error[i]
            for j in range(n):
                delta[j] = height * product[j]
    return 0


@kernel("==awnm=", reassociate=True, stage=1)
def rls_inverse(memory, table):
    """``P -= gain * outer(product, product)``.

    Rows are taken upwards: the product was made downwards, so the last ones are in the cache.
    """
    rows = integers(table, 1 + 7 * integers(table, 1)[0])
    for r in range(1, rows.size, 7):
        n, m = rows[r + 4], rows[r + 5]
        whole, product = vector(memory, rows[r + 1], m), vector(memory, rows[r + 2], n)
        factor = gain(memory, rows[r], rows[r + 1], m)
        for i in range(m - 1, -1, -1):
            inverse = vector(memory, rows[r + 3] + i * rows[r + 6], n)
            height = factor * whole[i]
            for j in range(n):
                inverse[j] -= height * product[j]
    return 0


@dataclass(frozen=True)
class Change:
    """How a rule changes weights in a step: ``outer(gain, pre) - loss * weights``.

    Attributes
    ----------
    pre, delta : numpy.ndarray
        (n_pre,) activities, and (n_post, n_pre) signal that the change is written to.
    factors : tuple of Kernel and tuple of int
        What computes gain and loss.
    gain : int
        Address of (n_post,) numbers.
    loss : int or None
        Address of (n_post,) numbers, if weights are lost.
    weights : Signal or None
        Those that are lost, if any are.
    """

    pre: np.ndarray
    delta: np.ndarray
    factors: tuple[Kernel, Row]
    gain: int
    loss: int | None = None
    weights: Signal | None = None

    def set_delta(self, lowering: Lowering, pre: int) -> tuple[Kernel, Row]:
        """What writes the change to delta, from activities at an address."""
        m, n = self.delta.shape
        distance = self.delta.strides[0]
        if self.weights is None or self.loss is None:
            return outer, (pre, self.gain, start(self.delta), n, m, distance)
        old = lowering.array(self.weights)
        addresses = (pre, self.gain, start(self.delta), self.loss, start(old))
        return outer_with_loss, (*addresses, n, m, distance, old.strides[0])

    def inc_weights(self, weights: np.ndarray, pre: int) -> tuple[Kernel, Row]:
        """What adds the change to weights, from activities at an address."""
        m, n = weights.shape
        if self.loss is None:
            return outer_inc, (pre, self.gain, start(weights), n, m, weights.strides[0])
        addresses = (pre, self.gain, start(weights), self.loss)
        return outer_with_loss_inc, (*addresses, n, m, weights.strides[0])


def _pes(operator: SimPES, lowering: Lowering) -> Change:
    pre, error = lowering.array(operator.pre_filtered), lowering.array(operator.error)
    delta = lowering.array(operator.delta)
    alpha = lowering.parameters([-operator.learning_rate * lowering.dt / pre.size])
    gain = start(lowering.buffer(error.size, lowering.dtype))
    return Change(pre, delta, (pes_factors, (start(error), gain, error.size, alpha)), gain)


def _bcm(operator: SimBCM, lowering: Lowering) -> Change:
    pre, post = lowering.array(operator.pre_filtered), lowering.array(operator.post_filtered)
    theta, delta = lowering.array(operator.theta), lowering.array(operator.delta)
    alpha = lowering.parameters([operator.learning_rate * lowering.dt])
    gain = start(lowering.buffer(post.size, lowering.dtype))
    row = (start(post), start(theta), gain, post.size, alpha)
    return Change(pre, delta, (bcm_factors, row), gain)


def _oja(operator: SimOja, lowering: Lowering) -> Change:
    pre, post = lowering.array(operator.pre_filtered), lowering.array(operator.post_filtered)
    delta = lowering.array(operator.delta)
    parameters = lowering.parameters([operator.learning_rate * lowering.dt, operator.beta])
    gain, loss = (start(lowering.buffer(post.size, lowering.dtype)) for _ in range(2))
    row = (start(post), gain, loss, post.size, parameters)
    return Change(pre, delta, (oja_factors, row), gain, loss, operator.weights)


def _voja(operator: SimVoja, lowering: Lowering) -> Change:
    pre, post = lowering.array(operator.pre_decoded), lowering.array(operator.post_filtered)
    delta, learning = lowering.array(operator.delta), lowering.array(operator.learning_signal)
    alpha = lowering.parameters([operator.learning_rate * lowering.dt])
    gain, loss = (start(lowering.buffer(post.size, lowering.dtype)) for _ in range(2))
    row = (start(post), gain, loss, post.size, alpha, start(learning), _scale(operator, lowering))
    return Change(pre, delta, (voja_factors, row), gain, loss, operator.scaled_encoders)


def _scale(operator: SimVoja, lowering: Lowering) -> int:
    """Address of the scale: where it lies, if it can be read there, since it may be changed."""
    scale = operator.scale
    held = hold(scale)
    if held is None or scale.dtype != lowering.dtype or not contiguous(scale):
        lowering.relies_on(operator, scale.tobytes)
        return lowering.constant(scale)
    lowering.keep(held)
    return start(scale)


CHANGES: dict[type, Callable[[Any, Lowering], Change]] = {
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
    themselves, so that delta, which is as large as they are, need not be written and read again.
    Only the first step adds the delta that it finds, and delta is set when somebody looks.
    """
    change = CHANGES[type(operator)](operator, lowering)
    inc = lowering.only_reader_of(operator.delta)
    if inc is None or not _is_added(inc, operator, change, lowering):
        return [change.factors, change.set_delta(lowering, start(change.pre))]
    weights = lowering.array(inc.dst)
    lowering.delayed.add(operator.delta.base)
    if change.weights is not None:  # which delta is made of, when somebody looks
        lowering.delayed.add(change.weights.base)
    pre = start(lowering.buffer(change.pre.size, lowering.dtype))
    lowering.lowered[inc] = [
        (first_inc, (start(change.delta), start(weights), weights.size)),
        change.inc_weights(weights, pre),
    ]
    set_delta, row = change.set_delta(lowering, pre)
    keep = (copy, (start(change.pre), pre, change.pre.size))
    return [change.factors, keep, (replace(set_delta, when="after"), row)]


def _is_added(operator: Any, rule: Any, change: Change, lowering: Lowering) -> bool:
    """Whether an operator adds a rule's whole delta to weights that nothing else changes."""
    if type(operator) is not Copy or not operator.inc:
        return False
    if operator.src_slice is not None or operator.dst_slice is not None:
        return False
    weights = operator.dst
    return (
        not lowering.is_exposed(*rule.reads, operator.src, weights)
        and lowering.is_only_writer(operator, weights)
        and change.weights in (None, weights)
        and lowering.contracts.are_met(operator)
        and contiguous(lowering.array(weights))
        and weights.shape == change.delta.shape
    )


@lowers(SimRLS)
def lower_sim_rls(operator: SimRLS, lowering: Lowering) -> Lowered:
    """Compute the product of P and the activities, then what depends on it."""
    pre, error = lowering.array(operator.pre_filtered), lowering.array(operator.error)
    delta, inverse = lowering.array(operator.delta), lowering.array(operator.inv_gamma)
    product = start(lowering.buffer(pre.size, lowering.dtype))
    n, distance = pre.size, inverse.strides[0]
    changing = (start(pre), product, start(error), product, start(delta))
    return [
        (rls_product, (start(inverse), start(pre), product, n, n, distance)),
        (rls_delta, (*changing, n, error.size, distance)),
        (rls_inverse, (start(pre), product, product, start(inverse), n, n, distance)),
    ]
