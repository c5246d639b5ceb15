"""Blocks: every view of a signal is where NumPy says that it is."""

import numpy as np
import pytest

from nengo_jit.engines.jax.blocks import Blocks
from nengo_jit.ir.memory import SignalDict
from nengo_jit.ir.signal import Signal

BASES = [
    Signal(np.arange(12.0).reshape(3, 4), name="rows"),
    Signal(np.arange(12.0).reshape(3, 4), name="columns", order="F"),
    Signal(np.arange(5.0), name="vector"),
    Signal(np.array(7.0), name="number"),
]
VIEWS = [
    *BASES,
    BASES[0][1:, ::2],
    BASES[0][::-1, ::-3],
    BASES[0].reshape(12)[3::5],
    BASES[1][1],
    BASES[1][:, 2:],
    BASES[2][::-2],
    BASES[2][2:2],
]


@pytest.fixture
def signals():
    signals = SignalDict()
    signals.allocate_runs([BASES[:2], BASES[2:]])
    signals.allocate(VIEWS)
    return signals


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_elements_of_a_view(view, signals):
    blocks = Blocks([BASES[:2], BASES[2:]], signals)
    region = blocks.region_of(view)
    for host in blocks.host:
        host[...] = np.random.RandomState(1).randn(host.size)
    np.testing.assert_array_equal(blocks.host[region.block][region.elements], signals[view])


def test_what_is_in_no_run_has_a_block_of_its_own(signals):
    integers, constant = Signal(np.arange(3), name="i"), Signal(np.ones(2), readonly=True)
    signals.allocate([integers, constant])
    blocks = Blocks([BASES[:2], BASES[2:]], signals)
    assert len(blocks) == 3
    assert integers in blocks and constant not in blocks
    blocks.host[blocks.block_of(integers)][...] = 5
    assert signals[integers].tolist() == [5, 5, 5]
