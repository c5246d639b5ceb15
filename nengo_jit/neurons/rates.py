"""Steady rates of neurons, which nengo computes decoders from, by the types' formulas.

The results are those of ``neurons.rates``, bit for bit if the formulas run in NumPy. They are
computed in blocks, so that intermediate results stay in a core's cache.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from nengo.neurons import (
    NeuronType,
    PoissonSpiking,
    RatesToSpikesNeuronType,
    RegularSpiking,
    StochasticSpiking,
)
from numpy.typing import ArrayLike

from nengo_jit.neurons.base import Formula, is_unchanged, rate_formula_of
from nengo_jit.scalar import Value

# two numbers for each neuron; None where a neuron type has no such numbers
Tuning: TypeAlias = tuple[np.ndarray | None, np.ndarray | None]

DT = 0.001  # seconds: the step with which nengo runs neurons to find their rates
BLOCK = 16384  # number of currents in a block
RATES_OF_BASE = (RegularSpiking, StochasticSpiking, PoissonSpiking)


class RateBackend:
    """Computes rates: here in NumPy. Engines have subclasses."""

    def compute(
        self,
        formula: Formula,
        x: np.ndarray,
        gain: np.ndarray,
        bias: np.ndarray,
        parameters: tuple[float, ...],
        result: np.ndarray,
    ) -> None:
        """Compute rates by a formula with ``rate`` or ``settling``.

        Parameters
        ----------
        formula : Formula
            The formula.
        x : (n_points, n_neurons) numpy.ndarray
            Represented values along each neuron's encoder (in radii).
        gain, bias : (n_neurons,) numpy.ndarray
            The neurons' tuning.
        parameters : tuple of float
            Parameters of the formula.
        result : (n_points, n_neurons) numpy.ndarray
            Array for the rates (hertz); may be ``x``.
        """
        rows = max(1, BLOCK // max(1, gain.size))
        with np.errstate(all="ignore"):
            for start in range(0, len(x), rows):
                block = slice(start, start + rows)
                currents = gain * x[block]
                currents += bias
                if formula.rate is None:
                    result[block] = _settled(formula, currents, parameters)
                else:
                    result[block] = formula.rate(currents, *parameters)


def _settled(formula: Formula, J: np.ndarray, parameters: tuple[float, ...]) -> np.ndarray:
    """Run neurons at constant currents; return their mean output (hertz) once they have settled."""
    assert formula.settling is not None
    n_settle, n_count = formula.settling
    total = np.zeros_like(J)
    states: list[Value] = [np.zeros_like(J) for _ in formula.states]
    for k in range(n_settle + n_count):
        output, *states = formula.step(J, *states, DT, *parameters)
        if k >= n_settle:
            total += output
    return total / float(n_count)


IN_NUMPY = RateBackend()


def known_rates(neurons: NeuronType) -> tuple[NeuronType, Formula] | None:
    """Return the neuron type and formula that give the rates: a type's own or its base type's.

    Parameters
    ----------
    neurons : nengo.neurons.NeuronType
        The type, with its parameters.

    Returns
    -------
    neurons : nengo.neurons.NeuronType
        The type itself or, for types that convert rates to spikes, the base type.
    formula : Formula
        Its formula.

    Returns None in place of both if nengo's code has to be called.
    """
    while type(neurons) in RATES_OF_BASE and is_unchanged(neurons):
        assert isinstance(neurons, RatesToSpikesNeuronType)
        neurons = neurons.base_type
    formula = rate_formula_of(neurons)
    return None if formula is None else (neurons, formula)


def tells_rates(neurons: NeuronType) -> bool:
    """Whether a formula gives the rates of a neuron type, without running neurons."""
    known = known_rates(neurons)
    return known is not None and known[1].rate is not None


def rates(
    neurons: NeuronType,
    x: np.ndarray,
    gain: np.ndarray,
    bias: np.ndarray,
    method: RateBackend = IN_NUMPY,
    in_place: bool = False,
) -> np.ndarray:
    """Return the steady rates of neurons: ``neurons.rates(x, gain, bias)``.

    Parameters
    ----------
    neurons : nengo.neurons.NeuronType
        The neuron type. If it has no formula, its own method is called.
    x : (n_points, n_neurons) numpy.ndarray
        Represented values along each neuron's encoder (in radii).
    gain, bias : (n_neurons,) numpy.ndarray
        The neurons' tuning.
    method : RateBackend
        Computes the rates.
    in_place : bool
        Whether the rates may overwrite ``x``: new memory takes as long as a rate does.

    Returns
    -------
    (n_points, n_neurons) numpy.ndarray
        Rates (hertz).
    """
    known = known_rates(neurons)
    if known is None or x.ndim != 2 or gain.shape != x.shape[1:] or bias.shape != gain.shape:
        return neurons.rates(x, gain, bias)
    neurons, formula = known
    x, gain, bias = (array.astype(float, copy=False) for array in (x, gain, bias))
    result = x if in_place else np.empty(x.shape)
    method.compute(formula, x, gain, bias, formula.parameters(neurons, DT), result)
    return result


class _Settling:
    """A stand-in for neurons in nengo's methods that search currents: they only call `rates`."""

    def __init__(self, neurons: NeuronType, method: RateBackend):
        self.neurons = neurons
        self.method = method

    def rates(self, x: ArrayLike, gain: ArrayLike, bias: ArrayLike) -> np.ndarray:
        x, gain, bias = (np.asarray(np.atleast_1d(a), dtype=float) for a in (x, gain, bias))
        points = np.broadcast_to(x[:, np.newaxis], (len(x), len(gain)))
        return rates(self.neurons, points, gain, bias, self.method)


def _searches_currents(neurons: NeuronType, formula: Formula) -> bool:
    """Whether nengo finds the gains of neurons by a search over currents."""
    is_default = type(neurons).gain_bias is NeuronType.gain_bias
    return formula.settling is not None and is_default


def gain_bias(
    neurons: NeuronType, max_rates: ArrayLike, intercepts: ArrayLike, method: RateBackend = IN_NUMPY
) -> Tuning:
    """Return gains and biases for a tuning: ``neurons.gain_bias(max_rates, intercepts)``.

    Parameters
    ----------
    neurons : nengo.neurons.NeuronType
        The neuron type.
    max_rates : (n_neurons,) array_like
        Rates at the encoders (hertz).
    intercepts : (n_neurons,) array_like
        Values along the encoders at which neurons begin to fire (in radii).
    method : RateBackend
        Computes the rates.

    Returns
    -------
    gain, bias : (n_neurons,) numpy.ndarray or None
    """
    known = known_rates(neurons)
    if known is None or not _searches_currents(*known):
        return neurons.gain_bias(max_rates, intercepts)
    return NeuronType.gain_bias(_Settling(known[0], method), max_rates, intercepts)


def max_rates_intercepts(
    neurons: NeuronType, gain: ArrayLike, bias: ArrayLike, method: RateBackend = IN_NUMPY
) -> Tuning:
    """Invert `gain_bias`: return ``neurons.max_rates_intercepts(gain, bias)``.

    Parameters
    ----------
    neurons : nengo.neurons.NeuronType
        The neuron type.
    gain, bias : (n_neurons,) array_like
        The neurons' tuning.
    method : RateBackend
        Computes the rates.

    Returns
    -------
    max_rates, intercepts : (n_neurons,) numpy.ndarray or None
    """
    known = known_rates(neurons)
    if known is None or not _searches_currents(*known):
        return neurons.max_rates_intercepts(gain, bias)
    return NeuronType.max_rates_intercepts(_Settling(known[0], method), gain, bias)
