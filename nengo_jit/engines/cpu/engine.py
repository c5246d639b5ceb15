"""The CPU engine: compiles a plan into a program for the machine, and runs it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from threading import Event, get_ident
from typing import Any

import numpy as np
from nengo.exceptions import SimulationError

from nengo_jit.engines.base import RUN_LOST, Engine
from nengo_jit.engines.cpu.kernels.needed import needed
from nengo_jit.engines.cpu.kernels.noise import draw_seed
from nengo_jit.engines.cpu.language.kernel import Kernel
from nengo_jit.engines.cpu.program.assembly import assemble, executions
from nengo_jit.engines.cpu.program.components import Task
from nengo_jit.engines.cpu.program.exposure import Exposure, Pause, after_step
from nengo_jit.engines.cpu.program.lowering import Lowering, calls_python
from nengo_jit.engines.cpu.program.program import Program
from nengo_jit.engines.cpu.program.team import FAILED, MOST_MEMBERS, RUNNING
from nengo_jit.engines.cpu.python.callbacks import Callback, Tracing
from nengo_jit.engines.cpu.python.errstate import ERRSTATE
from nengo_jit.engines.cpu.recorder import KernelRecording
from nengo_jit.engines.cpu.toolchain.kernel_cache import are_ready, load_kernels
from nengo_jit.engines.recorder import CALLS
from nengo_jit.exceptions import add_context
from nengo_jit.ir.base import Operator, Step
from nengo_jit.ir.neurons import SimNeurons
from nengo_jit.ir.processes import SimProcess
from nengo_jit.ir.signal import Signal
from nengo_jit.options import Options
from nengo_jit.parallel import n_cores
from nengo_jit.planner import passes
from nengo_jit.planner.plan import Plan
from nengo_jit.regions import REGIONS

PATIENCE = 0.1  # seconds that another thread waits for the end of a step


class CpuEngine(Engine):
    """Runs a plan as a program of compiled kernels; see `Engine`.

    Operators that have no kernel run in Python, in between.

    Parameters
    ----------
    plan : Plan
        What to run.
    options : Options
        ``threads`` is how many threads to use at most; as many as there are cores by default. With
        ``compile_python``, Python functions that only calculate are performed without calling
        Python. Results depend on neither.
    progress : nengo.utils.progress.Progress, optional
        Is told how many of the kernels are ready. The first time that a kernel is used on a
        machine it has to be compiled, which takes about a second.

    Attributes
    ----------
    threads : int
        How many threads are used at most.
    callbacks : list of Callback
        What has no kernel.
    """

    def __init__(
        self,
        plan: Plan,
        options: Options = Options(),  # noqa: B008  # it is frozen
        progress: Any = None,
    ):
        super().__init__(plan, options)
        self._is_finished = True  # whether what a run leaves to be done at its end is done
        self._is_paused = False  # whether the run that goes on is to end early
        self._unsettled_since: int | None = None  # ticks before what has been put off
        self._has_begun = False  # whether the first step, which begins from memory, is complete
        self.threads = min(options.threads or n_cores(), 1 + MOST_MEMBERS)
        self._step = self.signals[plan.step]
        self._clock = self.recording.clock
        status = np.zeros(2, np.int64)  # see `RUNNING`
        self._told, self._status = status, status.data  # of which the latter is quicker to read
        self._outlived: list[Any] = []  # what is used by a run within which the engine was reset
        self.callbacks: list[Callback] = []
        self._tracing = Tracing(self.callbacks, bool(options.compile_python))
        self._exposure = Exposure(plan.operators, self.signals)
        self._runner: int | None = None  # the thread that runs
        self._has_settled = Event()
        self._unexposed = plan
        self._known: dict[Any, Callback] = {}  # which can be used by other programs, too
        self._lowering = self._lower_all()
        self._assemble(progress)
        SimNeurons.engines.add(self)

    def _lower_all(self) -> Lowering:
        """Lower all operators, for what is exposed by now."""
        exposure = self._exposure
        exposure.add_callers(filter(calls_python, self._unexposed.operators))
        while True:
            callers = exposure.private.keys()
            if not callers <= self._unexposed.callers:  # more than `calls_python` has told
                self._unexposed = passes.lay_out(passes.group(self._unexposed, callers))
            plan = self._unexposed
            if exposure:
                plan = passes.expose(plan, exposure.private, exposure.public)
            lowering = Lowering(plan, self.signals, exposure, self.threads)
            lowering.lower_all()
            in_python = [op for op in plan.operators if lowering.rows[op] is None]
            if not exposure.add_callers(in_python) and plan.callers.issuperset(in_python):
                self.plan = plan
                return lowering

    def _assemble(self, progress: Any = None) -> None:
        """Make programs of what has been lowered."""
        self._has_begun = False
        deliver = partial(after_step, self.recording, self._exposure)
        self._recorders = KernelRecording(self.recording, self._step, self._lowering, deliver)
        levels = [*self._lower(), *self._recorders.levels]
        codes = {task.code for level in levels for task in level}
        dtype = self._lowering.dtype
        are_ready((code, dtype) for code in codes if code.when == "after")  # else they will be
        if self.callbacks:
            self._tracing.ask_for_kernels()
        now = [code for code in codes if code.when != "after"]
        used = {code if isinstance(code, Kernel) else code.kernel for code in now}
        load_kernels(needed(used, dtype), progress)
        self._graph = self._lowering.fusion.graph(self.plan.graph)
        self._later = self._program(levels, "always", "later")
        self._first = self._later
        if any(code.when == "first" for code in codes):
            self._first = self._program(levels, "always", "first")
        self._left = [[each for each in level if each.code.when == "after"] for level in levels]
        self._known_after: Program | None = None

    @property
    def _after(self) -> Program | None:
        """What is done when somebody looks at signals, if anything is; made when it first is."""
        if self._known_after is None and any(self._left):
            self._known_after = self._program(self._left, "after")
        return self._known_after

    def _assemble_anew(self) -> None:
        """Go on with other programs, since more is exposed or operators have changed."""
        self.settle()
        self._exposure.has_grown = False
        try:
            outdated = self._lowering.assumptions.outdated()
            self._known = {
                callback.operator: callback
                for callback in self.callbacks
                if type(callback.operator) is not SimNeurons or callback.operator not in outdated
            }
            lowering = self._lower_all()
            lowering.continue_from(self._lowering)
            self._lowering = lowering
            self._assemble()
        except BaseException:
            self._exposure.has_grown = True
            raise

    def _lower(self) -> list[list[Task]]:
        """What is done in a step, by level, then by stage within the level."""
        lowering = self._lowering
        callbacks = [
            self._known.get(operator) or self._new_callback(operator)
            for operator in self.plan.operators
            if lowering.rows[operator] is None
        ]
        self._assembly, levels = assemble(self.plan, lowering, callbacks)
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

    def _new_callback(self, operator: Any) -> Callback:
        callback = Callback(operator, self._clock)
        if self.broken is None:  # it will not be reset before it is called
            callback.reset(self.step_of(operator, np.random.RandomState(0)), self.signals)
        return callback

    def rewind(self) -> None:
        self._has_begun = False
        if self._lowering.assumptions.outdated():
            self._request_assembly()
        if self.is_running:
            self._outlived += [callback.kept() for callback in self.callbacks]
            self._is_finished = False
        elif self._exposure.has_grown:
            self._assemble_anew()
        for signal in list(self.signals):
            if not (self.is_running and signal.base in self._constant):
                self.signals.reset(signal)

    def begin(self, rng: np.random.RandomState) -> None:
        in_python = {callback.operator: callback for callback in self.callbacks}
        for operator in self.plan.operators:  # in nengo's order, since they draw from rng
            if operator in in_python:
                in_python[operator].reset(self.step_of(operator, rng), self.signals)
            elif operator in self._lowering.at_reset:
                with self.making(operator):
                    self._lowering.at_reset[operator](rng)
            elif isinstance(operator, SimProcess):
                with self.making(operator):
                    draw_seed(operator.process, rng)
        self.generators.update(self._lowering.streams)
        self._tracing.reset()

    @property
    def python_steps(self) -> dict[Operator, Step]:
        return {callback.operator: callback.step for callback in self.callbacks}

    def explain(self) -> Plan:
        self._tracing.trace()
        in_python = [each for each in self.callbacks if each.traced is None]
        compiled = [each for each in self.callbacks if each.traced is not None]
        return replace(
            self.plan,
            deferred=self._assembly.deferred,
            executions=executions(
                self.plan,
                self._assembly,
                self._lowering.fusion,
                self.callbacks,
                self._later.threads_of,
            ),
            in_python=tuple((each.operator, each.remark) for each in in_python),
            compiled=tuple((each.operator, each.remark) for each in compiled),
        )

    def hand_out(self, signal: Signal) -> Any:
        array = self.signals[signal]
        if self._exposure.hand_out(signal.base, self.is_running):
            self._request_assembly()
            self._catch_up()
        return array

    def look_again(self) -> None:
        self._exposure.is_doubtful = True

    def hand_out_constants(self, arrays: Iterable[np.ndarray]) -> None:
        self._exposure.hand_out_constants(arrays)

    def neurons_replaced(self, operator: SimNeurons) -> None:
        if self._lowering.assumptions.is_about(operator):
            self._request_assembly()

    def _request_assembly(self) -> None:
        """Have other programs made before the next step."""
        self._exposure.has_grown = True
        self._clock.calls = 1  # a run that goes on calls `after_step`

    def _catch_up(self) -> None:
        """Compute what a run that goes on has put off, as far as its steps are complete."""
        if not self.is_running:
            return
        if get_ident() != self._runner:
            self._has_settled.clear()
            self._has_settled.wait(PATIENCE)
        elif self._clock.ticks > (self._unsettled_since or 0):
            self._run_after()

    def run(self, n_steps: int) -> int:
        is_within = self._status[RUNNING] > 0  # a function that is called in a step of another run
        n_done = self._run(n_steps, is_within)
        while n_done < n_steps and not self._is_paused:
            n_done += self._run(n_steps - n_done, is_within)
        if not is_within:
            self._is_paused = False
        return n_done

    def pause(self) -> None:
        if self.is_running:
            self._is_paused = True
            self._request_assembly()

    def stop_recording(self) -> dict[Any, Any]:
        stopped = super().stop_recording()
        self._request_assembly()
        return stopped

    def _run(self, n_steps: int, is_within: bool) -> int:
        """Run until all steps are done, or more is exposed; returns how many are done."""
        if self._status[FAILED]:  # an interrupt has come before the error could be raised
            self._take_errors()
        if self.broken is not None:
            self.check_usable()
        exposure = self._exposure
        if not is_within:
            if not self._is_finished:
                self._finish()
            exposure.see_changes()
            if exposure.has_grown:
                self._assemble_anew()
            if not (self._has_begun and self.is_asked and exposure.allows_delay):
                self._has_begun = False
                self.settle()
            self._runner, self._is_finished = get_ident(), not self._lowering.loans
            if self._unsettled_since is None:
                self._unsettled_since = self._clock.ticks
        self._recorders.begin(n_steps, is_within)
        try:
            if not self._is_finished and not is_within:
                for loan in self._lowering.loans:
                    loan.take()
            if self.callbacks:
                self._tracing.before_run(n_steps)
                n_done, failed = ERRSTATE.call(self._run_programs, n_steps)
                self._tracing.after_run()
            else:
                n_done, failed = self._run_programs(n_steps)
        finally:
            if not is_within:
                if not self._is_finished or self._clock.view[CALLS]:
                    self._finish()
                if exposure.has_grown or not (self.is_asked and exposure.allows_delay):
                    self.settle()
                    self._has_settled.set()
        if failed is not None:
            self._raise_error(failed)
        return n_done

    @property
    def is_running(self) -> bool:
        return bool(self._status[RUNNING])

    def abandon(self, error: Exception) -> None:
        for callback in self.callbacks:
            callback.raise_after_call(error)

    def lose_run(self) -> None:
        self._status[RUNNING], self.broken = 0, RUN_LOST

    def _run_after(self) -> None:
        if self._after is not None:
            self._after.run(1)

    def settle(self) -> None:
        """Compute what is put off until somebody looks at signals."""
        if self.is_running:
            return
        self._finish()
        if self._unsettled_since is not None:
            if self._clock.ticks > self._unsettled_since:
                self._run_after()
            self._unsettled_since = None

    def _finish(self) -> None:
        """Do what a run leaves to be done after its last step.

        If it is interrupted there, it is done again, as a whole, before the next run, or before
        anybody looks at signals.
        """
        if not self._is_finished:
            for loan in self._lowering.loans:
                loan.give_back()
            self._outlived.clear()
            self._is_finished = True
        if self._clock.view[CALLS]:
            self.recording.deliver()

    def _program(self, levels: list[list[Task]], *when: str) -> Program:
        chosen = [[task for task in level if task.code.when in when] for level in levels]
        dtype, undo = self._lowering.dtype, self._assembly.undo
        return Program(chosen, self._graph, self.threads, dtype, self._told, undo)

    def _run_programs(self, n_steps: int) -> tuple[int, Program | None]:
        """Run the programs; returns how many steps are done, and the one that failed, if any."""
        n_done = 0
        if not self._has_begun and n_steps > 0:
            if self._first is not self._later:
                status, n_done = self._first.run(1), self._first.n_done
                if status:
                    return n_done, self._first
            self._has_begun = True
        if n_done < n_steps and self._later.run(n_steps - n_done):
            return n_done + self._later.n_done, self._later
        return n_steps, None

    def _take_errors(self) -> list[tuple[Any, BaseException]]:
        """What Python raised in callbacks, or else when a step was complete."""
        self._status[FAILED] = 0
        errors = [(callback.operator, callback.fetch_error()) for callback in self.callbacks]
        errors.append((None, self._recorders.fetch_error()))
        return [(operator, error) for operator, error in errors if error is not None]

    def _raise_error(self, failed: Program) -> None:
        """Raise what stopped a program: an error in a callback or in a kernel; a pause does not."""
        for operator, error in self._take_errors():
            if isinstance(error, Pause):
                return
            if operator is not None:  # else it was raised after the step was complete
                add_context(error, self.failed_in(operator))
            raise error
        try:
            REGIONS.raise_failure()
        except SimulationError as failure:
            reason = str(failure)
        else:
            reason = failed.why_it_failed()
        self.broken = f"{reason}; step {self.n_steps + 1} is not complete."
        self.check_usable()
