"""Neurons that integrate a positive current and spike at each whole number."""

from __future__ import annotations

from nengo.neurons import SpikingRectifiedLinear

from nengo_jit.neurons.base import Formula, register
from nengo_jit.neurons.rectified_linear import rate as rectified_linear
from nengo_jit.scalar import Value, floor, maximum


def step(J: Value, voltage: Value, dt: Value, amplitude: Value) -> tuple[Value, Value]:
    """Integrate the current over one step; whole numbers are spikes, the rest is kept.

    Parameters
    ----------
    J
        Input current (dimensionless; taken as a rate in hertz), zero where negative.
    voltage
        The integral since the last spike (dimensionless; threshold 1).
    dt
        Length of a step (seconds).
    amplitude
        Area of a spike: its height is ``amplitude / dt``.

    Returns
    -------
    output, voltage
        There may be several spikes in a step.

    Notes
    -----
    Source: `nengo.SpikingRectifiedLinear.step`.
    """
    voltage = voltage + maximum(0.0, J) * dt
    n_spikes = floor(voltage)
    return (amplitude / dt) * n_spikes, voltage - n_spikes


def rate(J: Value, amplitude: Value) -> Value:
    """Return the steady rate: that of `nengo.RectifiedLinear`."""
    return rectified_linear(J, amplitude)


FORMULA = register(
    Formula(
        name="spiking_rectified_linear",
        neuron_type=SpikingRectifiedLinear,
        step=step,
        states=("voltage",),
        parameter_names=("amplitude",),
        spiking=True,
        rate=rate,
    )
)
