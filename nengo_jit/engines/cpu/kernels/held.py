"""Products that are kept while the vector x is the same as in the step before.

Comparing x takes a pass over a vector, the product a pass over a matrix. `notice` compares x before
the product is due and writes to the product's *record* what there is to do.

A lowpass filter and a constant matrix commute. While the input of the filter is constant, its
output x moves along a *path*: ``x' = d x + v``, with the filter's decay d and a constant v. So does
the product: ``A x' = d A x + A v``. `notice` takes v from two steps of x, and checks in each step
whether x is still on the path, up to rounding. So d may be a guess, and nothing depends on where x
comes from. The filter itself runs in each step.
"""

# What kernels call has no types in Python's sense.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nengo_jit.engines.cpu.kernels.dense import (
    ADVANCE,
    BOTH,
    COMPUTE,
    DECAY,
    FIRST,
    FORGOTTEN,
    KEEP,
    MISSES,
    MOST_STEPS,
    ON_PATH,
    RESULTS,
    STATE,
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
from nengo_jit.engines.cpu.program.lowering import Kept, Lowered, Lowering
from nengo_jit.engines.cpu.program.uses import Uses
from nengo_jit.ir.operator import Copy, DotInc, ElementwiseInc
from nengo_jit.ir.processes import SimProcess
from nengo_jit.ir.signal import Signal
from nengo_jit.ir.transforms import GeneralConvInc

Product = DotInc | GeneralConvInc  # `SparseDotInc` is a subclass

BLOCK = 128  # numbers to compare before the loop may end
FARTHEST = 4  # operators between a filter and a product at most
MOST_WRITERS = 50  # of a signal that are searched for filters
# Steps along a path before the product is computed again. Each step adds a rounding error.
STEPS_OF_DOUBLES, STEPS_OF_SINGLES = 1000, 60
# Steps in which nothing can be kept after which x is compared in three steps out of so many only
PATIENCE = 32


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
    # about 16 rounding errors, and anything that is next to zero
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
    """Compare x with the x of the step before, ``last``, and write to the record what to do.

    Then copy x to ``last``. If nothing could be kept for many steps, do so only now and then.
    """
    use_widest_vectors()
    words = int64s(record, WORDS)
    words[MISSES] += 1
    if words[MISSES] > PATIENCE and words[MISSES] % PATIENCE < PATIENCE - 3:
        words[TO_DO] = FORGOTTEN
        return
    if words[TO_DO] != FORGOTTEN and have_same_bits(memory, x, last, m):
        words[TO_DO], words[MISSES] = KEEP, 0
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
    if to_do != COMPUTE:
        words[MISSES] = 0


@dataclass(frozen=True)
class Held:
    """A product that is kept.

    Attributes
    ----------
    record : Address
        The record, which `notice` writes and the product's kernel reads; see `dense.py`.
    notice : Row
        Runs before the product.
    """

    record: Address
    notice: Row


def hold(operator: Product, results: np.ndarray, lowering: Lowering, on_paths: bool = True) -> Held:
    """Make the record of a product that is to be kept.

    Parameters
    ----------
    operator : DotInc or SparseDotInc or GeneralConvInc
        The product.
    results : numpy.ndarray
        Memory that keeps the results; nothing else writes to it.
    lowering : Lowering
        Provides memory.
    on_paths : bool
        Whether the product's kernel can advance the results along a path.
    """
    x, arena, dtype = lowering.array(operator.X).reshape(-1), lowering.arena, lowering.dtype
    words, last = arena.buffer(WORDS), arena.buffer(x.size, dtype)
    words[FIRST] = start(results)
    kept = Kept(words)
    decay, matrix = None, lowering.array(operator.reads[0])
    if on_paths:
        decay = _decay_before(operator.X, lowering)
    test = 1 + np.random.RandomState(0).uniform(size=x.size).astype(dtype)
    with np.errstate(invalid="ignore"):
        image = np.array(np.nan) if decay is None else matrix.dot(test)
    if decay is not None and np.isfinite(image).all():  # and so is the matrix
        if start(results) == lowering.address(operator.Y):  # see `dot_rows_held` for others
            lowering.assumptions.assume(operator.reads[0], lambda: bool(np.isfinite(matrix.sum())))
        velocity, path = arena.buffer(x.size, dtype), arena.buffer(results.size, dtype)
        words[DECAY] = arena.numbers([decay])
        words[VELOCITY], words[RESULTS] = start(velocity), start(path)
        words[MOST_STEPS] = STEPS_OF_DOUBLES if dtype == FLOAT64 else STEPS_OF_SINGLES
        arrays = [words[:STATE], last, velocity, path, results]
        kept = Kept(words, arrays, lambda: np.array_equal(matrix.dot(test), image))
    lowering.hold(operator, kept)
    row = notice.row(x=start(x), last=start(last), record=start(words), m=x.size)
    return Held(start(words), row)


def hold_in_place(
    operator: Product, lowering: Lowering, on_paths: bool = False
) -> tuple[Lowered, Address]:
    """Return what comes before a product that may be kept in its sum, and its record; see `hold`.

    The record is zero if the product is not kept.
    """
    if operator not in lowering.fusion.held:
        return [], Address(0)
    lowering.delayed.add(operator.Y.base)
    held = hold(operator, lowering.array(operator.Y).reshape(-1), lowering, on_paths)
    return [held.notice], held.record


def _decay_before(signal: Signal, lowering: Lowering) -> float | None:
    """Return the decay of the lowpass filters that a signal comes from; None if it differs."""
    found = {decay_of(each, lowering) for each in _processes_before(signal, lowering.facts.uses)}
    return found.pop() if len(found) == 1 else None


def _processes_before(signal: Signal, uses: Uses) -> set[SimProcess]:
    """Return the processes whose outputs a signal is a linear combination of."""
    found: set[SimProcess] = set()
    bases = {signal.base}
    for _ in range(FARTHEST):
        writers = [each for base in bases for each in uses.writers_of(base)[:MOST_WRITERS]]
        found.update(each for each in writers if isinstance(each, SimProcess))
        bases = {each.src.base for each in writers if isinstance(each, Copy)}
        bases |= {each.X.base for each in writers if isinstance(each, (DotInc, ElementwiseInc))}
    return found
