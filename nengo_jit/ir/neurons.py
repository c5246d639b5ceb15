"""Build neurons: the operator that turns input currents into spikes or rates."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar
from weakref import WeakSet

import nengo.builder.neurons as reference
import numpy as np
from nengo.ensemble import Neurons
from nengo.exceptions import BuildError
from nengo.neurons import (
    LIF,
    AdaptiveLIF,
    AdaptiveLIFRate,
    LIFRate,
    NeuronType,
    RatesToSpikesNeuronType,
)
from nengo.utils.numpy import is_array_like

from nengo_jit.builder.builder import Builder, Model
from nengo_jit.builder.generators import generator
from nengo_jit.ir.operator import Operator, Step, operand
from nengo_jit.ir.signal import Signal, SignalDict


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
        What the neurons keep between steps, by the names of ``step``'s parameters.
    tag : str, optional
        What the operator is for.

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
    engines: ClassVar[WeakSet[Any]] = WeakSet()  # are told when neurons are replaced

    def __init__(
        self,
        neurons: NeuronType,
        J: Signal,
        output: Signal,
        state: dict[str, Any] | None = None,
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

    def make_step(self, signals: SignalDict, dt: float, rng: Any) -> Step:
        neurons, J, output = self.neurons, signals[self.J], signals[self.output]
        state = {name: signals[signal] for name, signal in self.state.items()}
        state.update(self.state_extra)

        step: Any = neurons.step
        if not callable(step):
            return lambda: step(dt, J, output, **state)  # which raises in the first step
        return partial(step, dt, J, output, **state)


@Builder.register(NeuronType)
def build_neurons(
    model: Model,
    neurontype: NeuronType,
    neurons: Neurons,
    input_sig: Signal | None = None,
    output_sig: Signal | None = None,
) -> None:
    """Build neurons of any type into a model.

    Parameters
    ----------
    model : Model
        What to build into.
    neurontype : nengo.neurons.NeuronType
        The model of a single neuron; it can be built any number of times.
    neurons : nengo.ensemble.Neurons
        The population.
    input_sig, output_sig : Signal, optional
        Currents and spikes; ``model.sig[neurons]["in"]`` and ``["out"]`` where not given.

    Raises
    ------
    BuildError
        If a state has the name of a signal that is there already, or is of a wrong type.

    Notes
    -----
    Sets ``model.sig[neurons][name]`` for each state array. The initial state is drawn from a
    generator seeded with the ensemble's seed plus one.
    """
    sig_in = model.sig[neurons]["in"] if input_sig is None else input_sig
    sig_out = model.sig[neurons]["out"] if output_sig is None else output_sig
    with generator(model.seeds[neurons.ensemble] + 1) as rng:
        initial = neurontype.make_state(neurons.size_in, rng=rng, dtype=sig_in.dtype)
    state: dict[str, Any] = {}
    label = str(neurons)
    for name, value in initial.items():
        if name in model.sig[neurons]:
            raise BuildError(
                f"State name '{name}' overlaps with existing signal name ({neurontype})"
            )
        if isinstance(value, np.random.RandomState):
            state[name] = value
        elif is_array_like(value):
            state[name] = Signal(value, name=f"{label}.{name}")
            model.sig[neurons][name] = state[name]
        else:
            raise BuildError(
                f"State '{name}' is of type '{type(value).__name__}'. Only array-likes and "
                f"RandomStates are currently supported. ({neurontype})"
            )
    model.add_op(SimNeurons(neurontype, sig_in, sig_out, state=state, tag=label))


@Builder.register(RatesToSpikesNeuronType)
def build_rates_to_spikes(
    model: Model, neurontype: RatesToSpikesNeuronType, neurons: Neurons
) -> None:
    """Build neurons that turn the rates of another type into spikes.

    Two `SimNeurons` are made: the base type's, whose output is the signal "rate_out", and one
    that reads it.

    Parameters
    ----------
    model : Model
        What to build into.
    neurontype : nengo.neurons.RatesToSpikesNeuronType
        The model of a single neuron; it can be built any number of times.
    neurons : nengo.ensemble.Neurons
        The population.

    Notes
    -----
    Sets ``model.sig[neurons]["rate_out"]`` (hertz) and the states of both types.
    """
    shape = model.sig[neurons]["in"].shape
    rates = Signal(shape=shape, name=f"{neurons}.rate_out")
    model.sig[neurons]["rate_out"] = rates
    build_neurons(model, neurontype.base_type, neurons, output_sig=rates)
    build_neurons(model, neurontype, neurons, input_sig=rates)


# nengo registers build functions for the base types only, so that third-party code can replace
# them for all types at once; these are for calling by name.


def build_lifrate(model: Model, lifrate: LIFRate, neurons: Neurons) -> None:
    """Build LIF rate neurons, which keep no state; see `build_neurons`."""
    build_neurons(model, lifrate, neurons)


def build_lif(model: Model, lif: LIF, neurons: Neurons) -> None:
    """Build LIF neurons; their state is "voltage" and "refractory_time"; see `build_neurons`."""
    build_neurons(model, lif, neurons)


def build_alifrate(model: Model, alifrate: AdaptiveLIFRate, neurons: Neurons) -> None:
    """Build adaptive LIF rate neurons; their state is "adaptation"; see `build_neurons`."""
    build_neurons(model, alifrate, neurons)


def build_alif(model: Model, alif: AdaptiveLIF, neurons: Neurons) -> None:
    """Build adaptive LIF neurons; their state is that of LIF and "adaptation"."""
    build_neurons(model, alif, neurons)
