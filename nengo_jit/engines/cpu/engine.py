"""The CPU engine: compiles a plan to programs of kernels, and runs them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from threading import Event, get_ident

import numpy as np
from nengo import Probe
from nengo.exceptions import SimulationError
from nengo.utils.progress import Progress

from nengo_jit.engines.base import RUN_LOST
from nengo_jit.engines.cpu.explaining import explained
from nengo_jit.engines.cpu.kernels.inputs import GivenRows
from nengo_jit.engines.cpu.kernels.needed import needed
from nengo_jit.engines.cpu.kernels.noise import draw_seed
from nengo_jit.engines.cpu.language.kernel import Kernel
from nengo_jit.engines.cpu.program.assembly import assemble
from nengo_jit.engines.cpu.program.callers import lower_plan
from nengo_jit.engines.cpu.program.components import Task
from nengo_jit.engines.cpu.program.exposure import Exposure, Pause, after_step
from nengo_jit.engines.cpu.program.lowering import Lowering
from nengo_jit.engines.cpu.program.program import Program
from nengo_jit.engines.cpu.program.programs import Programs
from nengo_jit.engines.cpu.program.stopwatch import Stopwatch
from nengo_jit.engines.cpu.program.team import FAILED, MOST_MEMBERS, RUNNING
from nengo_jit.engines.cpu.python.callbacks import Callback
from nengo_jit.engines.cpu.python.errstate import ERRSTATE
from nengo_jit.engines.cpu.python.tapes_in_use import Tracing
from nengo_jit.engines.cpu.recorder import KernelRecording
from nengo_jit.engines.cpu.toolchain.kernel_cache import are_ready, load_kernels
from nengo_jit.engines.cpu.turns import CpuTurns
from nengo_jit.engines.recorder import CALLS
from nengo_jit.engines.timing import Timing
from nengo_jit.engines.turns import Output
from nengo_jit.ir.base import Operator, Step
from nengo_jit.ir.neurons import SimNeurons
from nengo_jit.ir.processes import SimProcess
from nengo_jit.ir.signal import Signal
from nengo_jit.options import Options
from nengo_jit.parallel import n_cores
from nengo_jit.planner.plan import Plan
from nengo_jit.regions import REGIONS
from nengo_jit.stages import begin

PATIENCE = 0.1  # seconds that other threads wait for the end of a step


class CpuEngine(CpuTurns):
    """Runs a plan as programs of compiled kernels; see `Engine`.

    Operators without a kernel run in Python, in between.

    Parameters
    ----------
    plan : Plan
        The plan to run.
    options : Options
        ``threads`` is the maximum number of threads; by default the number of cores. With
        ``compile_python``, Python functions that only calculate run without calling Python.
        Results depend on neither.
    progress : nengo.utils.progress.Progress, optional
        Is updated for each operator that is lowered, then for each kernel that is ready. The first
        time that a kernel is used on a machine it has to be compiled, which takes about a second.

    Attributes
    ----------
    threads : int
        Maximum number of threads.
    callbacks : list of Callback
        Callbacks of the operators without a kernel.
    """

    def __init__(
        self,
        plan: Plan,
        options: Options = Options(),  # noqa: B008  # it is frozen
        progress: Progress | None = None,
    ):
        super().__init__(plan, options)
        self._is_finished = True  # whether `_finish` has been called after the latest run
        self._is_paused = False  # whether the current run ends early
        self._unsettled_since: int | None = None  # ticks when operators were first deferred
        self.threads = min(options.threads or n_cores(), 1 + MOST_MEMBERS)
        self._step = self.signals[plan.step]
        self._clock = self.recording.clock
        status = np.zeros(2, np.int64)  # see `RUNNING`
        self._status_words, self._status = status, status.data  # the latter is faster to read
        self._stopwatch: Stopwatch | None = None  # while steps are timed
        self._outlived: list[object] = []  # used by a run during which the engine was reset
        self.callbacks: list[Callback] = []
        self._given: dict[Output, GivenRows] = {}
        self._tracing = Tracing(self.callbacks, bool(options.compile_python))
        self._exposure = Exposure(plan.operators, self.signals)
        self._runner: int | None = None  # the thread that runs
        self._has_settled = Event()
        self._unexposed = plan
        self._reusable: dict[Operator, Callback] = {}  # in other programs
        self._lowering = self._lower_all(progress)
        self._assemble(progress)
        SimNeurons.engines.add(self)

    def _lower_all(self, progress: Progress | None = None) -> Lowering:
        """Lower all operators, given what is exposed by now."""
        self._unexposed, self.plan, lowering = lower_plan(
            self._unexposed, self.signals, self._exposure, self.threads, progress
        )
        return lowering

    def _assemble(self, progress: Progress | None = None) -> None:
        """Make programs of the lowered operators."""
        deliver = partial(after_step, self.recording, self._exposure)
        self._recorders = KernelRecording(self.recording, self._step, self._lowering, deliver)
        levels = [*self._with_given(self._lower()), *self._recorders.levels]
        codes = {task.code for level in levels for task in level}
        dtype = self._lowering.dtype
        after = [code for code in codes if isinstance(code, Kernel) and code.when == "after"]
        are_ready((kernel, dtype) for kernel in after)  # if not, they will be compiled later
        if self.callbacks:
            self._tracing.ask_for_kernels()
        now = [code for code in codes if code.when != "after"]
        used = {code if isinstance(code, Kernel) else code.kernel for code in now}
        load_kernels(needed(used, dtype), progress)
        begin(progress, "Assembling")
        graph, threads = partial(self._lowering.fusion.graph, self.plan.graph), self.threads
        if self._stopwatch is not None:
            lowering, threads = self._lowering, 1
            levels = self._stopwatch.timed(levels, lowering.fusion, lowering.arena)
        self._programs = Programs(
            levels, graph, threads, dtype, self._status_words, self._assembly.undo
        )

    def _reassemble(self) -> None:
        """Replace the programs, since more is exposed or operators have changed."""
        self.settle()
        self._exposure.has_grown = False
        try:
            outdated = self._lowering.assumptions.outdated()
            self._reusable = {
                callback.operator: callback
                for callback in self.callbacks
                if callback.draw is None
                and (type(callback.operator) is not SimNeurons or callback.operator not in outdated)
            }
            lowering = self._lower_all()
            lowering.continue_from(self._lowering)
            self._lowering = lowering
            self._assemble()
        except BaseException:
            self._exposure.has_grown = True
            raise

    def _lower(self) -> list[list[Task]]:
        """Tasks of a step, by level, and by stage within the level."""
        lowering = self._lowering
        callbacks = [
            self._reusable.get(operator) or self._new_callback(operator)
            for operator in self.plan.operators
            if lowering.calls_python(operator)
        ]
        self._assembly, levels = assemble(self.plan, lowering, callbacks)
        level_of = {op: group.level for group in self.plan.groups for op in group.members}
        for callback in callbacks:
            callback.level = level_of[callback.operator]
            callback.save(self._assembly.own.get(callback.operator, []))
        self._constant = self._assembly.constant
        delayed = self._assembly.delayed | lowering.delayed
        self._exposure.begin(lowering.assumptions, delayed, bool(callbacks))
        lowering.finish()
        if set(callbacks) != set(self.callbacks):
            self._tracing.reset()
        self.callbacks[:] = callbacks
        in_python = {callback.operator for callback in callbacks}
        kept = {op: each for op, each in self.generators.items() if op in in_python}
        self.generators = {**kept, **lowering.streams}
        return levels

    def _new_callback(self, operator: Operator) -> Callback:
        callback = Callback(operator, self._clock, self._lowering.draws.get(operator))
        if self.broken is None:  # there is no reset before it is called
            self._reset_callback(callback, np.random.RandomState(0))
        return callback

    def _reset_callback(self, callback: Callback, rng: np.random.RandomState) -> None:
        draw = callback.draw
        step = self.step_of(callback.operator, rng) if draw is None else draw.step
        callback.reset(step, self.signals)

    def rewind(self) -> None:
        self._programs.has_begun = False
        self._lowering.forget()
        if self._lowering.assumptions.outdated():
            self._request_programs()
        if self.is_running:
            self._outlived += [callback.kept() for callback in self.callbacks]
            self._is_finished = False
        elif self._exposure.has_grown:
            self._reassemble()
        self.signals.reset_all(self._constant if self.is_running else ())

    def begin(self, rng: np.random.RandomState) -> None:
        in_python = {callback.operator: callback for callback in self.callbacks}
        for operator in self.plan.operators:  # in nengo's order, since they draw from rng
            if operator in in_python:
                self._reset_callback(in_python[operator], rng)
            elif operator in self._lowering.at_reset:
                with self.making(operator):
                    self._lowering.at_reset[operator](rng)
            elif isinstance(operator, SimProcess):
                with self.making(operator):
                    draw_seed(operator.process, rng)
        self.generators.update(self._lowering.streams)
        self._tracing.reset()

    @property
    def kept(self) -> dict[Operator, list[np.ndarray]]:
        return self._lowering.kept_arrays

    @property
    def python_steps(self) -> dict[Operator, Step]:
        return {each.operator: each.step for each in self.callbacks if each.draw is None}

    def explain(self) -> Plan:
        self._tracing.trace()
        threads_of, fusion = self._programs.later.threads_of, self._lowering.fusion
        return explained(self.plan, self._assembly, fusion, self.callbacks, threads_of)

    def hand_out(self, signal: Signal) -> np.ndarray:
        array = self.signals[signal]
        if self._exposure.hand_out(signal.base, self.is_running):
            self._request_programs()
            self._catch_up()
        return array

    def look_again(self) -> None:
        self._exposure.must_rescan = True

    def hand_out_constants(self, arrays: Iterable[np.ndarray]) -> None:
        self._exposure.hand_out_constants(arrays)

    def neurons_replaced(self, operator: SimNeurons) -> None:
        if self._lowering.assumptions.is_about(operator):
            self._request_programs()

    def _request_programs(self) -> None:
        """Replace the programs before the next step."""
        self._exposure.has_grown = True
        self._clock.calls = 1  # the current run will call `after_step`

    def _catch_up(self) -> None:
        """Run the operators that the current run has deferred, after its latest complete step."""
        if not self.is_running:
            return
        if get_ident() != self._runner:
            self._has_settled.clear()
            self._has_settled.wait(PATIENCE)
        elif self._clock.ticks > (self._unsettled_since or 0):
            self._programs.run_deferred()

    def run(self, n_steps: int) -> int:
        is_within = self._status[RUNNING] > 0  # whether a callback of another run calls this
        n_done = self._run(n_steps, is_within)
        while n_done < n_steps and not self._is_paused:
            n_done += self._run(n_steps - n_done, is_within)
        if not is_within:
            self._is_paused = False
        return n_done

    def pause(self) -> None:
        if self.is_running:
            self._is_paused = True
            self._request_programs()

    def stop_recording(self) -> dict[Probe, object]:
        stopped = super().stop_recording()
        self._request_programs()
        return stopped

    def _run(self, n_steps: int, is_within: bool) -> int:
        """Run until all steps are complete or more is exposed; returns how many are complete."""
        if self._status[FAILED]:  # an interrupt has prevented the error from being raised
            self._take_errors()
        if self.broken is not None:
            self.check_usable()
        exposure = self._exposure
        if not is_within:
            if not self._is_finished:
                self._finish()
            exposure.check_changes()
            if exposure.has_grown:
                self._reassemble()
            if not (self._programs.has_begun and self.is_asked and exposure.allows_delay):
                self._programs.has_begun = False
                self.settle()
            self._runner, self._is_finished = get_ident(), not self._lowering.borrowed
            if self._unsettled_since is None:
                self._unsettled_since = self._clock.ticks
        if not self._programs.has_begun:
            self._lowering.forget(only_changed=self.is_asked)
        self._recorders.begin(n_steps, is_within)
        self._programs.keeps_gil = not self.is_beside_others
        try:
            if not self._is_finished and not is_within:
                for generator in self._lowering.borrowed:
                    generator.borrow()
            if self.callbacks:
                self._tracing.before_run(n_steps)
                n_done, failed = ERRSTATE.call(self._programs.run, n_steps)
                self._tracing.after_run()
            else:
                n_done, failed = self._programs.run(n_steps)
        finally:
            if not is_within:
                if not self._is_finished or self._clock.view[CALLS]:
                    self._finish()
                if exposure.has_grown or not (self.is_asked and exposure.allows_delay):
                    self.settle()
                    self._has_settled.set()
        if failed is not None or is_within:
            self._lowering.forget()  # the records of a step that failed or still goes on
        if failed is not None:
            self._raise_error(failed)
        return n_done

    def run_timed(self, n_steps: int) -> Timing:
        self._stopwatch = Stopwatch()
        try:
            self._request_programs()
            return self._stopwatch.measure(self.run, n_steps)
        finally:
            self._stopwatch = None
            self._request_programs()

    @property
    def is_running(self) -> bool:
        return bool(self._status[RUNNING])

    def abandon(self, error: Exception) -> None:
        for callback in self.callbacks:
            callback.raise_after_call(error)

    def lose_run(self) -> None:
        self._status[RUNNING], self.broken = 0, RUN_LOST

    def settle(self) -> None:
        """Run deferred operators, so that signals can be read."""
        if self.is_running:
            return
        self._finish()
        if self._unsettled_since is not None:
            if self._clock.ticks > self._unsettled_since:
                self._programs.run_deferred()
            self._unsettled_since = None

    def _finish(self) -> None:
        """Clean up after the last step of a run.

        If this is interrupted, it is repeated as a whole before the next run, or before signals
        are read.
        """
        if not self._is_finished:
            for generator in self._lowering.borrowed:
                generator.give_back()
            self._outlived.clear()
            self._is_finished = True
        if self._clock.view[CALLS]:
            self.recording.deliver()

    def _take_errors(self) -> list[tuple[Operator | None, BaseException]]:
        """Exceptions in callbacks, and after a complete step (without an operator)."""
        self._status[FAILED] = 0
        errors: list[tuple[Operator | None, BaseException | None]] = [
            (callback.at_fault, callback.fetch_error()) for callback in self.callbacks
        ]
        errors.append((None, self._recorders.fetch_error()))
        return [(operator, error) for operator, error in errors if error is not None]

    def _raise_error(self, failed: Program) -> None:
        """Raise the error of a callback or kernel that stopped a program; none after a pause."""
        for operator, error in self._take_errors():
            if isinstance(error, Pause):
                return
            if operator is not None:  # else it was raised after a complete step
                self.blame(operator, error)
            raise error
        try:
            REGIONS.raise_failure()
        except SimulationError as failure:
            reason = str(failure)
        else:
            reason = failed.why_it_failed()
        self.broken = f"{reason}; step {self.n_steps + 1} is not complete."
        self.check_usable()
