"""Neuron formulas with finite gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp

from nengo_jit.ir.arrays import Array
from nengo_jit.neurons import Formula
from nengo_jit.scalar import bind
from nengo_jit.training.surrogates import Surrogate, vocabulary

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
    A formula is elementwise, so its Jacobian is a few numbers for each neuron. They are computed
    in forward mode: there, `where` selects a derivative. In reverse mode, it would multiply the
    derivative of the other branch by zero, which is NaN where that is infinite. Kept for the
    gradient are the arguments, not the derivatives: it is faster to compute those again than to
    write them to memory.
    """
    library = vocabulary(surrogate)

    def compute(xp: object, formula: Formula, *arguments: Any) -> Sequence[Any]:
        n = 1 + len(formula.parameter_names)
        step = bind(formula.step, library)
        values = tuple(jnp.asarray(each) for each in arguments[n:])
        run = jax.checkpoint(_with_gradients(step), prevent_cse=False)  # it is in a scan
        return run(values, arguments[:n])

    return compute


def _with_gradients(step: Callable[..., Arrays]) -> Callable[..., Arrays]:
    """Return a formula as ``run(values, numbers)``, with gradients for the values."""

    @jax.custom_jvp
    def run(values: Arrays, numbers: tuple[Any, ...]) -> Arrays:
        return step(*values, *numbers)

    @run.defjvp
    def run_jvp(primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Arrays, Arrays]:
        (values, numbers), (changes, _) = primals, tangents
        results = step(*values, *numbers)
        sums = [jnp.zeros_like(each) for each in results]
        for place, change in enumerate(changes):
            for number, slope in enumerate(_slopes(step, values, numbers, place)):
                sums[number] = sums[number] + slope * change
        return results, tuple(sums)

    return run


def _slopes(
    step: Callable[..., Arrays], values: Arrays, numbers: tuple[Any, ...], place: int
) -> Arrays:
    """Return the derivatives of all results with respect to one value; zero if not finite."""

    def of_one(value: jax.Array) -> Arrays:
        return step(*values[:place], value, *values[place + 1 :], *numbers)

    _, slopes = jax.jvp(of_one, (values[place],), (jnp.ones_like(values[place]),))
    return tuple(jnp.where(jnp.isfinite(each), each, 0.0) for each in slopes)
