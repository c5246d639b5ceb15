"""Exposure: memory that user code may read and change, though no operator declares it.

Lowering assumes that only the operators that declare a signal access its memory. This does not hold
once user code has an array: from ``sim.signals``, or as an operand of neurons or operators that are
written in Python.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from nengo_jit.engines.cpu.program.assumptions import Assumptions
from nengo_jit.engines.cpu.program.contracts import CONTRACTS
from nengo_jit.engines.cpu.program.mentions import OPENING, mentioned
from nengo_jit.engines.recording import Recording
from nengo_jit.ir.base import Operator
from nengo_jit.ir.memory import SignalDict, owner_of
from nengo_jit.ir.neurons import SimNeurons
from nengo_jit.ir.python import SimPyFunc
from nengo_jit.ir.signal import Signal
from nengo_jit.planner.looks import bases_of

MAX_SCANS = 10  # of user code; each takes a tenth of a millisecond or more
MAX_PROGRAMS = 10  # that are made before all memory is taken to be exposed


class Pause(BaseException):
    """Ends a run after a step, so that it continues with other programs."""


class Exposure:
    """Memory of an engine that is exposed.

    Parameters
    ----------
    operators : sequence of Operator
        All operators.
    signals : SignalDict
        The engine's memory.

    Attributes
    ----------
    public : set of Signal
        Bases that any user code may read and change at any time.
    private : dict of (Operator, tuple of Signal)
        Operators that run in Python, with the bases that they declare to read only, but that their
        code may change when they run.
    watched : set of Signal
        Bases of constants that have been handed out. It is enough to check before each run that
        they have not changed, and that they are read-only if user code runs within a step.
    changed : set of Signal
        Bases of sparse matrices that a user has changed between runs, in a model without user code
        in its steps: they are read in place from then on.
    has_grown : bool
        Whether memory is exposed that the programs do not allow for.
    must_rescan : bool
        Whether user code may have got ``sim.signals`` since it was last scanned.
    """

    def __init__(self, operators: Sequence[Operator], signals: SignalDict):
        self._operators = operators
        self._signals = signals
        self._changed: set[Signal] = set()  # all bases in `private`
        self.public: set[Signal] = set()
        self.private: dict[Operator, tuple[Signal, ...]] = {}
        self.watched: set[Signal] = set()
        self.changed: set[Signal] = set()
        self.has_grown = False
        self.must_rescan = False
        self._n_scans = 0
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
        """Note that user code may read and change a base at any time."""
        if base not in self.public:
            self.public.add(base)
            self.has_grown = True

    def _add_all(self, constants: bool) -> None:
        self._is_all_public = True
        bases = {base for each in self._operators for base in bases_of(each)}
        self.public.update(base for base in bases if constants or not base.readonly)

    def add_callers(self, operators: Iterable[Operator]) -> bool:
        """Note which operators run in Python; returns whether they expose more memory.

        If their code mentions arrays of signals, all signals are public from the first step on,
        except for constants that the code does not mention writing to. If they became public
        later, the step in which the code first gets an array would be wrong.
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
        """Note what the new programs rely on.

        Parameters
        ----------
        assumptions : Assumptions
            The assumptions that operators were lowered under.
        delayed : set of Signal
            Bases of operands of operators that do not run in each step.
        runs_python : bool
            Whether user code runs within a step.
        """
        self._assumptions, self._delayed = assumptions, delayed
        self._runs_python = runs_python
        self._constants = None
        self._n_programs += 1
        if self._n_programs == MAX_PROGRAMS:  # a user reads one signal after another
            self._add_all(constants=True)
            self.has_grown = True

    def hand_out(self, base: Signal, is_running: bool) -> bool:
        """Note that a user gets an array; returns whether that invalidates the programs."""
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
        """bool: whether users cannot change, between runs, what deferred operators read."""
        return not self.watched or self._delayed.isdisjoint(self.watched)

    def check_changes(self) -> None:
        """Check, before a run, whether constants have changed that have been handed out.

        Also checks whether user code can get arrays in a way that it could not before.
        """
        if self.must_rescan:
            self.must_rescan = False
            if self._runs_python and not self._is_all_public:
                self._rescan()
        for base, holds in self._assumptions.fragile:
            if not holds():
                self.add(base)
        for base in self.watched - self.public if self.watched else ():
            is_open = self._runs_python and self._numbers(base).flags.writeable
            if is_open or not self._assumptions.hold_for(base):
                if base.sparse and not self._runs_python and base not in self.changed:
                    self.changed.add(base)
                    self.has_grown = True
                else:
                    self.add(base)

    def _rescan(self) -> None:
        """Scan user code once more."""
        self._n_scans += 1
        names = mentioned(self.private)
        if names or self._n_scans == MAX_SCANS:
            self._add_all(constants=not names.isdisjoint(OPENING))
            self.has_grown = True

    def _numbers(self, base: Signal) -> np.ndarray:
        """Live numbers of a signal; if it is sparse, the stored ones."""
        live = self._signals[base]
        numbers: np.ndarray = (
            live.data if base.sparse and not isinstance(live, np.ndarray) else live
        )
        return numbers


def after_step(recording: Recording, exposure: Exposure) -> None:
    """Deliver samples, and pause if more is exposed; called after a step if the clock says so."""
    recording.deliver()
    if exposure.has_grown:
        recording.clock.calls = 1  # this may be a nested run
        raise Pause


def _changed_by(operator: Operator) -> Iterable[Signal]:
    """Bases that an operator reads, and that its code gets as writable arrays."""
    if type(operator) is SimNeurons or type(operator) not in (SimPyFunc, *CONTRACTS):
        return {signal.base: None for signal in operator.reads if not signal.base.readonly}
    return ()
