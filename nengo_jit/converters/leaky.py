"""Leaky integrate-and-fire neurons in discrete time, as those of snnTorch."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from nengo.dists import Choice, Distribution
from nengo.neurons import NeuronType
from nengo.params import EnumParam, NumberParam

from nengo_jit.neurons import Formula, register
from nengo_jit.scalar import Value, above, where


class Leaky(NeuronType):
    """Neurons with ``v[t] = beta v[t-1] + J[t]`` that output 1 where ``v`` is above a threshold.

    The voltage is reset in the step after a spike. Outputs do not depend on the length of a step:
    a spike is a one, not an area.

    Parameters
    ----------
    beta : float
        Factor on the voltage in each step, from 0 to 1.
    threshold : float
        The threshold.
    reset : {"subtract", "zero", "none"}
        Whether a spike subtracts the threshold from the voltage, or sets it to zero, or neither.

    Notes
    -----
    Source: the documentation of `snntorch.Leaky`.
    """

    state: ClassVar[dict[str, Distribution]] = {"voltage": Choice([0])}
    negative = False
    spiking = True

    beta = NumberParam("beta", low=0, high=1)
    threshold = NumberParam("threshold", low=0, low_open=True)
    reset = EnumParam("reset", values=("subtract", "zero", "none"))

    def __init__(
        self,
        beta: float = 0.9,
        threshold: float = 1.0,
        reset: str = "subtract",
        initial_state: dict[str, object] | None = None,
    ):
        super().__init__(initial_state)
        self.beta = beta
        self.threshold = threshold
        self.reset = reset

    @property
    def kept(self) -> float:
        """float: factor on the voltage after a spike."""
        return float(self.reset != "zero")

    @property
    def subtracted(self) -> float:
        """float: what is subtracted from the voltage after a spike."""
        return self.threshold if self.reset == "subtract" else 0.0

    def rates(self, x: np.ndarray, gain: np.ndarray, bias: np.ndarray) -> np.ndarray:
        """Return the share of steps with a spike, if the neurons did not leak."""
        return np.clip(self.current(x, gain, bias) / self.threshold, 0.0, 1.0)

    def step(self, dt: float, J: np.ndarray, output: np.ndarray, voltage: np.ndarray) -> None:
        """Advance all neurons by one step; see `nengo.neurons.NeuronType.step`."""
        parameters = self.beta, self.threshold, self.kept, self.subtracted
        output[...], voltage[...] = step(J, voltage, dt, *parameters)


def step(
    J: Value,
    voltage: Value,
    dt: Value,
    beta: Value,
    threshold: Value,
    kept: Value,
    subtracted: Value,
) -> tuple[Value, Value]:
    """Advance one neuron by one step; for parameters see `Leaky`.

    Returns
    -------
    output, voltage
    """
    spiked = voltage > threshold
    start = where(spiked, kept * voltage, voltage)
    voltage = beta * start + J - where(spiked, subtracted, 0.0 * voltage)
    return where(above(voltage, threshold), 1.0, 0.0 * voltage), voltage


register(
    Formula(
        name="leaky",
        neuron_type=Leaky,
        step=step,
        states=("voltage",),
        parameter_names=("beta", "threshold", "kept", "subtracted"),
        spiking=True,
        contract=False,
    )
)
