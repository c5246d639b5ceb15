"""The steady firing rate of leaky integrate-and-fire neurons."""

from __future__ import annotations

from nengo.neurons import LIFRate

from nengo_jit.neurons.base import Formula, register
from nengo_jit.scalar import Value, log1p, maximum, where


def step(J: Value, dt: Value, tau_rc: Value, tau_ref: Value, amplitude: Value) -> tuple[Value]:
    """Rate of a LIF neuron at a constant current: ``1 / (tau_ref + tau_rc log(1 + 1/(J - 1)))``.

    Parameters
    ----------
    J
        Input current (dimensionless; threshold 1, below which the rate is zero).
    dt
        Length of a step (seconds); without effect.
    tau_rc, tau_ref
        Membrane time constant and refractory period (seconds).
    amplitude
        Factor on the rate.

    Returns
    -------
    output
        ``amplitude`` times the rate (hertz).

    Notes
    -----
    Source: `nengo.LIFRate.step`.
    """
    above_threshold = J - 1.0
    rate = amplitude / (tau_ref + tau_rc * log1p(1.0 / above_threshold))
    return (where(above_threshold > 0.0, rate, 0.0),)


def rate(J: Value, tau_rc: Value, tau_ref: Value, amplitude: Value) -> Value:
    """Return the steady rate: the output, without slow logarithms of negative numbers."""
    above_threshold = J - 1.0
    positive = maximum(1e-300, above_threshold)
    rate = amplitude / (tau_ref + tau_rc * log1p(1.0 / positive))
    return where(above_threshold > 0.0, rate, 0.0)


FORMULA = register(
    Formula(
        name="lif_rate",
        neuron_type=LIFRate,
        step=step,
        parameter_names=("tau_rc", "tau_ref", "amplitude"),
        rate=rate,
    )
)
