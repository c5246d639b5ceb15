"""The CPU engine: compiles a plan into a program for the machine, and runs it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from nengo.exceptions import SimulationError

from nengo_jit.builder.processes import SimProcess
from nengo_jit.builder.signal import SignalDict, is_sparse
from nengo_jit.engines.base import Engine
from nengo_jit.engines.cpu import kernels
from nengo_jit.engines.cpu.callbacks import Callback, Tracing
from nengo_jit.engines.cpu.functions import Functions
from nengo_jit.engines.cpu.kernels.operator import contiguous, places, start
from nengo_jit.engines.cpu.kernels.processes import draw_seed
from nengo_jit.engines.cpu.library import load_kernels
from nengo_jit.engines.cpu.lowering import LOWERINGS, Lowering
from nengo_jit.engines.cpu.machine import PRECISIONS, Kernel
from nengo_jit.engines.cpu.program import Program
from nengo_jit.engines.cpu.strands import Piece
from nengo_jit.engines.samples import Samples
from nengo_jit.exceptions import add_context
from nengo_jit.neurons import Formula
from nengo_jit.parallel import n_cores
from nengo_jit.planner.graph import region_of
from nengo_jit.planner.plan import Plan, ProbePlan
from nengo_jit.regions import REGIONS

WORTH_FOLDING = 0.05  # share of the work from which on what is constant has a program of its own


class CpuEngine(Engine):
    """Runs a plan as a program of compiled kernels; see `Engine`.

    Operators that have no kernel run in Python, in between.

    Parameters
    ----------
    plan : Plan
        What to run.
    progress : nengo.utils.progress.Progress, optional
        Is told how many of the kernels are ready. The first time that a kernel is used on a
        machine it has to be compiled, which takes about a second.
    threads : int, optional
        How many threads to use at most; as many as there are cores by default. Results do not
        depend on it.
    compile_python : bool
        Whether Python functions that only calculate are performed without calling Python. Results
        do not depend on it.

    Attributes
    ----------
    threads : int
        How many threads are used at most.
    callbacks : list of Callback
        What has no kernel.
    """

    name: ClassVar[str] = "cpu"

    def __init__(
        self,
        plan: Plan,
        progress: Any = None,
        threads: int | None = None,
        compile_python: bool = True,
    ):
        super().__init__(plan)
        self.threads = threads or n_cores()
        self.signals = SignalDict()
        self.signals.allocate_runs(plan.runs)
        self.signals.allocate(signal for op in plan.operators for signal in op.all_signals)
        for operator in plan.operators:  # third-party operators may ask for buffers
            operator.init_signals(self.signals)
        self._lowering = Lowering(plan, self.signals)
        self.callbacks: list[Callback] = []
        self._step = self.signals[plan.step]
        self._recorders = [Recorder(planned, self._lowering) for planned in plan.probes]
        levels = self._lower()
        codes = {piece.code for level in levels for piece in level}
        used = {code if isinstance(code, Kernel) else code.kernel for code in codes}
        load_kernels(((code, self._lowering.dtype) for code in used), progress)
        together = self._lowering.together
        self._graph = {
            operator: [together.get(each, each) for each in dependents]
            for operator, dependents in plan.graph.items()
        }
        for operator, other in self._lowering.repeated.items():
            self._graph[other].append(operator)
        self._later = self._program(levels, "always", "later")
        self._first, self._after = self._later, None
        if any(code.when == "first" for code in codes):
            self._first = self._program(levels, "always", "first")
        if any(code.when == "after" for code in codes):
            self._after = self._program(levels, "after")
        self._tracing = Tracing(self.callbacks, compile_python)
        # Quicker than `with`. Each engine has its own: NumPy 1 remembers there what was before.
        self._run_python = np.errstate(invalid="raise", divide="ignore")(CpuEngine._run_programs)

    @classmethod
    def runs_python(cls, operator: Any) -> bool:
        """Whether an operator is of a type that has no kernel."""
        return type(operator) not in LOWERINGS

    @classmethod
    def supports(cls, dtype: np.dtype) -> bool:
        return np.dtype(dtype) in PRECISIONS

    @classmethod
    def rates_by(cls, formula: Formula) -> Callable[..., None] | None:
        return kernels.rates.rates_by(formula)

    @classmethod
    def evaluator(cls) -> Functions:
        return Functions()

    def _lower(self) -> list[list[Piece]]:
        """Kernels and callbacks by level, then by stage within the level."""
        for group in self.plan.groups:  # learning rules are lowered with what comes before
            for operator in group.members:
                self._lowering.lower(operator)
        self._unread = self._find_unread()
        when = {**dict.fromkeys(self._steady(), "first"), **dict.fromkeys(self._unread, "after")}
        levels: dict[tuple[int, int], list[Piece]] = defaultdict(list)
        last = -1  # level on which a callback may raise
        for group in self.plan.groups:
            for operator in group.members:
                lowered = self._lowering.lower(operator)
                if lowered is None:
                    self.callbacks.append(Callback(operator))
                    levels[group.level, 0].append(Piece(operator, self.callbacks[-1]))
                    last = group.level
                    continue
                for kernel, row in lowered:
                    if operator in when:
                        kernel = replace(kernel, when=when[operator])
                    span = self._span(operator) if kernel.target is None else None
                    levels[group.level, kernel.stage].append(Piece(operator, kernel, row, span))
        self._lowering.finish()
        self._save_before(last)
        self.generators = {op: stream.buffer for op, stream in self._lowering.streams.items()}
        saving = [(start(array), start(copy), array.nbytes) for array, copy in self._saved]
        recording = [recorder.row for recorder in self._recorders]
        return [
            [Piece(None, kernels.operator.copy_bytes, row) for row in saving],
            *(levels[key] for key in sorted(levels)),
            [Piece(None, kernels.probe.record, row) for row in recording],
        ]

    def _find_unread(self) -> frozenset[Any]:
        """Operators that are left out until a run ends: none if Python might look at signals."""
        in_python = any(self._lowering.lower(operator) is None for operator in self.plan.operators)
        return frozenset() if in_python else self.plan.unread

    def _steady(self) -> frozenset[Any]:
        """Operators that are left out after the first step of a run, if that pays."""
        steady = self.plan.steady - self._unread
        if any(self._lowering.lower(operator) is None for operator in steady):
            return frozenset()  # callbacks run in every step
        saved, whole = (
            sum(kernel.work(row) for op in ops for kernel, row in self._lowering.lower(op) or ())
            for ops in (steady, self.plan.operators)
        )
        return steady if saved > WORTH_FOLDING * whole else frozenset()

    def _span(self, operator: Any) -> tuple[int, int]:
        """Addresses that an operator may write to, as others on its level may."""
        written = operator.incs or operator.sets or operator.updates
        regions = [(start(self.signals[each.base]), region_of(each)) for each in written]
        lows = [base + region.start for base, region in regions]
        return min(lows), max(base + region.stop for base, region in regions)

    def _save_before(self, last: int) -> None:
        """Make copies of what is written to up to a level, to be put back if a callback raises."""
        operators = [
            op for group in self.plan.groups if group.level <= last for op in group.members
        ]
        bases = dict.fromkeys(
            signal.base for op in operators for signal in (*op.sets, *op.incs, *op.updates)
        )
        arrays = [self.signals[base] for base in bases if not base.sparse and base.size]
        self._saved = [(array, array.copy()) for array in arrays]

    def reset(self, seed: int) -> None:
        for signal in list(self.signals):
            self.signals.reset(signal)
        rng = np.random.RandomState(seed)
        in_python = {callback.operator: callback for callback in self.callbacks}
        for operator in self.plan.operators:  # in nengo's order, since they draw from rng
            if operator in in_python:
                in_python[operator].reset(self.signals, self.plan.dt, rng)
            elif operator in self._lowering.at_reset:
                self._lowering.at_reset[operator](rng)
            elif isinstance(operator, SimProcess):
                draw_seed(operator.process, rng)
        self._tracing.reset()
        self.clear_samples()

    def explain(self) -> Plan:
        self._tracing.trace()
        in_python = [each for each in self.callbacks if each.traced is None]
        compiled = [each for each in self.callbacks if each.traced is not None]
        return replace(
            self.plan,
            unread=self._unread,
            in_python=tuple((each.operator, each.remark) for each in in_python),
            compiled=tuple((each.operator, each.remark) for each in compiled),
        )

    def run(self, n_steps: int) -> None:
        for prepare in self._lowering.before_run:
            prepare()
        n_before = self._step.item()
        for recorder in self._recorders:
            recorder.begin(n_before, n_steps, self.samples[recorder.probe])
        try:
            if self.callbacks:
                self._tracing.before_run(n_steps)
                stopped = self._run_python(self, n_steps)
            else:
                stopped = self._run_programs(n_steps)
            if stopped:
                for array, saved in self._saved:
                    np.copyto(array, saved)
        finally:
            if self._after is not None and self._step.item() > n_before:
                self._after.run(1)
            for recorder in self._recorders:
                recorder.end()
            for finish in self._lowering.after_run:
                finish()
        if stopped:
            self._raise_error()

    def _program(self, levels: list[list[Piece]], *when: str) -> Program:
        chosen = [[piece for piece in level if piece.code.when in when] for level in levels]
        return Program(chosen, self._graph, self.threads, self._lowering.dtype)

    def _run_programs(self, n_steps: int) -> int:
        """Run the programs; returns zero, or what stopped them."""
        if self._first is self._later:
            return self._later.run(n_steps)
        stopped = self._first.run(min(1, n_steps))
        return self._later.run(n_steps - 1) if n_steps > 1 and not stopped else stopped

    def _raise_error(self) -> None:
        try:
            REGIONS.raise_failure()
        except SimulationError as failure:
            where = f"This happened at t = {self.time:g} s; the state is no longer valid."
            add_context(failure, where)
            raise
        errors = [(callback.operator, callback.take_error()) for callback in self.callbacks]
        for operator, error in errors:
            if error is not None:
                add_context(error, self.failed_in(operator))
                raise error


class Recorder:
    """Keeps the samples of one probe while a program runs.

    Parameters
    ----------
    planned : ProbePlan
        What is recorded.
    lowering : Lowering
        The program's memory.

    Attributes
    ----------
    probe : nengo.Probe
        Whom the samples are for.
    row : tuple of int
        For the kernel that records.
    """

    def __init__(self, planned: ProbePlan, lowering: Lowering):
        self.probe = planned.probe
        self._period = planned.period
        self._source: Any = lowering.array(planned.signal)
        self._matrix: Any = None
        if is_sparse(self._source):  # of which only the stored numbers can change
            self._matrix, self._source = self._source, self._source.data
        state = np.zeros(3, np.int64)
        self._state = state.data
        self._samples: Any = Samples(self._source.shape, self._source.dtype)
        lowest, indices = start(self._source), 0
        if not contiguous(self._source):
            lowest, offsets = places(self._source)
            indices = lowering.constant(offsets.ravel(), np.int64)
        self.row = (
            lowest,
            self._source.nbytes,
            lowering.constant([planned.period], np.float64),
            indices,
            start(state),
            self._source.itemsize,
        )

    def begin(self, n_before: int, n_steps: int, samples: Any) -> None:
        """Make room in ``samples`` for those of ``n_steps`` steps after ``n_before``."""
        n_samples = n_steps if self._period <= 1 else int(n_steps / self._period) + 2
        self._target = samples
        if self._matrix is None:
            self._samples = samples
        self._state[0] = self._samples.reserve(n_samples)
        self._state[1] = n_before
        self._state[2] = 0

    def end(self) -> None:
        """Append what was recorded since `begin`."""
        self._samples.advance(self._state[2])
        if self._matrix is None:
            return
        for sample in self._samples:
            self._target.append(self._matrix.copy())
            self._target[-1].data[...] = sample
        self._samples.clear()
