"""What a worker does: build and run networks, each independent of all others."""

from __future__ import annotations

import random
import threading
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any

import nengo
import numpy as np
from nengo.exceptions import ValidationError

from nengo_jit.parallel import one_thread_in_blas
from nengo_jit.persistence.variables import Axis, Variable, axis_of, variables_of
from nengo_jit.simulator import Simulator

NOISE = "noise"
_one_at_a_time = threading.Lock()  # global generators are seeded, and warnings caught


@dataclass(frozen=True)
class Job:
    """What all runs of a sweep have in common.

    Attributes
    ----------
    make_network : callable
        Returns a network, or a network and its probes by name.
    time, dt : float
        Duration of a run, and of a step (seconds).
    probes : tuple of str or None
        Names of the probes to record; None for all.
    vary : str or None
        "noise" if seeds are those of the simulator.
    settings : dict
        Values of ``nengo.rc`` by section and name.
    """

    make_network: Callable[..., Any]
    time: float
    dt: float
    probes: tuple[str, ...] | None
    vary: str | None
    settings: dict[str, dict[str, str]]


@dataclass
class Outcome:
    """What became of a run: the samples of each variable with its time axis, or an error."""

    number: int
    seconds: float = float("nan")
    error: str = ""
    samples: list[tuple[Variable, Axis, np.ndarray]] = field(default_factory=list)
    warned: set[tuple[type[Warning], str]] = field(default_factory=set)


def run_batch(
    packed: bytes, runs: Sequence[tuple[int, bytes | Mapping[str, Any], int | None]]
) -> list[Outcome]:
    """Do some runs, one after the other.

    Parameters
    ----------
    packed : bytes
        The `Job`. Each run unpacks it again, so that no run sees what another has changed.
    runs : sequence of (int, bytes, int or None)
        Number, packed parameters, and seed of each run.
    """
    import cloudpickle

    outcomes = []
    with _one_at_a_time, one_thread_in_blas():
        for number, parameters, seed in runs:
            outcome = Outcome(number)
            began = perf_counter()
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                try:
                    job = cloudpickle.loads(packed)
                    outcome.samples = _run(job, cloudpickle.loads(parameters), seed)
                except (Exception, SystemExit) as error:
                    outcome.error = "".join(traceback.format_exception_only(error)).strip()
            outcome.seconds = perf_counter() - began
            outcome.warned = {
                (each.category, str(each.message))
                for each in caught
                if not issubclass(each.category, (ResourceWarning, DeprecationWarning))
            }
            outcomes.append(outcome)
    return outcomes


def _run(
    job: Job, parameters: Mapping[str, Any], seed: int | None
) -> list[tuple[Variable, Axis, np.ndarray]]:
    for section, values in job.settings.items():
        for name, value in values.items():
            nengo.rc.set(section, name, value)
    nengo.rc.set("decoder_cache", "enabled", "False")  # other seeds, other decoders
    random.seed(seed or 0)
    np.random.seed(seed or 0)
    made = job.make_network(**parameters)
    network, named = made if isinstance(made, tuple) else (made, None)
    if not isinstance(network, nengo.Network):
        raise ValidationError(f"make_network returned {made!r}, not a network", "make_network")
    noise = seed if job.vary == NOISE else None
    if job.vary == NOISE and network.seed is None:
        raise ValidationError("vary='noise' needs a network with a seed", attr="vary")
    if seed is not None and job.vary != NOISE:
        if network.seed not in (None, seed):
            warnings.warn("The sweep's seeds replace the seed of the network", stacklevel=1)
        network.seed = seed
    with Simulator(network, job.dt, noise, progress_bar=False, engine="cpu", threads=1) as sim:
        sim.run(job.time)
        return _samples(sim, named, job)


def _samples(
    sim: Simulator, named: Mapping[str, nengo.Probe] | None, job: Job
) -> list[tuple[Variable, Axis, np.ndarray]]:
    planned = sim._probes
    found: dict[str, tuple[Variable, Axis, np.ndarray]] = {}
    names = {} if named is None else {probe: name for name, probe in named.items()}
    for each, variable in zip(planned, variables_of(planned, job.dt)):
        if named is not None and each.probe not in names:
            continue
        name = names.get(each.probe, variable.name)
        axis = axis_of(each, job.dt)
        dims = (axis.name, *(f"{name}.{i}" for i in range(len(variable.shape))))
        array = np.asarray(sim.data[each.probe]).reshape(-1, *variable.shape)
        found[name] = (replace(variable, name=name, dims=dims), axis, array)
    for name in job.probes or ():
        if name not in found:
            raise ValidationError(f"There is no probe '{name}' among {sorted(found)}", "probes")
    return [each for name, each in found.items() if job.probes is None or name in job.probes]
