"""The backend of the CPU engine: what it can do while a model is built."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import ClassVar

import numpy as np
from nengo import Connection, Ensemble, Network
from nengo.ensemble import Neurons
from nengo.utils.progress import Progress

from nengo_jit.engines.backend import Backend
from nengo_jit.engines.cpu import kernels
from nengo_jit.engines.cpu.engine import CpuEngine
from nengo_jit.engines.cpu.kernels.needed import likely, needed_to_build
from nengo_jit.engines.cpu.language.primitives import FLOAT16, PRECISIONS
from nengo_jit.engines.cpu.program.lowering import calls_python
from nengo_jit.engines.cpu.python.functions import Functions
from nengo_jit.engines.cpu.toolchain.jobs import AWAITED
from nengo_jit.engines.cpu.toolchain.kernel_cache import prefetch
from nengo_jit.engines.cpu.toolchain.target import has_half_precision
from nengo_jit.ir.base import Operator
from nengo_jit.neurons import Formula, formula_of
from nengo_jit.planner import Pass, Plan
from nengo_jit.planner.passes import (
    find_deferred,
    find_invariant,
    group,
    keep_sums_in_order,
    lay_out,
)


class CpuBackend(Backend):
    """The backend of the CPU engine; takes ``threads`` and ``compile_python``."""

    name: ClassVar[str] = "cpu"
    precisions: ClassVar[Collection[np.dtype]] = (
        (*PRECISIONS, FLOAT16) if has_half_precision() else PRECISIONS
    )

    @property
    def passes(self) -> Sequence[Pass]:
        return find_invariant, find_deferred, self._group, lay_out

    def _group(self, plan: Plan) -> Plan:
        if plan.time.dtype == FLOAT16:  # another order would change bits that matter
            plan = keep_sums_in_order(plan)
        return group(plan, filter(self.calls_python, plan.operators))

    def compile(self, plan: Plan, progress: Progress | None = None) -> CpuEngine:
        return CpuEngine(plan, self.options, progress)

    def calls_python(self, operator: Operator) -> bool:
        return calls_python(operator)

    def prepare(self, network: Network, dtype: np.dtype) -> None:
        prefetch(needed_to_build(network), AWAITED)
        prefetch(likely(network, np.dtype(dtype)))

    def reads_columns(self, conn: Connection) -> bool:
        pre = conn.pre_obj.ensemble if isinstance(conn.pre_obj, Neurons) else conn.pre_obj
        formula = formula_of(pre.neuron_type) if isinstance(pre, Ensemble) else None
        return formula is not None and formula.spiking  # products of spikes add columns

    def rates_by(self, formula: Formula) -> Callable[..., None] | None:
        return kernels.rates.rates_by(formula)

    def evaluator(self) -> Functions:
        return Functions()
