"""Spikes from the rates of another neuron type, by rounding at random."""

from __future__ import annotations

from nengo.neurons import StochasticSpiking

from nengo_jit.neurons.base import Formula, register, uniform
from nengo_jit.scalar import Value, floor, where


def step(J: Value, uniform: Value, dt: Value, negative: Value, amplitude: Value) -> tuple[Value]:
    """Round the expected number of spikes up with the probability of its fractional part.

    Parameters
    ----------
    J
        The output of the base neuron type: a rate (hertz), not a current.
    uniform
        A random number, drawn uniformly from [0, 1).
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
    Source: `nengo.StochasticSpiking.step`. Rates below zero from a type that says it has none
    are rounded towards zero.
    """
    is_signed = negative > 0.0
    expected = dt * where(is_signed, abs(J), J)
    whole = where(expected < 0.0, -floor(-expected), floor(expected))
    n_spikes = where(uniform < expected - whole, whole + 1.0, whole + 0.0)
    sign = where(J > 0.0, 1.0, where(J < 0.0, -1.0, J))  # J: zero, or NaN
    return ((amplitude / dt) * n_spikes * where(is_signed, sign, 1.0),)


FORMULA = register(
    Formula(
        name="stochastic_spiking",
        neuron_type=StochasticSpiking,
        step=step,
        parameter_names=("negative", "amplitude"),
        spiking=True,
        random=uniform,
    )
)
