"""What a worker does: build and run networks, each independent of all others."""

from __future__ import annotations

import random
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, TypeAlias

import nengo
import numpy as np
from nengo.builder import Builder as NengoBuilder
from nengo.exceptions import ValidationError

from nengo_jit.builder import Builder
from nengo_jit.parallel import one_thread_in_blas
from nengo_jit.persistence.variables import ADDRESS, Axis, Variable, axis_of, variables_of
from nengo_jit.planner.plan import ProbePlan
from nengo_jit.simulator import Simulator

NOISE = "noise"
REGISTRIES = NengoBuilder.builders, Builder.builders
_one_at_a_time = threading.Lock()  # global generators are seeded, and warnings caught

Probes: TypeAlias = Mapping[str, nengo.Probe]
Recorded: TypeAlias = tuple[ProbePlan, Variable]
Samples: TypeAlias = tuple[Variable, Axis, np.ndarray]


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
    reserved : frozenset of str
        Names that no variable may have.
    settings : dict
        Values of ``nengo.rc`` by section and name.
    builders : tuple of (int, type, callable)
        Build functions that workers do not get by importing modules, see `build_functions`.
    """

    make_network: Callable[..., Any]
    time: float
    dt: float
    probes: tuple[str, ...] | None
    vary: str | None
    reserved: frozenset[str]
    settings: dict[str, dict[str, str]]
    builders: tuple[tuple[int, type, Callable[..., object]], ...] = ()


@dataclass(frozen=True)
class Run:
    """A run: its number, its pickled parameters, and its seed."""

    number: int
    parameters: bytes
    seed: int | None


@dataclass
class Outcome:
    """What became of a run: the samples of each variable with its time axis, or an error."""

    number: int
    seconds: float = float("nan")
    error: str = ""
    samples: list[Samples] = field(default_factory=list)
    warned: set[tuple[type[Warning], str]] = field(default_factory=set)

    @property
    def n_bytes(self) -> int:
        """int: size of the samples."""
        return sum(array.nbytes for *_, array in self.samples)


@dataclass(frozen=True)
class Built:
    """A simulator, with what is recorded, and whether it can run again with another seed.

    It can if resetting it is like building it again: nothing keeps state but signals and processes.
    """

    sim: Simulator
    recorded: list[Recorded]
    is_repeatable: bool


_kept: dict[tuple[bytes, bytes], Built] = {}  # one at most, of a job and parameters


def run_batch(job: bytes, runs: Sequence[Run]) -> list[Outcome]:
    """Do some runs, one after the other.

    Parameters
    ----------
    job : bytes
        The pickled `Job`. Each build unpickles it again: no run sees what another has changed.
    runs : sequence of Run
        The runs.
    """
    outcomes = []
    with _one_at_a_time, one_thread_in_blas(), _isolated():
        for run in runs:
            outcome = Outcome(run.number)
            began = perf_counter()
            with warnings.catch_warnings(record=True) as caught, np.errstate():
                warnings.simplefilter("always")
                try:
                    outcome.samples = _do(job, run)
                except BaseException as error:
                    text = "".join(traceback.format_exception_only(error)).strip()
                    outcome.error = text.encode(errors="backslashreplace").decode()
            outcome.seconds = perf_counter() - began
            outcome.warned = {
                (_sendable(each.category), ADDRESS.sub("", str(each.message)))
                for each in caught
                if not issubclass(each.category, (ResourceWarning, DeprecationWarning))
            }
            outcomes.append(outcome)
    return outcomes


def build_functions() -> tuple[tuple[int, type, Callable[..., object]], ...]:
    """Build functions from scripts and notebooks, with their class and the place of the registry.

    Workers register those from modules when they import these.
    """
    return tuple(
        (place, kind, function)
        for place, registry in enumerate(REGISTRIES)
        for kind, function in registry.items()
        if function.__module__ == "__main__" or function.__module__ not in sys.modules
    )


def _sendable(category: type[Warning]) -> type[Warning]:
    """The category of a warning if other processes can import it."""
    return category if category.__module__.startswith(("builtins", "nengo")) else UserWarning


@contextmanager
def _isolated() -> Iterator[None]:
    """Context in which runs may change nengo's settings, and seed global generators."""
    settings = {name: dict(nengo.rc.items(name)) for name in nengo.rc.sections()}
    states = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        _set(settings)
        random.setstate(states[0])
        np.random.set_state(states[1])


