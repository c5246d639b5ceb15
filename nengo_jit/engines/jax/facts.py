"""The facts that a lowered plan depends on: if they are the same, it can be used again."""

from __future__ import annotations

from collections.abc import Container
from typing import TypeAlias

import numpy as np

from nengo_jit.ir.base import Operator
from nengo_jit.ir.compute import computation
from nengo_jit.planner.plan import Plan

Facts: TypeAlias = list[tuple[object, ...]]


def facts_of(plan: Plan, on_host: Container[Operator]) -> Facts:
    """Return, for each operator, what it computes; nothing for operators that call Python."""
    facts: Facts = []
    for operator in plan.operators:
        known = None if operator in on_host else computation(operator, plan.dt)
        if known is None:
            facts.append(())
            continue
        parameters = tuple(map(_comparable, known.parameters))
        signals = *map(id, known.inputs), *map(id, known.outputs)
        facts.append((known.function, parameters, signals, _comparable(known.place)))
    return facts


def _comparable(value: object) -> object:
    """Return a value that equals another one only if it has the same numbers."""
    if isinstance(value, np.ndarray):
        return value.shape, value.dtype.str, value.tobytes()
    return value
