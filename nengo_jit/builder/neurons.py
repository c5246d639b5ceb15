"""Build neurons of any type: their state and the operator that advances them."""

from __future__ import annotations

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
from nengo_jit.ir.neurons import SimNeurons
from nengo_jit.ir.signal import Signal, shared_if_zero


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
        The model to build into.
    neurontype : nengo.neurons.NeuronType
        The model of a single neuron; it can be built any number of times.
    neurons : nengo.ensemble.Neurons
        The population.
    input_sig, output_sig : Signal, optional
        Currents and spikes; by default ``model.sig[neurons]["in"]`` and ``["out"]``.

    Raises
    ------
    BuildError
        If a state variable has the name of an existing signal, or is of the wrong type.

    Notes
    -----
    Sets ``model.sig[neurons][name]`` for each state array. The initial state is drawn from a
    generator seeded with the ensemble's seed plus one.
    """
    sig_in = model.sig[neurons]["in"] if input_sig is None else input_sig
    sig_out = model.sig[neurons]["out"] if output_sig is None else output_sig
    with generator(model.seeds[neurons.ensemble] + 1) as rng:
        initial = neurontype.make_state(neurons.size_in, rng=rng, dtype=sig_in.dtype)
    state: dict[str, Signal | np.random.RandomState] = {}
    label = str(neurons)
    for name, value in initial.items():
        if name in model.sig[neurons]:
            raise BuildError(
                f"State name '{name}' overlaps with existing signal name ({neurontype}): "
                "rename the state"
            )
        if isinstance(value, np.random.RandomState):
            state[name] = value
        elif is_array_like(value):
            initial_value = shared_if_zero(value) if type(value) is np.ndarray else value
            state[name] = Signal(initial_value, name=f"{label}.{name}")
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
        The model to build into.
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
# them for all types at once. The following functions are not registered; call them by name.


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
