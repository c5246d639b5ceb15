"""Neuron formulas with finite gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp

from nengo_jit.ir.arrays import Array
from nengo_jit.neurons import Formula
from nengo_jit.scalar import bind
from nengo_jit.training.duals import Dual, vocabulary
from nengo_jit.training.surrogates import Surrogate

Arrays: TypeAlias = tuple[jax.Array, ...]


def differentiable(surrogate: Surrogate) -> Callable[..., Sequence[Array]]:
    """Return `SimNeurons.compute` with gradients for the current and the states.

    Parameters
    ----------
    surrogate : callable
        Derivative of a spike, see `nengo_jit.training.surrogates`.

    Returns
    -------
    callable
        ``compute(xp, formula, *arguments)``, with the same values as `SimNeurons.compute`.

    Notes
    -----
    Kept for the gradient are the arguments, not the slopes: it is faster to compute those again
    than to write them to memory.
    """
    library = vocabulary(surrogate)

    def compute(xp: object, formula: Formula, *arguments: Any) -> Sequence[Any]:
        n = 1 + len(formula.parameter_names)
        step = bind(formula.step, library)
        values = tuple(jnp.asarray(each) for each in arguments[n:])
        return _with_gradients(step)(values, arguments[:n])

    return compute


def _with_gradients(step: Callable[..., Sequence[Any]]) -> Callable[..., Arrays]:
    """Return a formula of dual numbers as ``run(values, numbers)``, with JAX's gradients."""

    @jax.custom_jvp
    def run(values: Arrays, numbers: tuple[Any, ...]) -> Arrays:
        results = step(*map(Dual, values), *numbers)
        return tuple(_like(values[0], each.value) for each in results)

    @run.defjvp
    def run_jvp(primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Arrays, Arrays]:
        (values, numbers), (changes, _) = primals, tangents
        results = step(*map(Dual, values, changes), *numbers)
        zeros = jnp.zeros_like(values[0])
        return (
            tuple(_like(zeros, each.value) for each in results),
            tuple(_like(zeros, zeros if each.change is None else each.change) for each in results),
        )

    return run


def _like(array: jax.Array, x: Any) -> jax.Array:
    """Return numbers in the shape and type of an array."""
    return jnp.broadcast_to(jnp.asarray(x, array.dtype), array.shape)
