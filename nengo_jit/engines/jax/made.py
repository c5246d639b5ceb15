"""What an engine makes of operators for one simulation: steps in Python, and what draws."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from nengo_jit.engines.base import Engine
from nengo_jit.engines.jax.compilation import is_lost
from nengo_jit.engines.jax.draws import Draw
from nengo_jit.engines.jax.fitting import is_lowered, takes_draws
from nengo_jit.engines.jax.noise import Noise, sampler_of
from nengo_jit.engines.jax.python.placing import Placement
from nengo_jit.engines.jax.python.sources import is_source, source_of
from nengo_jit.ir.base import Operator, Step
from nengo_jit.ir.neurons import SimNeurons
from nengo_jit.ir.process_state import draws_in_steps, is_sim_process
from nengo_jit.options import FAST


@dataclass
class Made:
    """What is made of operators for a simulation; others need nothing but their plan.

    Attributes
    ----------
    python : dict of (Operator, callable)
        The steps of operators with Python code.
    sources : dict of (Operator, callable)
        What computes the output of a process of the user's without input.
    native : dict of (Operator, callable)
        What draws the random numbers of operators that are lowered, on the host.
    noise : dict of (Operator, Noise)
        The random numbers of operators that the device draws.
    generators : dict of (Operator, numpy.random.RandomState)
        What functions in ``native`` draw from, and depend on alone.
    """

    python: dict[Operator, Step] = field(default_factory=dict)
    sources: dict[Operator, Draw] = field(default_factory=dict)
    native: dict[Operator, Draw] = field(default_factory=dict)
    noise: dict[Operator, Noise] = field(default_factory=dict)
    generators: dict[Operator, np.random.RandomState] = field(default_factory=dict)

    def __contains__(self, operator: Operator) -> bool:
        kinds = (self.python, self.sources, self.native, self.noise)
        return any(operator in each for each in kinds)

    def forget(self, operator: Operator) -> None:
        """Forget all that was made of an operator."""
        for each in (self.python, self.sources, self.native, self.noise, self.generators):
            each.pop(operator, None)

    def draws(self, placement: Placement) -> dict[Operator, Draw]:
        """Return what the host calls ahead of a chunk of steps."""
        ahead = {op: self.sources.get(op, draw) for op, draw in placement.ahead.items()}
        return {**self.native, **ahead}


def make(engine: Engine, operator: Operator, rng: np.random.RandomState, made: Made) -> None:
    """Make of an operator what a simulation needs.

    Parameters
    ----------
    engine : Engine
        The engine, whose memory the steps get; its ``generators`` get that of the operator.
    operator : Operator
        The operator.
    rng : numpy.random.RandomState
        Generator for all that is random; call this for operators in the order of the plan.
    made : Made
        Gets what is made.
    """
    if is_lost() or not is_lowered(operator, engine.plan.dt, engine.options.noise):
        made.python[operator] = _python_step(engine, operator, rng, made)
        return
    with engine.making(operator):
        operator.check(engine.memory_of_steps)
        _begin_draws(engine, operator, rng, made)


def _python_step(
    engine: Engine, operator: Operator, rng: np.random.RandomState, made: Made
) -> Step:
    """Make the step of an operator that has Python code."""
    if not is_source(operator):
        return engine.step_of(operator, rng)
    with engine.making(operator):
        own = operator.process.get_rng(rng)
        engine.generators[operator] = own
        memory, dt = engine.memory_of_steps, engine.plan.dt
        made.sources[operator], step = source_of(operator, memory, dt, own)
    return step


def _begin_draws(
    engine: Engine, operator: Operator, rng: np.random.RandomState, made: Made
) -> None:
    """Make the function that draws for an operator, or its noise, if there is one."""
    dt, fast = engine.plan.dt, engine.options.noise == FAST
    sampler = sampler_of(operator, dt) if fast and takes_draws(operator) else None
    if sampler is not None:
        if is_sim_process(operator):
            own = operator.process.get_rng(rng)
        else:
            (own,) = operator.state_extra.values()
        made.noise[operator] = Noise.of(sampler, own)
        return
    if not is_sim_process(operator):
        draw = operator.draws(dt, rng)
        if draw is not None and isinstance(operator, SimNeurons):
            (made.generators[operator],) = operator.state_extra.values()
    else:
        own = operator.process.get_rng(rng)
        draw = operator.draws_from(dt, lambda: own)
        if draws_in_steps(operator.process):
            engine.generators[operator] = made.generators[operator] = own
    if draw is not None:
        made.native[operator] = draw
