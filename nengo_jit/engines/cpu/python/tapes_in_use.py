"""Tapes in use: which callbacks of an engine run as tapes, and whether these are still right.

Tapes notice most changes of what they depend on by themselves, when they run. What they cannot see
is checked here, before a run and after calls of Python.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from weakref import ref

import numpy as np

from nengo_jit.engines.cpu.language.kernel import start
from nengo_jit.engines.cpu.python import call as task
from nengo_jit.engines.cpu.python.callbacks import Callback
from nengo_jit.engines.cpu.python.callee import FOR_TAPES
from nengo_jit.engines.cpu.python.errstate import ERRSTATE
from nengo_jit.engines.cpu.python.populations import are_alike
from nengo_jit.engines.cpu.python.short_runs import ShortRuns
from nengo_jit.engines.cpu.python.tracing import Guards, Traced, Unsupported, calls_are_observed
from nengo_jit.engines.cpu.python.tracing.tape import Tape
from nengo_jit.engines.cpu.toolchain.kernel_cache import are_ready
from nengo_jit.ir.base import Operator
from nengo_jit.ir.python import SimPyFunc
from nengo_jit.planner.merge import implementation_of, kind_of

logger = logging.getLogger(__name__)
LOGGED: set[tuple[str, ref[type]]] = set()  # kinds of operators, with a type, that were logged

WORTH_CHECKING = 4  # steps: in shorter runs, checking tapes may take longer than it saves
WORTH_TRACING = 100  # steps: with fewer, tracing (half a millisecond) takes longer than it saves


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
        self._tapes: list[tuple[Callback, Tape]] = []  # each with its callback
        self._names = Guards()  # those of all tapes that these do not check by themselves
        self._was_called = np.zeros(1, np.int64)  # 1 if Python was called since they were checked
        self._is_watched = True  # whether `_names` has those of all tapes
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
            self._is_watched = False  # check all guards, since no tape may have run
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
        """Trace again the functions for which names, or what a tape has checked, have changed."""
        if self._is_watched and not (self._names.have_changed() or self._any_is_over()):
            return
        self._is_watched = False
        for callback, traced in self._in_charge():
            if callback.is_doubted or not traced.is_right:
                members = callback.members
                callback.release()
                _trace_all(members)
        self._watch()

    def _any_is_over(self) -> bool:
        """Whether any tape must not be used any more, as far as runs have found."""
        return any(each.is_doubted or tape.has_changed for each, tape in self._tapes)

    def _in_charge(self) -> list[tuple[Callback, Traced]]:
        """The callbacks that carry out their own functions, or those of others, by tapes."""
        return [(each, each.traced) for each in self._traced if each.traced and each.members]

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
        """Collect the names that tapes depend on, before any of these is used."""
        self._traced = [callback for callback in self._callbacks if callback.traced is not None]
        self._names, self._tapes, self._is_on = Guards(), [], None
        for callback, traced in self._in_charge():
            self._names.update(traced.watched.without_words())
            self._tapes.append((callback, traced.tape))
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
