"""What a formula is, and which formula belongs to a neuron type."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from nengo.neurons import NeuronType


@dataclass(frozen=True)
class Formula:
    """The step of a neuron type, for a single neuron.

    Attributes
    ----------
    name : str
        What the formula is called in reports and as a compiled function; a valid identifier.
    neuron_type : type
        The subclass of `nengo.neurons.NeuronType` whose ``step`` the formula computes.
    step : function
        ``step(J, *states, dt, *parameters) -> (output, *new_states)``, elementwise and without
        branches, in the vocabulary of `nengo_jit.scalar`. ``J`` is the input current
        (dimensionless; for types that turn rates into spikes, the rate in hertz), ``dt`` the
        length of a step (seconds). If ``random`` is given, the number drawn for the neuron is
        one more argument, between the states and ``dt``.
    states : tuple of str
        The state variables in the order of ``step``'s arguments, by nengo's names.
    parameter_names : tuple of str
        The parameters in the order of ``step``'s arguments: attributes of the neuron type.
    spiking : bool
        Whether most outputs are zero.
    random : function, optional
        ``random(rng, J, dt, *parameters)`` draws an array of the shape of ``J`` from a
        `numpy.random.RandomState`, as nengo does: one call for the whole population in each
        step, `uniform` for example.
    """

    name: str
    neuron_type: type[NeuronType]
    step: Callable[..., tuple[Any, ...]]
    states: tuple[str, ...] = ()
    parameter_names: tuple[str, ...] = ()
    spiking: bool = False
    random: Callable[..., np.ndarray] | None = None

    def parameters(self, neurons: NeuronType, dt: float) -> tuple[float, ...]:
        """Values of the parameters of ``neurons``, in the order of ``step``'s arguments.

        Parameters
        ----------
        neurons : nengo.neurons.NeuronType
            An instance of ``neuron_type``.
        dt : float
            Length of a step (seconds), for formulas whose parameters depend on it; those here
            do not.
        """
        return tuple(float(getattr(neurons, name)) for name in self.parameter_names)


_formulas: dict[type[NeuronType], tuple[Formula, tuple[Any, ...]]] = {}


def _step_definitions(neuron_type: type[NeuronType]) -> tuple[Any, ...]:
    """The ``step`` of a type and of all its bases, which it may call."""
    return tuple(vars(cls).get("step") for cls in neuron_type.__mro__)


def register(formula: Formula) -> Formula:
    """Make ``formula`` the one of its neuron type; returns it.

    The formula stands for the ``step`` that the type has now: if that is replaced later, the
    formula is no longer used.
    """
    _formulas[formula.neuron_type] = formula, _step_definitions(formula.neuron_type)
    return formula


def formula_of(neurons: NeuronType) -> Formula | None:
    """The formula that computes what ``neurons.step`` computes.

    Parameters
    ----------
    neurons : nengo.neurons.NeuronType
        An instance; its parameters do not matter.

    Returns
    -------
    Formula or None
        None if the type is not known exactly: a subclass may change anything, and a ``step``
        replaced after registration (in the class, in a base class or in the instance) is code
        that has to be run.
    """
    neuron_type = type(neurons)
    formula, steps = _formulas.get(neuron_type, (None, ()))
    if steps != _step_definitions(neuron_type) or "step" in vars(neurons):
        return None
    return formula


def uniform(rng: np.random.RandomState, J: np.ndarray, dt: float, *parameters: float) -> np.ndarray:
    """Numbers drawn uniformly from [0, 1), one for each element of ``J``."""
    return rng.random_sample(size=J.shape)
