"""Products of a vector and a matrix that a learning rule changes in each step.

To change a matrix and to multiply by it are two passes over the same memory, which may be larger
than a cache. Here each row is changed and used while it is in the cache nearest to the core, and
always by the same thread. How a rule changes a row is the same as in `learning_rules.py`.
"""

# What kernels call has no types in Python's sense.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from typing import Any

from nengo_jit.engines.cpu.kernels.dense import dot_of
from nengo_jit.engines.cpu.kernels.events import add_rows_by_events
from nengo_jit.engines.cpu.kernels.learning_rules import change_by
from nengo_jit.engines.cpu.language.columns import Count, Distance, Factor, In, Out, RowsOf
from nengo_jit.engines.cpu.language.kernel import kernel, offset, start
from nengo_jit.engines.cpu.language.primitives import (
    Address,
    Memory,
    helper,
    int64s,
    use_widest_vectors,
    vector,
)
from nengo_jit.engines.cpu.program.fusion import Part
from nengo_jit.engines.cpu.program.lowering import Lowered, Lowering, lowers_with
from nengo_jit.engines.cpu.program.products import Strategy
from nengo_jit.ir.operator import Copy, DotInc

# How rows change: not at all, by ``gain * kept``, or by ``gain * kept - loss * row``
FIXED, GAIN, GAIN_AND_LOSS = 0, 1, 2


@helper(forceinline=True)
def change_row(row, kept, gain, loss, change):
    """Change a row of weights, with the rounding of `outer_inc` or `outer_with_loss_inc`."""
    if change == GAIN:
        for j in range(row.size):
            row[j] += gain * kept[j]
    elif change == GAIN_AND_LOSS:
        for j in range(row.size):
            row[j] += gain * kept[j] - loss * row[j]


@helper(forceinline=True)
def nonfinite(values):
    """Zero if all numbers are finite, else NaN."""
    total = 0 * values[0]
    for i in range(1, values.size):
        total += 0 * values[i]
    return total


@kernel(contract=False)
def dot_learned_rows(
    memory: Memory,
    matrix: RowsOf,
    x: Address,
    y: Out,
    kept: Address,
    gain: In,
    loss: In,
    n: Count,
    m: Factor,
    distance: Distance,
    change: int,
) -> None:
    """Change the matrix, then ``y += A.dot(x)``.

    Without gain and loss a finite row stays as it is, which is so in most rows if the activities
    are spikes. That a row is finite is seen by its product.
    """
    use_widest_vectors()
    factors, sums, activities = vector(memory, x, m), vector(memory, y, n), vector(memory, kept, m)
    gains, losses = vector(memory, gain, n), vector(memory, loss, n)
    has_idle_rows = change != FIXED and nonfinite(activities) == 0
    for i in range(n):
        row, height, share = vector(memory, matrix + i * distance, m), gains[i], losses[i]
        is_idle = has_idle_rows and height == 0 and share == 0
        if not is_idle:
            change_row(row, activities, height, share, change)
        total = dot_of(row, factors)
        if is_idle and total - total != 0:
            change_row(row, activities, height, share, change)
            total = dot_of(row, factors)
        sums[i] += total


@kernel(contract=False)
def dot_learned_rows_events(
    memory: Memory,
    matrix: RowsOf,
    x: Address,
    y: Out,
    kept: Address,
    gain: In,
    loss: In,
    n: Count,
    m: Factor,
    distance: Distance,
    change: int,
    events: Address,
) -> None:
    """Change the matrix, then ``y += A.dot(x)`` for spikes, see `dot_rows_events`."""
    heights, activities = vector(memory, x, m), vector(memory, kept, m)
    gains, losses = vector(memory, gain, n), vector(memory, loss, n)
    spikes = int64s(events + 8, int64s(events, 1)[0])
    for i in range(0, n, 4):
        rows = min(4, n - i)
        for k in range(i, i + rows):
            row = vector(memory, matrix + k * distance, m)
            change_row(row, activities, gains[k], losses[k], change)
        sums = vector(memory, y + i * heights.itemsize, rows)
        add_rows_by_events(memory, matrix + i * distance, heights, sums, distance, spikes)


@lowers_with(Part.UPDATE)
def lower_learned_product(operator: DotInc, inc: Copy, lowering: Lowering) -> Lowered:
    """Change the matrix and use it; in the first step, `inc` has changed it.

    The same kernel makes the product in all steps, since the order of its sums must not differ.
    """
    change = change_by(lowering.part_of(inc, Part.DELTA), lowering)
    a, x, y = (lowering.array(signal) for signal in (operator.A, operator.X, operator.Y))
    y, itemsize = y.reshape(-1), a.itemsize
    loss = change.gain if change.loss is None else change.loss

    def common(first: int, m: int) -> dict[str, Any]:
        """Columns of a row about m columns of the matrix."""
        return {
            "matrix": start(a[:, first:]),
            "x": start(x[first:]),
            "y": start(y),
            "kept": offset(change.kept, first * itemsize),
            "gain": change.gain,
            "loss": loss,
            "n": y.size,
            "m": m,
            "distance": a.strides[0],
        }

    kind = GAIN if change.loss is None else GAIN_AND_LOSS
    rows = []
    for when, how in (("first", FIXED), ("later", kind)):
        if lowering.fusion.strategies[operator] is Strategy.ROWS:
            rows.append(dot_learned_rows.variant(when=when).row(**common(0, x.size), change=how))
            continue
        for first, m, listed in lowering.populations.lists_of(operator.X):
            row = dot_learned_rows_events.row(**common(first, m), change=how, events=listed)
            rows.append(row.for_kernel(row.kernel.variant(when=when)))
    return rows
