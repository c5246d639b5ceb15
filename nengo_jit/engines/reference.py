"""The reference engine: every operator's ``make_step`` in NumPy, one after the other.

It is the oracle that other engines are tested against: what an operator does is what it does
here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np

from nengo_jit.engines.backend import Backend
from nengo_jit.engines.stepwise import StepwiseEngine
from nengo_jit.ir.base import Operator, Step
from nengo_jit.planner import Plan


class ReferenceEngine(StepwiseEngine):
    """Runs a plan in NumPy; see `Engine`. The options are accepted, and change nothing."""

    def make_steps(self, rng: np.random.RandomState) -> Iterable[tuple[Operator, Step]]:
        return [(operator, self.step_of(operator, rng)) for operator in self.plan.operators]


class ReferenceBackend(Backend):
    """The backend of the reference engine, which needs to know nothing but an order."""

    name: ClassVar[str] = "reference"

    def compile(self, plan: Plan, progress: Any = None) -> ReferenceEngine:
        return ReferenceEngine(plan, self.options)
