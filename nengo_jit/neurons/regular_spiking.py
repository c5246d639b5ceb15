"""Spikes at regular intervals, from the rates of another neuron type."""

from __future__ import annotations

from nengo.neurons import RegularSpiking

from nengo_jit.neurons.base import Formula, register
from nengo_jit.scalar import Value, floor


def step(J: Value, voltage: Value, dt: Value, amplitude: Value) -> tuple[Value, Value]:
    """Integrate the rate over one step; whole numbers are spikes, the rest is kept.

    Parameters
    ----------
    J
        The output of the base neuron type: a rate (hertz), not a current.
    voltage
        The integral since the last spike (dimensionless; threshold 1).
    dt
        Length of a step (seconds).
    amplitude
        Area of a spike: its height is ``amplitude / dt``.

    Returns
    -------
    output, voltage
        There may be several spikes in a step, and negative ones for negative rates.

    Notes
    -----
    Source: `nengo.RegularSpiking.step`; Voelker et al., "A spike in performance" (2020),
    arXiv:2002.03553.
    """
    voltage = voltage + dt * J
    n_spikes = floor(voltage)
    return (amplitude / dt) * n_spikes, voltage - n_spikes


FORMULA = register(
    Formula(
        name="regular_spiking",
        neuron_type=RegularSpiking,
        step=step,
        states=("voltage",),
        parameter_names=("amplitude",),
        spiking=True,
    )
)
