"""Callbacks: operators that cannot be lowered run the function from their ``make_step``.

The program executes the function as a tape if it can be traced (see
`nengo_jit.engines.cpu.python.tracing`), and calls Python otherwise.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from functools import partial
from weakref import ref

import numpy as np

from nengo_jit.engines.cpu.language.kernel import start, table_of
from nengo_jit.engines.cpu.language.primitives import PRECISIONS
from nengo_jit.engines.cpu.program.contracts import contiguous
from nengo_jit.engines.cpu.program.lowering import Draw
from nengo_jit.engines.cpu.python import call as task
from nengo_jit.engines.cpu.python.call import run_functions
from nengo_jit.engines.cpu.python.callee import FOR_TAPES, Callee
from nengo_jit.engines.cpu.python.errstate import ERRSTATE
from nengo_jit.engines.cpu.python.instructions import WIDTH, Field, Head
from nengo_jit.engines.cpu.python.populations import (
    Recorded,
    are_alike,
    check_independence,
    joined,
)
from nengo_jit.engines.cpu.python.short_runs import ShortRuns
from nengo_jit.engines.cpu.python.tracing import Guards, Unsupported, calls_are_observed, trace
from nengo_jit.engines.cpu.python.tracing.tape import Writer
from nengo_jit.engines.cpu.toolchain.kernel_cache import are_ready
from nengo_jit.engines.hidden import changeable_of
from nengo_jit.engines.recorder import Clock
from nengo_jit.ir.base import Operator, Step
from nengo_jit.ir.memory import SignalDict
from nengo_jit.ir.python import SimPyFunc, store
from nengo_jit.planner.merge import implementation_of, kind_of

logger = logging.getLogger(__name__)
LOGGED: set[tuple[str, ref[type]]] = set()  # kinds of operators, with a type, that were logged

MOST_TRACES = 10  # of a function whose names are rebound again and again
WORTH_CHECKING = 4  # steps: in shorter runs, checking tapes may take longer than it saves
NOTHING = np.zeros((2, WIDTH), np.int64)  # a tape that has a head without guards, and returns
NOTHING[1, [Field.RESULT, Field.A, Field.B, Field.C]] = start(NOTHING)  # operands have addresses
NOTHING[0, [Head.GUARDED, Head.VALUES, Head.HAS_CHANGED]] = start(NOTHING)
WORTH_TRACING = 100  # steps: with fewer, tracing (half a millisecond) takes longer than it saves


class Callback(Callee):
    """An entry of a program that carries out the Python function of an operator.

    It must be `reset` before the program runs.

    Parameters
    ----------
    operator : Operator
        The operator.
    clock : Clock
        Counts the steps that are complete.
    draw : Draw, optional
        What the function draws for the operator's kernels, if these do the rest.

    Attributes
    ----------
    step : callable
        The function, from the operator's ``make_step``.
    table : int
        Address of the table for the kernel, which has the address of the task.
    remark : str
        Why, or on which paths, the function is called in Python; continues "it ...".
    leader : Callback
        The one that carries out this one's function.
    saved : list of tuple of numpy.ndarray
        Arrays to restore if Python raises, with buffers.
    level : int
        On which level of the plan the operator is.
    members : list of Callback
        The callbacks that this one carries out: itself, unless it leads others or follows another
        one (see `nengo_jit.engines.cpu.python.populations`).
    at_fault : Operator
        The operator whose function was called last.
    is_muted : bool
        Whether the function is neither called nor executed.
    """

    when = "always"  # see `Kernel`
    kernel = run_functions

    def __init__(self, operator: Operator, clock: Clock, draw: Draw | None = None):
        super().__init__(operator, lambda: f"in step {clock.n_steps + 1}")
        self.operator, self.draw = operator, draw
        self.at_fault, self.level = operator, 0
        self.is_muted = False
        self.members, self.leader = [self], self
        self.saved: list[tuple[np.ndarray, np.ndarray]] = []
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
        """Replace the function by another one that the operator has made for the same memory."""
        self.release()
        self.get_ready()
        self.step = step
        self.own = [signals[signal] for signal in self.operator.all_signals]
        self.traced, self.remark = None, "is not compiled yet"
        self.switch(False)
        self.put(task.CALLED, self.step)
        if type(self.operator) is SimPyFunc and self.operator.output is not None:
            output = signals[self.operator.output]
            fits = output.dtype in PRECISIONS and output.ndim == 1 and contiguous(output)
            if fits and output.flags.writeable:
                self.words[[task.OUTPUT, task.N_OUTPUTS]] = start(output), output.size
                self.words[task.ITEMSIZE] = output.itemsize
                self.put(task.CALLED, self.operator.make_call(signals))
                self.put(task.STORE, partial(store, output=output, fn=self.operator.fn))

    def trace(self) -> None:
        """Trace the function, if that is possible; `switch` puts the tape to use."""
        self.release()
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
                raise Unsupported("reads names that are rebound again and again")
            self.traced = trace(self.step, self.own)
            self.remark = "; ".join(self.traced.reasons)
        except Unsupported as reason:
            self.traced, self.remark = None, str(reason)

    def lead(self, others: list[Callback]) -> None:
        """Trace the function of this population and its neighbours as one.

        Raises
        ------
        Unsupported
            If that is impossible. Then nothing has changed.
        """
        members = [self, *others]
        self.get_ready_for_tapes()
        recorded: list[Recorded] = []
        trace(self.step, self.own, lambda writer: recorded.append(Recorded(writer, self.own)))
        step, own = joined([each.step for each in members], [each.own for each in members])

        def inspect(writer: Writer) -> None:
            check_independence(recorded[0], Recorded(writer, own))

        self.traced = trace(step, own, inspect)
        neurons = [implementation_of(each.operator) for each in members]
        for each in neurons[1:]:
            self.traced.watched.add_alike(vars(neurons[0]), vars(each))
        self.remark, self.is_doubted, self.members = "", False, members
        self.put(task.CALLED, self._call_all)
        for each in others:
            each.traced, each.remark, each.is_doubted = self.traced, "", False
            each.members, each.leader = [], self
            each.get_ready_for_tapes()
            each.words[task.TAPE] = start(NOTHING)
        self.save(self.saved)

    @property
    def is_pure(self) -> bool:
        """bool: whether calls have no effect but on signals, as far as is known of the function."""
        if not changeable_of(self.operator, self.step, self.own):
            return True
        if self.traced is None or self.remark:  # it may do anything where it is not compiled
            return False
        written = self.traced.tape.written
        return all(any(np.may_share_memory(a, b) for b in self.own) for a in written)

    def release(self) -> None:
        """Let all members carry out their own functions; they have no tapes then."""
        leader = self.leader
        members, leader.members = leader.members, [leader]
        if len(members) > 1:
            leader.traced = None
            leader.switch(False)
            leader.put(task.CALLED, leader.step)
            for each in members[1:]:
                each.members, each.leader, each.traced = [each], each, None
                each.switch(False)
            leader.save(leader.saved)
            for each in members[1:]:
                each.save(each.saved)

    def switch(self, on: bool) -> None:
        if self.is_muted:
            self.words[task.TAPE] = start(NOTHING)
        elif self.members:  # another one is in charge
            super().switch(on)

    def mute(self, on: bool) -> None:
        """Neither call nor execute the function from now on, or do so again."""
        if on:
            self.get_ready_for_tapes()
        self.is_muted = on
        self.switch(False)

    def save(self, arrays: list[tuple[np.ndarray, np.ndarray]]) -> None:
        self.saved, leader = arrays, self.leader
        super(Callback, leader).save([pair for each in leader.members for pair in each.saved])

    def _call_all(self) -> None:
        """Call the functions of all members."""
        for each in self.members:
            self.at_fault = each.operator
            each.step()


class Tracing:
    """Decides which callbacks of an engine use tapes, and keeps the tapes valid.

    Parameters
    ----------
    callbacks : list of Callback
        All callbacks of the engine.
    enabled : bool
        Whether to trace any of them.
    """

    def __init__(self, callbacks: list[Callback], enabled: bool):
        self._callbacks = callbacks
        self._enabled = enabled
        self._pending = True
        self._n_steps = 0
        self._is_on: bool | None = True  # None if some tapes may be in use and some not
        self._traced: list[Callback] = []
        self._watched = Guards()
        self._names = Guards()  # those of `_watched` that tapes do not check by themselves
        self._was_called = np.zeros(1, np.int64)  # 1 if Python was called since they were checked
        self._is_watched = True  # whether `_watched` has the guards of all tapes
        self._short_runs = ShortRuns()

    def reset(self) -> None:
        """Discard all tapes, because the operators have made new functions."""
        for callback in self._traced:
            callback.release()
        self._traced, self._pending = [], True

    def mute(self, operator: Operator | None, on: bool) -> None:
        """Mute the callback of an operator, if there is one, or end that."""
        for callback in self._callbacks:
            if callback.operator is operator and callback.is_muted is not on:
                callback.mute(on)
                self._is_on = None  # tapes are switched on before the next run

    def trace(self) -> None:
        """Trace all callbacks after a reset, and later those that have changed."""
        if self._enabled and calls_are_observed():
            for callback in self._callbacks:
                if callback.traced is None:
                    callback.remark = "is not compiled while a debugger or profiler is active"
            return
        if self._pending:
            self._is_watched = False
            for callback in self._callbacks:
                callback.release()
                callback.remark = "is not compiled because `compile_python` is off"
            if self._enabled:
                _trace_all(self._callbacks)
            self._watch()
            self._pending = False
            self._log()
        else:
            self._trace_anew()

    def ask_for_kernels(self) -> bool:
        """Request the kernels for tapes; returns whether they are compiled, or not needed."""
        return not self._enabled or are_ready(FOR_TAPES)

    def before_run(self, n_steps: int) -> None:
        """Prepare for a run: trace if it is worthwhile, check guards, put tapes to use."""
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
        self._switch(ERRSTATE.ignores_underflow)  # tapes do not report underflow

    def after_run(self) -> None:
        """Note that a run has ended."""
        if self._short_runs.is_trial:
            self._short_runs.end()

    def _trace_anew(self) -> None:
        """Trace again the functions whose guards have changed."""
        traced = [
            (callback, callback.traced)
            for callback in self._traced
            if callback.traced and callback.members
        ]
        is_over = any(callback.is_doubted or each.tape.has_changed for callback, each in traced)
        if not self._is_watched or is_over or self._watched.have_changed():
            self._is_watched = False
            for callback, each in traced:
                if callback.is_doubted or not each.is_right:
                    members = callback.members
                    callback.release()
                    _trace_all(members)
            self._watch()

    def _switch(self, on: bool) -> None:
        if on is not self._is_on:
            self._is_on = None  # in case this is interrupted
            self._hook_calls(on)
            for callback in self._traced:
                callback.switch(on)
            self._is_on = on

    def _hook_calls(self, on: bool) -> None:
        """Have `_check` called before tapes that run after a call of Python."""
        for callback in self._callbacks:
            if on and self._traced:
                callback.words[task.WAS_CALLED] = start(self._was_called)
                callback.put(task.CHECK, self._check)
            else:
                callback.words[task.WAS_CALLED] = 0
                callback.clear(task.CHECK)

    def _watch(self) -> None:
        """Collect the guards of all tapes, before any of them is used."""
        traced = [callback for callback in self._callbacks if callback.traced is not None]
        watched = Guards()
        for callback in traced:
            if callback.traced is not None and callback.members:
                watched.update(callback.traced.watched)
        self._traced, self._watched, self._is_on = traced, watched, None
        self._names = watched.without_words()
        self._is_watched = True

    def _check(self) -> None:
        """Check names after calls of Python, which may also have started a debugger.

        Tapes check all other guards by themselves.
        """
        is_observed = calls_are_observed()
        if is_observed or self._names.have_changed():
            self._is_on = None  # until the next run
            for callback in self._traced:
                traced = callback.traced
                if is_observed or (traced is not None and traced.watched.have_changed()):
                    callback.switch(False)
        self._was_called[0] = 0

    def _log(self) -> None:
        for callback in self._callbacks:
            operator = callback.operator
            is_known = callback.draw is not None or type(operator) is SimPyFunc
            if callback.traced is None and not is_known:
                kind = kind_of(operator), ref(type(implementation_of(operator)))
                if kind not in LOGGED:
                    LOGGED.add(kind)
                    logger.warning("%s has no compiled kernel and runs in Python", kind[0])


def _trace_all(callbacks: list[Callback]) -> None:
    """Trace callbacks; those that are called one after the other, and alike, as one if possible."""
    populations: list[list[Callback]] = []
    for callback in sorted(callbacks, key=lambda callback: callback.level):
        last = populations[-1] if populations else []
        is_next = last and last[0].level == callback.level
        if is_next and are_alike(last[0].operator, callback.operator):
            last.append(callback)
        else:
            populations.append([callback])
    for first, *others in populations:
        if others and not any(each.wrong for each in (first, *others)):
            with suppress(Unsupported):
                first.lead(others)
                continue
        for callback in (first, *others):
            callback.trace()
