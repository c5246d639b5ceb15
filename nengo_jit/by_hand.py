"""Run steps operator by operator in Python, as nengo does: `sim._steps`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import is_

import numpy as np
from nengo.builder.processes import SimProcess

from nengo_jit.engines import Engine
from nengo_jit.engines.state import GeneratorState
from nengo_jit.ir.base import Operator, Step


class StepsByHand:
    """The step functions of all operators, on the memory of an engine.

    Parameters
    ----------
    engine : Engine
        Owns the memory, and is told which signals change.
    catch_up : callable
        Makes the engine finish interrupted and deferred work.
    steps : list of callable, optional
        The functions; none until `make` by default.

    Attributes
    ----------
    steps : list of callable
        The functions, in order. If the user replaces them, a step calls the new ones.
    """

    def __init__(self, engine: Engine, catch_up: Callable[[], None], steps: Sequence[Step] = ()):
        self._engine, self._catch_up = engine, catch_up
        self.steps = steps
        self._engines: Sequence[Step] | None = None  # made for the plan that the engine runs

    def make(self, order: Sequence[Operator], seed: int) -> None:
        """Make the functions.

        If the order is the engine's, operators that the engine runs in Python share its step
        functions. All others get a new one from ``make_step``.

        Parameters
        ----------
        order : sequence of Operator
            The operators, in the order in which they run and draw random numbers.
        seed : int
            Seed of the random number generator.
        """
        is_engines = [*order] == [*self._engine.plan.operators]
        in_python = self._engine.python_steps if is_engines else {}
        rng = np.random.RandomState(seed)
        self.steps = []
        for operator in order:
            if operator not in in_python:
                step = self._make(operator, rng, is_engines)
            else:
                step = in_python[operator]
                if isinstance(operator, SimProcess):
                    operator.process.get_rng(rng)
            self.steps.append(step)
        self._engines = tuple(self.steps) if is_engines else None

    def _make(self, operator: Operator, rng: np.random.RandomState, is_engines: bool) -> Step:
        """Make an operator's step function, which also tells the engine which signals change."""
        engine, catch_up = self._engine, self._catch_up
        generator = engine.generators.get(operator) if is_engines else None
        if generator is None:
            own = None
            step = operator.make_step(engine.signals, engine.plan.dt, rng)
        else:
            own = operator.process.get_rng(rng)  # also for the operators that follow
            if not isinstance(generator, GeneratorState):
                own = generator  # the engine draws from the same object
            step = operator.make_step_with(engine.signals, engine.plan.dt, lambda: own)

        def by_hand() -> None:
            catch_up()
            for signal in operator.all_signals:
                engine.hand_out(signal)
            state = engine.generators.get(operator)
            if own is None or not isinstance(state, GeneratorState):
                step()
            else:  # continue from the engine's generator, and give the new state back to it
                state.give(own)
                try:
                    step()
                finally:
                    state.load(own)

        return by_hand

    @property
    def do_what_the_engine_does(self) -> bool:
        """bool: whether the functions are those that were made for the engine's plan."""
        made, steps = self._engines, self.steps
        return made is not None and len(made) == len(steps) and all(map(is_, made, steps))

    def carry_out(self) -> None:
        """Call the functions, with NumPy's error state as in nengo."""
        with np.errstate(invalid="raise", divide="ignore"):
            for step in self.steps:
                step()
