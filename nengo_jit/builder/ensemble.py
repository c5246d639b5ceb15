"""Build an ensemble: sample its parameters and make its signals."""

from __future__ import annotations

import warnings
from typing import Any, TypeAlias

import numpy as np
from nengo import Ensemble
from nengo.dists import Distribution
from nengo.exceptions import BuildError, NengoWarning
from nengo.neurons import Direct
from nengo.utils.builder import default_n_eval_points
from nengo.utils.numpy import array, norm
from numpy.typing import ArrayLike

from nengo_jit.builder.builder import Builder, Model, method_of
from nengo_jit.builder.built import BuiltEnsemble, Drawing, Points
from nengo_jit.builder.generators import generator
from nengo_jit.builder.sampling import is_drawn_here, sample
from nengo_jit.ir.base import Rng
from nengo_jit.ir.operator import Copy, DotInc, Reset
from nengo_jit.ir.signal import Signal
from nengo_jit.neurons.rates import IN_NUMPY, RateBackend, gain_bias, max_rates_intercepts, rates
from nengo_jit.settings import settings

Numbers: TypeAlias = np.ndarray | None  # one for each neuron, where there are any


def gen_eval_points(
    ens: Ensemble,
    eval_points: Distribution | ArrayLike,
    rng: np.random.RandomState,
    scale_eval_points: bool = True,
    dtype: np.dtype | None = None,
) -> np.ndarray:
    """Return evaluation points: sampled, or as given.

    Parameters
    ----------
    ens : nengo.Ensemble
        The ensemble whose represented space the points are in.
    eval_points : nengo.dists.Distribution or (n_eval_points, dimensions) array_like
        A distribution to sample, or the points (in radii, if they are scaled).
    rng : numpy.random.RandomState
        Source of randomness.
    scale_eval_points : bool
        Whether to multiply by the ensemble's radius.
    dtype : numpy.dtype, optional
        Type of the result, by default of nengo's default precision.

    Returns
    -------
    (n_eval_points, dimensions) numpy.ndarray
    """
    dtype = settings().float_dtype if dtype is None else dtype
    if isinstance(eval_points, Distribution):
        n_points = ens.n_eval_points
        if n_points is None:
            n_points = default_n_eval_points(ens.n_neurons, ens.dimensions)
        points = sample(eval_points, n_points, ens.dimensions, rng).astype(dtype, copy=False)
    else:
        points = np.array(eval_points, dtype=dtype)
        if points.ndim != 2:
            raise BuildError(f"Evaluation points of {ens} must be a matrix, not {points.shape}")
        if ens.n_eval_points is not None and len(points) != ens.n_eval_points:
            warnings.warn(
                f"Number of eval_points ({len(points)}) doesn't match n_eval_points "
                f"({ens.n_eval_points}) of {ens}. Ignoring n_eval_points.",
                stacklevel=2,
            )
    if scale_eval_points:
        points *= ens.radius
    return points


def get_activities(built_ens: BuiltEnsemble, ens: Ensemble, eval_points: np.ndarray) -> np.ndarray:
    """Return the firing rates of an ensemble's neurons at points of the represented space.

    Parameters
    ----------
    built_ens : BuiltEnsemble
        The ensemble's parameters.
    ens : nengo.Ensemble
        The ensemble.
    eval_points : (n_points, dimensions) numpy.ndarray
        The points.

    Returns
    -------
    (n_points, n_neurons) numpy.ndarray
        Rates (hertz).
    """
    x = np.dot(eval_points, built_ens.encoders.T / ens.radius)
    return rates(ens.neuron_type, x, built_ens.gain, built_ens.bias)


