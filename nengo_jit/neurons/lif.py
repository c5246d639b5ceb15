"""Leaky integrate-and-fire neurons."""

from __future__ import annotations

from nengo.neurons import LIF

from nengo_jit.neurons.base import Formula, register
from nengo_jit.neurons.lif_rate import rate as lif_rate
from nengo_jit.scalar import Value, above, clip, expm1, log1p, where


def step(
    J: Value,
    voltage: Value,
    refractory_time: Value,
    dt: Value,
    tau_rc: Value,
    tau_ref: Value,
    min_voltage: Value,
    amplitude: Value,
) -> tuple[Value, Value, Value]:
    """Advance the membrane voltage by one step, exactly for a constant current.

    Between spikes ``tau_rc dv/dt = J - v``. When the voltage crosses 1, the time of the spike is
    interpolated. The voltage then stays at zero for ``tau_ref``. If that time ends within a step,
    the neuron charges for the rest of the step.

    Parameters
    ----------
    J, voltage
        Input current and membrane voltage (dimensionless; threshold 1).
    refractory_time
        Time until the neuron can charge again (seconds), counted one step ahead.
    dt, tau_rc, tau_ref
        Step, membrane time constant and refractory period (seconds).
    min_voltage
        Lower limit of the voltage after the step.
    amplitude
        Area of a spike: its height is ``amplitude / dt``.

    Returns
    -------
    output, voltage, refractory_time

    Notes
    -----
    Source: `nengo.LIF.step` and the solution of its differential equation.
    """
    refractory_time = refractory_time - dt
    charging_time = clip(dt - refractory_time, 0.0, dt)
    voltage = voltage - (J - voltage) * expm1(-charging_time / tau_rc)
    spiked = voltage > 1.0
    time_of_spike = dt + tau_rc * log1p(-(voltage - 1.0) / (J - 1.0))
    output = where(above(voltage, 1.0), amplitude / dt, 0.0)
    voltage = where(spiked, 0.0, where(voltage < min_voltage, min_voltage, voltage))
    refractory_time = where(spiked, tau_ref + time_of_spike, refractory_time)
    return output, voltage, refractory_time


def rate(J: Value, tau_rc: Value, tau_ref: Value, min_voltage: Value, amplitude: Value) -> Value:
    """Return the steady rate: that of `nengo.LIFRate`."""
    return lif_rate(J, tau_rc, tau_ref, amplitude)


FORMULA = register(
    Formula(
        name="lif",
        neuron_type=LIF,
        step=step,
        states=("voltage", "refractory_time"),
        parameter_names=("tau_rc", "tau_ref", "min_voltage", "amplitude"),
        spiking=True,
        rate=rate,
    )
)
