"""What a formula is, and which formula belongs to a neuron type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from nengo.neurons import NeuronType

from nengo_jit.scalar import Value


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
    rate : function, optional
        ``rate(J, *parameters) -> output``: the rate at a constant current that nengo computes
        decoders from (hertz), elementwise like ``step``.
    settling : tuple of int, optional
        For types whose rate nengo finds by running them at a constant current, with a step of a
        millisecond and all states zero to begin with: how many steps it lets pass, and over how
        many it averages the output then.
    contract : bool
        Whether engines may round a product and a sum at once, which is faster and more precise.
        Not for types that make a different spike train of the smallest difference.
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
            Length of a step (seconds), for formulas whose parameters depend on it; those here
            do not.
        """
        return tuple(float(getattr(neurons, name)) for name in self.parameter_names)


STEP = ("step",)  # the methods of a neuron type that a formula stands for
RATES = ("step", "rates", "current", "gain_bias", "max_rates_intercepts")

Definition = tuple[
    Mapping[str, object], str, object
]  # the names in a class, one of them, what it means

_formulas: dict[type[NeuronType], tuple[Formula, tuple[Definition, ...]]] = {}


def register(formula: Formula) -> Formula:
    """Make ``formula`` the one of its neuron type; returns it.

    The formula stands for the ``step`` and the ``rates`` that the type has now: if one of them
    is replaced later, in the type or in one of its bases, the formula is no longer used for it.
    """
    classes = formula.neuron_type.__mro__
    definitions = tuple((vars(cls), name, vars(cls).get(name)) for cls in classes for name in RATES)
    _formulas[formula.neuron_type] = formula, definitions
    return formula


def formulas() -> list[Formula]:
    """Every formula that is registered."""
    return [formula for formula, _ in _formulas.values()]


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
    return _formula_of(neurons, STEP)


def rate_formula_of(neurons: NeuronType) -> Formula | None:
    """The formula with the ``rate`` or the ``settling`` that ``neurons.rates`` computes.

    Parameters
    ----------
    neurons : nengo.neurons.NeuronType
        An instance; its parameters do not matter.

    Returns
    -------
    Formula or None
        None if there is none, or if one of the type's methods for steady rates was replaced.
    """
    formula = _formula_of(neurons, RATES)
    if formula is None or (formula.rate is None and formula.settling is None):
        return None
    return formula


def _formula_of(neurons: NeuronType, methods: tuple[str, ...]) -> Formula | None:
    return _formulas[type(neurons)][0] if is_unchanged(neurons, methods) else None


def is_unchanged(neurons: NeuronType, methods: tuple[str, ...] = RATES) -> bool:
    """Whether methods are those that the type had when its formula was registered.

    Parameters
    ----------
    neurons : nengo.neurons.NeuronType
        An instance. False if its type has no formula.
    methods : tuple of str
        Which methods to look at.
    """
    known = _formulas.get(type(neurons))
    if known is None:
        return False
    own = vars(neurons)
    for names, name, definition in known[1]:
        if name in methods and (names.get(name) is not definition or name in own):
            return False
    return True


def uniform(rng: np.random.RandomState, J: np.ndarray, dt: float, *parameters: float) -> np.ndarray:
    """Numbers drawn uniformly from [0, 1), one for each element of ``J``."""
    return rng.random_sample(size=J.shape)
