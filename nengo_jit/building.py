"""Build a network, plan it, and make an engine that is ready to run it."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from time import perf_counter

import nengo
import nengo.builder as reference
from nengo.exceptions import ValidationError
from nengo.utils.progress import NoProgressBar, Progress, ProgressBar, ProgressTracker

from nengo_jit.batching import Batch, Members, Variation, outputs_of, varied
from nengo_jit.builder import Builder, Model
from nengo_jit.builder.caching import decoder_cache
from nengo_jit.builder.decoders import Decoders
from nengo_jit.builder.interop import use_our_build_functions, use_our_operators
from nengo_jit.engines import Backend, Engine, backend_class
from nengo_jit.engines.batch import BatchEngine
from nengo_jit.engines.batch.making import make_batch
from nengo_jit.engines.rates import OnEngine
from nengo_jit.ir.evaluator import IN_PYTHON
from nengo_jit.planner import ProbePlan


def new_model(network: nengo.Network | None, dt: float, backend: Backend) -> Model:
    """Return an empty model; ValidationError if ``dt`` (seconds) is not above zero."""
    if not 0 < dt < math.inf:
        raise ValidationError(
            f"Must be a finite number of seconds above zero (got {dt})", attr="dt"
        )
    cache = decoder_cache(f"nengo_jit, engine {backend.name}")
    return Model(dt=float(dt), label=f"{network}, dt={dt:f}", decoder_cache=cache)


def build_engine(
    network: nengo.Network | None,
    model: reference.Model,
    backend: Backend,
    progress_bar: bool | ProgressBar = False,
    record: bool = True,
) -> tuple[Engine, tuple[ProbePlan, ...]]:
    """Build a network, plan the model, and make an engine ready to run it.

    Parameters
    ----------
    network : nengo.Network or None
        The network to build; None to run the model as it is.
    model : Model or nengo.builder.Model
        The model to build into.
    backend : Backend
        The engine's backend.
    progress_bar : bool or nengo.utils.progress.ProgressBar
        Whether, or where, to show the progress.
    record : bool
        Whether the engine records samples.

    Returns
    -------
    Engine, tuple of ProbePlan
        The engine, and all probes, whether the engine records them or not.
    """
    stages = model.log.stages if isinstance(model, Model) else {}
    tracker = ProgressTracker(progress_bar, Progress("Building", "Build", 3))
    with tracker:
        _build(network, model, backend, tracker)
        built = perf_counter()
        with tracker.next_stage("Planning", "Planning") as progress:
            plan = backend.plan(model, progress)
        planned = perf_counter()
        stages["plan"] = planned - built
        probes = plan.probes
        if not record:
            plan = replace(plan, probes=())
        with tracker.next_stage("Getting ready", "Getting ready") as progress:
            engine = backend.compile(plan, progress)
        stages["memory and kernels"] = perf_counter() - planned
        return engine, probes


def _build(
    network: nengo.Network | None,
    model: reference.Model,
    backend: Backend,
    tracker: ProgressTracker,
) -> None:
    """Build a network into a model; see `build_engine`."""
    use_our_build_functions(model, Builder())
    stages = model.log.stages if isinstance(model, Model) else {}
    began = perf_counter()
    if network is not None:
        backend.prepare(network, model.time.dtype)
        stages["lookup of kernels"] = perf_counter() - began
        progress = tracker.next_stage("Building", "Build")
        is_shown = not isinstance(tracker.progress_bar, NoProgressBar)
        build_model(network, model, backend, progress if is_shown else None)
    stages["signals, operators and decoders"] = perf_counter() - began - sum(stages.values())
    use_our_operators(model.operators)


def build_batch(
    network: nengo.Network | None,
    model: reference.Model,
    backend: Backend,
    batch: Batch,
    progress_bar: bool | ProgressBar = False,
    variation: Variation | None = None,
) -> tuple[BatchEngine, Members]:
    """Build a network for the members of a batch, and make an engine that is ready to run them.

    Parameters
    ----------
    network, model, backend, progress_bar
        See `build_engine`.
    batch : Batch
        The members.
    variation : Variation, optional
        How they differ, if that is known already.

    Returns
    -------
    BatchEngine, Members
        The engine, and what users may give for the members.

    Raises
    ------
    ValidationError
        See `varied`.
    """
    if batch.rebuild and network is None:
        raise ValidationError("Needs a network to build", attr="rebuild")
    tracker = ProgressTracker(progress_bar, Progress("Building", "Build", 2 + batch.n_members))

    def build(seed: int) -> reference.Model:
        other = new_model(network, model.dt, backend)
        other.seeds[network] = seed
        _build(network, other, backend, tracker)
        return other

    with tracker:
        if batch.rebuild and batch.seeds is not None:
            model.seeds[network] = batch.seeds[0]
        _build(network, model, backend, tracker)
        if variation is None:
            variation = varied(batch, model, build)
        with tracker.next_stage("Getting ready", "Getting ready") as progress:
            engine = make_batch(backend, model, batch.n_members, variation.values, progress)
        engine.set_generators(variation.generators)
        return engine, Members(batch, variation, outputs_of(model))


def build_model(
    network: nengo.Network,
    model: reference.Model,
    backend: Backend,
    progress: Progress | None = None,
) -> None:
    """Build a network into a model whose build functions are ours, for an engine's backend."""
    if isinstance(model, Model):
        model.reads_columns = backend.reads_columns
        builder = backend.builder
        model.decoders = Decoders(
            backend.options.threads,
            OnEngine(builder),
            builder.evaluator() if backend.options.compile_python else IN_PYTHON,
        )
    model.build(network, progress=progress)


def with_precision(backend: Backend, model: reference.Model) -> Backend:
    """Return the backend, or the reference engine's if it lacks the model's precision."""
    dtype = model.time.dtype
    if dtype in backend.precisions:
        return backend
    warnings.warn(
        f"The engine '{backend.name}' does not support models in {dtype}: using the engine "
        "'reference' instead, which is slower. Choose another precision with "
        "nengo.rc['precision']['bits'].",
        stacklevel=3,
    )
    return backend_class("reference")(backend.options)
