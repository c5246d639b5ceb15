"""Spikes from the rates of another neuron type, by a Poisson process."""

from __future__ import annotations

import numpy as np
from nengo.neurons import PoissonSpiking

from nengo_jit.neurons.base import Formula, register
from nengo_jit.scalar import Value, where


def counts(
    rng: np.random.RandomState, J: np.ndarray, dt: float, negative: float, amplitude: float
) -> np.ndarray:
    """Draw the numbers of spikes in one step. NumPy's number of draws depends on J.

    Parameters
    ----------
    rng : numpy.random.RandomState
        The generator that the neurons keep.
    J : numpy.ndarray
        The output of the base neuron type (hertz).
    dt : float
        Length of a step (seconds).
    negative, amplitude : float
        As in `step`.

    Raises
    ------
    ValueError
        If a rate is negative or NaN and the base type has no negative rates.
    """
    rates = np.abs(J) if negative else J
    return rng.poisson(rates * dt, J.shape)


def step(J: Value, count: Value, dt: Value, negative: Value, amplitude: Value) -> tuple[Value]:
    """Output the spikes that were drawn, with the sign of the rate.

    The formula does not draw: `counts` does, for a whole population.

    Parameters
    ----------
    J
        The output of the base neuron type: a rate (hertz), not a current.
    count
        The number of spikes, a floating-point number drawn from the Poisson distribution with
        mean ``abs(J) * dt``.
    dt
        Length of a step (seconds).
    negative
        1 if the base type has negative rates, which then make negative spikes; 0 otherwise.
    amplitude
        Area of a spike: its height is ``amplitude / dt``.

    Returns
    -------
    output

    Notes
    -----
    Source: `nengo.PoissonSpiking.step`.
    """
    sign = where(J > 0.0, 1.0, where(J < 0.0, -1.0, J))  # J: zero, or NaN
    return ((amplitude / dt) * count * where(negative > 0.0, sign, 1.0),)


FORMULA = register(
    Formula(
        name="poisson_spiking",
        neuron_type=PoissonSpiking,
        step=step,
        parameter_names=("negative", "amplitude"),
        spiking=True,
        random=counts,
    )
)
