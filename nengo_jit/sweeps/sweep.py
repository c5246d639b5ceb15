"""The function `sweep`: run a model with many seeds and parameters."""

from __future__ import annotations

import inspect
import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import nengo
from nengo.exceptions import ValidationError
from nengo.utils.progress import Progress, ProgressBar, ProgressTracker

from nengo_jit.checkpointing import PathLike
from nengo_jit.parallel import n_cores
from nengo_jit.sweeps.design import Design, Grid
from nengo_jit.sweeps.executors import Executor, Local, LostError, OnDask
from nengo_jit.sweeps.fingerprint import parts_of, text_of
from nengo_jit.sweeps.results import Results
from nengo_jit.sweeps.worker import NOISE, Job, Outcome

if TYPE_CHECKING:
    import distributed
    import xarray

TASK = 1.0  # seconds that a task should take
MOST_BYTES = 1 << 26  # of the results of a task
MOST_LOSSES = 3  # workers that may die in a run


def sweep(
    make_network: Callable[..., Any],
    parameters: Grid | None = None,
    seeds: Iterable[int] | None = None,
    time: float = 1.0,
    dt: float = 0.001,
    probes: Sequence[str] | None = None,
    out: PathLike | None = None,
    client: distributed.Client | None = None,
    resume: bool = True,
    *,
    vary: str | None = None,
    overwrite: bool = False,
    progress_bar: bool | ProgressBar = True,
) -> xarray.Dataset:
    """Run a network for each combination of parameters and seeds, on all cores or on a cluster.

    A run depends on its parameters and its seed only: its results are those of a `Simulator`, to
    the bit. The global generators of NumPy and `random` are seeded with the run's seed, too.

    Parameters
    ----------
    make_network : callable
        Called with parameters by keyword. Returns a network, or a network and a dictionary of
        probes by name. Without names, all probes are recorded, under their labels or numbers.
    parameters : mapping of (str, iterable) or sequence of dict
        The values of each parameter, all combinations of which are run, or the parameters of each
        case.
    seeds : iterable of int, optional
        Seeds of the network, each for all parameters. None to keep the network's own.
    time, dt : float
        Duration of a run, and of a step (seconds).
    probes : sequence of str, optional
        Names of the probes to record; all by default.
    out : path-like, optional
        Folder of a Zarr store for the results. They are kept in memory without it.
    client : distributed.Client, optional
        A Dask cluster; all cores of this machine by default.
    resume : bool
        Whether to do only those runs that an existing store lacks, or in which they have failed.
    vary : "noise", optional
        Seeds are those of the simulator: the network stays the same, with its own seed.
    overwrite : bool
        Whether to delete an existing sweep.
    progress_bar : bool or nengo.utils.progress.ProgressBar
        Whether, or where, to show the progress, and a summary at the end.

    Returns
    -------
    xarray.Dataset
        The samples of each probe, by parameters, seed and time. Failed runs are NaN, and the
        variable ``error`` has the reason.

    Raises
    ------
    ImportError
        If a package of the extra ``sweep`` is not installed.
    ValidationError
        If an argument is invalid, or the store is of another sweep. The error names the difference.
    """
    _check_installed(out is not None, client is not None)
    import cloudpickle

    if vary not in (None, NOISE) or (vary == NOISE and seeds is None):
        raise ValidationError("Must be None, or 'noise' with seeds", attr="vary")
    if not (0 < dt < math.inf and 0 < time < math.inf and round(time / dt) >= 1):
        raise ValidationError("A run must have at least one step", attr="time")
    design = Design.of(parameters, seeds)
    _check_arguments(make_network, design)
    settings = {name: dict(nengo.rc.items(name)) for name in nengo.rc.sections()}
    names = None if probes is None else tuple(probes)
    job = Job(make_network, float(time), float(dt), names, vary, settings)
    path = None if out is None else Path(out)
    described = _description(job, design)
    results = Results(design, round(time / dt), path, described, resume, overwrite)
    began = perf_counter()
    try:
        missing = results.missing
        if missing:
            executor = (
                Local(min(n_cores(), len(missing))) if client is None else OnDask(client)
            )
            try:
                bar = Progress("Sweeping", "Sweep", len(missing))
                with ProgressTracker(progress_bar, bar) as tracker:
                    step = tracker.total_progress.step
                    _do(executor, cloudpickle.dumps(job), design, missing, results, step)
            finally:
                executor.close()
        if progress_bar is not False:
            failed = len(results.missing)
            seconds = perf_counter() - began
            print(
                f"{design.n_runs} runs: {len(missing)} done in {seconds:.3g} s, {failed} failed"
                + (" (see the variable 'error')" if failed else "")
            )
    finally:
        results.close()
    return results.dataset()


def _do(
    executor: Executor,
    packed: bytes,
    design: Design,
    missing: Sequence[int],
    results: Results,
    step: Callable[..., None],
) -> None:
    """Do runs, some at a time. Those of a worker that dies are done again, each by itself."""
    import cloudpickle

    waiting, alone = list(reversed(missing)), list[int]()
    running: dict[object, list[int]] = {}
    losses: Counter[int] = Counter()
    warned: set[object] = set()
    size = 1
    while waiting or alone or running:
        while (waiting or alone) and len(running) < executor.n_tasks:
            if alone:
                batch = [alone.pop()]
            else:
                fair = math.ceil(len(waiting) / (2 * executor.n_tasks))
                batch = [waiting.pop() for _ in range(min(size, fair))]
            runs = [(n, cloudpickle.dumps(design.run(n)[0]), design.run(n)[1]) for n in batch]
            running[executor.submit(packed, runs)] = batch
        for key, outcomes in executor.finished():
            batch = running.pop(key)
            if isinstance(outcomes, LostError):
                losses.update(batch)
                if len(batch) > 1 or losses[batch[0]] <= MOST_LOSSES:
                    alone += batch
                    continue
                text = f"The worker died {losses[batch[0]]} times: {outcomes}"
                outcomes = [Outcome(batch[0], 0.0, text)]
            results.add(outcomes)
            step(len(outcomes))
            for each in {each for outcome in outcomes for each in outcome.warned} - warned:
                warned.add(each)
                warnings.warn(each[1], each[0], stacklevel=3)
            seconds = sum(outcome.seconds for outcome in outcomes) / len(outcomes)
            n_bytes = sum(a.nbytes for o in outcomes for *_, a in o.samples) / len(outcomes)
            size = max(1, int(min(TASK / max(seconds, 1e-4), MOST_BYTES / max(n_bytes, 1))))


def _description(job: Job, design: Design) -> dict[str, str]:
    """Describe what the results depend on."""
    found = {f"make_network's {key}": text for key, text in parts_of(job.make_network).items()}
    found |= {f"the parameter '{name}'": text_of(each) for name, each in design.values.items()}
    found["the list of parameters"] = text_of(design.cases)
    found["the list of seeds"] = text_of(design.seeds)
    found |= {key: text_of(getattr(job, key)) for key in ("time", "dt", "probes", "vary")}
    found["the precision"] = job.settings["precision"]["bits"]
    return found


def _check_arguments(make_network: Callable[..., Any], design: Design) -> None:
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
            f"Sweeps need {' and '.join(missing)}: pip install 'nengo-jit[sweep]'"
        )
