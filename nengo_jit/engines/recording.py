"""Recording: which lists get the samples of all probes, and since when."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from operator import itemgetter, length_hint
from typing import Any, NamedTuple

from nengo import Probe

from nengo_jit.engines.recorder import Block, Clock, Recorder, Span
from nengo_jit.engines.samples import Contents, Samples
from nengo_jit.ir.memory import SignalDict
from nengo_jit.planner.plan import ProbePlan

END = sys.maxsize
OURS: Any = object()  # stands for a new list of the recording's own


class Target(NamedTuple):
    """The object that gets the samples of a span.

    Attributes
    ----------
    span : Span
        The samples.
    samples : Samples or list or Any
        The object. `Samples` read the span themselves; to any other object, samples are appended.
    blocks : list of Block or None
        One item: the block of the next sample to be appended, or an earlier one.
    position : iterator or None
        Numbers of the samples that have not been appended yet; None for `Samples`.
    """

    span: Span
    samples: Any
    blocks: list[Block | None]
    position: Iterator[int] | None = None


class Recording:
    """The objects that get samples, and the clock that says which samples are valid.

    Parameters
    ----------
    probes : iterable of ProbePlan
        The probes.
    signals : Mapping of (Signal, numpy.ndarray or scipy.sparse matrix)
        Live memory.

    Attributes
    ----------
    clock : Clock
        Counts the completed steps.
    recorders : dict of (nengo.Probe, Recorder)
        Own the samples of each probe.
    make_samples : callable
        Makes the objects that read the samples of spans; `Samples` by default.
    cleared_at : int
        Tick at which `clear` has begun new lists.
    """

    def __init__(self, probes: Iterable[ProbePlan], signals: SignalDict):
        self.clock = Clock()
        self.make_samples: Callable[..., Any] = Samples
        self.cleared_at = 0
        self._probes = tuple(probes)
        self.recorders = {
            planned.probe: Recorder(signals[planned.signal], planned.period, self.clock)
            for planned in self._probes
        }
        self._targets = {
            probe: self._make(recorder, 0, recorder.block)
            for probe, recorder in self.recorders.items()
        }
        self._set_calls()

    def _make(self, recorder: Recorder, first: int, block: Block, samples: object = OURS) -> Target:
        """Make a target for samples from ``first`` on, which is in ``block`` or a later one."""
        span = Span(recorder, first)
        if samples is OURS and not recorder.is_sparse:
            source = recorder.source
            return Target(span, self.make_samples(source.shape, source.dtype, span, block), [])
        return Target(span, [] if samples is OURS else samples, [block], iter(range(first, END)))

    def _chain(self, probe: Probe) -> Iterator[Target]:
        """Targets that may not have got all their samples yet, up to the latest one."""
        target = self._targets[probe]
        yield target
        while target.span.next:
            target = target.span.next[0]
            yield target

    def _latest(self, probe: Probe) -> Target:
        """The latest target. Drops earlier ones to which nothing is left to append."""
        target = self._targets[probe]
        while target.span.next:
            following = target.span.next[0]
            is_complete = target.position is None or _next_of(target) >= target.span.end()
            if is_complete and target is self._targets[probe]:
                self._targets[probe] = following
            target = following
        return target

    def latest(self, probe: Probe) -> Any:
        """The object that gets the samples of a probe: `Samples`, or an object set by a user."""
        return self._latest(probe).samples

    def redirect(self, probe: Probe, samples: object = OURS) -> None:
        """Let another object get the samples of a probe from now on.

        Parameters
        ----------
        probe : nengo.Probe
            The probe.
        samples : Any, optional
            The object to which samples are appended, step by step. By default new `Samples`, or a
            new list of matrices if samples are sparse.
        """
        block = self.recorders[probe].block
        self._redirect(probe, block, self.clock.ticks, samples)

    def _redirect(self, probe: Probe, block: Block, ticks: int, samples: object = OURS) -> None:
        """Let another object get the samples after a tick."""
        recorder = self.recorders[probe]
        count, block = recorder.find(block, ticks)
        while True:
            before = self._latest(probe)
            target = self._make(recorder, max(_next_of(before), count), block, samples)
            if target.position is not None:
                self.clock.calls = 1
            if before.span.next.setdefault(0, target) is target:
                break
        if target.position is not None:  # the run may just have found no lists
            self.clock.calls = 1
        self._latest(probe)

    def clear(self) -> None:
        """Begin new lists for all probes, after the same step; existing lists do not change."""
        blocks = {probe: recorder.block for probe, recorder in self.recorders.items()}
        self.cleared_at = ticks = self.clock.ticks
        for probe, block in blocks.items():
            self._redirect(probe, block, ticks)

    def stop(self) -> dict[Probe, object]:
        """Stop recording, beginning with the current step.

        Returns
        -------
        dict of (nengo.Probe, Samples or Any)
            The objects that have got the samples, with all of them.
        """
        targets = {probe: self.latest(probe) for probe in self.recorders}
        for probe in targets:
            self.redirect(probe)
        self.deliver()
        self.recorders, self._targets = {}, {}
        self.clock.calls = 0
        return targets

    def complete(self, n_steps: int) -> None:
        """Record the samples that are due at the end of a step, and count the step.

        Parameters
        ----------
        n_steps : int
            Number of the step, counted from one.
        """
        for planned, recorder in zip(self._probes, self.recorders.values()):
            if planned.is_due(n_steps):
                recorder.write()
            else:
                recorder.skip()
        self.clock.complete(n_steps)

    def deliver(self) -> None:
        """Append samples to lists; the engine calls this after a complete step."""
        has_lists = False
        for probe, target in self._targets.items():
            _append_to(target)
            while target.span.next:
                target = self._targets[probe] = target.span.next[0]
                _append_to(target)
            has_lists = has_lists or target.position is not None
        if not has_lists:
            self._set_calls()

    def _set_calls(self) -> None:
        self.clock.calls = int(self._has_lists())
        if self._has_lists():  # another thread may have added one meanwhile
            self.clock.calls = 1

    def _has_lists(self) -> bool:
        return any(
            target.position is not None for probe in self.recorders for target in self._chain(probe)
        )


def _next_of(target: Target) -> int:
    """Number of the first sample that a target has not got yet."""
    return target.span.first if target.position is None else END - length_hint(target.position)


def _append_to(target: Target) -> None:
    """Append samples to the object of a target, each exactly once, even if interrupted.

    Each sample is taken from ``position`` and appended within a single C call. If the object is a
    list, no other Python code runs in between.
    """
    if target.position is None:
        return
    first, end = _next_of(target), target.span.end()
    if first >= end:
        return
    found = Contents((), first, target.blocks[0]).up_to(end)
    copies = [target.span.recorder.copy(row) for part in found.parts for row in part]
    taken = map(itemgetter(0), zip(copies, target.position))
    append = getattr(target.samples, "append", None)
    if append is None:
        deque(taken, 0)
        raise AttributeError(f"Samples of a probe cannot be appended to {target.samples!r}")
    deque(map(append, taken), 0)
    target.blocks[:] = [found.block]
