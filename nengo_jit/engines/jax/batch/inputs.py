"""What users give for the outputs of nodes: rows that take the place of what a step computes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from nengo_jit.engines.jax.blocks import Blocks
from nengo_jit.engines.jax.bucket import Bucket, Drawn, Read, Write
from nengo_jit.engines.jax.columns import column_of
from nengo_jit.engines.jax.phases import Phase
from nengo_jit.engines.turns import Output, Rows
from nengo_jit.ir.arrays import Array, Namespace
from nengo_jit.ir.base import Operator, operand
from nengo_jit.ir.signal import Signal


class GivenRows(Operator):
    """Writes the rows that users give for the output of a node. It is in no plan.

    Implements ``signal[...] = rows[step]``, in steps for which there are rows.

    Parameters
    ----------
    output : Output
        The output.

    Notes
    -----
    sets ``[signal]``, incs ``[]``, reads ``[]``, updates ``[]``
    """

    signal = operand("sets", 0)

    def __init__(self, output: Output):
        super().__init__("given", sets=[output.signal], incs=[], reads=[], updates=[])


class Inputs:
    """The rows that users give.

    An output that has been given once is computed as before in other runs, but the program has a
    place for its rows from then on.

    Attributes
    ----------
    known : dict of (Output, GivenRows)
        All outputs that have been given so far.
    functions : set of Operator
        Those that only call a function for an output that is given now, and need not.
    """

    def __init__(self) -> None:
        self.known: dict[Output, GivenRows] = {}
        self.functions: set[Operator] = set()
        self._rows: dict[Output, Rows] = {}
        self._ended: set[Output] = set()

    def set(self, inputs: Mapping[Output, np.ndarray], first: int) -> bool:
        """Set the rows to give, the first one in the step after ``first`` steps.

        Returns
        -------
        bool
            Whether outputs are given that never were before.
        """
        self._ended.update(output for output in self._rows if output.writer is None)
        self._rows = {output: Rows(values, first) for output, values in inputs.items()}
        self.functions = {each.function for each in inputs if each.function is not None}
        others = [output for output in inputs if output not in self.known]
        self.known.update((output, GivenRows(output)) for output in others)
        return bool(others)

    def take_ended(self) -> list[Signal]:
        """Return the constant outputs that are not given any more, once."""
        ended = [output for output in self._ended if output not in self._rows]
        self._ended.clear()
        return [output.signal for output in ended]

    def rows(self, signal: Signal, first: int, n: int) -> np.ndarray | None:
        """Return the rows of a signal, (n_members, n, size), from step ``first``; None for none."""
        for output, rows in self._rows.items():
            if output.signal is signal and rows.values is not None:
                start = first - 1 - rows.first
                return rows.values[:, start : start + n]
        return None


def with_inputs(
    phases: Sequence[Phase], inputs: Mapping[Output, GivenRows], blocks: Blocks
) -> list[Phase]:
    """Insert the buckets that write rows, each after the operator that computes the output."""
    found: list[Phase] = []
    starts = [each for each in inputs if each.writer is None]
    buckets = list(_buckets(starts, inputs, blocks))
    for phase in phases:
        if isinstance(phase, list):
            for bucket in phase:
                ends = [each for each in inputs if each.writer in bucket.members]
                buckets += [bucket, *_buckets(ends, inputs, blocks)]
            continue
        if buckets:
            found.append(buckets)
        found.append(phase)
        buckets = list(_buckets([each for each in inputs if each.writer is phase], inputs, blocks))
    return [*found, buckets] if buckets else found


def with_inputs_on_host(phases: Sequence[Phase], inputs: Mapping[Output, GivenRows]) -> list[Phase]:
    """Insert operators that write rows on the host, for a step that runs there."""
    found: list[Phase] = [rows for output, rows in inputs.items() if output.writer is None]
    for phase in phases:
        found += [phase, *(rows for output, rows in inputs.items() if output.writer is phase)]
    return found


def _buckets(
    outputs: Iterable[Output], inputs: Mapping[Output, GivenRows], blocks: Blocks
) -> Iterable[Bucket]:
    for output in outputs:
        given, shape = inputs[output], output.signal.shape
        column = column_of([blocks.region_of(output.signal)], shape)
        arguments = (Read(column, False), Drawn((given,), shape, False))
        yield Bucket((given,), given_or_computed, arguments, (Write(column, False),), False)


def given_or_computed(xp: Namespace, computed: Array, given: Array) -> tuple[Array, ...]:
    """Return what is given; what is computed where that is not a number."""
    return (xp.where(xp.isnan(given), computed, given),)
