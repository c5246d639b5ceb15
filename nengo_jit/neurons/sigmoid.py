"""Rate neurons whose output is a logistic function of the current."""

from __future__ import annotations

from nengo.neurons import Sigmoid

from nengo_jit.neurons.base import Formula, register
from nengo_jit.scalar import Value, exp


def step(J: Value, dt: Value, tau_ref: Value) -> tuple[Value]:
    """Output ``1 / (tau_ref (1 + exp(-J)))``.

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
        Rate (hertz).

    Notes
    -----
    Source: `nengo.Sigmoid.step`.
    """
    return ((1.0 / tau_ref) / (1.0 + exp(-J)),)


def rate(J: Value, tau_ref: Value) -> Value:
    """Return the steady rate: the output itself."""
    return step(J, 0.0, tau_ref)[0]


FORMULA = register(
    Formula(name="sigmoid", neuron_type=Sigmoid, step=step, parameter_names=("tau_ref",), rate=rate)
)
