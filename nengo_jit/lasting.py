"""The state of a simulator: taken, gone on from, and pickled."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from nengo.exceptions import SimulatorClosed

from nengo_jit.engines import Backend
from nengo_jit.internals import Internals


class Lasting(Internals):
    """What of a simulator lasts: its state can be kept, and it can be pickled."""

    _backend: Backend

    def _check_open(self, what: str) -> None:
        if self.closed:
            raise SimulatorClosed(f"Simulator cannot {what} because it is closed.")

    def _begin_anew(self) -> None:
        """Take note that the engine has been reset."""
        self._by_hand = self._hand_set_time = None
        if self._step_order != [*self._engine.plan.operators]:
            self._steps  # noqa: B018  # carry out what users have made of it from now on
        if self._records_itself:
            self._probe_step_time()

    def state(self) -> dict[str, Any]:
        """Everything that the steps to come depend on.

        Returns
        -------
        dict
            Arrays, numbers, strings, lists and dictionaries; see `nengo_jit.engines.state`. What
            functions of nodes and other Python objects keep to themselves is not in it:
            ``state["hidden"]`` names the operators that may have something of the kind.

        Raises
        ------
        SimulationError
            Within a step.
        SimulatorClosed
            If the simulator is closed.
        """
        return self._turn.hold(self._state)

    def _state(self) -> dict[str, Any]:
        self._check_open("tell its state")
        return self._engine.state()

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from a state as if there had been no stop, and forget all probe data.

        Parameters
        ----------
        state : dict
            What `state` has returned, of this simulator or of another one of the same network.

        Raises
        ------
        SimulationError
            Within a step.
        SimulatorClosed
            If the simulator is closed.
        ValidationError
            If it is the state of another model. Nothing has changed then.
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
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        options = state["options"]
        compile_python = bool(options.compile_python)  # there has been a report
        self._restored = replace(options, compile_python=compile_python)
        self.__init__(  # type: ignore[misc]  # a subclass may have its own, with nengo's arguments
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
