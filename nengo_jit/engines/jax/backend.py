"""The backend of the JAX engine: it plans in buckets, and builds with the kernels for CPUs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
from nengo import Network
from nengo.utils.progress import Progress

from nengo_jit.engines.backend import HINTS, Backend
from nengo_jit.engines.cpu.backend import CpuBackend
from nengo_jit.engines.cpu.kernels.needed import needed_to_build
from nengo_jit.engines.cpu.toolchain.jobs import AWAITED
from nengo_jit.engines.cpu.toolchain.kernel_cache import prefetch
from nengo_jit.engines.jax.batch.engine import JaxBatchEngine
from nengo_jit.engines.jax.bucketing import key_of, types_of
from nengo_jit.engines.jax.engine import JaxEngine
from nengo_jit.engines.jax.fitting import is_lowered
from nengo_jit.ir.base import Operator
from nengo_jit.ir.signal import Signal
from nengo_jit.planner import Pass, Plan
from nengo_jit.planner.merge import Group
from nengo_jit.planner.passes import group, lay_out


class JaxBackend(Backend):
    """The backend of the JAX engine."""

    name: ClassVar[str] = "jax"
    options_taken: ClassVar[frozenset[str]] = HINTS | {"noise"}
    precisions: ClassVar[Collection[np.dtype]] = [np.dtype(f"float{n}") for n in (32, 64)]

    @property
    def passes(self) -> Sequence[Pass]:
        return self._group, divide, lay_out

    def _is_lowered(self, operator: Operator, dt: float) -> bool:
        return is_lowered(operator, dt, self.options.noise)

    def _group(self, plan: Plan) -> Plan:
        return group(plan, [each for each in plan.operators if not self._is_lowered(each, plan.dt)])

    def compile(self, plan: Plan, progress: Progress | None = None) -> JaxEngine:
        return JaxEngine(plan, self.options)

    def compile_batch(
        self, plan: Plan, n_members: int, values: Mapping[Signal, np.ndarray]
    ) -> JaxBatchEngine:
        return JaxBatchEngine(plan, self.options, n_members, values)

    def calls_python(self, operator: Operator) -> bool:
        return not self._is_lowered(operator, 0.001)

    def prepare(self, network: Network, dtype: np.dtype) -> None:
        prefetch(needed_to_build(network), AWAITED)

    @property
    def builder(self) -> Backend:
        return CpuBackend(replace(self.options, given=frozenset()))


def divide(plan: Plan) -> Plan:
    """Divide groups into those that one operation computes, so that their operands are adjacent."""
    groups = []
    for each in plan.groups:
        members: dict[object, list[Operator]] = {}
        for operator in each.members:
            in_python = operator in plan.callers
            key = types_of(operator) if in_python else key_of(operator, plan.dt)
            members.setdefault(key, []).append(operator)
        groups += [Group(each.level, each.kind, tuple(some)) for some in members.values()]
    return replace(plan, groups=tuple(groups))
