"""Positions of numbers that are not zero, for any number of them."""

import numpy as np
import pytest

from nengo_jit.builder.signal import aligned_block
from nengo_jit.engines.cpu.language.kernel import kernel, start, table_of
from nengo_jit.engines.cpu.language.primitives import (
    ENTRY,
    FLOAT64,
    Address,
    Memory,
    int64s,
    list_positions,
)
from nengo_jit.engines.cpu.toolchain.kernel_cache import address_of


@kernel(exact=True)
def list_once(
    memory: Memory, numbers: Address, n: int, first: int, result: Address, total: Address
) -> int:
    """List positions, and store how many there are."""
    int64s(total, 1)[0] = list_positions(numbers, n, first, result)
    return 0


def listed(numbers, first):
    n = numbers.size
    result, total = np.full(n + 20, -7), np.zeros(1, np.int64)
    given = aligned_block(8 * (n + 1)).view(np.float64)
    given[:] = 1.0
    given[:n] = numbers
    row = list_once.row(
        numbers=start(given), n=n, first=first, result=start(result), total=start(total)
    )
    table = table_of([row])
    ENTRY(address_of(list_once, FLOAT64))(None, start(table))
    assert (result[n + 1 :] == -7).all()  # there is space for one more position
    return result[: total[0]].tolist()


@pytest.mark.parametrize("n", [0, 1, 3, 4, 7, 8, 9, 31, 64, 511, 1000])
@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 1.0])
def test_positions(n, share):
    rng = np.random.RandomState(n)
    values = rng.choice([1.0, -2.5, 5e-324, np.inf, np.nan], n)
    numbers = np.where(rng.uniform(size=n) < share, values, rng.choice([0.0, -0.0], n))
    for first in (0, 1234):
        assert listed(numbers, first) == (first + np.flatnonzero(numbers)).tolist()
