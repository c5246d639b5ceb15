"""Products that are kept for as long as their operand is what it was in the step before.

To compare the operand takes a pass over a vector, the product one over a matrix. `notice` compares,
before the product is due, and says in the *record* of a product what there is to do.

A lowpass filter and a constant matrix commute. For as long as the input of the filter stays what it
is, its output x moves from step to step by ``x' = d x + v``, with the filter's factor d and a
constant v, and so do the products: ``A x' = d A x + A v``. The operand is on its *path* then.
Which one that is, v, is taken from two steps of x. So nothing depends on where x comes from: d is a
guess, and x is compared with the path in each step. The filter itself is computed as ever.
"""

# What kernels call has no types in Python's sense.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from nengo_jit.engines.cpu.kernels.dense import (
    ADVANCE,
    BOTH,
    COMPUTE,
    DECAY,
    FIRST,
    FORGOTTEN,
    KEEP,
    MOST_STEPS,
    ON_PATH,
    RESULTS,
    STEPS,
    TO_DO,
    VELOCITY,
    WORDS,
)
from nengo_jit.engines.cpu.kernels.filters import decay_of
from nengo_jit.engines.cpu.language.columns import Factor, Own
from nengo_jit.engines.cpu.language.kernel import Row, kernel, start
from nengo_jit.engines.cpu.language.primitives import (
    FLOAT64,
    Address,
    Memory,
    helper,
    int32s,
    int64s,
    is_single,
    use_widest_vectors,
    vector,
)
from nengo_jit.engines.cpu.program.lowering import Lowering
from nengo_jit.engines.cpu.program.uses import Uses
from nengo_jit.ir.operator import Copy, DotInc, ElementwiseInc
from nengo_jit.ir.processes import SimProcess
from nengo_jit.ir.signal import Signal

BLOCK = 128  # numbers that are compared before the first difference is looked for
FARTHEST = 4  # operators between a filter and a product
MOST_WRITERS = 50  # of a signal that are looked through for filters
# Steps along a path before the product is computed again: each adds a rounding error.
STEPS_OF_DOUBLES, STEPS_OF_SINGLES = 1000, 60


@helper(forceinline=True)
def have_same_bits(memory, x, y, n):
    """Whether the numbers at two addresses are the same, bit by bit."""
    for first in range(0, n, BLOCK):
        size, difference = min(n - first, BLOCK), 0
        if is_single(memory):
            a, b = int32s(x + 4 * first, size), int32s(y + 4 * first, size)
            for i in range(size):
                difference |= a[i] ^ b[i]
        else:
            c, d = int64s(x + 8 * first, size), int64s(y + 8 * first, size)
            for i in range(size):
                difference |= c[i] ^ d[i]
        if difference != 0:
            return False
    return True


@helper(forceinline=True)
def is_on_path(memory, x, last, velocity, decay):
    """Whether ``x = decay * last + velocity``, but for rounding."""
    # 16 roundings; what is next to nothing may be anything
    near, least = (1e-6, 1e-37) if is_single(memory) else (2e-15, 1e-300)
    near, least = x.dtype.type(near), x.dtype.type(least)
    for first in range(0, x.size, BLOCK):
        end, is_near = min(first + BLOCK, x.size), True
        for i in range(first, end):
            distance = abs(x[i] - (decay * last[i] + velocity[i]))
            is_near &= distance <= near * (abs(x[i]) + abs(velocity[i])) + least
        if not is_near:
            return False
    return True


@kernel(cost=0.2, stage=-1)
def notice(memory: Memory, x: Address, last: Own, record: Address, m: Factor) -> None:
    """Say in a product's record what there is to do, now that x is known.

    ``last`` has x as it was in the step before, and gets it as it is now.
    """
    use_widest_vectors()
    words = int64s(record, WORDS)
    if words[TO_DO] != FORGOTTEN and have_same_bits(memory, x, last, m):
        words[TO_DO] = KEEP
        return
    now, kept = vector(memory, x, m), vector(memory, last, m)
    to_do = COMPUTE
    if words[DECAY] != 0:
        decay, velocity = vector(memory, words[DECAY], 1)[0], vector(memory, words[VELOCITY], m)
        if words[TO_DO] == FORGOTTEN:
            words[ON_PATH] = 0
            for i in range(m):
                velocity[i] = 0
        elif not is_on_path(memory, now, kept, velocity, decay):
            words[ON_PATH] = 0
            for i in range(m):
                velocity[i] = now[i] - decay * kept[i]
        elif words[ON_PATH] == 0:
            to_do, words[ON_PATH], words[STEPS] = BOTH, 1, 0
        else:
            words[STEPS] += 1
            if words[STEPS] < words[MOST_STEPS]:
                to_do = ADVANCE
            else:
                words[STEPS] = 0
    for i in range(m):
        kept[i] = now[i]
    words[TO_DO] = to_do


@dataclass(frozen=True)
class Held:
    """A product that is kept.

    Attributes
    ----------
    record : Address
        What `notice` writes and the product's kernel reads: see the words in `dense.py`.
    notice : Row
        What comes before the product.
    """

    record: Address
    notice: Row


def hold(operator: DotInc, results: np.ndarray, lowering: Lowering) -> Held:
    """Make what a product needs to be kept.

    Parameters
    ----------
    operator : DotInc
        The product.
    results : numpy.ndarray
        Where its results are kept, which nobody else changes.
    lowering : Lowering
        Where memory comes from.
    """
    x, arena = lowering.array(operator.X).reshape(-1), lowering.arena
    words = arena.buffer(WORDS)
    words[FIRST] = start(results)
    decay, matrix = _decay_before(operator.X, lowering), lowering.array(operator.A)
    if decay is not None and _is_finite(matrix):
        lowering.assumptions.assume(operator.A, partial(_is_finite, matrix))
        words[DECAY] = arena.parameters([decay])
        words[VELOCITY] = start(arena.buffer(x.size, lowering.dtype))
        words[RESULTS] = start(arena.buffer(results.size, lowering.dtype))
        is_double = lowering.dtype == FLOAT64
        words[MOST_STEPS] = STEPS_OF_DOUBLES if is_double else STEPS_OF_SINGLES
    lowering.hold(words, operator.A)
    last = start(arena.buffer(x.size, lowering.dtype))
    row = notice.row(x=start(x), last=last, record=start(words), m=x.size)
    return Held(start(words), row)


def _is_finite(matrix: np.ndarray) -> bool:
    return bool(np.isfinite(matrix.sum()))


def _decay_before(signal: Signal, lowering: Lowering) -> float | None:
    """The factor of the lowpass filters that a signal comes from, if it is the same for all."""
    found = {decay_of(each, lowering) for each in _processes_before(signal, lowering.facts.uses)}
    return found.pop() if len(found) == 1 else None


def _processes_before(signal: Signal, uses: Uses) -> set[SimProcess]:
    """The processes that a signal is a sum of, as it is or multiplied by something."""
    found: set[SimProcess] = set()
    bases = {signal.base}
    for _ in range(FARTHEST):
        writers = [each for base in bases for each in uses.writers_of(base)[:MOST_WRITERS]]
        found.update(each for each in writers if isinstance(each, SimProcess))
        bases = {each.src.base for each in writers if isinstance(each, Copy)}
        bases |= {each.X.base for each in writers if isinstance(each, (DotInc, ElementwiseInc))}
    return found
