"""Where each operator with Python code runs: on the device, ahead of a chunk, or in its step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import permutations
from math import isfinite

import numpy as np

from nengo_jit.engines.cpu.program.mentions import GETTING, MAX_OBJECTS, mentioned, reached
from nengo_jit.engines.cpu.python.tracing import Unsupported
from nengo_jit.engines.jax.draws import Draw
from nengo_jit.engines.jax.python.traced import Taped, Tapes, Traced, Watched, watched_by
from nengo_jit.ir.base import Operator, Step
from nengo_jit.ir.memory import SignalDict
from nengo_jit.ir.python import SimPyFunc, store

STEPWISE = "is a function of time, and cannot be called ahead while others are called in each step"
SHARES = "shares an array with another function, which is called in nengo's order"


@dataclass
class Placement:
    """Where operators with Python code run.

    Attributes
    ----------
    in_python : dict of (Operator, str)
        Those that are called in their step, and why; the reason continues "it ...".
    ahead : dict of (Operator, callable)
        Those that are called ahead of a chunk of steps, see `nengo_jit.engines.jax.draws`. None if
        others are called in their step, since then there are no chunks.
    taped : dict of (Operator, Taped)
        Those that run on the device.
    traced : dict of (Operator, Traced)
        What the tracer has found of the others.
    """

    in_python: dict[Operator, str] = field(default_factory=dict)
    ahead: dict[Operator, Draw] = field(default_factory=dict)
    taped: dict[Operator, Taped] = field(default_factory=dict)
    traced: dict[Operator, Traced] = field(default_factory=dict)
    _watched: Watched = field(default_factory=lambda: watched_by([]))

    def watch(self) -> None:
        """Collect all that traced functions depend on; `is_right` needs it."""
        self._watched = watched_by(self.traced.values())

    @property
    def is_right(self) -> bool:
        """bool: whether all that traced functions depend on is as it was."""
        return self._watched.is_right

    def leave(self, operator: Operator, reason: str) -> None:
        """Leave an operator to Python."""
        self.in_python[operator] = reason
        for found in (self.ahead, self.taped, self.traced):
            found.pop(operator, None)


def place(
    steps: Mapping[Operator, Step],
    sources: Mapping[Operator, Draw],
    refused: Mapping[Operator, str],
    signals: SignalDict,
    tapes: Tapes,
) -> Placement:
    """Decide where operators run.

    Functions that the tracer knows completely may run anywhere. All others are called in nengo's
    order, since they may share a state.

    Parameters
    ----------
    steps : mapping of (Operator, callable)
        The steps of all operators with Python code.
    sources : mapping of (Operator, callable)
        Processes without input, and what computes their output from the time.
    refused : mapping of (Operator, str)
        Operators that must stay in Python, and why.
    signals : SignalDict
        The engine's memory.
    tapes : Tapes
        Makes programs.
    """
    placement = Placement()
    for operator, step in steps.items():
        try:
            if operator in refused:
                raise Unsupported(refused[operator])
            placement.traced[operator] = Traced.of(operator, step, signals)
        except Unsupported as reason:
            placement.leave(operator, str(reason))
    _part(placement)
    for operator, traced in list(placement.traced.items()):
        if traced.is_of_time:
            placement.ahead[operator] = _of_time(operator, signals)
            continue
        try:
            placement.taped[operator] = tapes.make(traced)
        except Unsupported as reason:
            placement.leave(operator, str(reason))
    while placement.in_python and _leave_more(placement, steps):
        pass
    _go_ahead(placement, sources)
    if placement.in_python:
        for operator in list(placement.ahead):
            placement.leave(operator, STEPWISE)
    placement.watch()
    return placement


def _part(placement: Placement) -> None:
    """Leave operators to Python that share an array of the user's with one that writes it."""
    writers = {op: each.written_of_users for op, each in placement.traced.items()}
    users = {op: each.users for op, each in placement.traced.items() if each.users}
    for operator, other in permutations(users, 2):
        written = writers[operator]
        if any(np.may_share_memory(a, b) for a in written for b in users[other]):
            placement.leave(operator, SHARES)
            placement.leave(other, SHARES)


def _leave_more(placement: Placement, steps: Mapping[Operator, Step]) -> bool:
    """Leave operators to Python that use arrays that Python may change in the middle of a step."""
    found = reached(steps[operator] for operator in placement.in_python)
    arrays = [each for each in found if isinstance(each, np.ndarray)]
    shared = [
        operator
        for operator, traced in placement.traced.items()
        if any(np.may_share_memory(a, b) for a in traced.users for b in arrays)
        or (traced.users and len(found) >= MAX_OBJECTS)
    ]
    for operator in shared:
        placement.leave(operator, SHARES)
    return bool(shared)


def _go_ahead(placement: Placement, sources: Mapping[Operator, Draw]) -> None:
    """Let processes without input run ahead, if nothing else is in Python that they may notice."""
    left = placement.in_python
    if all(operator in sources for operator in left) and not mentioned(left) & GETTING:
        placement.ahead.update({operator: sources[operator] for operator in left})
        left.clear()


def _of_time(operator: Operator, signals: SignalDict) -> Draw:
    """Return the function that computes the output from the time."""
    assert isinstance(operator, SimPyFunc) and operator.output is not None
    fn, like = operator.fn, signals[operator.output]
    takes_time = operator.t_passed

    def draw(t: float, *values: object) -> np.ndarray:
        value, result = fn(t) if takes_time else fn(), np.empty_like(like)
        if isinstance(value, float) and isfinite(value):  # by far the fastest check
            result.fill(value)
        else:
            store(value, result, fn)
        return result

    return draw
