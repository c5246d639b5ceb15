"""Formulas, and the registry of the formula of each neuron type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from nengo.neurons import NeuronType

from nengo_jit.scalar import Value


@dataclass(frozen=True, eq=False)
class Formula:
    """The step of a neuron type, for a single neuron.

    Attributes
    ----------
    name : str
        Name of the formula and of its compiled function; a valid identifier.
    neuron_type : type
        The subclass of `nengo.neurons.NeuronType` whose ``step`` the formula computes.
    step : function
        ``step(J, *states, dt, *parameters) -> (output, *new_states)``, elementwise and without
        branches, in the vocabulary of `nengo_jit.scalar`. ``J`` is the input current
        (dimensionless; for types that turn rates into spikes, the rate in hertz), ``dt`` the
        length of a step (seconds). If ``random`` is given, there is one more argument between the
        states and ``dt``: the number drawn for the neuron.
    states : tuple of str
        The state variables in the order of ``step``'s arguments, by nengo's names.
    parameter_names : tuple of str
        The parameters in the order of ``step``'s arguments: attributes of the neuron type.
    spiking : bool
        Whether outputs are spikes, so that most outputs are zero.
    random : function, optional
        ``random(rng, J, dt, *parameters)`` draws an array of the shape of ``J``, as the type's
        own ``step`` does: one call for the whole population in each step. ``rng`` is the one
        `numpy.random.RandomState` in the type's state. Engines draw what `uniform` draws by
        themselves; they call other functions in Python, in nengo's order, and compute the rest.
    rate : function, optional
        ``rate(J, *parameters) -> output``: the rate (hertz) at a constant current, for decoders,
        elementwise like ``step``.
    settling : tuple of int, optional
        For types whose rate nengo finds by running them at a constant current, from zero states
        with steps of a millisecond: the number of steps to skip, and the number of steps to
        average the output over after that.
    contract : bool
        Whether engines may use fused multiply-add, which is faster and more precise. False for
        types whose spike trains change with the smallest rounding difference.
    """

    name: str
    neuron_type: type[NeuronType]
    step: Callable[..., tuple[Value, ...]]
    states: tuple[str, ...] = ()
    parameter_names: tuple[str, ...] = ()
    spiking: bool = False
    random: Callable[..., np.ndarray] | None = None
    rate: Callable[..., Value] | None = None
    settling: tuple[int, int] | None = None
    contract: bool = True

    def parameters(self, neurons: NeuronType, dt: float) -> tuple[float, ...]:
        """Values of the parameters of ``neurons``, in the order of ``step``'s arguments.

        Parameters
        ----------
        neurons : nengo.neurons.NeuronType
            An instance of ``neuron_type``.
        dt : float
            Length of a step (seconds), for formulas whose parameters depend on it. Those of
            nengo-jit do not.
        """
        return tuple(float(getattr(neurons, name)) for name in self.parameter_names)


STEP = ("step",)  # the methods of a neuron type that a formula replaces
RATES = ("step", "rates", "current", "gain_bias", "max_rates_intercepts")

Definition = tuple[
    Mapping[str, object], str, object
]  # the namespace of a class, a name, its value at registration

# By the names of methods, what each class had under these names
Definitions = dict[tuple[str, ...], tuple[Definition, ...]]

_formulas: dict[type[NeuronType], tuple[Formula, Definitions]] = {}


def register(formula: Formula) -> Formula:
    """Register ``formula`` for its neuron type, and return it.

    The formula replaces the ``step`` and the ``rates`` that the type has now. If one of these
    methods is changed later, in the type or in a base class, the formula is not used for it.
    """
    classes = formula.neuron_type.__mro__
    definitions: Definitions = {
        names: tuple((vars(cls), name, vars(cls).get(name)) for cls in classes for name in names)
        for names in (STEP, RATES)
    }
    _formulas[formula.neuron_type] = formula, definitions
    return formula


def formulas() -> list[Formula]:
    """Return all registered formulas."""
    return [formula for formula, _ in _formulas.values()]


def formula_of(neurons: NeuronType) -> Formula | None:
    """Return the formula that computes ``neurons.step``.

    Parameters
    ----------
    neurons : nengo.neurons.NeuronType
        An instance; its parameters do not matter.

    Returns
    -------
    Formula or None
        None if the type is not exactly a registered one, since a subclass may change anything, or
        if ``step`` was changed after registration, in the class, a base class or the instance.
    """
    return _formula_of(neurons, STEP)


def rate_formula_of(neurons: NeuronType) -> Formula | None:
    """Return the formula with the ``rate`` or the ``settling`` of ``neurons.rates``.

    Parameters
    ----------
    neurons : nengo.neurons.NeuronType
        An instance; its parameters do not matter.

    Returns
    -------
    Formula or None
        None if there is none, or if one of the type's methods for rates was changed.
    """
    formula = _formula_of(neurons, RATES)
    if formula is None or (formula.rate is None and formula.settling is None):
        return None
    return formula


def _formula_of(neurons: NeuronType, methods: tuple[str, ...]) -> Formula | None:
    return _formulas[type(neurons)][0] if is_unchanged(neurons, methods) else None


def is_unchanged(neurons: NeuronType, methods: tuple[str, ...] = RATES) -> bool:
    """Whether methods are the same as when the type's formula was registered.

    Parameters
    ----------
    neurons : nengo.neurons.NeuronType
        An instance. False if its type has no formula.
    methods : tuple of str
        Names of the methods to compare: `STEP` or `RATES`.
    """
    known = _formulas.get(type(neurons))
    if known is None:
        return False
    for names, name, definition in known[1][methods]:
        if names.get(name) is not definition:
            return False
    return vars(neurons).keys().isdisjoint(methods)


def uniform(rng: np.random.RandomState, J: np.ndarray, dt: float, *parameters: float) -> np.ndarray:
    """Draw numbers uniformly from [0, 1), one for each element of ``J``."""
    return rng.random_sample(size=J.shape)
