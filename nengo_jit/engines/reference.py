"""The reference engine: each operator's ``make_step`` in NumPy, one after the other.

It is the oracle for tests of other engines: it defines what an operator does.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import numpy as np
from nengo.utils.progress import Progress

from nengo_jit.engines.backend import Backend
from nengo_jit.engines.stepwise import StepwiseEngine
from nengo_jit.ir.base import Operator, Step
from nengo_jit.planner import Plan


class ReferenceEngine(StepwiseEngine):
    """Runs a plan in NumPy; see `Engine`. Accepts options, and ignores them."""

    def make_steps(self, rng: np.random.RandomState) -> Iterable[tuple[Operator, Step]]:
        return [(operator, self.step_of(operator, rng)) for operator in self.plan.operators]


class ReferenceBackend(Backend):
    """The backend of the reference engine, which needs no passes of the planner."""

    name: ClassVar[str] = "reference"

    def compile(self, plan: Plan, progress: Progress | None = None) -> ReferenceEngine:
        return ReferenceEngine(plan, self.options)
