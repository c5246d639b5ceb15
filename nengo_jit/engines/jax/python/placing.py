"""Where each operator with Python code runs: on the device, ahead of a chunk, or in its step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from dis import get_instructions
from math import isfinite
from types import CodeType
from typing import TypeVar

import numpy as np
from numpy.lib.array_utils import byte_bounds

from nengo_jit.engines.base import Engine
from nengo_jit.engines.cpu.program.mentions import MAX_OBJECTS, code_of, mentioned, reached
from nengo_jit.engines.cpu.python.tracing import Unsupported
from nengo_jit.engines.jax.draws import Draw
from nengo_jit.engines.jax.python.traced import Dependencies, Taped, Tapes, Traced, dependencies_of
from nengo_jit.ir.base import Operator, Step
from nengo_jit.ir.memory import SignalDict
from nengo_jit.ir.python import SimPyFunc, store

Tag = TypeVar("Tag")
STEPWISE = "is a function of time, and cannot be called ahead while others are called in each step"
# Code that uses a simulator or an engine contains one of these names
OF_SIMULATOR = {name for name in dir(Engine) if not name.startswith("_")} | {
    *(
        "clear_probes",
        "close",
        "closed",
        "data",
        "engine",
        "load",
        "profile",
        "resume",
        "run_steps",
    ),
    *("save", "signals", "step", "trange"),
}
REBINDING = ("STORE_GLOBAL", "STORE_DEREF", "STORE_ATTR", "DELETE_GLOBAL", "DELETE_ATTR")
REFLECTING = {"__dict__", "globals", "setattr", "vars"}  # may rebind any name
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
    _dependencies: Dependencies = field(default_factory=lambda: dependencies_of([]))

    def watch(self) -> None:
        """Collect all that traced functions depend on; `is_right` needs it."""
        self._dependencies = dependencies_of(self.traced.values())

    @property
    def is_right(self) -> bool:
        """bool: whether all that traced functions depend on is as it was."""
        return self._dependencies.is_right

    @property
    def of_time(self) -> list[Operator]:
        """List of Operator: functions in `ahead`, which may be called any number of times."""
        return [operator for operator in self.ahead if operator in self.traced]

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
        if traced.is_of_time and traced.is_total:
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
        for operator, traced in list(placement.traced.items()):
            if traced.is_of_time:
                placement.leave(operator, STEPWISE)
    placement.watch()
    return placement


def _part(placement: Placement) -> None:
    """Leave operators to Python that share an array of the user's with one that writes it."""
    traced = placement.traced.items()
    uses = [(array, (op, False)) for op, each in traced for array in each.users]
    uses += [(array, (op, True)) for op, each in traced for array in each.written_of_users]
    for cluster in _clusters(uses):
        sharing = {operator for operator, _ in cluster}
        if len(sharing) > 1 and any(is_written for _, is_written in cluster):
            for operator in sharing:
                placement.leave(operator, SHARES)


def _leave_more(placement: Placement, steps: Mapping[Operator, Step]) -> bool:
    """Leave operators to Python that use arrays that Python may change in the middle of a step."""
    found = reached(steps[operator] for operator in placement.in_python)
    uses: list[tuple[np.ndarray, Operator | None]]
    uses = [(array, op) for op, each in placement.traced.items() for array in each.users]
    clusters = [[operator for _, operator in uses]]
    if len(found) < MAX_OBJECTS:
        uses += [(each, None) for each in found if isinstance(each, np.ndarray)]
        clusters = [each for each in _clusters(uses) if None in each]
    shared = {operator for each in clusters for operator in each if operator is not None}
    for operator in shared:
        placement.leave(operator, SHARES)
    return bool(shared)


def _clusters(uses: Iterable[tuple[np.ndarray, Tag]]) -> list[list[Tag]]:
    """Group what is said of arrays: those that may have memory in common are in one group."""
    bounds = [(*byte_bounds(array), tag) for array, tag in uses]
    clusters: list[list[Tag]] = []
    last = -1
    for start, end, tag in sorted(bounds, key=lambda each: each[0]):
        if start >= last:
            clusters.append([])
        clusters[-1].append(tag)
        last = max(last, end)
    return clusters


def _go_ahead(placement: Placement, sources: Mapping[Operator, Draw]) -> None:
    """Let processes without input run ahead, if nobody can tell.

    They must not use the simulator, nor rebind names that a function on the device reads. Nothing
    else may be in Python, not even in some steps.
    """
    left = placement.in_python
    if any(operator not in sources for operator in left) or mentioned(left, OF_SIMULATOR):
        return
    if all(placement.traced[each].is_total for each in placement.taped) and not _rebinds(
        left, placement.taped
    ):
        placement.ahead.update({operator: sources[operator] for operator in left})
        left.clear()


def _rebinds(writers: Iterable[Operator], readers: Iterable[Operator]) -> bool:
    """Whether the code of some operators may rebind a name that the code of others mentions."""
    names = {name for code in _codes(readers) for name in (*code.co_names, *code.co_freevars)}
    codes = _codes(writers)
    instructions = [each for code in codes for each in get_instructions(code)]
    rebound = {each.argval for each in instructions if each.opname.startswith(REBINDING)}
    dynamic = any(not REFLECTING.isdisjoint(code.co_names) for code in codes)
    return dynamic or not names.isdisjoint(rebound)


def _codes(operators: Iterable[Operator]) -> list[CodeType]:
    found = reached(part for operator in operators for part in code_of(operator))
    return [each for each in found if isinstance(each, CodeType)]


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
