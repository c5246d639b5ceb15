"""The rate of leaky integrate-and-fire neurons whose output lowers their input current."""

from __future__ import annotations

from nengo.neurons import AdaptiveLIFRate

from nengo_jit.neurons.base import Formula, register
from nengo_jit.neurons.lif_rate import rate as lif_rate
from nengo_jit.neurons.lif_rate import step as lif_rate_step
from nengo_jit.scalar import Value


def step(
    J: Value,
    adaptation: Value,
    dt: Value,
    tau_n: Value,
    inc_n: Value,
    tau_rc: Value,
    tau_ref: Value,
    amplitude: Value,
) -> tuple[Value, Value]:
    """Compute the rate of a LIF neuron, then advance its adaptation by Euler's method.

    ``tau_n dn/dt = inc_n output - n``, where ``n`` is subtracted from the current.

    Parameters
    ----------
    J, dt, tau_rc, tau_ref, amplitude
        As in `nengo_jit.neurons.lif_rate.step`.
    adaptation
        Current that is subtracted from the input (dimensionless).
    tau_n
        Time constant of the adaptation (seconds).
    inc_n
        Adaptation for each hertz of output (seconds).

    Returns
    -------
    output, adaptation

    Notes
    -----
    Source: `nengo.AdaptiveLIFRate.step`; La Camera et al., "Minimal models of adapted neuronal
    response to in vivo-like input currents", Neural Computation 16 (2004).
    """
    (output,) = lif_rate_step(J - adaptation, dt, tau_rc, tau_ref, amplitude)
    adaptation = adaptation + (dt / tau_n) * (inc_n * output - adaptation)
    return output, adaptation


def rate(
    J: Value, tau_n: Value, inc_n: Value, tau_rc: Value, tau_ref: Value, amplitude: Value
) -> Value:
    """Return the rate before adaptation, which nengo computes decoders from."""
    return lif_rate(J, tau_rc, tau_ref, amplitude)


FORMULA = register(
    Formula(
        name="adaptive_lif_rate",
        neuron_type=AdaptiveLIFRate,
        step=step,
        states=("adaptation",),
        parameter_names=("tau_n", "inc_n", "tau_rc", "tau_ref", "amplitude"),
        rate=rate,
    )
)
