"""The facts that a lowered plan depends on: if they are the same, it can be used again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np

from nengo_jit.engines.jax.noise import Noise
from nengo_jit.engines.jax.python.placing import Placement
from nengo_jit.ir.base import Operator
from nengo_jit.ir.compute import computation
from nengo_jit.planner.plan import Plan

Facts: TypeAlias = list[tuple[object, ...]]


def facts_of(plan: Plan, placement: Placement, noise: Mapping[Operator, Noise]) -> Facts:
    """Return, for each operator, what it computes, or where it calls Python."""
    facts: Facts = []
    for operator in plan.operators:
        if operator in placement.taped:
            facts.append(placement.taped[operator].facts)
            continue
        is_in_python = operator in placement.in_python
        known = None if is_in_python else computation(operator, plan.dt)
        if known is None:
            facts.append((is_in_python,))
            continue
        parameters = tuple(map(_comparable, known.parameters))
        signals = *map(id, known.inputs), *map(id, known.outputs)
        place, random = _comparable(known.place), noise.get(operator)
        drawn = () if random is None else (random.sampler, random.key.tobytes())
        facts.append((known.function, parameters, signals, place, *drawn))
    return facts


def _comparable(value: object) -> object:
    """Return a value that equals another one only if it has the same numbers."""
    if isinstance(value, np.ndarray):
        return value.shape, value.dtype.str, value.tobytes()
    return value
