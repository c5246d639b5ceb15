"""The Simulator: builds a network, plans it, and runs the plan on an engine."""

from __future__ import annotations

import gc
import logging
import os
import time
import warnings
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from operator import index
from typing import Any

import nengo
import numpy as np
from nengo.exceptions import ReadonlyError, SimulatorClosed, ValidationError
from nengo.utils.numpy import maxint
from nengo.utils.progress import Progress, ProgressTracker

from nengo_jit.builder import Builder, Model
from nengo_jit.builder.caching import decoder_cache
from nengo_jit.builder.decoders import Decoders
from nengo_jit.builder.interop import use_our_build_functions
from nengo_jit.by_hand import StepsByHand
from nengo_jit.data import RawData, SimulationData
from nengo_jit.engines import Engine, engine_class
from nengo_jit.engines.live import LiveSignals
from nengo_jit.engines.rates import OnEngine
from nengo_jit.ir.base import Operator
from nengo_jit.ir.evaluator import IN_PYTHON
from nengo_jit.planner import Plan, dependency_graph, make_plan
from nengo_jit.turn import Turn

logger = logging.getLogger(__name__)

CHUNK_SECONDS = 0.05  # how long an engine runs between two looks at the progress bar and Ctrl-C


class Simulator(nengo.Simulator):
    """Runs a Nengo network, in place of ``nengo.Simulator`` and with the same results.

    Parameters
    ----------
    network : nengo.Network or None
        What to build and run. None if ``model`` holds all there is to run.
    dt : float
        Length of a step (seconds), above zero. Ignored if ``model`` is given, which has its own.
    seed : int, optional
        Seed of what is random while running, such as noise. The default is the network's seed
        plus one, or a random number if the network has none.
    model : Model or nengo.builder.Model, optional
        What to build into, or what was built before. A model of nengo's is given our build
        functions, unless its builder was chosen by somebody.
    progress_bar : bool or nengo.utils.progress.ProgressBar
        Whether, or where, to show the progress of building and running.
    optimize : bool
        Accepted for the sake of nengo's signature. It changes no results; how a model is
        planned is up to the engine.
    engine : str, optional
        Which engine to run on. The default is the environment variable ``NENGO_JIT_ENGINE``
        or, if that is not set, the fastest engine there is.
    threads : int, optional
        How many threads to use at most, on engines that have a choice. The default is the
        environment variable ``NENGO_JIT_THREADS`` or, if that is not set, the number of cores.
        Results do not depend on it.
    compile_python : bool or "report"
        Whether Python functions that only calculate, such as those of nodes, run without calling
        Python, once a simulation has run for a hundred steps. Results do not depend on it. With
        "report", what becomes of each function is printed when the simulator has been made.

    Attributes
    ----------
    closed : bool
        Whether the simulator has been closed and cannot run any more.
    data : SimulationData
        Probe data, and the parameters of the objects that were built.
    model : Model
        What the network was built into.
    optimize : bool
        As given.
    progress_bar : bool or nengo.utils.progress.ProgressBar
        As given; `run` and `run_steps` may override it.
    seed : int
        Seed of what is random while running.

    Raises
    ------
    BuildError
        If the network cannot be built.
    ValidationError
        If the engine is unknown, ``dt`` is not above zero, or a process does not work with it.

    Notes
    -----
    If a step raises, the error says in which step and where. Signals, time and step count are
    then those of the step before, probe data up to there is kept, and the simulator can be
    stepped on, reset or closed. State that Python objects keep to themselves, such as that of
    a node's function or a random number generator, cannot be taken back.

    All that a simulator offers may be used from any thread, while it runs, too. Data and the clock
    are those of the last completed step. A thread that wants to run or reset the simulator, or to
    pickle or print it, waits until the run that goes on has ended; `close` ends it.

    A subclass that has a `step` of its own has it called for every step, and one that has a
    ``_probe`` or ``_probe_step_time`` of its own records by itself, as in nengo. That takes
    microseconds for each step, and other threads can run or reset it between any two steps.
    """

    closed = True  # until the constructor has succeeded

    def __init__(
        self,
        network: nengo.Network | None,
        dt: float = 0.001,
        seed: int | None = None,
        model: Any = None,
        progress_bar: Any = True,
        optimize: bool = True,
        *,
        engine: str | None = None,
        threads: int | None = None,
        compile_python: bool | str = True,
    ):
        restored = self.__dict__.pop("_restored", None)  # by `__setstate__`
        if restored is not None:
            engine, threads, compile_python = restored
        if network is None and model is None:
            raise ValidationError("Give a network, a model or both", attr="network", obj=self)
        chosen_engine = engine_class(engine or os.environ.get("NENGO_JIT_ENGINE") or None)
        self.progress_bar = progress_bar
        self.optimize = optimize
        self._threads = n_threads(threads)
        if compile_python not in (True, False, "report"):
            raise ValidationError(
                f"Must be True, False or 'report' (got {compile_python!r})", attr="compile_python"
            )
        self._compile_python = compile_python
        if model is None:
            if not 0 < dt < np.inf:
                raise ValidationError(
                    f"Must be a finite number of seconds above zero (got {dt})", attr="dt", obj=self
                )
            model = Model(
                dt=float(dt),
                label=f"{network}, dt={dt:f}",
                decoder_cache=decoder_cache(f"nengo_jit, engine {chosen_engine.name}"),
            )
        self.model = model
        self._records_itself = self._has_replaced("_probe", "_probe_step_time")
        self._engine = self._build(network, chosen_engine)
        self._engine.is_asked = True
        self._turn = Turn(self._engine)
        self._step_order = list(self._engine.plan.operators)
        self._by_hand: StepsByHand | None = None
        self._hand_set_time: float | None = None
        self._signals: LiveSignals | None = LiveSignals(self._engine, self._turn.catch_up)
        SIMULATORS.add(self)
        self._sim_data = RawData(self.model.params, self._engine, self._turn.catch_up)
        self.data = SimulationData(self._sim_data)

        if seed is None and network is not None and network.seed is not None:
            seed = network.seed + 1
        self.closed = False
        try:
            self.reset(seed=np.random.randint(maxint) if seed is None else seed)
        except BaseException:
            self.closed = True
            raise
        if compile_python == "report":
            print("\n".join(self.plan.functions() or ["no Python functions"]))

    def _build(self, network: nengo.Network | None, engine: type[Engine]) -> Engine:
        """Build the network, plan the model, and make an engine ready to run it."""
        dtype = self.model.time.dtype
        if not engine.supports(dtype):
            warnings.warn(
                f"The engine '{engine.name}' cannot run models in {dtype}: taking the engine "
                "'reference', which is slower. Choose another precision with "
                "nengo.rc['precision']['bits'].",
                stacklevel=3,
            )
            engine = engine_class("reference")
        use_our_build_functions(self.model, Builder())
        tracker = ProgressTracker(self.progress_bar, Progress("Building", "Build", 2))
        with tracker, collector_paused():
            if network is not None:
                engine.prepare(network, dtype)
                if isinstance(self.model, Model):
                    self.model.decoders = Decoders(
                        self._threads,
                        OnEngine(engine, self._threads),
                        engine.evaluator() if self._compile_python else IN_PYTHON,
                    )
                self.model.build(network, progress=tracker.next_stage("Building", "Build"))
            plan = make_plan(self.model, engine.runs_python)
            self._probes = plan.probes
            if self._records_itself:
                plan = replace(plan, probes=())
            with tracker.next_stage("Loading kernels", "Loading kernels") as progress:
                return engine(plan, progress, self._threads, bool(self._compile_python))

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

    def __exit__(self, *exception: Any) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return self._turn.hold(self._state)

    def _state(self) -> dict[str, Any]:
        self._turn.catch_up()
        signals = {} if self._signals is None else self._engine.signals
        return {
            "model": self.model,
            "signals": {s: array for s, array in signals.items() if not s.readonly},
            "generators": {op: each.buffer.copy() for op, each in self._engine.generators.items()},
            "samples": {probe: self.data.raw[probe] for probe in self.model.probes},
            "seed": self.seed,
            "progress_bar": self.progress_bar,
            "optimize": self.optimize,
            "engine": self._engine.name,
            "threads": self._threads,
            "compile_python": self._compile_python,
            "closed": self.closed,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        compile_python = bool(state["compile_python"])
        self._restored = state["engine"], state["threads"], compile_python
        self.__init__(  # type: ignore[misc]  # a subclass may have its own, with nengo's arguments
            network=None,
            model=state["model"],
            dt=state["model"].dt,
            seed=state["seed"],
            progress_bar=state["progress_bar"],
            optimize=state["optimize"],
        )
        for signal, value in state["signals"].items():
            self._engine.signals[signal] = value
        self._engine.read_clock()
        for operator, generator in state["generators"].items():
            self._engine.generators[operator].buffer[:] = generator
        for probe, samples in state["samples"].items():
            self.data.raw[probe].extend(samples)
        if state["closed"]:
            self.close()

    @cached_property
    def dg(self) -> dict[Operator, list[Operator]]:
        """Dict of (Operator, list of Operator): for each operator those that depend on it."""
        return dependency_graph(self.model.operators)

    @property
    def dt(self) -> float:
        """float: length of a step (seconds); cannot be changed."""
        return self.model.dt

    @dt.setter
    def dt(self, value: float) -> None:
        raise ReadonlyError(attr="dt", obj=self)

    @property
    def engine(self) -> str:
        """str: name of the engine that the simulator runs on."""
        return self._engine.name

    @property
    def n_steps(self) -> int:
        """int: number of completed steps."""
        return self._engine.n_steps

    @property
    def _n_steps(self) -> int:
        return self._engine.n_steps

    @_n_steps.setter
    def _n_steps(self, value: int) -> None:
        self._engine.recording.clock.n_steps = value

    @property
    def plan(self) -> Plan:
        """Plan: what is run; print it to read it."""
        return self._turn.hold(self._engine.explain)

    @property
    def rng(self) -> np.random.RandomState:
        """numpy.random.RandomState: what processes without a seed drew theirs from at reset."""
        return self._engine.rng

    @rng.setter
    def rng(self, value: np.random.RandomState) -> None:
        self._engine.rng = value  # until the next reset, as in nengo

    @property
    def signals(self) -> LiveSignals | None:
        """LiveSignals or None: live memory by signal, to read and to write; None once closed."""
        self._engine.look_again()
        return self._signals

    @signals.setter
    def signals(self, value: LiveSignals | None) -> None:
        if value is not None and value is not self._signals:
            message = "The memory is the engine's. Write to it: sim.signals[signal] = value"
            raise ReadonlyError(attr="signals", obj=self, msg=message)
        self._signals = value

    @property
    def step_order(self) -> list[Operator]:
        """List of Operator: in the order in which they are carried out in a step."""
        return self._step_order

    @property
    def _steps(self) -> Any:
        """List of callable: functions that carry a step out, see `StepsByHand`.

        If they are replaced, or the list is changed, they are what a step does, as in nengo.
        """
        if self._by_hand is None:
            by_hand = StepsByHand(self._engine, self._turn.catch_up)
            by_hand.make(self._step_order, self.seed)
            self._by_hand = by_hand
        return self._by_hand.steps

    @_steps.setter
    def _steps(self, value: Any) -> None:
        if self._by_hand is None:
            self._by_hand = StepsByHand(self._engine, self._turn.catch_up, value)
        else:
            self._by_hand.steps = value

    @property
    def time(self) -> float:
        """float: simulated time (seconds)."""
        return self._time

    @property
    def _time(self) -> float:
        return self._engine.time if self._hand_set_time is None else self._hand_set_time

    @_time.setter
    def _time(self, value: float) -> None:
        self._hand_set_time = value

    def clear_probes(self) -> None:
        """Forget all probe data.

        While the simulator runs, samples of later steps are kept, for all probes from the same
        step on.
        """
        self._engine.clear_samples()
        for planned in self._probes:
            if self._records_itself:
                self._sim_data[planned.probe] = []
            self._sim_data.publish(planned.probe)
        self.data.reset()

    def close(self) -> None:
        """Close the simulator: its data stays, but it cannot run any more.

        A run that goes on in another thread is stopped, which may take a twentieth of a second,
        and raises `SimulatorClosed`. When `close` returns, nothing runs any more. If a function
        calls it within a step, the run ends without that step.
        """
        self.closed = True
        self._turn.hold(self._close)

    def _close(self) -> None:
        if self._engine.is_running:
            message = "Simulator was closed by a function that it has called."
            self._engine.abandon(SimulatorClosed(message))
        self._signals = None

    def _check_open(self, what: str) -> None:
        if self.closed:
            raise SimulatorClosed(f"Simulator cannot {what} because it is closed.")

    def reset(self, seed: int | None = None) -> None:
        """Go back to the state before the first step, and forget all probe data.

        Parameters
        ----------
        seed : int, optional
            A new seed for what is random while running. What was drawn while building stays.

        Raises
        ------
        SimulatorClosed
            If the simulator is closed.
        """
        self._turn.hold(self._reset, seed)

    def _reset(self, seed: int | None) -> None:
        self._check_open("be reset")
        if seed is not None:
            self.seed = seed
        self._engine.reset(self.seed, self.clear_probes)
        self._by_hand = self._hand_set_time = None
        if self._step_order != [*self._engine.plan.operators]:
            self._steps  # noqa: B018  # carry out what users have made of it from now on
        if self._records_itself:
            self._probe_step_time()

    def run(self, time_in_seconds: float, progress_bar: Any = None) -> None:
        """Simulate for a given time, rounded to the nearest step.

        Parameters
        ----------
        time_in_seconds : float
            How long (seconds of simulated time), not negative.
        progress_bar : bool or nengo.utils.progress.ProgressBar, optional
            Overrides the simulator's ``progress_bar``.

        Raises
        ------
        SimulationError
            If a function returns None or something that is not a finite number.
        SimulatorClosed
            If the simulator is closed, also if another thread closes it meanwhile.
        ValidationError
            If the time is negative.
        """
        if time_in_seconds < 0:
            raise ValidationError(
                f"Must be positive (got {time_in_seconds:g})", attr="time_in_seconds"
            )
        steps = int(np.round(float(time_in_seconds) / self.dt))
        if steps == 0:
            warnings.warn(
                f"{time_in_seconds} results in running for 0 timesteps. Simulator still at time "
                f"{self.time}.",
                stacklevel=2,
            )
        else:
            logger.info(
                "Running %s for %f seconds, or %d steps", self.model.label, time_in_seconds, steps
            )
            self.run_steps(steps, progress_bar=progress_bar)

    def run_steps(self, steps: int, progress_bar: Any = None) -> None:
        """Simulate a given number of steps.

        Parameters
        ----------
        steps : int
            How many.
        progress_bar : bool or nengo.utils.progress.ProgressBar, optional
            Overrides the simulator's ``progress_bar``.

        Raises
        ------
        SimulationError, SimulatorClosed
            See `run`.
        TypeError
            If the number is not a whole one.
        """
        steps = index(steps)
        bar = self.progress_bar if progress_bar is None else progress_bar
        if self._is_run_by_engine:
            self._turn.hold(self._run_steps, steps, bar)
        else:  # another thread may carry out its steps
            self._run_steps(steps, bar)

    def _run_steps(self, steps: int, bar: Any) -> None:
        self._check_open("run")
        with ProgressTracker(bar, Progress("Simulating", "Simulation", steps)) as tracker:
            done = self._run_chunks(steps, tracker)
            for _ in range(steps - done):
                self.step()
                tracker.total_progress.step()

    @property
    def _is_run_by_engine(self) -> bool:
        """Whether the engine may carry out many steps, with nothing to be called in between."""
        return not (
            self._has_replaced("step")
            or self._records_itself
            or (self._by_hand is not None and not self._by_hand.do_what_the_engine_does)
        )

    def _run_chunks(self, steps: int, tracker: ProgressTracker) -> int:
        """Have the engine carry out steps for as long as it may; returns how many."""
        done, chunk = 0, 1
        while done < steps and self._is_run_by_engine:
            self._check_open("run")  # somebody may have closed it meanwhile
            start = time.perf_counter()
            n_done = self._engine.run(min(chunk, steps - done))
            seconds = time.perf_counter() - start
            if self._records_itself:  # since that step
                self._probe()
            done += n_done
            tracker.total_progress.step(n_done)
            # at most tenfold, since the first steps may not be typical
            chunk = max(1, min(10 * n_done, int(n_done * CHUNK_SECONDS / max(seconds, 1e-9))))
        return done

    def step(self) -> None:
        """Simulate one step; for errors see `run`."""
        self._turn.hold(self._step)

    def _step(self) -> None:
        if self.closed:
            self._check_open("run")
        by_hand = self._by_hand
        if by_hand is None or by_hand.do_what_the_engine_does:
            self._engine.run(1)
            if self._records_itself:
                self._probe()
        else:
            self._engine.check_usable()
            by_hand.carry_out()
            self._probe()

    def _has_replaced(self, *names: str) -> bool:
        """Whether methods are not those of this class any more: nengo calls what is in place."""
        own, kind = vars(self), type(self)
        return any(name in own or getattr(kind, name) is not OURS[name] for name in names)

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name in REPLACEABLE:
            self._see_replaced()

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        if name in REPLACEABLE:
            self._see_replaced()

    def _see_replaced(self) -> None:
        """Go on, after the step that is being carried out, with what is in place now."""
        if "_sim_data" not in vars(self):  # is yet to be made
            return
        if not self._records_itself and self._has_replaced("_probe", "_probe_step_time"):
            self._records_itself = True
            for probe, samples in self._engine.stop_recording().items():
                self._sim_data[probe] = samples
        self._engine.pause()

    def _probe(self) -> None:
        """Record what is due, after a step that was carried out by hand.

        Simulators that record by themselves have a method in place of this one.
        """
        self._probe_step_time()
        for planned in self._probes:
            if planned.is_due(self.n_steps):
                sample = self._engine.signals[planned.signal].copy()
                self._sim_data[planned.probe].append(sample)

    def _probe_step_time(self) -> None:
        """Take the number of steps from the signal that counts them."""
        self._engine.read_clock()

    def trange(self, dt: float | None = None, sample_every: float | None = None) -> np.ndarray:
        """Times at which probes took samples, the first one being ``dt``.

        Parameters
        ----------
        dt : float, optional
            Deprecated name of ``sample_every``.
        sample_every : float, optional
            The probe's sampling period (seconds); every step where not given.

        Returns
        -------
        (n_samples,) numpy.ndarray
            Times (seconds).

        Raises
        ------
        ValidationError
            If both are given.
        """
        if dt is not None:
            if sample_every is not None:
                raise ValidationError(
                    "Cannot specify both `dt` and `sample_every`. Use `sample_every` only.",
                    attr="dt",
                    obj=self,
                )
            warnings.warn(
                "`dt` is deprecated. Use `sample_every` instead.", DeprecationWarning, stacklevel=2
            )
            sample_every = dt
        period = 1 if sample_every is None else sample_every / self.dt
        steps = np.arange(1, self.n_steps + 1)
        return self.dt * steps[steps % period < 1]


# What is not this any more was replaced, by a subclass or from outside, and has to be called.
OURS = {name: vars(Simulator)[name] for name in ("step", "_probe", "_probe_step_time")}
REPLACEABLE = {*OURS, "_steps"}


SIMULATORS: weakref.WeakSet[Simulator] = weakref.WeakSet()


def _after_fork() -> None:
    """A thread that runs a simulator does not exist in a process that another thread forks."""
    for sim in list(SIMULATORS):
        if sim._turn.after_fork():
            sim._engine.lose_run()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@contextmanager
def collector_paused() -> Iterator[None]:
    """Context in which Python does not look for garbage in cycles.

    Building makes many objects, all of which stay: to go through them again and again would take
    longer and longer.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def n_threads(chosen: int | None) -> int | None:
    """The number of threads that was asked for, here or in the environment; None if none was.

    Raises
    ------
    ValidationError
        If it is not a positive whole number.
    """
    value: Any = os.environ.get("NENGO_JIT_THREADS") or None if chosen is None else chosen
    if value is None:
        return None
    try:
        number = int(value)
    except ValueError:
        number = 0
    if number < 1:
        raise ValidationError(f"Must be a positive whole number (got {value!r})", attr="threads")
    return number
