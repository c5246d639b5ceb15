"""The function `sweep`: run a model with many seeds and parameters."""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import nengo
from nengo.exceptions import ValidationError
from nengo.utils.progress import Progress, ProgressBar, ProgressTracker

from nengo_jit.checkpointing import PathLike
from nengo_jit.parallel import n_cores
from nengo_jit.persistence.variables import clean
from nengo_jit.planner.printing import counted
from nengo_jit.sweeps.arrays import Arrays, InMemory
from nengo_jit.sweeps.description import difference, parts_of, text_of
from nengo_jit.sweeps.design import RESERVED, Design, Grid
from nengo_jit.sweeps.dispatch import Dispatcher
from nengo_jit.sweeps.executors import Executor, Local, OnDask
from nengo_jit.sweeps.results import Results
from nengo_jit.sweeps.stored import InStore
from nengo_jit.sweeps.worker import NOISE, Job, build_functions

if TYPE_CHECKING:
    import distributed
    import xarray


def sweep(
    make_network: Callable[..., Any],
    parameters: Grid | None = None,
    seeds: Iterable[int] | None = range(100),
    time: float = 1.0,
    dt: float = 0.001,
    probes: Iterable[str] | None = None,
    out: PathLike | None = None,
    client: distributed.Client | None = None,
    resume: bool = True,
    *,
    vary: str | None = None,
    overwrite: bool = False,
    progress_bar: bool | ProgressBar = True,
) -> xarray.Dataset:
    """Run a network for each combination of parameters and seeds, on all cores or on a cluster.

    A run depends on its parameters and its seed only. Its results are those of a `Simulator` of the
    engine ``cpu``, to the bit. The global generators of NumPy and `random` are seeded with the
    run's seed, too.

    Parameters
    ----------
    make_network : callable
        Called with parameters by keyword. Returns a network, or a network and a dictionary of
        probes by name. Without names, all probes are recorded, under their labels or numbers.
    parameters : mapping of (str, iterable) or iterable of mapping, optional
        The values of each parameter, all combinations of which are run, or the parameters of each
        case.
    seeds : iterable of int, optional
        Seeds of the network, each for all parameters. None to keep the network's own seed.
    time, dt : float
        Duration of a run, and of a step (seconds).
    probes : iterable of str, optional
        Names of the probes to record; all by default.
    out : path-like, optional
        Folder of a Zarr store for the results. They are kept in memory without it.
    client : distributed.Client, optional
        Client of a Dask cluster; all cores of this machine by default.
    resume : bool
        Whether to do only those runs that an existing store lacks, or in which they have failed.
        Otherwise an existing store is an error.
    vary : "noise", optional
        Seeds are those of the simulator: the network stays the same, with its own seed.
    overwrite : bool
        Whether to delete an existing sweep.
    progress_bar : bool or nengo.utils.progress.ProgressBar
        Whether, or where, to show the progress. A summary is printed at the end.

    Returns
    -------
    xarray.Dataset
        The samples of each probe, by parameters, seed and time. Failed runs are NaN, and the
        variable ``error`` says why.

    Raises
    ------
    ImportError
        If a package of the extra ``sweep`` is not installed.
    OSError
        If the store cannot be written.
    ValidationError
        If an argument is invalid, or the store is of another sweep. The error names the difference.
    """
    _check_installed(out is not None, client is not None)
    n_steps = round(time / dt) if 0 < dt < math.inf and 0 < time < math.inf else 0
    if n_steps < 1:
        raise ValidationError("A run must have at least one step", attr="time")
    if vary not in (None, NOISE) or (vary == NOISE and seeds is None):
        raise ValidationError("Must be None, or 'noise' with seeds", attr="vary")
    names = None if probes is None else tuple(probes)
    if isinstance(probes, str) or not all(isinstance(name, str) for name in names or ()):
        raise ValidationError("Must be a list of names", attr="probes")
    if not callable(make_network):
        raise ValidationError("Must be a function that makes a network", attr="make_network")
    design = Design.of(parameters, seeds)
    _check_parameters(make_network, design)
    settings = {name: dict(nengo.rc.items(name)) for name in nengo.rc.sections()}
    settings["decoder_cache"] |= {"enabled": "False"}  # other seeds have other decoders
    names = None if names is None else tuple(map(clean, names))
    reserved = frozenset({*RESERVED, *design.coordinates})
    builders = build_functions()
    job = Job(make_network, float(time), float(dt), names, vary, reserved, settings, builders)
    packed = _packed(job)
    arrays = _open(out, design, job, resume, overwrite)
    try:
        results = Results(design, n_steps, arrays)
        missing = results.missing
        began = perf_counter()
        try:
            if missing:
                executor: Executor = (
                    Local(packed, min(n_cores(), len(missing)))
                    if client is None
                    else OnDask(packed, client)
                )
                if progress_bar and client is not None and client.dashboard_link:
                    print(f"Dask's dashboard: {client.dashboard_link}")
                try:
                    bar = Progress("Sweeping", "Sweep", len(missing))
                    with ProgressTracker(progress_bar, bar) as tracker:
                        step = tracker.total_progress.step
                        Dispatcher(executor, design, results, step).do(missing)
                finally:
                    executor.close()
        finally:
            if progress_bar:
                n_done = len(missing) - len(results.missing)
                print(_summary(results, n_done, perf_counter() - began))
    finally:
        arrays.close()
    return results.dataset()


