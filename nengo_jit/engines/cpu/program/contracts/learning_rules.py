"""Contracts of learning rules."""

from __future__ import annotations

import numpy as np

from nengo_jit.engines.cpu.language.primitives import FLOAT16, FLOAT64
from nengo_jit.engines.cpu.program.contracts.contract import (
    Arrays,
    are_numbers,
    contiguous,
    requires,
)
from nengo_jit.ir.learning_rules import SimBCM, SimOja, SimPES, SimRLS, SimVoja


@requires(SimPES)
def _pes(operator: SimPES, signals: Arrays) -> bool:
    pre, error = signals[operator.pre_filtered], signals[operator.error]
    is_number = are_numbers(operator.learning_rate)
    return _has_factors(signals[operator.delta], error, pre) and is_number


@requires(SimRLS, exempt=["error", "inv_gamma"])
def _rls(operator: SimRLS, signals: Arrays) -> bool:
    """In half precision, error and P have double precision, as in nengo."""
    pre, error = signals[operator.pre_filtered], signals[operator.error]
    delta, inverse = signals[operator.delta], signals[operator.inv_gamma]
    precision = FLOAT64 if delta.dtype == FLOAT16 else delta.dtype
    return (
        _has_factors(delta, error, pre)
        and _has_factors(inverse, pre, pre)
        and error.dtype == inverse.dtype == precision
    )


@requires(SimBCM)
def _bcm(operator: SimBCM, signals: Arrays) -> bool:
    pre, post = signals[operator.pre_filtered], signals[operator.post_filtered]
    theta, delta = signals[operator.theta], signals[operator.delta]
    return (
        _has_factors(delta, post, pre)
        and _has_factors(delta, theta, pre)
        and are_numbers(operator.learning_rate)
    )


@requires(SimOja)
def _oja(operator: SimOja, signals: Arrays) -> bool:
    pre, post = signals[operator.pre_filtered], signals[operator.post_filtered]
    weights, delta = signals[operator.weights], signals[operator.delta]
    return (
        _has_factors(delta, post, pre)
        and _has_factors(weights, post, pre)
        and are_numbers(operator.learning_rate, operator.beta)
    )


@requires(SimVoja)
def _voja(operator: SimVoja, signals: Arrays) -> bool:
    pre, post = signals[operator.pre_decoded], signals[operator.post_filtered]
    encoders, delta = signals[operator.scaled_encoders], signals[operator.delta]
    learning = signals[operator.learning_signal]
    return (
        _has_factors(delta, post, pre)
        and _has_factors(encoders, post, pre)
        and learning.shape in ((), (1,), (1, 1))
        and isinstance(operator.scale, np.ndarray)
        and operator.scale.shape == post.shape
        and operator.scale.dtype.kind in "fiu"
        and are_numbers(operator.learning_rate)
    )


def _has_factors(matrix: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> bool:
    """Whether a contiguous matrix has the shape of the outer product of two vectors."""
    return (
        rows.ndim == columns.ndim == 1
        and matrix.shape == (rows.size, columns.size)
        and matrix.size > 0
        and all(map(contiguous, (matrix, rows, columns)))
    )
