"""The filters of synapses, as pure functions for any array library.

They take their parameters, the input and the state, and return the output and the new state.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from nengo.synapses import Alpha, LinearFilter, Lowpass

from nengo_jit.ir.arrays import Array, Namespace
from nengo_jit.ir.products import dot
from nengo_jit.ir.signal import Signal

# Whose steps depend on nothing but their numbers
PLAIN = (LinearFilter, Lowpass, Alpha)
Filter = Callable[..., tuple[Array, ...]]
Filtering = tuple[Any, ...]  # a filter, and its parameters: numbers and arrays


def scale(xp: Namespace, d: Array, u: Array, X: Array) -> tuple[Array, ...]:
    """``y = d u``, without a state."""
    return d * u, X


def first_order(xp: Namespace, a: Array, b: Array, u: Array, X: Array) -> tuple[Array, ...]:
    """``x[t] = a x[t-1] + b u[t]; y[t] = x[t]``."""
    X = a * X + b * u
    return X[0, ...], X


def without_passthrough(
    xp: Namespace, A: Array, B: Array, C: Array, u: Array, X: Array
) -> tuple[Array, ...]:
    """``x[t] = A x[t-1] + B u[t]; y[t] = C x[t]``."""
    x = dot(A, xp.reshape(X, (A.shape[0], -1))) + B * xp.reshape(u, (1, -1))
    return xp.reshape(dot(C, x), u.shape), xp.reshape(x, X.shape)


def with_passthrough(
    xp: Namespace, A: Array, B: Array, C: Array, D: Array, u: Array, X: Array
) -> tuple[Array, ...]:
    """``y[t] = C x[t] + D u[t]; x[t+1] = A x[t] + B u[t]``."""
    x, u_row = xp.reshape(X, (A.shape[0], -1)), xp.reshape(u, (1, -1))
    y = dot(C, x) + D * u_row
    return xp.reshape(y, u.shape), xp.reshape(dot(A, x) + B * u_row, X.shape)


def triangle(
    xp: Namespace, first: Array, difference: Array, u: Array, Y: Array, X: Array, Xi: Array
) -> tuple[Array, ...]:
    """Average the latest inputs, with weights that fall linearly to zero.

    ``X`` is a ring buffer of the inputs times the difference of neighbouring weights; ``Xi`` is the
    row of the latest input.
    """
    Y = Y + first * u - xp.sum(X, axis=0)
    Xi = (Xi + 1) % X.shape[0]
    is_latest = xp.arange(X.shape[0], dtype=Xi.dtype) == xp.floor(Xi)
    X = xp.where(xp.reshape(is_latest, (-1, *(1,) * (X.ndim - 1))), difference * u, X)
    return Y, Y, X, Xi


def noise(xp: Namespace, filtering: Filter, factor: Array, *arguments: Array) -> tuple[Array, ...]:
    """Filter the random numbers in the last argument, times a factor."""
    *parameters, X, drawn = arguments
    return filtering(xp, *parameters, factor * drawn, X)


def linear_filter(synapse: LinearFilter, state: dict[str, Signal], dt: float) -> Filtering | None:
    """Return the filter of a synapse, and its parameters.

    Parameters
    ----------
    synapse : nengo.synapses.LinearFilter
        The synapse.
    state : dict of (str, Signal)
        Its state; only the shapes are used.
    dt : float
        Length of a step (seconds).

    Returns
    -------
    tuple or None
        None if the step that the synapse makes is not of one of nengo's classes.
    """
    if set(state) != {"X"}:
        return None
    shape = state["X"].shape
    if type(synapse) in PLAIN and "_get_ss" not in vars(synapse):
        return _known(_ByNumbers(synapse), shape, dt)
    return _discretized(synapse, shape, dt)


class _ByNumbers:
    """One of the `PLAIN` synapses. It is equal to those with the same numbers, bit by bit."""

    def __init__(self, synapse: LinearFilter):
        self.synapse = synapse
        numbers = synapse.num.tobytes(), synapse.den.tobytes()
        self._key = type(synapse), *numbers, synapse.analog, synapse.method

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ByNumbers) and self._key == other._key


@lru_cache(maxsize=1000)  # nengo takes about as long as for all the rest of an operator
def _known(synapse: _ByNumbers, shape: tuple[int, ...], dt: float) -> Filtering | None:
    return _discretized(synapse.synapse, shape, dt)


def _discretized(synapse: LinearFilter, shape: tuple[int, ...], dt: float) -> Filtering | None:
    X = np.zeros(shape)
    step: Any = synapse.make_step(X.shape[1:], X.shape[1:], dt, None, {"X": X})
    if type(step) is LinearFilter.NoX:
        return scale, step.d
    if type(step) in (LinearFilter.OneX, LinearFilter.OneXScalar):
        return first_order, step.a, step.b
    B = step.B.reshape(-1, 1)
    if type(step) is LinearFilter.NoD:
        return without_passthrough, step.A, B, step.C
    if type(step) is LinearFilter.General:
        return with_passthrough, step.A, B, step.C, step.D.reshape(-1, 1)
    return None


def triangle_filter(synapse: LinearFilter, state: dict[str, Signal], dt: float) -> Filtering:
    """Return the filter of a triangle synapse, and its parameters; see `linear_filter`."""
    _, first, difference = synapse._get_coefficients(dt)
    return triangle, float(first), float(difference)
