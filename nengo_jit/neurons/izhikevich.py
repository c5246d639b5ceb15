"""Izhikevich's neurons."""

from __future__ import annotations

from nengo.neurons import Izhikevich

from nengo_jit.neurons.base import Formula, register
from nengo_jit.scalar import Value, maximum, reached, where


def step(
    J: Value,
    voltage: Value,
    recovery: Value,
    dt: Value,
    tau_recovery: Value,
    coupling: Value,
    reset_voltage: Value,
    reset_recovery: Value,
) -> tuple[Value, Value, Value]:
    """Advance voltage and recovery by one step of Euler's method.

    With times in milliseconds, ``dv/dt = 0.04 v² + 5 v + 140 - u + J`` and
    ``du/dt = a (b v - u)``. A voltage of 30 mV is a spike: the voltage is reset before the
    recovery variable is advanced, and the recovery variable is raised after that.

    Parameters
    ----------
    J
        Input current (dimensionless); below -30 it is taken as -30, to keep Euler's method
        stable.
    voltage, recovery
        Membrane voltage ``v`` (millivolts) and recovery variable ``u``.
    dt
        Length of a step (seconds).
    tau_recovery, coupling
        ``a`` (per millisecond) and ``b``.
    reset_voltage, reset_recovery
        Voltage after a spike (millivolts), and increment of the recovery variable.

    Returns
    -------
    output, voltage, recovery
        The height of a spike is ``1 / dt``.

    Notes
    -----
    Source: `nengo.Izhikevich.step`; Izhikevich, "Simple model of spiking neurons", IEEE
    Transactions on Neural Networks 14 (2003).
    """
    J = maximum(-30.0, J)
    curve = 0.04 * (voltage * voltage) + 5.0 * voltage
    voltage_slope = (curve + 140.0 - recovery + J) * 1000.0
    voltage = voltage + voltage_slope * dt
    spiked = voltage >= 30.0
    output = where(reached(voltage, 30.0), 1.0 / dt, 0.0)
    voltage = where(spiked, reset_voltage, voltage)
    recovery_slope = (tau_recovery * (coupling * voltage - recovery)) * 1000.0
    recovery = recovery + recovery_slope * dt
    recovery = where(spiked, recovery + reset_recovery, recovery)
    return output, voltage, recovery


FORMULA = register(
    Formula(
        name="izhikevich",
        neuron_type=Izhikevich,
        step=step,
        states=("voltage", "recovery"),
        parameter_names=("tau_recovery", "coupling", "reset_voltage", "reset_recovery"),
        spiking=True,
        settling=(1, 1000),
        contract=False,
    )
)
