"""Leaky integrate-and-fire neurons whose spikes lower their input current for a while."""

from __future__ import annotations

from nengo.neurons import AdaptiveLIF

from nengo_jit.neurons.base import Formula, register
from nengo_jit.neurons.lif import step as lif_step
from nengo_jit.neurons.lif_rate import rate as lif_rate
from nengo_jit.scalar import Value


def step(
    J: Value,
    voltage: Value,
    refractory_time: Value,
    adaptation: Value,
    dt: Value,
    tau_n: Value,
    inc_n: Value,
    tau_rc: Value,
    tau_ref: Value,
    min_voltage: Value,
    amplitude: Value,
) -> tuple[Value, Value, Value, Value]:
    """Advance a LIF neuron by one step, then its adaptation by Euler's method.

    ``tau_n dn/dt = inc_n output - n``, where ``n`` is subtracted from the current.

    Parameters
    ----------
    J, voltage, refractory_time, dt, tau_rc, tau_ref, min_voltage, amplitude
        As in `nengo_jit.neurons.lif.step`.
    adaptation
        Current that is subtracted from the input (dimensionless).
    tau_n
        Time constant of the adaptation (seconds).
    inc_n
        Adaptation for each hertz of output (seconds).

    Returns
    -------
    output, voltage, refractory_time, adaptation

    Notes
    -----
    Source: `nengo.AdaptiveLIF.step`; La Camera et al., "Minimal models of adapted neuronal
    response to in vivo-like input currents", Neural Computation 16 (2004).
    """
    output, voltage, refractory_time = lif_step(
        J - adaptation, voltage, refractory_time, dt, tau_rc, tau_ref, min_voltage, amplitude
    )
    adaptation = adaptation + (dt / tau_n) * (inc_n * output - adaptation)
    return output, voltage, refractory_time, adaptation


def rate(
    J: Value,
    tau_n: Value,
    inc_n: Value,
    tau_rc: Value,
    tau_ref: Value,
    min_voltage: Value,
    amplitude: Value,
) -> Value:
    """Return the rate before adaptation, which nengo computes decoders from."""
    return lif_rate(J, tau_rc, tau_ref, amplitude)


FORMULA = register(
    Formula(
        name="adaptive_lif",
        neuron_type=AdaptiveLIF,
        step=step,
        states=("voltage", "refractory_time", "adaptation"),
        parameter_names=("tau_n", "inc_n", "tau_rc", "tau_ref", "min_voltage", "amplitude"),
        spiking=True,
        rate=rate,
    )
)
