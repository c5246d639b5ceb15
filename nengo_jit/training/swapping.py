"""Other neurons in a network: train with rates, run with spikes."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np
from nengo import (
    LIF,
    AdaptiveLIF,
    AdaptiveLIFRate,
    Ensemble,
    LIFRate,
    Network,
    RectifiedLinear,
    RegularSpiking,
    Sigmoid,
    SpikingRectifiedLinear,
    Tanh,
)
from nengo.exceptions import NengoWarning, ValidationError
from nengo.neurons import NeuronType

# The spiking counterparts of rate neurons, and the parameters that both have.
TWINS: dict[type[NeuronType], tuple[type[NeuronType], tuple[str, ...]]] = {
    AdaptiveLIFRate: (AdaptiveLIF, ("tau_n", "inc_n", "tau_rc", "tau_ref", "amplitude")),
    LIFRate: (LIF, ("tau_rc", "tau_ref", "amplitude")),
    RectifiedLinear: (SpikingRectifiedLinear, ("amplitude",)),
}
WITHOUT_TWIN = (Sigmoid, Tanh)


def to_spikes(
    net: Network,
    swap: Mapping[type[NeuronType], NeuronType] | None = None,
    scale_firing_rates: float = 1.0,
) -> None:
    """Give spiking neurons to the ensembles of a network that have rate neurons.

    Parameters
    ----------
    net : nengo.Network
        The network; it is changed.
    swap : mapping of (type, nengo.neurons.NeuronType), optional
        The new neurons of ensembles whose neurons are of a type. By default, those of nengo's that
        have the same rates and parameters: `nengo.LIF` for `nengo.LIFRate`, for example, and
        `nengo.RegularSpiking` for types that have no spiking counterpart.
    scale_firing_rates : float
        Factor on gains and biases, and divisor of amplitudes. More spikes of less height: the
        outputs of rectified linear neurons are the same but for less noise. Gains and biases must
        be known, as they are after `Trainer.freeze_params`.

    Raises
    ------
    ValidationError
        If an argument is invalid, a gain or bias is not known, or neurons without an amplitude
        would have to be scaled. The network is not changed then.
    """
    if not 0 < scale_firing_rates < np.inf:
        raise ValidationError("Must be positive and finite", attr="scale_firing_rates")
    for old, new in (swap or {}).items():
        if not (isinstance(old, type) and issubclass(old, NeuronType)):
            raise ValidationError(f"{old!r} is no type of neurons", attr="swap")
        if not isinstance(new, NeuronType):
            raise ValidationError(f"{new!r} are no neurons, as nengo.LIF() are", attr="swap")
    chosen = {}
    for ensemble in net.all_ensembles:
        old = ensemble.neuron_type
        new = swap.get(type(old)) if swap is not None else _spiking(old)
        if new is not None:
            is_scaled = scale_firing_rates != 1.0
            chosen[ensemble] = _scaled(ensemble, new, scale_firing_rates) if is_scaled else new
    for ensemble, new in chosen.items():
        if scale_firing_rates != 1.0:
            ensemble.gain, ensemble.bias = (
                each * scale_firing_rates for each in (ensemble.gain, ensemble.bias)
            )
        ensemble.neuron_type = new


def _spiking(old: NeuronType) -> NeuronType | None:
    """Return the spiking counterpart of rate neurons, None for others."""
    if type(old) in WITHOUT_TWIN:
        return RegularSpiking(old)
    if type(old) not in TWINS:
        return None
    twin, names = TWINS[type(old)]
    return twin(**{name: getattr(old, name) for name in names})


def _scaled(ensemble: Ensemble, neurons: NeuronType, factor: float) -> NeuronType:
    """Return neurons of less amplitude, if the gain and bias of an ensemble can be scaled."""
    for attribute in ("gain", "bias"):
        value = getattr(ensemble, attribute)
        if not isinstance(value, np.ndarray):
            raise ValidationError(
                f"The {attribute} of {ensemble} is not known: freeze a trained network, or set it",
                attr="scale_firing_rates",
            )
    if not isinstance(neurons, RectifiedLinear):
        warnings.warn(
            f"The rates of {ensemble} are not proportional to its input, so that its output "
            "changes by more than noise",
            NengoWarning,
            stacklevel=3,
        )
    if not hasattr(neurons, "amplitude"):
        raise ValidationError(f"{neurons} of {ensemble} have no amplitude", "scale_firing_rates")
    state = {**neurons.__getstate__(), "amplitude": neurons.amplitude / factor}
    scaled: NeuronType = object.__new__(type(neurons))
    scaled.__setstate__(state)
    return scaled
