"""Recording: which lists the samples of all probes go to, and since when."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable, Iterator
from operator import itemgetter, length_hint
from typing import Any, NamedTuple

from nengo_jit.engines.recorder import Block, Clock, Recorder, Span
from nengo_jit.engines.samples import Contents, Samples
from nengo_jit.planner.plan import ProbePlan

END = sys.maxsize
OURS: Any = object()  # stands for a list of the recording's own


class Target(NamedTuple):
    """What the samples of a span go to.

    Attributes
    ----------
    span : Span
        Which samples.
    samples : Samples or list or Any
        `Samples` take them from the span themselves. To anything else, each one is appended.
    blocks : list of Block or None
        One: where the next sample to be appended is, or one of the blocks before.
    position : iterator or None
        The numbers of the samples that have not been appended yet; None for `Samples`.
    """

    span: Span
    samples: Any
    blocks: list[Block | None]
    position: Iterator[int] | None = None


class Recording:
    """Where samples go, and the clock that says which of them count.

    Parameters
    ----------
    probes : iterable of ProbePlan
        What is recorded.
    signals : Mapping of (Signal, numpy.ndarray or scipy.sparse matrix)
        Live memory.

    Attributes
    ----------
    clock : Clock
        How many steps are complete.
    recorders : dict of (nengo.Probe, Recorder)
        What owns the samples of each probe.
    """

    def __init__(self, probes: Iterable[ProbePlan], signals: Any):
        self.clock = Clock()
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

    def _make(self, recorder: Recorder, first: int, block: Block, samples: Any = OURS) -> Target:
        """A target for samples from one on, which is in a block or in one that comes later."""
        span = Span(recorder, first)
        if samples is OURS and not recorder.is_sparse:
            source = recorder.source
            return Target(span, Samples(source.shape, source.dtype, span, block), [])
        return Target(span, [] if samples is OURS else samples, [block], iter(range(first, END)))

    def _chain(self, probe: Any) -> Iterator[Target]:
        """Targets that may not have all their samples yet, up to the latest one."""
        target = self._targets[probe]
        yield target
        while target.span.next:
            target = target.span.next[0]
            yield target

    def _latest(self, probe: Any) -> Target:
        """The latest target. Those before are forgotten, unless something is to be appended."""
        target = self._targets[probe]
        while target.span.next:
            following = target.span.next[0]
            owes_nothing = target.position is None or _next_of(target) >= target.span.end()
            if owes_nothing and target is self._targets[probe]:
                self._targets[probe] = following
            target = following
        return target

    def latest(self, probe: Any) -> Any:
        """What the samples of a probe go to: `Samples`, or what somebody else has put there."""
        return self._latest(probe).samples

    def redirect(self, probe: Any, samples: Any = OURS) -> None:
        """Let the samples of a probe go to something else from now on.

        Parameters
        ----------
        probe : nengo.Probe
            Whose.
        samples : Any, optional
            To what they will be appended, step by step. By default to new `Samples`, or to a new
            list of matrices if they are sparse.
        """
        block = self.recorders[probe].block
        self._redirect(probe, block, self.clock.ticks, samples)

    def _redirect(self, probe: Any, block: Block, ticks: int, samples: Any = OURS) -> None:
        """Let samples go to something else after a tick."""
        recorder = self.recorders[probe]
        count, block = recorder.find(block, ticks)
        while True:
            before = self._latest(probe)
            target = self._make(recorder, max(_next_of(before), count), block, samples)
            if target.position is not None:
                self.clock.calls = 1
            if before.span.next.setdefault(0, target) is target:
                break
        if target.position is not None:  # the run may just have found that there are no lists
            self.clock.calls = 1
        self._latest(probe)

    def clear(self) -> None:
        """Begin anew for each probe, after the same step; what was there before stays as it is."""
        blocks = {probe: recorder.block for probe, recorder in self.recorders.items()}
        ticks = self.clock.ticks
        for probe, block in blocks.items():
            self._redirect(probe, block, ticks)

    def stop(self) -> dict[Any, Any]:
        """Record nothing any more, from the step on that is being carried out.

        Returns
        -------
        dict of (nengo.Probe, Samples or Any)
            What samples have gone to, with all of them.
        """
        targets = {probe: self.latest(probe) for probe in self.recorders}
        for probe in targets:
            self.redirect(probe)
        self.deliver()
        self.recorders, self._targets = {}, {}
        self.clock.calls = 0
        return targets

    def complete(self, n_steps: int) -> None:
        """Record what is due at the end of a step, and let the step count.

        Parameters
        ----------
        n_steps : int
            The number of the step, counted from one.
        """
        for planned, recorder in zip(self._probes, self.recorders.values()):
            if planned.is_due(n_steps):
                recorder.write()
            else:
                recorder.skip()
        self.clock.complete(n_steps)

    def deliver(self) -> None:
        """Append what is to be appended; to be called when a step is complete, by who runs it."""
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
        if self._has_lists():  # another thread may have brought one meanwhile
            self.clock.calls = 1

    def _has_lists(self) -> bool:
        return any(
            target.position is not None for probe in self.recorders for target in self._chain(probe)
        )


def _next_of(target: Target) -> int:
    """The number of the first sample that a target need not keep."""
    return target.span.first if target.position is None else END - length_hint(target.position)


def _append_to(target: Target) -> None:
    """Append samples, each of them once, whatever comes in between.

    What is taken from ``position`` has been appended. Both are done by one call, within which
    Python runs nothing else if the samples go to a list.
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
