"""Callbacks: operators that cannot be lowered run the function from their ``make_step``.

The program executes the function as a tape if it can be traced (see
`nengo_jit.engines.cpu.python.tracing`), and calls Python otherwise.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from nengo_jit.engines.cpu.language.kernel import start, table_of
from nengo_jit.engines.cpu.language.primitives import PRECISIONS
from nengo_jit.engines.cpu.program.contracts import contiguous
from nengo_jit.engines.cpu.program.lowering import Draw
from nengo_jit.engines.cpu.python import call as task
from nengo_jit.engines.cpu.python.call import run_functions
from nengo_jit.engines.cpu.python.callee import Callee
from nengo_jit.engines.cpu.python.instructions import WIDTH, Field, Head
from nengo_jit.engines.cpu.python.populations import (
    Recorded,
    check_independence,
    joined,
)
from nengo_jit.engines.cpu.python.tracing import Unsupported, trace
from nengo_jit.engines.cpu.python.tracing.tape import Writer
from nengo_jit.engines.hidden import changeable_of
from nengo_jit.engines.recorder import Clock
from nengo_jit.ir.base import Operator, Step
from nengo_jit.ir.memory import SignalDict
from nengo_jit.ir.python import SimPyFunc, store
from nengo_jit.planner.merge import implementation_of

MOST_TRACES = 10  # of a function whose names are rebound again and again
NOTHING = np.zeros((2, WIDTH), np.int64)  # a tape that has a head without guards, and returns
NOTHING[1, [Field.RESULT, Field.A, Field.B, Field.C]] = start(NOTHING)  # operands have addresses
NOTHING[0, [Head.GUARDED, Head.VALUES, Head.HAS_CHANGED]] = start(NOTHING)


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