def _open(out: PathLike | None, design: Design, job: Job, resume: bool, overwrite: bool) -> Arrays:
    """Open the store, or make it, or make arrays in memory."""
    attributes: dict[str, Any] = {"dt": job.dt}
    if hasattr(job.make_network, "__name__"):
        attributes["label"] = job.make_network.__name__
    if out is None:
        return InMemory(len(design.dims), attributes)
    path = Path(out)
    apart = [name for name, (dim, _) in design.coordinates.items() if name != dim]
    if apart:
        attributes["coordinates"] = " ".join(apart)  # xarray's way to say so
    store = InStore(path, len(design.dims), attributes)
    try:
        described = _description(job, design)
        if store.described is None or overwrite:
            store.begin(described)
            return store
        if not resume:
            raise ValidationError(f"'{path}' exists: use resume or overwrite", attr="out")
        changed = difference(store.described, described)
        if changed is not None:
            raise ValidationError(
                f"'{path}' has another sweep: {changed}. Choose another path, or overwrite it",
                attr="out",
            )
        store.open()
    except BaseException:
        store.close()
        raise
    return store


def _description(job: Job, design: Design) -> dict[str, str]:
    """Describe what the results depend on."""
    found = {"the version of Python": f"{sys.version_info[0]}.{sys.version_info[1]}"}
    found |= {f"make_network's {key}": text for key, text in parts_of(job.make_network).items()}
    found |= {f"the parameter '{name}'": text_of(each) for name, each in design.values.items()}
    for _, kind, function in job.builders:
        found[f"the build function of {kind.__qualname__}"] = text_of(function)
    found["the list of parameters"] = text_of(design.cases)
    found["the list of seeds"] = text_of(design.seeds)
    found |= {key: text_of(getattr(job, key)) for key in ("time", "dt", "probes", "vary")}
    found["the precision"] = job.settings["precision"]["bits"]
    return found


def _packed(job: Job) -> bytes:
    import cloudpickle

    try:
        packed: bytes = cloudpickle.dumps(job)
    except Exception as error:
        raise ValidationError(
            f"It cannot be pickled, to send it to workers: {error}", attr="make_network"
        ) from error
    return packed


def _check_parameters(make_network: Callable[..., Any], design: Design) -> None:
    """Refuse parameters that `make_network` does not have, or lacks."""
    try:
        signature = inspect.signature(make_network)
    except (TypeError, ValueError):
        return
    for case in design.cases or [dict.fromkeys(design.values)]:
        try:
            signature.bind(**case)
        except TypeError as error:
            raise ValidationError(f"make_network: {error}", attr="parameters") from None


def _check_installed(needs_store: bool, needs_cluster: bool) -> None:
    needed = ["cloudpickle", "xarray", *["zarr"] * needs_store, *["distributed"] * needs_cluster]
    missing = [name for name in needed if find_spec(name) is None]
    if missing:
        raise ImportError(
            f"Sweeps need {' and '.join(missing)}, which pip install 'nengo-jit[sweep]' installs"
        )


def _summary(results: Results, n_done: int, seconds: float) -> str:
    n_left, n_failed = len(results.missing), results.n_failed
    if not n_done and not n_left:
        return "all runs were done already"
    text = f"{counted(n_done, 'run')} done in {seconds:.3g} s"
    if n_failed:
        text += f", {n_failed} failed (see the variable 'error')"
    if n_left > n_failed:
        text += f", {n_left - n_failed} left"
    return text