def get_gain_bias(
    ens: Ensemble,
    rng: Rng = np.random,
    dtype: np.dtype | None = None,
    method: RateBackend = IN_NUMPY,
) -> tuple[Numbers, Numbers, Numbers, Numbers]:
    """Sample the parameters of tuning curves that an ensemble specifies, and compute the others.

    Parameters
    ----------
    ens : nengo.Ensemble
        The ensemble. Gain and bias must both be set on it, or neither.
    rng : numpy.random.RandomState
        Source of randomness.
    dtype : numpy.dtype, optional
        Type of the results, by default of nengo's default precision.
    method : RateBackend
        Computes the rates of neurons that have to settle.

    Returns
    -------
    gain, bias, max_rates, intercepts : (n_neurons,) numpy.ndarray or None
        See `build_ensemble`. None if the neuron type has no such parameter.

    Raises
    ------
    BuildError
        If the intercepts lead to gains that are not finite and positive.
    NotImplementedError
        If only one of gain and bias is set.
    """
    dtype = settings().float_dtype if dtype is None else dtype
    if (ens.gain is None) != (ens.bias is None):
        raise NotImplementedError(
            f"gain or bias set for {ens}, but not both. "
            "Solving for one given the other is not implemented yet."
        )
    gain: Numbers
    bias: Numbers
    if ens.gain is not None:
        gain = sample(ens.gain, ens.n_neurons, rng=rng)
        bias = sample(ens.bias, ens.n_neurons, rng=rng)
        max_rates, intercepts = max_rates_intercepts(ens.neuron_type, gain, bias, method)
        defaults = Ensemble.max_rates.default, Ensemble.intercepts.default
        if ens.max_rates != defaults[0] or ens.intercepts != defaults[1]:
            warnings.warn(
                NengoWarning(
                    f"Specifying the gains and biases for {ens} imposes a set of maximum firing "
                    "rates and intercepts. Further specifying either max_rates or intercepts "
                    "has no effect."
                ),
                stacklevel=2,
            )
    else:
        max_rates = sample(ens.max_rates, ens.n_neurons, rng=rng)
        intercepts = sample(ens.intercepts, ens.n_neurons, rng=rng)
        gain, bias = gain_bias(ens.neuron_type, max_rates, intercepts, method)
        if gain is not None and not np.all(np.isfinite(gain) & (gain > 0)):
            raise BuildError(
                f"The specified intercepts for {ens} lead to neurons with negative or "
                "non-finite gain. Please adjust the intercepts so that all gains are positive. "
                "For most neuron types (e.g., LIF neurons) this is achieved by reducing the "
                "maximum intercept value to below 1."
            )
    return _cast(gain, dtype), _cast(bias, dtype), _cast(max_rates, dtype), _cast(intercepts, dtype)


def _cast(values: Numbers, dtype: np.dtype) -> Numbers:
    return None if values is None else values.astype(dtype)


def get_encoders(ens: Ensemble, rng: np.random.RandomState) -> np.ndarray:
    """Return an ensemble's encoders: sampled, or as given, and normalised.

    Parameters
    ----------
    ens : nengo.Ensemble
        The ensemble. In Direct mode its encoders are the identity.
    rng : numpy.random.RandomState
        Source of randomness.

    Returns
    -------
    (n_neurons, dimensions) numpy.ndarray

    Raises
    ------
    BuildError
        If an encoder contains NaN, or has length zero and is to be normalised.
    """
    dtype = settings().float_dtype
    if isinstance(ens.neuron_type, Direct):
        encoders = np.identity(ens.dimensions, dtype=dtype)
    elif isinstance(ens.encoders, Distribution):
        samples = sample(ens.encoders, ens.n_neurons, ens.dimensions, rng)
        encoders = np.asarray(samples, dtype=dtype)
    else:
        encoders = array(ens.encoders, min_dims=2, dtype=dtype)
    if ens.normalize_encoders:
        with np.errstate(invalid="ignore"):
            encoders /= norm(encoders, axis=1, keepdims=True)
    if np.isnan(encoders).any():
        raise BuildError(
            f"NaNs detected in '{ens}' encoders. This usually means that you had zero-length "
            "encoders that were normalized, resulting in NaNs. Ensure all encoders have "
            "non-zero length, or set `normalize_encoders=False`."
        )
    return encoders


