"""The Simulator: builds a network, plans it, and makes an engine that runs the plan."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import nengo
import numpy as np
from nengo.builder import Model
from nengo.exceptions import SimulatorClosed, ValidationError
from nengo.utils.numpy import maxint
from nengo.utils.progress import ProgressBar

from nengo_jit.batching import Batch, Members, Parameters
from nengo_jit.building import build_batch, build_engine, new_model, with_precision
from nengo_jit.checkpointing import PathLike
from nengo_jit.collector import collector_paused
from nengo_jit.data import BatchData, RawData, SimulationData
from nengo_jit.engines import Engine, backend_for
from nengo_jit.engines.batch import BatchEngine
from nengo_jit.engines.live import LiveSignals
from nengo_jit.internals import REPLACEABLE
from nengo_jit.options import REPORT, Options
from nengo_jit.persistence.export import Recorded
from nengo_jit.persistence.store import check_free
from nengo_jit.running import Running
from nengo_jit.turn import Turn

with suppress(ValidationError):  # the constructor raises it
    backend_for(Options.chosen())  # imports the engine now, not while somebody waits for a model


class Simulator(Running):
    """Runs a Nengo network, in place of ``nengo.Simulator`` and with the same results.

    Parameters
    ----------
    network : nengo.Network or None
        The network to build and run. None to run ``model`` as it is.
    dt : float
        Length of a step (seconds), above zero. Ignored if ``model`` is given: a model has its own.
    seed : int, optional
        Seed of the random numbers of the run, such as noise. The default is the network's seed
        plus one, or a random number if the network has none.
    model : Model or nengo.builder.Model, optional
        A model to build into, or one that has been built already. A model of nengo's gets our
        build functions, unless it was given a builder of its own.
    progress_bar : bool or nengo.utils.progress.ProgressBar
        Whether, or where, to show the progress of building and running.
    optimize : bool
        Accepted for compatibility with nengo; without effect.
    engine : str, optional
        Name of the engine to run on. The default is the environment variable
        ``NENGO_JIT_ENGINE`` or, if that is not set, the fastest engine.
    threads : int, optional
        Number of threads to use at most, on engines with this option. The default is the
        environment variable ``NENGO_JIT_THREADS`` or, if that is not set, the number of cores.
        Results do not depend on it.
    compile_python : bool or "report", optional
        Whether to compile Python functions without side effects, such as those of nodes, once a
        simulation has run for a hundred steps. Results do not depend on it. With "report", the
        simulator also prints, when it has been built, which functions it will compile. The
        default is the environment variable ``NENGO_JIT_COMPILE_PYTHON`` or, if that is not set,
        True.
    noise : {"nengo", "fast"}, optional
        Which random numbers processes and neurons get, on engines with this option. With "fast",
        the device of the engine "jax" draws other numbers than nengo, of the same distributions.
        The default is the environment variable ``NENGO_JIT_NOISE`` or, if that is not set, "nengo".
    record : str or os.PathLike, optional
        Folder for probe data: a Zarr store, to which samples go while the simulation runs. They do
        not fill the memory then, and ``data[probe]`` reads from the store.
    overwrite : bool
        Whether to delete a store that is there already, which is an error otherwise.
    batch : int, optional
        Number of simulations to run at the same time, the *members* of a batch. They may differ in
        inputs, seeds and parameters, and never influence one another. See ``docs/batches.md``.
    seeds : sequence of int, optional
        Seed of each member. By default all have the seed of the simulator.
    rebuild : bool
        Whether to build each member with its seed as the network's. The seed of its run is then
        that seed plus one.
    parameters : dict of (object, dict of (str, array_like)), optional
        Built parameters of each member, with a leading axis for the members: ``"gain"``,
        ``"bias"``, ``"encoders"`` or ``"scaled_encoders"`` of ensembles, ``"weights"`` of
        connections. Decoders are not solved again for them.

    Attributes
    ----------
    closed : bool
        Whether the simulator has been closed and cannot run any more.
    data : SimulationData
        Probe data, and the built parameters of each object.
    model : Model
        The model that the network was built into.
    optimize : bool
        As given.
    progress_bar : bool or nengo.utils.progress.ProgressBar
        As given; `run` and `run_steps` may override it.
    seed : int
        Seed of the random numbers of the run.

    Raises
    ------
    BuildError
        If the network cannot be built.
    ImportError
        If ``record`` is given, and Zarr is not installed.
    OSError
        If the store cannot be written.
    ValidationError
        If the engine is unknown or lacks an option, if the value of an option or ``dt`` is invalid,
        if a process does not work with this ``dt``, if the store exists or is in use, or if seeds
        or parameters of a batch do not fit; the error names the object and both shapes.

    Notes
    -----
    If a step raises, the error names the step and the operator. Signals, time, step count and
    probe data are then those at the end of the step before. The simulator can still be stepped,
    reset or closed. State inside Python objects, such as a node's function or a random number
    generator, is not rolled back.

    A simulator is thread-safe, also during a run. Other threads see the data and the clock of the
    last completed step. A thread that runs, resets, pickles or prints the simulator waits for the
    end of the current run; `close` ends that run.

    As in nengo, a `step` that a subclass overrides is called for every step, and overrides of
    ``_probe`` and ``_probe_step_time`` do the recording. That costs microseconds a step, and
    other threads can run or reset the simulator between two steps.
    """

    closed = True  # until the constructor has succeeded

    @collector_paused()
    def __init__(
        self,
        network: nengo.Network | None,
        dt: float = 0.001,
        seed: int | None = None,
        model: Model | None = None,
        progress_bar: bool | ProgressBar = True,
        optimize: bool = True,
        *,
        engine: str | None = None,
        threads: int | None = None,
        compile_python: bool | str | None = None,
        noise: str | None = None,
        record: PathLike | None = None,
        overwrite: bool = False,
        batch: int | None = None,
        seeds: Sequence[int] | None = None,
        rebuild: bool = False,
        parameters: Parameters | None = None,
    ):
        chosen = Batch.chosen(batch, seeds, rebuild, parameters)
        options, chosen, variation = self.__dict__.pop("_restored", (None, chosen, None))
        if options is None:  # else `__setstate__` calls this
            options = Options.chosen(
                engine=engine, threads=threads, compile_python=compile_python, noise=noise
            )
        if network is None and model is None:
            raise ValidationError("Give a network, a model or both", attr="network", obj=self)
        if record is not None:
            check_free(Path(record), overwrite)  # before the build, which may take long
        backend = backend_for(options)
        self.progress_bar = progress_bar
        self.optimize = optimize
        self.model = new_model(network, dt, backend) if model is None else model
        self._records_itself = self._has_replaced("_probe", "_probe_step_time")
        self._backend = with_precision(backend, self.model)
        self._members: Members | None = None
        self._engine: Engine
        if chosen is None:
            self._engine, self._probes = build_engine(
                network, self.model, self._backend, progress_bar, record=not self._records_itself
            )
        else:
            self._engine, self._members = build_batch(
                network, self.model, self._backend, chosen, progress_bar, variation
            )
            self._probes = self._engine.plan.probes
        self._engine.is_asked = True
        self._turn = Turn(self._engine)
        self._step_order = list(self._engine.plan.operators)
        self._by_hand = self._hand_set_time = None
        self._signals: LiveSignals | None = LiveSignals(self._engine, self._turn.catch_up)
        self._sim_data = RawData(self.model.params, self._engine, self._turn.catch_up)
        label = str(getattr(self.model.toplevel, "label", None) or "")
        recorded = Recorded(self._probes, self._engine, self._turn.hold, label, self.batch)
        self.data = SimulationData(self._sim_data, recorded)
        if self._members is not None:
            self.data = BatchData(self._sim_data, self._members, recorded)

        if seed is None and network is not None and network.seed is not None:
            seed = network.seed + 1
        self.closed = False
        try:
            self.seed = np.random.randint(maxint) if seed is None else seed
            own = None if chosen is None else chosen.seeds_of_runs
            self.reset(seed=self.seed if own is None else own)
        except BaseException:
            self.closed = True
            raise
        if record is not None:
            store, attributes = Path(record), recorded.attributes
            self._connect(lambda stream: stream.begin(store, attributes, overwrite))
        if options.compile_python == REPORT:
            print("\n".join(self.plan.functions() or ["no Python functions"]))

    def __del__(self) -> None:
        if not self.closed:
            warnings.warn(
                f"Simulator with model={self.model} was deallocated while open. Please close "
                "simulators manually to ensure resources are properly freed.",
                ResourceWarning,
                stacklevel=2,
            )

    def __enter__(self) -> Simulator:
        if self.closed:
            raise SimulatorClosed("Cannot re-open after simulator is closed")
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def clear_probes(self) -> None:
        """Delete all probe data.

        During a run, all probes keep their samples from the same step on.
        """
        if self._stream is None:
            self._engine.clear_samples()
        else:
            self._stream.clear(self._engine.clear_samples)
        for planned in self._probes:
            if self._records_itself:
                self._sim_data[planned.probe] = []
            self._sim_data.publish(planned.probe)
        self.data.reset()

    def close(self) -> None:
        """Close the simulator. Its data stays, but it cannot run any more.

        A run in another thread ends after its current step and raises `SimulatorClosed`; `close`
        waits for that. If a function that the simulator calls closes it within a step, the run
        ends without that step.

        Raises
        ------
        SimulationError
            If the current step does not end, perhaps because it waits for this thread. The
            simulator is closed all the same, and the run ends when the step does.
        """
        self.closed = True
        self._engine.pause()
        self._turn.hold(self._close)

    def _close(self) -> None:
        if self._engine.is_running:
            message = "A function that the simulator called has closed it."
            self._engine.abandon(SimulatorClosed(message))
        self._signals = None
        self._stop_writing()
        if self._stream is not None:
            self._stream.close()

    def reset(self, seed: int | Sequence[int] | None = None) -> None:
        """Go back to the state before the first step, and delete all probe data.

        Parameters
        ----------
        seed : int or sequence of int, optional
            New seed for the random numbers of the run. Those drawn by the build stay. For a batch,
            the seed of all members, or one for each.

        Raises
        ------
        SimulatorClosed
            If the simulator is closed.
        """
        self._turn.hold(self._reset, seed)

    def _reset(self, seed: Any) -> None:
        self._check_open("be reset")
        if isinstance(self._engine, BatchEngine) and self._members is not None:
            seeds = self._engine.seeds if seed is None else self._members.seeds(seed)
            self.seed = self.seed if seed is None or np.ndim(seed) else seed
            self._engine.reset_each(seeds, self.clear_probes)
        else:
            self.seed = self.seed if seed is None else seed
            self._engine.reset(self.seed, self.clear_probes)
        self._begin_anew()


Simulator.ours = {name: getattr(Simulator, name) for name in REPLACEABLE}
