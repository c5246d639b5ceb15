"""The plots that everybody writes: values, spikes, tuning curves, similarity, and sweeps.

Each function draws into Matplotlib's axes, its own or given ones, and returns them. Times are in
seconds; titles and legends have the labels of the objects. Matplotlib is in the extra ``plot``.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from nengo import Ensemble, Probe
from nengo.ensemble import Neurons
from nengo.exceptions import ValidationError
from nengo.utils.ensemble import tuning_curves as rates_of

from nengo_jit.labels import Labels

if TYPE_CHECKING:
    import xarray
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    from nengo_jit.simulator import Simulator

MOST_LINES = 10  # of a plot that has a legend
MOST_NEURONS = 200  # whose tuning curves are drawn
SPIKE_ATTRIBUTES = ("output", "spikes")
NUMERIC = "biuf"  # kinds of dtypes


def values(sim: Simulator, probe: Probe, ax: Axes | None = None) -> Axes:
    """Plot the samples of a probe over time, such as decoded values: a line for each dimension.

    Parameters
    ----------
    sim : Simulator
        The simulator that has run.
    probe : nengo.Probe
        The probe.
    ax : matplotlib.axes.Axes, optional
        The axes; new ones by default.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = _axes(ax)
    samples = _samples(sim, probe)
    lines = ax.plot(_times(sim, probe), samples, linewidth=1)
    if 1 < len(lines) <= MOST_LINES:
        _legend(ax, lines, [str(i) for i in range(len(lines))], title="dimension")
    return _finish(ax, sim, probe, probe.attr.replace("_", " "))


def raster(sim: Simulator, probe: Probe, ax: Axes | None = None) -> Axes:
    """Plot the spikes that a probe recorded: a row for each neuron, a mark for each spike.

    See `values` for the parameters; the probe is one of neurons.
    """
    ax = _axes(ax)
    spikes = _samples(sim, probe)
    samples, neurons = np.nonzero(spikes > 0)
    ax.plot(_times(sim, probe)[samples], neurons, "|", color="black", ms=3, mew=0.6)
    ax.set_ylim(-0.5, spikes.shape[1] - 0.5)
    return _finish(ax, sim, probe, "neuron")


def tuning_curves(sim: Simulator, ensemble: Ensemble, ax: Axes | None = None) -> Axes:
    """Plot firing rates of an ensemble's neurons along its first dimension, the others being zero.

    See `values` for the parameters. At most 200 curves are drawn, evenly chosen.
    """
    ax = _axes(ax)
    radius = ensemble.radius
    x = np.zeros((101, ensemble.dimensions))
    x[:, 0] = np.linspace(-radius, radius, len(x))
    _, rates = rates_of(ensemble, sim, inputs=x)
    chosen = np.unique(np.linspace(0, ensemble.n_neurons - 1, MOST_NEURONS).astype(int))
    ax.plot(x[:, 0], rates[:, chosen], linewidth=0.8)
    ax.set(
        xlabel="x" if ensemble.dimensions == 1 else "first dimension of x",
        ylabel="firing rate (Hz)",
        xlim=(-radius, radius),
        title=_labels(sim)[ensemble],
    )
    return ax


def similarity(
    sim: Simulator,
    probe: Probe,
    vectors: Mapping[str, np.ndarray] | np.ndarray,
    ax: Axes | None = None,
) -> Axes:
    """Plot the dot products of a probe's samples with vectors: a line for each vector.

    Parameters
    ----------
    sim : Simulator
        The simulator that has run.
    probe : nengo.Probe
        The probe.
    vectors : mapping of (str, (d,) array_like) or (n, d) array_like
        Vectors by name, such as a vocabulary of nengo-spa, or without names.
    ax : matplotlib.axes.Axes, optional
        The axes; new ones by default.

    Returns
    -------
    matplotlib.axes.Axes
    """
    samples = _samples(sim, probe)
    if isinstance(vectors, Mapping):
        names = list(vectors)
        rows = [np.asarray(getattr(vectors[name], "v", vectors[name])) for name in names]
        matrix = np.array(rows, dtype=float).reshape(len(names), -1)
    else:
        matrix = np.atleast_2d(np.asarray(vectors, dtype=float))
        names = [str(i) for i in range(len(matrix))]
    if matrix.shape[1:] != samples.shape[1:]:
        raise ValidationError(
            f"Vectors of {matrix.shape[-1]} numbers cannot be compared with samples of "
            f"{samples.shape[-1]}",
            attr="vectors",
        )
    ax = _axes(ax)
    lines = ax.plot(_times(sim, probe), samples @ matrix.T, linewidth=1)
    if lines and len(lines) <= 2 * MOST_LINES:
        _legend(ax, lines, names)
    return _finish(ax, sim, probe, "similarity")


def probes(sim: Simulator) -> Figure:
    """Draw all probes of a simulator, one below the other, as spikes or as values.

    Returns
    -------
    matplotlib.figure.Figure
        Not registered with pyplot: save it by ``figure.savefig(path)``.
    """
    from matplotlib.figure import Figure

    drawn = [probe for probe in sim.model.probes if probe in sim.data]
    figure = Figure(figsize=(9, 1 + 2.2 * max(1, len(drawn))), dpi=120, layout="constrained")
    if not drawn:
        figure.text(0.5, 0.5, "no probes", ha="center")
        return figure
    rows = figure.subplots(len(drawn), sharex=True, squeeze=False)[:, 0]
    for probe, ax in zip(drawn, rows):
        (raster if records_spikes(probe) else values)(sim, probe, ax)
    for ax in rows[:-1]:
        ax.set_xlabel("")
    return figure