@Builder.register(Ensemble)
def build_ensemble(model: Model, ens: Ensemble) -> None:
    """Build an ensemble into a model.

    The input currents of its neurons are their bias, plus noise, plus the product of the scaled
    encoders and the represented value. In Direct mode, the neurons output the value itself.

    Parameters
    ----------
    model : Model
        The model to build into.
    ens : nengo.Ensemble
        The ensemble.

    Raises
    ------
    BuildError
        If the parameters are invalid; the message names them.

    Notes
    -----
    Sets ``model.sig[ens]["in"]``, ``["out"]`` and ``["encoders"]``;
    ``model.sig[ens.neurons]["in"]``, ``["out"]`` and ``["bias"]``; and ``model.params[ens]`` to a
    `nengo.builder.ensemble.BuiltEnsemble`:

    - ``eval_points``: (n_eval_points, dimensions) `numpy.ndarray`, points of the represented
      space for which decoders are solved.
    - ``encoders``: (n_neurons, dimensions) `numpy.ndarray`, preferred direction of each neuron,
      of unit length where normalised.
    - ``intercepts``: (n_neurons,) `numpy.ndarray` or None, the value along its encoder at which
      each neuron begins to fire (in radii).
    - ``max_rates``: (n_neurons,) `numpy.ndarray` or None, firing rate of each neuron at its
      encoder (hertz).
    - ``scaled_encoders``: (n_neurons, dimensions) `numpy.ndarray`, ``encoders * gain / radius``,
      used in the simulation.
    - ``gain``: (n_neurons,) `numpy.ndarray` or None, input current of each neuron per radius
      along its encoder (dimensionless).
    - ``bias``: (n_neurons,) `numpy.ndarray` or None, input current of each neuron at the origin
      (dimensionless).
    """
    drawn = _draw(ens, model.seeds[ens], method_of(model))
    eval_points, encoders, gain, bias, max_rates, intercepts = drawn
    sig, label = model.sig[ens], str(ens)
    sig["in"] = Signal(shape=ens.dimensions, name=f"{label}.signal")
    model.add_op(Reset(sig["in"], tag=f"{label} input"))
    if isinstance(ens.neuron_type, Direct):
        scaled_encoders = encoders
        _build_direct(model, ens, label)
    else:
        scaled_encoders = encoders * (gain / ens.radius)[:, np.newaxis]
        _build_neurons(model, ens, label, bias)
    sig["encoders"] = Signal(scaled_encoders, name=f"{label}.scaled_encoders", readonly=True)

    currents = model.sig[ens.neurons]["in"]
    if ens.noise is not None:
        model.build(ens.noise, sig_out=currents, mode="inc")
    model.add_op(DotInc(sig["encoders"], sig["in"], currents, tag=f"{label} encoding"))
    sig["out"] = model.sig[ens.neurons]["out"]

    model.params[ens] = BuiltEnsemble(
        eval_points=_droppable(eval_points, ens, model.seeds[ens]),
        encoders=encoders,
        intercepts=intercepts,
        max_rates=max_rates,
        scaled_encoders=scaled_encoders,
        gain=gain,
        bias=bias,
    )


def _draw(ens: Ensemble, seed: int, method: RateBackend) -> tuple[Any, ...]:
    """Draw evaluation points, encoders, gains, biases, maximum rates and intercepts."""
    with generator(seed) as rng:
        # Random numbers are drawn in this order.
        eval_points = gen_eval_points(ens, ens.eval_points, rng=rng)
        encoders = get_encoders(ens, rng)
        return eval_points, encoders, *get_gain_bias(ens, rng, method=method)


def _droppable(points: np.ndarray, ens: Ensemble, seed: int) -> np.ndarray | Points:
    """Return evaluation points that can be drawn again, or else the points themselves."""
    if not is_drawn_here(ens.eval_points, *points.shape):
        return points
    n, d = points.shape
    drawing = Drawing(ens.eval_points, n, d, seed, ens.radius, points.dtype)
    return Points(drawing, points)


def _build_direct(model: Model, ens: Ensemble, label: str) -> None:
    """Build neurons whose output is their input."""
    value = Signal(shape=ens.dimensions, name=f"{label}.neuron_in")
    model.sig[ens.neurons]["in"] = model.sig[ens.neurons]["out"] = value
    model.add_op(Reset(value, tag=f"{ens.neurons} input"))


def _build_neurons(model: Model, ens: Ensemble, label: str, bias: np.ndarray) -> None:
    """Build neurons whose input is reset to their bias in every step."""
    sig = model.sig[ens.neurons]
    sig["in"] = Signal(shape=ens.n_neurons, name=f"{label}.neuron_in")
    sig["out"] = Signal(shape=ens.n_neurons, name=f"{label}.neuron_out")
    sig["bias"] = Signal(bias, name=f"{label}.bias", readonly=True)
    model.add_op(Copy(sig["bias"], sig["in"], tag=f"{ens.neurons} bias"))
    model.build(ens.neuron_type, ens.neurons)
