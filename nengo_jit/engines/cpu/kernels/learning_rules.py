# mypy: disable-error-code="no-untyped-def"
# (kernels are compiled: their arguments have no types in Python)
"""Kernels for learning rules: each goes over the weights once, row by row.

In a table, n is the number of columns of the weights and m that of rows, so that work is divided
between columns; the distances from row to row are in bytes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nengo_jit.builder.learning_rules import SimBCM, SimOja, SimPES, SimRLS, SimVoja
from nengo_jit.engines.cpu.kernels.operator import contiguous, start
from nengo_jit.engines.cpu.lowering import Lowered, Lowering, lowers
from nengo_jit.engines.cpu.machine import helper, integers, kernel, vector


@kernel("a=w=nm=")
def pes(memory, table):
    """``delta = alpha * outer(error, pre)``."""
    rows = integers(table, 1 + 7 * integers(table, 1)[0])
    for r in range(1, rows.size, 7):
        n, m = rows[r + 4], rows[r + 5]
        pre, error = vector(memory, rows[r], n), vector(memory, rows[r + 1], m)
        alpha = vector(memory, rows[r + 3], 1)[0]
        for i in range(m):
            delta = vector(memory, rows[r + 2] + i * rows[r + 6], n)
            factor = alpha * error[i]
            for j in range(n):
                delta[j] = factor * pre[j]
    return 0


@kernel("a==w=nm=")
def bcm(memory, table):
    """``delta = alpha * outer(post * (post - theta), pre)``."""
    rows = integers(table, 1 + 8 * integers(table, 1)[0])
    for r in range(1, rows.size, 8):
        n, m = rows[r + 5], rows[r + 6]
        pre, post = vector(memory, rows[r], n), vector(memory, rows[r + 1], m)
        theta = vector(memory, rows[r + 2], m)
        alpha = vector(memory, rows[r + 4], 1)[0]
        for i in range(m):
            delta = vector(memory, rows[r + 3] + i * rows[r + 7], n)
            factor = alpha * post[i] * (post[i] - theta[i])
            for j in range(n):
                delta[j] = factor * pre[j]
    return 0


@kernel("a=aw=nm==")
def oja(memory, table):
    """``delta = alpha * (outer(post, pre) - beta * post ** 2 * weights)``."""
    rows = integers(table, 1 + 9 * integers(table, 1)[0])
    for r in range(1, rows.size, 9):
        n, m = rows[r + 5], rows[r + 6]
        pre, post = vector(memory, rows[r], n), vector(memory, rows[r + 1], m)
        parameters = vector(memory, rows[r + 4], 2)
        alpha, beta = parameters[0], parameters[1]
        for i in range(m):
            weights = vector(memory, rows[r + 2] + i * rows[r + 7], n)
            delta = vector(memory, rows[r + 3] + i * rows[r + 8], n)
            gained = alpha * post[i]
            lost = beta * gained * post[i]
            for j in range(n):
                delta[j] = gained * pre[j] - lost * weights[j]
    return 0


@kernel("a=aw===nm==")
def voja(memory, table):
    """``delta = alpha * learning * post * (scale * pre - encoders)``."""
    rows = integers(table, 1 + 11 * integers(table, 1)[0])
    for r in range(1, rows.size, 11):
        n, m = rows[r + 7], rows[r + 8]
        pre, post = vector(memory, rows[r], n), vector(memory, rows[r + 1], m)
        rate = vector(memory, rows[r + 4], 1)[0] * vector(memory, rows[r + 5], 1)[0]
        scale = vector(memory, rows[r + 6], m)
        for i in range(m):
            encoders = vector(memory, rows[r + 2] + i * rows[r + 9], n)
            delta = vector(memory, rows[r + 3] + i * rows[r + 10], n)
            factor = rate * post[i]
            target = factor * scale[i]
            for j in range(n):
                delta[j] = target * pre[j] - factor * encoders[j]
    return 0


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


@helper(inline="always")
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


def fits(matrix: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> bool:
    """Whether a matrix has an element for each pair of elements of two vectors, without gaps."""
    return (
        rows.ndim == columns.ndim == 1
        and matrix.shape == (rows.size, columns.size)
        and matrix.size > 0
        and all(map(contiguous, (matrix, rows, columns)))
    )


@lowers(SimPES)
def lower_sim_pes(operator: SimPES, lowering: Lowering) -> Lowered | None:
    """Lower; an error or activities that are not vectors, or have gaps, run in Python."""
    pre, error = lowering.array(operator.pre_filtered), lowering.array(operator.error)
    delta = lowering.array(operator.delta)
    if not fits(delta, error, pre):
        return None
    alpha = lowering.parameters([-operator.learning_rate * lowering.dt / pre.size])
    m, n = delta.shape
    return [(pes, (start(pre), start(error), start(delta), alpha, n, m, delta.strides[0]))]


@lowers(SimBCM)
def lower_sim_bcm(operator: SimBCM, lowering: Lowering) -> Lowered | None:
    """Lower; activities that are not vectors, or have gaps, run in Python."""
    pre, post = lowering.array(operator.pre_filtered), lowering.array(operator.post_filtered)
    theta, delta = lowering.array(operator.theta), lowering.array(operator.delta)
    if not (fits(delta, post, pre) and fits(delta, theta, pre)):
        return None
    alpha = lowering.parameters([operator.learning_rate * lowering.dt])
    m, n = delta.shape
    addresses = map(start, (pre, post, theta, delta))
    return [(bcm, (*addresses, alpha, n, m, delta.strides[0]))]


@lowers(SimOja)
def lower_sim_oja(operator: SimOja, lowering: Lowering) -> Lowered | None:
    """Lower; activities that are not vectors, or have gaps, run in Python."""
    pre, post = lowering.array(operator.pre_filtered), lowering.array(operator.post_filtered)
    weights, delta = lowering.array(operator.weights), lowering.array(operator.delta)
    if not (fits(delta, post, pre) and fits(weights, post, pre)):
        return None
    parameters = lowering.parameters([operator.learning_rate * lowering.dt, operator.beta])
    m, n = delta.shape
    addresses = map(start, (pre, post, weights, delta))
    return [(oja, (*addresses, parameters, n, m, weights.strides[0], delta.strides[0]))]


@lowers(SimVoja)
def lower_sim_voja(operator: SimVoja, lowering: Lowering) -> Lowered | None:
    """Lower; a learning signal that is not one number runs in Python."""
    pre, post = lowering.array(operator.pre_decoded), lowering.array(operator.post_filtered)
    encoders, delta = lowering.array(operator.scaled_encoders), lowering.array(operator.delta)
    learning = lowering.array(operator.learning_signal)
    if not (fits(delta, post, pre) and fits(encoders, post, pre)):
        return None
    if learning.size != 1 or learning.ndim > 2 or np.shape(operator.scale) != post.shape:
        return None
    alpha = lowering.parameters([operator.learning_rate * lowering.dt])
    scale = lowering.constant(operator.scale)
    m, n = delta.shape
    operands = (*map(start, (pre, post, encoders, delta)), alpha, start(learning), scale)
    return [(voja, (*operands, n, m, encoders.strides[0], delta.strides[0]))]


@lowers(SimRLS)
def lower_sim_rls(operator: SimRLS, lowering: Lowering) -> Lowered | None:
    """Lower; an error or activities that are not vectors, or have gaps, run in Python."""
    pre, error = lowering.array(operator.pre_filtered), lowering.array(operator.error)
    delta, inverse = lowering.array(operator.delta), lowering.array(operator.inv_gamma)
    if not (fits(delta, error, pre) and fits(inverse, pre, pre)):
        return None
    product = start(lowering.buffer(pre.size, lowering.dtype))
    n, distance = pre.size, inverse.strides[0]
    changing = (start(pre), product, start(error), product, start(delta))
    return [
        (rls_product, (start(inverse), start(pre), product, n, n, distance)),
        (rls_delta, (*changing, n, error.size, distance)),
        (rls_inverse, (start(pre), product, product, start(inverse), n, n, distance)),
    ]
