"""Python in programs: what cannot be lowered runs through its ``make_step``.

What such a step computes is traced and performed as a tape, if that is the same thing (see
`nengo_jit.engines.cpu.python.tracing`); otherwise the program calls Python.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from math import inf
from time import perf_counter
from typing import Any
from weakref import ref

from nengo_jit.engines.cpu.language.kernel import start, table_of
from nengo_jit.engines.cpu.language.primitives import PRECISIONS
from nengo_jit.engines.cpu.program.contracts import contiguous
from nengo_jit.engines.cpu.program.lowering import Draw
from nengo_jit.engines.cpu.python import call as task
from nengo_jit.engines.cpu.python.call import run_functions
from nengo_jit.engines.cpu.python.callee import FOR_TAPES, Callee
from nengo_jit.engines.cpu.python.errstate import ERRSTATE
from nengo_jit.engines.cpu.python.tracing import Guards, Unsupported, calls_are_observed, trace
from nengo_jit.engines.cpu.toolchain.kernel_cache import are_ready
from nengo_jit.engines.recorder import Clock
from nengo_jit.ir.base import Step
from nengo_jit.ir.memory import SignalDict
from nengo_jit.ir.python import SimPyFunc, store
from nengo_jit.planner.merge import implementation_of, kind_of

logger = logging.getLogger(__name__)
LOGGED: set[tuple[str, ref[type]]] = set()  # kinds of operators, and whose, that were told of

MOST_TRACES = 10  # of a function whose names are rebound again and again
WORTH_CHECKING = 4  # steps of a run for which it pays to see whether tapes are still right
N_TRIALS, N_RUNS = 8, 1000  # shorter runs that try either way, and after how many that is repeated
WORTH_TRACING = 100  # steps after which tracing, which takes half a millisecond, has paid


class Callback(Callee):
    """An entry of a program that carries out a Python function.

    It must be `reset` before the program runs.

    Parameters
    ----------
    operator : Operator
        What the function carries out.
    clock : Clock
        Knows how many steps are complete.
    draw : Draw, optional
        What the function draws for the operator's kernels, if these do the rest.

    Attributes
    ----------
    step : callable
        The function, from the operator's ``make_step``.
    table : int
        Address of what the kernel is told: where the tape is, if any, and what is called.
    remark : str
        Why the function is called in Python, or when it is; in words that go on from "it".
    """

    when = "always"  # in which steps it runs, see `Kernel`
    kernel = run_functions

    def __init__(self, operator: Any, clock: Clock, draw: Draw | None = None):
        super().__init__(operator, lambda: f"in step {clock.n_steps + 1}")
        self.operator, self.draw = operator, draw
        self.remark = "is not compiled yet"
        self._n_traces = 0
        self._table = table_of([run_functions.row(task=start(self.words))])
        self.table = start(self._table)

    @property
    def done_by(self) -> str:
        """str: how the operator is carried out, see `PythonCall`."""
        if self.draw is not None:
            return "random numbers from Python"
        return "in Python" if self.traced is None else "compiled from Python"

    def reset(self, step: Step, signals: SignalDict) -> None:
        """Carry out another function, which the operator has made for the same memory."""
        self.get_ready()
        self.step = step
        self._own = [signals[signal] for signal in self.operator.all_signals]
        self.traced, self.remark = None, "is not compiled yet"
        self.switch(False)
        self.tell(task.CALLED, self.step)
        if type(self.operator) is SimPyFunc and self.operator.output is not None:
            output = signals[self.operator.output]
            fits = output.dtype in PRECISIONS and output.ndim == 1 and contiguous(output)
            if fits and output.flags.writeable:
                self.words[[task.OUTPUT, task.N_OUTPUTS]] = start(output), output.size
                self.words[task.ITEMSIZE] = output.itemsize
                self.tell(task.CALLED, self.operator.make_call(signals))
                self.tell(task.STORE, partial(store, output=output, fn=self.operator.fn))

    def trace(self) -> None:
        """Make a tape for the function, if that is the same thing; `switch` puts it to use."""
        if self.draw is not None:
            return
        self.switch(False)
        self.get_ready_for_tapes()
        self.is_doubted = False
        self._n_traces += 1
        try:
            if self.wrong:
                raise Unsupported(self.wrong)
            if self._n_traces > MOST_TRACES:
                raise Unsupported("reads what is rebound again and again")
            self.traced = trace(self.step, self._own)
            self.remark = "; ".join(self.traced.reasons)
        except Unsupported as reason:
            self.traced, self.remark = None, str(reason)


class ShortRuns:
    """Whether runs of very few steps are quicker with tapes, as found by trying.

    Before each run it has to be seen whether tapes are still right, which may take longer than to
    call the functions. Results do not depend on it.

    Parameters
    ----------
    clock : callable
        Returns the time (seconds).

    Attributes
    ----------
    is_trial : bool
        Whether the run that goes on is a trial.
    """

    def __init__(self, clock: Callable[[], float] = perf_counter):
        self.is_trial = False
        self._clock = clock
        self._n_runs = 0
        self._best = [inf, inf]  # seconds of a run in Python, and with tapes
        self._uses_tapes = False
        self._start = 0.0

    def begin(self) -> bool:
        """Whether to use tapes for the run that begins."""
        n = self._n_runs = self._n_runs % N_RUNS + 1
        if n > 2 * N_TRIALS:
            return self._uses_tapes
        if n == 1:
            self._best = [inf, inf]
        self.is_trial, self._start = True, self._clock()
        return n > N_TRIALS

    def end(self) -> None:
        """Take note that a run which is a trial has ended."""
        if self.is_trial:
            self.is_trial = False
            way = self._n_runs > N_TRIALS
            self._best[way] = min(self._best[way], self._clock() - self._start)
            self._uses_tapes = self._best[True] < self._best[False]


class Tracing:
    """Decides which callbacks of an engine are performed as tapes, and sees that it stays right.

    Parameters
    ----------
    callbacks : list of Callback
        All callbacks of the engine.
    enabled : bool
        Whether any are to be traced at all.
    """

    def __init__(self, callbacks: list[Callback], enabled: bool):
        self._callbacks = callbacks
        self._enabled = enabled
        self._pending = True
        self._n_steps = 0
        self._is_on: bool | None = True  # None if some tapes are in use and some are not
        self._traced: list[Callback] = []
        self._watched = Guards()
        self._is_watched = True  # whether it holds what all tapes rely on
        self._short_runs = ShortRuns()

    def reset(self) -> None:
        """Forget all tapes, since the steps are new ones."""
        self._traced, self._pending = [], True

    def trace(self) -> None:
        """Trace what has not been traced since the last reset."""
        if self._enabled and calls_are_observed():
            for callback in self._callbacks:
                if callback.traced is None:
                    callback.remark = "is not compiled while a debugger or profiler is active"
            return
        if self._pending:
            self._is_watched = False
            for callback in self._callbacks:
                if self._enabled:
                    callback.trace()
                else:
                    callback.remark = "is not compiled since `compile_python` is off"
            self._watch()
            self._pending = False
            self._log()
        else:
            self._trace_anew()

    def ask_for_kernels(self) -> bool:
        """Whether the kernels for tapes, if any are wanted, are there; else they will be, later."""
        return not self._enabled or are_ready(FOR_TAPES)

    def before_run(self, n_steps: int) -> None:
        """See that tapes compute what the functions would, at the beginning of a run."""
        self._n_steps += n_steps
        if self._pending and self._n_steps >= WORTH_TRACING and self.ask_for_kernels():
            self.trace()
        if not self._traced:
            return
        is_short = n_steps < WORTH_CHECKING
        if (is_short and not self._short_runs.begin()) or calls_are_observed():
            if self._is_on is not False:
                self._switch(False)
            return
        self._trace_anew()
        self._switch(ERRSTATE.ignores_underflow)  # of which tapes know nothing

    def after_run(self) -> None:
        """Take note that a run has ended."""
        if self._short_runs.is_trial:
            self._short_runs.end()

    def _trace_anew(self) -> None:
        """Trace what reads something that has been rebound since."""
        traced = [(callback, callback.traced) for callback in self._traced if callback.traced]
        is_over = any(callback.is_doubted or each.tape.has_moved for callback, each in traced)
        if not self._is_watched or is_over or self._watched.have_changed():
            self._is_watched = False
            for callback, each in traced:
                if callback.is_doubted or not each.is_right:
                    callback.trace()
            self._watch()

    def _switch(self, on: bool) -> None:
        if on is not self._is_on:
            self._is_on = None  # whatever interrupts this
            self._listen(on)
            for callback in self._traced:
                callback.switch(on)
            self._is_on = on

    def _listen(self, on: bool) -> None:
        """Be told of calls of Python after which tapes might be wrong."""
        is_needed = on and bool(self._watched)
        for callback in self._callbacks:
            if is_needed:
                callback.tell(task.TOLD, self._after_call)
            else:
                callback.untell(task.TOLD)

    def _watch(self) -> None:
        """Watch what the tapes rely on, before any of them is put to use."""
        traced = [callback for callback in self._callbacks if callback.traced is not None]
        watched = Guards()
        for callback in traced:
            assert callback.traced is not None
            watched.update(callback.traced.watched)
        self._traced, self._watched, self._is_on = traced, watched, None
        self._is_watched = True

    def _after_call(self) -> None:
        """Python has run: it may have rebound what tapes rely on, or begun to debug."""
        is_observed = calls_are_observed()
        if is_observed or self._watched.have_changed():
            self._is_on = None  # until the next run
            for callback in self._traced:
                traced = callback.traced
                if is_observed or (traced is not None and traced.watched.have_changed()):
                    callback.switch(False)

    def _log(self) -> None:
        for callback in self._callbacks:
            operator = callback.operator
            is_known = callback.draw is not None or type(operator) is SimPyFunc
            if callback.traced is None and not is_known:
                kind = kind_of(operator), ref(type(implementation_of(operator)))
                if kind not in LOGGED:
                    LOGGED.add(kind)
                    logger.warning("%s has no compiled kernel and runs in Python", kind[0])