def _set(settings: Mapping[str, Mapping[str, str]]) -> None:
    for section, values in settings.items():
        for name, value in values.items():
            nengo.rc.set(section, name, value)


def _do(packed: bytes, run: Run) -> list[Samples]:
    import cloudpickle

    job: Job = cloudpickle.loads(packed)
    _set(job.settings)
    for place, kind, function in job.builders:
        REGISTRIES[place][kind] = function
    built = _kept.pop((packed, run.parameters), None)
    if built is None:
        _close_kept()  # two simulators would take twice the memory
        built = _build(job, cloudpickle.loads(run.parameters), run.seed)
    try:
        if job.vary == NOISE:
            _seed_globals(run.seed)
            built.sim.reset(run.seed)
        built.sim.run(job.time)
        samples = _samples(built, job)
    except BaseException:
        built.sim.close()
        raise
    if built.is_repeatable:
        _kept[packed, run.parameters] = built
    else:
        built.sim.close()
    return samples


def release() -> None:
    """Close the simulator that is kept for another run."""
    with _one_at_a_time:
        _close_kept()


def _close_kept() -> None:
    while _kept:
        _kept.popitem()[1].sim.close()


def _build(job: Job, parameters: Mapping[str, Any], seed: int | None) -> Built:
    is_noise = job.vary == NOISE
    _seed_globals(None if is_noise else seed)
    made = job.make_network(**parameters)
    network, named = made if isinstance(made, tuple) and len(made) == 2 else (made, None)
    if not isinstance(network, nengo.Network) or not isinstance(named, (Mapping, type(None))):
        raise ValidationError(
            f"It must return a network, or a network and a dictionary of probes, not {made!r}",
            attr="make_network",
        )
    if is_noise and network.seed is None:
        raise ValidationError("vary='noise' needs a network with a seed", attr="vary")
    if not is_noise and seed is not None:
        if network.seed not in (None, seed):
            warnings.warn("The sweep's seeds replace the seed of the network", stacklevel=1)
        network.seed = seed
    sim = Simulator(
        network, job.dt, seed if is_noise else None, progress_bar=False, engine="cpu", threads=1
    )
    try:
        return Built(sim, _recorded(sim, named, job), is_noise and _is_repeatable(sim))
    except BaseException:
        sim.close()
        raise


def _is_repeatable(sim: Simulator) -> bool:
    state = sim.state()
    has_generators = any(not key.isdigit() for key in state["generators"])  # those of neurons
    return not (state["hidden"] or state["objects"] or has_generators)


def _seed_globals(seed: int | None) -> None:
    random.seed(seed or 0)
    np.random.seed(seed or 0)


def _recorded(sim: Simulator, named: Probes | None, job: Job) -> list[Recorded]:
    """Find the probes to record, and the variables that they become."""
    planned = sim._probes
    labels = None
    if named is not None:
        labels = {each: name for name, each in named.items()}
        known = {each.probe for each in planned}
        if labels.keys() - known or len(labels) < len(named):
            raise ValidationError("Names must be of different probes of it", attr="make_network")
        planned = tuple(each for each in planned if each.probe in labels)
    variables = variables_of(planned, job.dt, labels, job.reserved)
    found = {variable.name: (each, variable) for each, variable in zip(planned, variables)}
    for name in job.probes or ():
        if name not in found:
            raise ValidationError(f"There is no probe '{name}', only {[*found]}", attr="probes")
    return [found[name] for name in (found if job.probes is None else job.probes)]


def _samples(built: Built, job: Job) -> list[Samples]:
    samples = []
    for each, variable in built.recorded:
        array = np.asarray(built.sim.data[each.probe])
        if array.dtype.kind == "O":
            raise ValidationError(f"Samples of {each.probe} are sparse matrices", attr="probes")
        samples.append((variable, axis_of(each, job.dt), array.reshape(-1, *variable.shape)))
    return samples
