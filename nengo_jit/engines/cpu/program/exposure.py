"""Exposure: which memory code of users may look at and change, though no operator says so.

Lowering takes for granted that memory is touched by those operators only that say so. That is so
unless somebody has been handed an array: through ``sim.signals``, or as an operand of neurons or
operators that are written in Python.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from nengo_jit.engines.cpu.program.assumptions import Assumptions
from nengo_jit.engines.cpu.program.contracts import CONTRACTS
from nengo_jit.engines.cpu.program.mentions import OPENING, mentioned
from nengo_jit.engines.recording import Recording
from nengo_jit.ir.memory import SignalDict, owner_of
from nengo_jit.ir.neurons import SimNeurons
from nengo_jit.ir.python import SimPyFunc
from nengo_jit.ir.signal import Signal
from nengo_jit.planner.looks import bases_of

MOST_LOOKS = 10  # through the code of users; to look takes a tenth of a millisecond and more
MOST_PROGRAMS = 10  # that are made before all is taken to be exposed


class Pause(BaseException):
    """Ends a run after a whole step, to go on with other programs."""


class Exposure:
    """What is exposed in an engine.

    Parameters
    ----------
    operators : sequence of Operator
        All operators.
    signals : SignalDict
        The engine's memory.

    Attributes
    ----------
    public : set of Signal
        Bases that any code of users may look at and change at any time.
    private : dict of (Operator, tuple of Signal)
        Operators that run in Python, with the bases of what their code may change when its turn
        comes, though they only read them.
    watched : set of Signal
        Bases of constants that have been handed out: it is enough to see before each run whether
        they are still the same, and read-only if code of users runs within a step.
    changed : set of Signal
        Bases of sparse matrices that a user has changed between runs, in a model without code of
        users in its steps: they are read where they are from then on.
    has_grown : bool
        Whether something is exposed that programs do not know of.
    is_doubtful : bool
        Whether code of users may have got hold of ``sim.signals`` since it was looked through.
    """

    def __init__(self, operators: Sequence[Any], signals: SignalDict):
        self._operators = operators
        self._signals = signals
        self._changed: set[Signal] = set()  # what is in `private`
        self.public: set[Signal] = set()
        self.private: dict[Any, tuple[Signal, ...]] = {}
        self.watched: set[Signal] = set()
        self.changed: set[Signal] = set()
        self.has_grown = False
        self.is_doubtful = False
        self._n_looks = 0
        self._is_all_public = False
        self._assumptions = Assumptions()
        self._delayed: set[Signal] = set()
        self._runs_python = False
        self._n_programs = 0
        self._constants: dict[int, list[Signal]] | None = None

    def __contains__(self, base: object) -> bool:
        return base in self.public or base in self._changed

    def __bool__(self) -> bool:
        return bool(self.public or self._changed)

    def add(self, base: Signal) -> None:
        """Note that code of users may look at some memory, and change it, at any time."""
        if base not in self.public:
            self.public.add(base)
            self.has_grown = True

    def _add_all(self, constants: bool) -> None:
        self._is_all_public = True
        bases = {base for each in self._operators for base in bases_of(each)}
        self.public.update(base for base in bases if constants or not base.readonly)

    def add_callers(self, operators: Iterable[Any]) -> bool:
        """Note which operators run in Python; tells whether more is exposed by that.

        Where their code mentions arrays of signals, all are public from the first step on, but
        for constants that it makes no mention of writing to. Otherwise the step in which it first
        gets hold of an array would be another one.
        """
        new = [operator for operator in operators if operator not in self.private]
        self.private.update((operator, tuple(_changed_by(operator))) for operator in new)
        changed = {base for operator in new for base in self.private[operator]} - self._changed
        self._changed |= changed
        names = mentioned(new)
        if names:
            self._add_all(constants=not names.isdisjoint(OPENING))
        return bool(changed) or bool(names) or (bool(new) and bool(self))

    def begin(self, assumptions: Assumptions, delayed: set[Signal], runs_python: bool) -> None:
        """Note what programs rely on from now on.

        Parameters
        ----------
        assumptions : Assumptions
            What operators were lowered for.
        delayed : set of Signal
            Bases of what is not computed in each step, or read from.
        runs_python : bool
            Whether there is code of users in a step.
        """
        self._assumptions, self._delayed = assumptions, delayed
        self._runs_python = runs_python
        self._constants = None
        self._n_programs += 1
        if self._n_programs == MOST_PROGRAMS:  # somebody looks at one signal after the other
            self._add_all(constants=True)
            self.has_grown = True

    def hand_out(self, base: Signal, is_running: bool) -> bool:
        """Note that a user gets an array; returns whether programs rely on that this is not so."""
        if base in self.public:
            return False
        if base.readonly and not (self._runs_python and is_running):
            self.watched.add(base)
            return False
        self.public.add(base)
        return self._runs_python or base in self._delayed

    def hand_out_constants(self, arrays: Iterable[np.ndarray]) -> None:
        """Note that a user gets arrays, which may be the memory of constants."""
        if self._constants is None:
            constants = defaultdict(list)
            bases = {base: None for op in self._operators for base in bases_of(op) if base.readonly}
            for base in bases:
                constants[id(owner_of(self._numbers(base)))].append(base)
            self._constants = constants
        for array in arrays:
            self.watched.update(self._constants.get(id(owner_of(array)), ()))

    @property
    def allows_delay(self) -> bool:
        """bool: whether nobody can change, between runs, what has been put off depends on."""
        return not self.watched or self._delayed.isdisjoint(self.watched)

    def see_changes(self) -> None:
        """See before a run whether constants that have been handed out are still the same.

        And whether code of users can get hold of arrays in a way that it could not before.
        """
        if self.is_doubtful:
            self.is_doubtful = False
            if self._runs_python and not self._is_all_public:
                self._look_again()
        for base, holds in self._assumptions.fragile:
            if not holds():
                self.add(base)
        for base in self.watched - self.public if self.watched else ():
            is_open = self._runs_python and self._numbers(base).flags.writeable
            if is_open or not all(holds() for holds in self._assumptions.constants.get(base, ())):
                if base.sparse and not self._runs_python and base not in self.changed:
                    self.changed.add(base)
                    self.has_grown = True
                else:
                    self.add(base)

    def _look_again(self) -> None:
        """Look through code of users once more."""
        self._n_looks += 1
        names = mentioned(self.private)
        if names or self._n_looks == MOST_LOOKS:
            self._add_all(constants=not names.isdisjoint(OPENING))
            self.has_grown = True

    def _numbers(self, base: Signal) -> np.ndarray:
        """Live numbers of a signal; those that are stored, if it is sparse."""
        live = self._signals[base]
        return live.data if base.sparse and not isinstance(live, np.ndarray) else live


def after_step(recording: Recording, exposure: Exposure) -> None:
    """What Python does after a step in which the clock calls it."""
    recording.deliver()
    if exposure.has_grown:
        recording.clock.calls = 1  # this may be a run within a run
        raise Pause


def _changed_by(operator: Any) -> Iterable[Signal]:
    """Bases of what an operator's code gets as arrays that it can write to, but only reads."""
    if type(operator) is SimNeurons or type(operator) not in (SimPyFunc, *CONTRACTS):
        return {signal.base: None for signal in operator.reads if not signal.base.readonly}
    return ()