def sweep(
    ds: xarray.Dataset,
    x: str,
    y: str | xarray.DataArray | Callable[[xarray.Dataset], xarray.DataArray],
    ax: Axes | None = None,
) -> Axes:
    """Plot a result of a sweep against a parameter, or over time.

    A line has the means over all seeds, and a band around it their standard deviation. There is a
    line for each combination of the other parameters. Time, neurons and other dimensions are
    averaged. Failed runs do not count.

    Parameters
    ----------
    ds : xarray.Dataset
        What `nengo_jit.sweep` has returned.
    x : str
        A parameter, the seed or a time axis.
    y : str, xarray.DataArray, or callable
        Name of a variable, or what has been computed from one, such as an error for each run, or a
        function that computes it from the data set.
    ax : matplotlib.axes.Axes, optional
        The axes; new ones by default.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValidationError
        If `x` or `y` is none of the data set, or `y` has no numbers.
    """
    found = _variable(ds, y)
    if x not in ds.coords or ds[x].dims[0] not in found.dims:
        known = sorted(str(name) for name in ds.coords if ds[name].dims[0] in found.dims)
        raise ValidationError(f"'{x}' is none of {known}", attr="x")
    along, runs = ds[x].dims[0], ds["seconds"].dims
    apart = [dim for dim in runs if dim in found.dims and dim not in ("seed", along)]
    numbers = found.mean([dim for dim in found.dims if dim != along and dim not in runs])
    numbers = numbers.transpose(*apart, along, ...)
    n_seeds = 1 if along == "seed" else numbers.sizes.get("seed", 1)
    table = numbers.values.reshape(-1, ds.sizes[along], n_seeds)
    values = ds[x].values.tolist()
    known = [value for value in values if value == value]  # without NaN
    places = list(dict.fromkeys(known if isinstance(values[0], str) else sorted(known)))
    number = {place: i for i, place in enumerate(places)}
    index = np.array([number.get(value, -1) for value in values])
    ax = _axes(ax)
    lines = []
    for rows in table:
        groups = [rows[index == i] for i in range(len(places))]
        kept = [group[~np.isnan(group)] for group in groups]
        mean = np.array([each.mean() if each.size else np.nan for each in kept])
        spread = np.array([each.std() if each.size else np.nan for each in kept])
        lines += ax.plot(places, mean, marker="." if len(places) < 50 else "", linewidth=1)
        ax.fill_between(places, mean - spread, mean + spread, alpha=0.2, linewidth=0)
    if 1 < len(lines) <= 2 * MOST_LINES:
        combinations = itertools.product(*(ds[dim].values for dim in apart))
        names = [", ".join(map(str, each)) for each in combinations]
        _legend(ax, lines, names, title=", ".join(map(str, apart)))
    ax.set(xlabel=_with_units(ds[x]), ylabel=_with_units(found))
    return ax


def _variable(ds: xarray.Dataset, y: object) -> xarray.DataArray:
    """Find, or compute, the variable to plot."""
    import xarray

    numeric = [str(name) for name in ds.data_vars if ds[name].dtype.kind in NUMERIC]
    if isinstance(y, str) and y not in ds.variables:
        raise ValidationError(f"'{y}' is none of {numeric}", attr="y")
    found = ds[y] if isinstance(y, str) else y(ds) if callable(y) else y
    if not isinstance(found, xarray.DataArray):
        raise ValidationError(f"Must be, or return, an xarray.DataArray, not {found!r}", attr="y")
    if found.dtype.kind not in NUMERIC:
        raise ValidationError(f"'{found.name}' has no numbers, unlike {numeric}", attr="y")
    return found


def _with_units(found: xarray.DataArray) -> str:
    units = found.attrs.get("units", "1")
    name = str(found.name) if found.name is not None else ""
    return f"{name} ({units})" if name and units != "1" else name


def records_spikes(probe: Probe) -> bool:
    """Whether a probe records the spikes of neurons."""
    if not (isinstance(probe.obj, Neurons) and probe.attr in SPIKE_ATTRIBUTES):
        return False
    spiking = probe.obj.ensemble.neuron_type.spiking
    return bool(spiking) and probe.synapse is None


def _axes(ax: Axes | None) -> Axes:
    if ax is None:
        try:
            from matplotlib import pyplot
        except ImportError:
            raise ImportError("Plots need Matplotlib: pip install 'nengo-jit[plot]'") from None
        ax = pyplot.subplots(layout="constrained")[1]
    return ax


def _samples(sim: Simulator, probe: Probe) -> np.ndarray:
    """Samples of a probe, shape ``(n_samples, d)``."""
    samples = np.asarray(sim.data[probe])
    return samples.reshape(len(samples), -1)


def _times(sim: Simulator, probe: Probe) -> np.ndarray:
    """The times of a probe's samples (seconds): the latest ones, if earlier ones were deleted."""
    times = sim.trange(sample_every=probe.sample_every)
    return times[len(times) - len(sim.data[probe]) :]


def _labels(sim: Simulator) -> Labels:
    return Labels(sim.model.toplevel)


def _legend(ax: Axes, lines: list[Line2D], names: list[str], title: str = "") -> None:
    """Draw a legend to the right of the axes, where it hides nothing."""
    ax.legend(
        lines,
        names,
        title=title,
        loc="upper left",
        bbox_to_anchor=(1.0, 1.03),
        ncols=1 + (len(lines) - 1) // 7,
        fontsize="small",
        frameon=False,
    )


def _finish(ax: Axes, sim: Simulator, probe: Probe, ylabel: str) -> Axes:
    times = _times(sim, probe)
    if len(times) > 1:
        ax.set_xlim(times[0], times[-1])
    ax.set(xlabel="time (s)", ylabel=ylabel, title=_labels(sim).full(probe))
    return ax
