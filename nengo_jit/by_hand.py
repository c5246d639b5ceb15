"""Steps by hand: the functions that carry a step out one after the other, as nengo has them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import is_

import numpy as np
from nengo.builder.processes import SimProcess

from nengo_jit.engines import Engine
from nengo_jit.engines.state import GeneratorState
from nengo_jit.ir.base import Operator, Step


class StepsByHand:
    """The functions of all operators, which work on the memory of an engine.

    Parameters
    ----------
    engine : Engine
        Owns the memory, and gets to know what has been changed there.
    catch_up : callable
        Has the engine compute what it has put off.
    steps : list of callable, optional
        The functions; by default there are none until `make`.

    Attributes
    ----------
    steps : list of callable
        The functions, in order. They may be replaced: then a step is what they do.
    """

    def __init__(self, engine: Engine, catch_up: Callable[[], None], steps: Sequence[Step] = ()):
        self._engine, self._catch_up = engine, catch_up
        self.steps = steps
        self._engines: Sequence[Step] | None = None  # which do what the engine does

    def make(self, order: Sequence[Operator], seed: int) -> None:
        """Make the functions.

        Those that the engine carries out in Python are the engine's own, as far as it has the
        operators in this order. Others are made by the operator's ``make_step``.

        Parameters
        ----------
        order : sequence of Operator
            In which they are carried out, and draw from the generator of random numbers.
        seed : int
            Of that generator.
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
        """A step of an operator's on the live memory, which the engine knows to be changed then."""
        engine, catch_up = self._engine, self._catch_up
        own = None
        if is_engines and isinstance(engine.generators.get(operator), GeneratorState):
            own = operator.process.get_rng(rng)
            step = operator.make_step_with(engine.signals, engine.plan.dt, lambda: own)
        else:
            step = operator.make_step(engine.signals, engine.plan.dt, rng)

        def by_hand() -> None:
            catch_up()
            for signal in operator.all_signals:
                engine.hand_out(signal)
            state = engine.generators.get(operator)
            if own is None or not isinstance(state, GeneratorState):
                step()
            else:  # go on from where the engine is, which goes on from here
                state.give(own)
                try:
                    step()
                finally:
                    state.load(own)

        return by_hand

    @property
    def do_what_the_engine_does(self) -> bool:
        """bool: whether the functions are those that were made for what the engine runs."""
        made, steps = self._engines, self.steps
        return made is not None and len(made) == len(steps) and all(map(is_, made, steps))

    def carry_out(self) -> None:
        """Call the functions, with NumPy set as in nengo."""
        with np.errstate(invalid="raise", divide="ignore"):
            for step in self.steps:
                step()
