"""Save and load the state of a simulator in memory, and pickle simulators."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from nengo.builder import Model
from nengo.exceptions import SimulatorClosed

from nengo_jit.data import SimulationData
from nengo_jit.engines import Backend
from nengo_jit.internals import Internals


class Lasting(Internals):
    """The methods that save and load a simulator's state in memory, and pickle it."""

    _backend: Backend
    model: Model
    data: SimulationData
    clear_probes: Callable[[], None]

    def _check_open(self, what: str) -> None:
        if self.closed:
            raise SimulatorClosed(f"Simulator cannot {what} because it is closed.")

    def _begin_anew(self) -> None:
        """Follow a reset of the engine."""
        self._by_hand = self._hand_set_time = None
        if self._step_order != [*self._engine.plan.operators]:
            self._steps  # noqa: B018  # from now on, run the order that the user has chosen
        if self._records_itself:
            self._probe_step_time()

    def state(self) -> dict[str, Any]:
        """Return all that the following steps depend on.

        Returns
        -------
        dict
            Arrays, numbers, strings, lists and dictionaries; see `nengo_jit.engines.state`. It
            does not contain state inside Python objects such as the functions of nodes:
            ``state["hidden"]`` names the operators that may have such state.

        Raises
        ------
        SimulationError
            If a function calls it within a step.
        SimulatorClosed
            If the simulator is closed.
        """
        return self._turn.hold(self._state)

    def _state(self) -> dict[str, Any]:
        self._check_open("save its state")
        return self._engine.state()

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue from a saved state, and delete all probe data, also on disk.

        Parameters
        ----------
        state : dict
            Result of `state`, for this simulator or another one of the same network.

        Raises
        ------
        SimulationError
            If a function calls it within a step.
        SimulatorClosed
            If the simulator is closed.
        ValidationError
            If the state belongs to another model. Nothing changes then.
        """
        self._turn.hold(self._load_state, state)

    def _load_state(self, state: dict[str, Any]) -> None:
        self._check_open("load a state")
        self._engine.load_state(state, self.clear_probes)
        self.seed = state["seed"]
        self._begin_anew()

    def __getstate__(self) -> dict[str, Any]:
        return self._turn.hold(self._content)

    def _content(self) -> dict[str, Any]:
        self._turn.catch_up()
        return {
            "model": self.model,
            "state": None if self.closed else self._engine.state(),
            "samples": {probe: self.data.raw[probe] for probe in self.model.probes},
            "seed": self.seed,
            "progress_bar": self.progress_bar,
            "optimize": self.optimize,
            "options": replace(self._backend.options, engine=self.engine),
            "batch": None if self._members is None else self._members.batch,
            "variation": None if self._members is None else self._members.variation,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        options = state["options"]
        compile_python = bool(options.compile_python)  # the report has been printed
        options = replace(options, compile_python=compile_python)
        self._restored = options, state["batch"], state["variation"]
        self.__init__(  # type: ignore[misc]  # a subclass may override it, with nengo's arguments
            network=None,
            model=state["model"],
            dt=state["model"].dt,
            seed=state["seed"],
            progress_bar=state["progress_bar"],
            optimize=state["optimize"],
        )
        if state["state"] is not None:
            self._engine.load_state(state["state"], self.clear_probes)
        for probe, samples in state["samples"].items():
            self.data.raw[probe].extend(samples)
        if state["state"] is None:
            self.close()
