"""Streams: samples of probes go to a store while the simulation runs, and memory stays flat.

The thread that runs the simulation collects samples between two pieces of a run. A thread of the
stream encodes complete chunks and writes them. At intervals, incomplete chunks are written, too,
and all is committed, so that readers see it. What is in complete chunks is then read from the
store, and its memory is released.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from time import monotonic
from typing import Any

import numpy as np
from nengo import Probe
from nengo.exceptions import ValidationError

from nengo_jit.engines.recorder import LEAST
from nengo_jit.engines.recording import Recording
from nengo_jit.exceptions import add_context
from nengo_jit.persistence.store import BEGUN, Store, read_metadata, variables_in
from nengo_jit.persistence.stored import Stored, slices_of
from nengo_jit.persistence.times import Known, Times
from nengo_jit.persistence.variables import Axis, Variable, axis_of, same, variables_of
from nengo_jit.planner.plan import ProbePlan

INTERVAL = 1.0  # seconds between two commits
SHARE = 20  # intervals are at least this many times as long as what they write takes
PENDING = 1 << 22  # bytes of samples that are collected before they are written
QUEUE = 8  # how many times as many are collected while others are being written


@dataclass
class Batch:
    """Rows to be written by the stream's thread.

    Attributes
    ----------
    chunks : list of (str, int, list of numpy.ndarray)
        Array, number and rows of each chunk.
    complete : dict of (str, int)
        Number of rows of each array that are in complete chunks.
    lengths : dict of (str, int) or None
        Number of rows of each array to be committed; None to commit nothing.
    """

    chunks: list[tuple[str, int, list[np.ndarray]]]
    complete: dict[str, int]
    lengths: dict[str, int] | None


class Stream:
    """Lets the samples of a simulation go to a store.

    Parameters
    ----------
    recording : Recording
        Records the samples.
    probes : sequence of ProbePlan
        The probes.
    dt : float
        Length of a step (seconds).
    n_members : int, optional
        Number of members of a batch.

    Raises
    ------
    ValidationError
        If samples of a probe are sparse matrices.
    """

    def __init__(
        self,
        recording: Recording,
        probes: Sequence[ProbePlan],
        dt: float,
        n_members: int | None = None,
    ):
        for planned in probes:
            if recording.recorders[planned.probe].is_sparse:
                raise ValidationError(
                    f"Samples of {planned.probe} are sparse matrices, which cannot stream to disk",
                    attr="record",
                )
        self._recording, self._probes = recording, probes
        variables = variables_of(probes, dt, n_members=n_members)
        self._variables = {planned.probe: each for planned, each in zip(probes, variables)}
        axes = {axis_of(planned, dt): None for planned in probes}
        self._axes = list(axes) or [Axis("time", 1.0, dt)]
        self._axis_of = {planned.probe: axis_of(planned, dt) for planned in probes}
        n_bytes = sum(
            each.dtype.itemsize * math.prod(each.shape) / max(1.0, planned.period)
            for planned, each in zip(probes, variables)
        )
        self._most_steps = max(1, int(PENDING / max(1.0, n_bytes)))  # until samples are written
        self._lock = RLock()
        self._executor: ThreadPoolExecutor | None = None
        self._batch: tuple[Batch, Future[float]] | None = None
        self._store: Store | None = None
        self._stored: dict[Probe, Stored] = {}
        self._times: list[Times] = []
        self._flushed = self._committed = 0  # ticks
        self._begun = 0.0  # when the latest batch began
        self._due = 0.0  # when the next commit is due

    @property
    def variables(self) -> list[Variable]:
        """List of Variable: the arrays of the store, times first."""
        return [*(axis.variable for axis in self._axes), *self._variables.values()]

    @property
    def path(self) -> Path:
        """Path: folder of the store."""
        assert self._store is not None
        return self._store.path

    def begin(self, path: Path, attributes: Mapping[str, Any], overwrite: bool = False) -> None:
        """Make a store, and begin to stream; for errors see `Store.create`."""
        self._store = Store.create(path.absolute(), self.variables, attributes, overwrite)
        self._connect({})

    def resume(self, path: Path, position: Mapping[str, Any]) -> None:
        """Continue a store from a position; delete the samples after it.

        Raises
        ------
        ValidationError
            If the store is damaged, has other probes or fewer samples, has begun anew since, or
            another simulator writes to it.
        OSError
            If it cannot be read or written.
        """
        difference = same(self.variables, variables_in(read_metadata(path)))
        if difference is not None:
            raise ValidationError(f"'{path}' belongs to another model: {difference}", attr="record")
        store = Store.open(path.absolute())
        counts = position["counts"]
        try:
            if position.get("begun", ...) not in (..., store.attributes.get(BEGUN)):
                raise ValidationError(
                    f"'{path}' has not the probe data that the checkpoint belongs to: it is the "
                    "store of another run, or clear_probes, reset or load_state have deleted "
                    "these since. Simulator.load continues without them",
                    attr="record",
                )
            for name, count in counts.items():
                if store.lengths[name] < count:
                    raise ValidationError(
                        f"'{path}' has {store.lengths[name]} samples of '{name}', but the "
                        f"checkpoint belongs to {count}",
                        attr="record",
                    )
            store.truncate(counts)
        except BaseException:
            store.close()
            raise
        self._store = store
        self._connect(counts)

    def _connect(self, counts: Mapping[str, int]) -> None:
        """Let new spans of the recording go to the store, after the samples that it has."""
        store, recording = self._store, self._recording
        assert store is not None
        recording.make_samples = Stored
        for planned in self._probes:
            recorder = recording.recorders[planned.probe]
            recorder.most = max(LEAST, PENDING // len(self._probes))
        recording.clear()
        self._follow(store, counts)

    def _follow(self, store: Store, counts: Mapping[str, int]) -> None:
        """Take samples from the latest spans of the recording."""
        self._stored = {each.probe: self._recording.latest(each.probe) for each in self._probes}
        for probe, stored in self._stored.items():
            name = self._variables[probe].name
            n_stored, rows = _tail(store, name, counts.get(name, 0))
            stored.begin(n_stored, rows, _reader(store, name))
        self._times = []
        ticks = self._recording.cleared_at
        for axis in self._axes:
            n_stored, rows = _tail(store, axis.name, counts.get(axis.name, 0))
            self._times.append(Times(axis, Known(n_stored, [rows], ticks)))
        self._flushed = self._committed = ticks
        self._due = monotonic() + INTERVAL

    def clear(self, clear: Callable[[], None]) -> None:
        """Delete all samples, where ``clear`` begins new spans of the recording.

        Once the stream is closed, what is in the store stays there.
        """
        with self._lock:
            store = self._store
            if store is None:
                clear()
                return
            self._wait()
            store.begin_anew()
            before = list(self._stored.values())
            clear()
            for stored in before:
                stored.delete()
            store.delete_rest()
            self._follow(store, {})

    def prepend(self, rows: Mapping[Probe, np.ndarray], n_steps: int) -> None:
        """Put samples up to step ``n_steps`` in front of all others; nothing is in the store yet.

        Raises
        ------
        ValidationError
            If probes that record at the same times have different numbers of samples.
        """
        counts: dict[Axis, set[int]] = {}
        for probe, array in rows.items():
            counts.setdefault(self._axis_of[probe], set()).add(len(array))
        for axis, numbers in counts.items():
            times = axis.times(0, n_steps)
            if len(numbers) > 1 or max(numbers) > len(times):
                raise ValidationError(
                    "Probe data that a user has changed cannot stream to disk: probes that record "
                    f"at the same times have {sorted(numbers)} samples",
                    attr="record",
                )
            for each in self._times:
                if each.axis == axis:
                    new = times[len(times) - max(numbers) :]
                    each.known = Known(0, [new, *each.known.parts], each.known.ticks)
        for probe, array in rows.items():
            assert self._store is not None
            self._stored[probe].begin(0, array, _reader(self._store, self._variables[probe].name))
        self._committed = -1

    def steps_left(self, n_steps: int = 0) -> int:
        """Maximum number of steps until `after_piece` must be called, as in `Schedule`."""
        return self._most_steps

    def after_piece(self) -> None:
        """Write samples, if there are many or if it is time to; call this between steps.

        Raises
        ------
        OSError
            If they cannot be written. They stay in memory, and the next call tries again.
        """
        if monotonic() >= self._due:
            self.flush(wait=False)
            return
        n_new = self._recording.clock.ticks - self._flushed
        if n_new >= self._most_steps * (QUEUE if self._is_busy() else 1):
            with self._lock:
                self._wait()
                self._submit(self._collect(commit=False))

    def _is_busy(self) -> bool:
        return self._batch is not None and not self._batch[1].done()

    def flush(self, wait: bool = True, sync: bool = False) -> None:
        """Write and commit all samples up to now; for errors see `after_piece`.

        Parameters
        ----------
        wait : bool
            Whether to wait until this is done.
        sync : bool
            Whether to wait until it is on the disk.
        """
        with self._lock:
            self._wait()
            if self._committed < self._recording.clock.ticks:
                self._submit(self._collect(commit=True))
            if wait or sync:
                self._wait()
            if sync and self._store is not None:
                self._store.sync()

    def position(self) -> dict[str, Any]:
        """Write all samples to the disk, and return what `resume` needs, for a checkpoint."""
        self.flush(sync=True)
        assert self._store is not None
        return {"counts": dict(self._store.lengths), "begun": self._store.attributes.get(BEGUN)}

    def note(self, **attributes: str | int | None) -> None:
        """Add attributes to those of the store."""
        with self._lock:
            self._wait()
            if self._store is not None and attributes.items() - self._store.attributes.items():
                self._store.attributes.update(attributes)
                self._store.commit(self._store.lengths)

    def close(self) -> None:
        """Write all samples, and let another simulator write to the store. May be called again."""
        with self._lock:
            store = self._store
            if store is None:
                return
            if store.is_of_another_process:
                self._store = None
                return
            try:
                self.flush()
            finally:
                self._store = None
                store.close()
                if self._executor is not None:
                    self._executor.shutdown(wait=False)

    def _collect(self, commit: bool) -> Batch:
        """Collect the rows that are not in complete chunks."""
        store, clock = self._store, self._recording.clock
        assert store is not None
        store.check()
        ticks = clock.ticks
        columns: list[tuple[str, int, Sequence[np.ndarray]]] = []
        for times in self._times:
            known = times.catch_up(clock, ticks)
            columns.append((times.axis.name, known.n_stored, known.parts))
        for probe, stored in self._stored.items():
            held = stored.catch_up()
            columns.append((self._variables[probe].name, held.n_stored, held.contents.parts))
        batch = Batch([], {}, {} if commit else None)
        for name, n_stored, parts in columns:
            n_rows, size = sum(map(len, parts)), store.rows[name]
            n_written = n_rows if commit else n_rows - n_rows % size
            for start in range(0, n_written, size):
                rows = slices_of(parts, start, min(start + size, n_rows))
                batch.chunks.append((name, (n_stored + start) // size, rows))
            batch.complete[name] = n_rows - n_rows % size
            if batch.lengths is not None:
                batch.lengths[name] = n_stored + n_rows
        self._flushed = ticks
        return batch

    def _submit(self, batch: Batch) -> None:
        if self._executor is None:
            self._executor = ThreadPoolExecutor(1, "nengo-jit stream")
        assert self._store is not None
        self._begun = monotonic()
        self._batch = batch, self._executor.submit(_write, self._store, batch)
        if batch.lengths is not None:
            self._committed = self._flushed
            self._due = self._begun + INTERVAL

    def _wait(self) -> None:
        """Wait for the latest batch, and release what is in the store now."""
        if self._batch is None or self._store is None:
            return
        self._store.check()  # the thread that writes is not in forked processes
        batch, future = self._batch
        try:
            seconds = future.result()
        except BaseException as error:
            if future.done():
                self._batch, self._committed, self._flushed = None, -1, -1
                add_context(error, f"This happened while probe data were written to '{self.path}'.")
            raise
        self._batch = None
        for times in self._times:
            times.drop(batch.complete[times.axis.name])
        for probe, stored in self._stored.items():
            stored.drop(batch.complete[self._variables[probe].name])
        if batch.lengths is not None:
            self._due = max(self._due, self._begun + SHARE * seconds)


def _write(store: Store, batch: Batch) -> float:
    """Write a batch; returns how long it takes (seconds)."""
    start = monotonic()
    for name, chunk, rows in batch.chunks:
        store.write(name, chunk, rows)
    if batch.lengths is not None:
        store.commit(batch.lengths)
    return monotonic() - start


def _tail(store: Store, name: str, count: int) -> tuple[int, np.ndarray]:
    """Number of rows in complete chunks, and the rows after those."""
    n_stored = count - count % store.rows[name]
    return n_stored, store.read(name, n_stored, count)


def _reader(store: Store, name: str) -> Callable[[int, int], np.ndarray]:
    return lambda first, end: store.read(name, first, end)
