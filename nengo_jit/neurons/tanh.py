"""Rate neurons whose output is the hyperbolic tangent of the current."""

from __future__ import annotations

from nengo.neurons import Tanh

from nengo_jit.neurons.base import Formula, register
from nengo_jit.scalar import Value, tanh


def step(J: Value, dt: Value, tau_ref: Value) -> tuple[Value]:
    """Output ``tanh(J) / tau_ref``.

    Parameters
    ----------
    J
        Input current (dimensionless).
    dt
        Length of a step (seconds); without effect.
    tau_ref
        Refractory period (seconds), the inverse of the highest rate.

    Returns
    -------
    output
        Rate (hertz), of either sign.

    Notes
    -----
    Source: `nengo.Tanh.step`.
    """
    return ((1.0 / tau_ref) * tanh(J),)


def rate(J: Value, tau_ref: Value) -> Value:
    """Return the steady rate: the output itself."""
    return step(J, 0.0, tau_ref)[0]


FORMULA = register(
    Formula(name="tanh", neuron_type=Tanh, step=step, parameter_names=("tau_ref",), rate=rate)
)
