"""What users see of a simulator: its clock, plan and profile, and the memory of its signals."""

from __future__ import annotations

import warnings
from functools import cached_property
from operator import index

import numpy as np
from nengo.builder import Model
from nengo.exceptions import (
    ReadonlyError,
    SimulationError,
    SimulatorClosed,
    ValidationError,
)

from nengo_jit.engines import Backend
from nengo_jit.engines.batch import BatchEngine
from nengo_jit.engines.live import LiveSignals
from nengo_jit.engines.state import Seed
from nengo_jit.internals import Internals
from nengo_jit.ir.base import Operator
from nengo_jit.labels import Labels
from nengo_jit.markup import html_table
from nengo_jit.planner import Plan, dependency_graph
from nengo_jit.profiling import Profile, take_profile


class Inspectable(Internals):
    """The properties and methods by which users look into a simulator."""

    model: Model
    _backend: Backend
    _signals: LiveSignals | None

    @cached_property
    def dg(self) -> dict[Operator, list[Operator]]:
        """Dict of (Operator, list of Operator): the operators that depend on each operator."""
        return dependency_graph(self.model.operators)

    def _repr_html_(self) -> str:
        network = self.model.toplevel
        state = "closed" if self.closed else "open"
        lines = {
            "network": "none" if network is None else str(network.label or "without a label"),
            "neurons": str(network.n_neurons if network is not None else 0),
            "objects": str(len(network.all_objects) if network is not None else 0),
            "engine": self.engine,
            "simulated": f"{self.time:g} s, {self.n_steps:,} steps of {self.dt:g} s",
            "state": state,
        }
        rows = list(lines.items())
        for probe, name in Labels(network).unique(self.model.probes).items():
            shape = self.data[probe].shape if probe in self.data else ()
            rows.append((f"probe {name}", " by ".join(map(str, shape)) or "no samples"))
        return f"<b>nengo_jit.Simulator</b>{html_table(['', ''], rows)}"

    @property
    def batch(self) -> int | None:
        """Int or None: number of members of the batch; None if there is none."""
        return None if self._members is None else self._members.batch.n_members

    @property
    def seeds(self) -> tuple[Seed, ...] | None:
        """Tuple of int or None: seed of the run of each member; None if there is no batch."""
        return self._engine.seeds if isinstance(self._engine, BatchEngine) else None

    @property
    def dt(self) -> float:
        """float: length of a step (seconds); cannot be changed."""
        return self.model.dt

    @dt.setter
    def dt(self, value: float) -> None:
        raise ReadonlyError(attr="dt", obj=self)

    @property
    def engine(self) -> str:
        """str: name of the engine."""
        return self._backend.name

    @property
    def n_steps(self) -> int:
        """int: number of completed steps."""
        return self._engine.n_steps

    @property
    def plan(self) -> Plan:
        """Plan: the operators in groups, and what runs them; print it to read it."""
        return self._turn.hold(self._engine.explain)

    def profile(self, steps: int = 1000) -> Profile:
        """Run steps, and measure where their time goes: by kernel, object and Python function.

        The first half of the steps runs as always, the second half on one thread, with a clock
        between any two parts of a step. Results do not change, and neither do later runs.

        Parameters
        ----------
        steps : int
            Number of steps to run, at least 4.

        Returns
        -------
        Profile
            Print it, or write a page with `Profile.save_html`.

        Raises
        ------
        SimulationError
            If steps are not run by the engine but by a method that replaces `step`; or see `run`.
        ValidationError
            If there are too few steps.
        """
        return self._turn.hold(self._profile, index(steps))

    def _profile(self, steps: int) -> Profile:
        if self.closed:
            raise SimulatorClosed("Simulator cannot be profiled because it is closed.")
        if steps < 4:
            raise ValidationError(f"Must be at least 4 (got {steps})", attr="steps", obj=self)
        if self._members is not None:
            raise SimulationError("A batch has no profile: profile a simulator of one member")
        self._see_replaced()
        if self._records_itself or not self._is_run_by_engine:
            raise SimulationError("A simulator whose `step` or `_probe` is replaced has no profile")
        if self._engine.is_running:
            raise SimulationError("A simulator cannot be profiled within a step")
        return take_profile(self._engine, self.engine, self.model, steps)

    @property
    def signals(self) -> LiveSignals | None:
        """LiveSignals or None: live memory of each signal, writeable; None once closed."""
        self._engine.look_again()
        return self._signals

    @signals.setter
    def signals(self, value: LiveSignals | None) -> None:
        if value is not None and value is not self._signals:
            message = "The engine owns the memory. Write to it with sim.signals[signal] = value"
            raise ReadonlyError(attr="signals", obj=self, msg=message)
        self._signals = value

    @property
    def step_order(self) -> list[Operator]:
        """List of Operator: the operators in the order in which a step runs them."""
        return self._step_order

    @property
    def time(self) -> float:
        """float: simulated time (seconds)."""
        return self._time

    def trange(self, dt: float | None = None, sample_every: float | None = None) -> np.ndarray:
        """Return the times at which probes took samples; the first one is ``dt``.

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
