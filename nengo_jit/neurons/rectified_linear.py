"""Rate neurons whose output is proportional to a positive current."""

from __future__ import annotations

from nengo.neurons import RectifiedLinear

from nengo_jit.neurons.base import Formula, register
from nengo_jit.scalar import Value, maximum


def step(J: Value, dt: Value, amplitude: Value) -> tuple[Value]:
    """Output ``amplitude`` times the current, or zero for negative currents.

    Parameters
    ----------
    J
        Input current (dimensionless; taken as a rate in hertz).
    dt
        Length of a step (seconds); without effect.
    amplitude
        Factor on the output.

    Returns
    -------
    output

    Notes
    -----
    Source: `nengo.RectifiedLinear.step`.
    """
    return (amplitude * maximum(0.0, J),)


def rate(J: Value, amplitude: Value) -> Value:
    """Return the steady rate: the output itself."""
    return step(J, 0.0, amplitude)[0]


FORMULA = register(
    Formula(
        name="rectified_linear",
        neuron_type=RectifiedLinear,
        step=step,
        parameter_names=("amplitude",),
        rate=rate,
    )
)
