"""The operator that computes spikes or rates from input currents."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar
from weakref import WeakSet

import nengo.builder.neurons as reference
import numpy as np
from nengo.exceptions import BuildError
from nengo.neurons import NeuronType

from nengo_jit.ir.arrays import Array, Namespace
from nengo_jit.ir.base import Operator, Rng, Step, operand
from nengo_jit.ir.memory import SignalDict
from nengo_jit.ir.signal import Signal
from nengo_jit.neurons import Formula, formula_of
from nengo_jit.scalar import bind


class SimNeurons(Operator, reference.SimNeurons):
    """Advance a population of neurons.

    Implements ``neurons.step(dt, J, output, **state)``.

    Parameters
    ----------
    neurons : nengo.neurons.NeuronType
        The model of a single neuron.
    J : Signal
        Input currents (dimensionless).
    output : Signal
        Spikes (of height ``amplitude / dt``) or rates (hertz).
    state : dict of (str, Signal or numpy.random.RandomState), optional
        State that the neurons keep between steps, by the names of ``step``'s parameters.
    tag : str, optional
        The purpose of the operator.

    Raises
    ------
    BuildError
        If a state is neither a signal nor a random number generator.

    Notes
    -----
    sets ``[output]``, then the state signals; incs ``[]``, reads ``[J]``, updates ``[]``
    """

    J = operand("reads")
    output = operand("sets")
    engines: ClassVar[WeakSet[Any]] = WeakSet()  # notified when neurons are replaced

    def __init__(
        self,
        neurons: NeuronType,
        J: Signal,
        output: Signal,
        state: dict[str, Signal | np.random.RandomState] | None = None,
        tag: str | None = None,
    ):
        self._neurons = neurons
        self.state_idxs: dict[str, int] = {}
        self.state_extra: dict[str, np.random.RandomState] = {}
        sets = [output]
        for name, value in (state or {}).items():
            if isinstance(value, np.random.RandomState):
                self.state_extra[name] = value
            elif hasattr(value, "initial_value"):
                self.state_idxs[name] = len(sets)
                sets.append(value)
            else:
                raise BuildError(
                    f"State '{name}' of {neurons} must be a Signal or a RandomState, "
                    f"not '{type(value).__name__}'"
                )
        Operator.__init__(self, tag, sets=sets, incs=[], reads=[J], updates=[])

    @property
    def neurons(self) -> NeuronType:
        """nengo.neurons.NeuronType: the model of a single neuron; may be replaced at any time."""
        return self._neurons

    @neurons.setter
    def neurons(self, neurons: NeuronType) -> None:
        self._neurons = neurons
        for engine in list(SimNeurons.engines):
            engine.neurons_replaced(self)

    @property
    def state(self) -> dict[str, Signal]:
        """Dict of (str, Signal): the arrays that the neurons keep between steps."""
        return {name: self.sets[index] for name, index in self.state_idxs.items()}

    @property
    def _descstr(self) -> str:
        return f"{self.neurons}, {self.J}, {self.output}"

    def inputs(self) -> list[Signal]:
        return [self.J, *self._states]

    def outputs(self) -> list[Signal]:
        return [self.output, *self._states]

    @property
    def _states(self) -> list[Signal]:
        """List of Signal: the states, in the order of the formula's if there is one."""
        formula, state = formula_of(self.neurons), self.state
        return list(state.values()) if formula is None else [state[n] for n in formula.states]

    def parameters(self, dt: float) -> tuple[object, ...] | None:
        formula = formula_of(self.neurons)
        if formula is None or set(formula.states) != set(self.state):
            return None
        if formula.random is None and self.state_extra:
            return None
        return formula, dt, *formula.parameters(self.neurons, dt)

    @staticmethod
    def compute(xp: Namespace, formula: Formula, *arguments: Array) -> tuple[Array, ...]:
        n = 1 + len(formula.parameter_names)
        return bind(formula.step, xp)(*arguments[n:], *arguments[:n])

    def draws(self, dt: float, rng: Rng) -> Callable[..., np.ndarray] | None:
        formula = formula_of(self.neurons)
        if formula is None or formula.random is None:
            return None
        draw, numbers = formula.random, formula.parameters(self.neurons, dt)
        (generator,) = self.state_extra.values()
        return lambda t, J, *values: draw(generator, J, dt, *numbers)

    def make_step(self, signals: SignalDict, dt: float, rng: Rng) -> Step:
        neurons, J, output = self.neurons, signals[self.J], signals[self.output]
        state = {name: signals[signal] for name, signal in self.state.items()}
        state.update(self.state_extra)

        step: Any = neurons.step
        if not callable(step):
            return lambda: step(dt, J, output, **state)  # raises in the first step
        return partial(step, dt, J, output, **state)
