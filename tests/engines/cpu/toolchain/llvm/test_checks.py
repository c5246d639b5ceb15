"""Kernels that check bounds find what is wrong on purpose: rows, sizes and indices.

Whether kernels check bounds is settled when nengo_jit is imported, so the tests run in a process
of their own.
"""

import os
import subprocess
import sys

import nengo
import numpy as np
import pytest
from nengo.exceptions import SimulationError

import nengo_jit
from nengo_jit.builder.signal import aligned_block
from nengo_jit.engines.cpu.engine import CpuEngine
from nengo_jit.engines.cpu.kernels import operator, sparse
from nengo_jit.engines.cpu.kernels.rates import rates_by
from nengo_jit.engines.cpu.language.kernel import Row, kernel, start, table_of
from nengo_jit.engines.cpu.language.primitives import (
    ENTRY,
    FLOAT64,
    OUT_OF_BOUNDS,
    Address,
    Memory,
    atomic_load,
    list_bits,
    load_lanes,
    movemask,
    scratch,
    store_lanes,
    uint8s,
    vector,
)
from nengo_jit.engines.cpu.toolchain.kernel_cache import address_of
from nengo_jit.neurons.lif_rate import FORMULA as LIF_RATE
from nengo_jit.regions import CHECKED, REGIONS

with_checks = pytest.mark.skipif(not CHECKED, reason="kernels do not check bounds in this process")


@pytest.mark.skipif(CHECKED, reason="this process has what the test makes")
def test_in_a_process_with_checks():
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    environment = {**os.environ, "NENGO_JIT_CHECK": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "1 skipped" in done.stdout


def run(code, *rows):
    table = table_of(code.row(**dict(zip(code.columns.names, row))) for row in rows)
    return ENTRY(address_of(code, FLOAT64))(None, start(table))


def assert_refused(code, row, what):
    """Check that a kernel stops at a row, and says so."""
    assert run(code, row) == OUT_OF_BOUNDS
    with pytest.raises(SimulationError, match=f"`{code.function.__name__}` asked for {what}"):
        REGIONS.raise_failure()


@pytest.fixture
def arrays():
    """Two arrays of the same size."""
    return np.arange(8.0), np.zeros(8)


@with_checks
def test_what_is_right_runs(arrays):
    x, y = arrays
    assert run(operator.copy, (start(x), start(y), 8)) == 0
    assert run(operator.copy, (start(x[2:]), start(y[:2]), 6), (0, 0, 0)) == 0
    assert y.tolist() == [2, 3, 4, 5, 6, 7, 6, 7]
    REGIONS.raise_failure()


@with_checks
@pytest.mark.parametrize("row", [(0, 0, 9), (8, 0, 8), (0, 64, 1), (-8, 0, 1), (0, -1, 1)])
def test_wrong_addresses_and_sizes(arrays, row):
    x, y = arrays
    n_bytes = 8 * row[2]
    assert_refused(operator.copy, (start(x) + row[0], start(y) + row[1], row[2]), f"{n_bytes} byte")
    assert not y.any()


@with_checks
def test_sizes_below_zero(arrays):
    x, y = arrays
    assert_refused(operator.copy, (start(x), start(y), -1), "-8 bytes")


@with_checks
def test_the_end_of_a_block_is_that_of_what_is_used_of_it(arrays):
    x, block = arrays[0], aligned_block(64)
    y = np.ndarray(8, np.float64, block)
    assert run(operator.copy, (start(x), start(y), 8)) == 0
    assert_refused(operator.copy, (start(x), start(y[1:]), 8), "64 bytes")


@with_checks
def test_arrays_that_are_freed(arrays):
    x, gone = start(arrays[0]), start(np.zeros(100_000))
    assert_refused(operator.copy, (gone, x, 8), "64 bytes")


@with_checks
def test_a_table_with_fewer_rows_than_it_says(arrays):
    x, y = arrays
    table = table_of([operator.copy.row(src=start(x), dst=start(y), n=8)])
    table[0] = 2
    assert ENTRY(address_of(operator.copy, FLOAT64))(None, start(table)) == OUT_OF_BOUNDS
    with pytest.raises(SimulationError, match="56 bytes"):
        REGIONS.raise_failure()


@with_checks
@pytest.mark.parametrize("index", [8, 1 << 40])
def test_wrong_indices_in_lists(arrays, index):
    x, y = arrays
    for indices in ([0, index, 1, 2], [1, 2, 0, index]):
        listed = np.array(indices)
        row = (start(x), start(y), start(listed), 2, 0)
        assert_refused(operator.gather, row, "an element")
    triplets = np.array([1, index])
    keep = np.zeros(2, int)
    row = (start(x), start(triplets), start(keep), start(x), start(y), 2)
    assert_refused(sparse.sparse_dot_triplets, row, "an element")


@kernel()
def index_of(memory: Memory, x: Address, size: int, i: int) -> int:
    """Read one of so many numbers."""
    return int(vector(memory, x, size)[i])


@with_checks
def test_wrong_indices_within_an_array(arrays):
    x, _ = arrays
    assert run(index_of, (start(x), 5, 4)) == 4
    assert_refused(index_of, (start(x), 5, 5), "an element")
    assert_refused(index_of, (start(x), 5, -6), "an element")


@kernel()
def use_scratch(memory: Memory, which: int, begin: int, n_bytes: int) -> int:
    """Write to so many bytes of scratch memory, from one on, and tell how many are set."""
    first = scratch(64)
    second = scratch(200)
    values = uint8s((first if which == 1 else second) + begin, n_bytes)
    for i in range(values.size):
        values[i] = 1
    total = 0
    for i in range(values.size):
        total += values[i]
    return total


@with_checks
@pytest.mark.parametrize("which, n", [(1, 64), (2, 200)])
def test_scratch_memory(which, n):
    assert run(use_scratch, (which, 0, n)) == n
    assert run(use_scratch, (which, 10, n - 10)) == n - 10
    assert_refused(use_scratch, (which, 0, n + 1), f"{n + 1} bytes")
    assert_refused(use_scratch, (which, n, 1), "1 bytes")
    assert_refused(use_scratch, (which, -1, 1), "1 bytes")


@kernel()
def copy_lanes(memory: Memory, x: Address, y: Address, size: int) -> None:
    """Copy so many numbers through a register."""
    store_lanes(y, size, load_lanes(memory, x, size))


@kernel()
def list_all_bits(memory: Memory, flags: Address, listed: Address, count: Address) -> int:
    """List the bytes that are set, and look at how many there are."""
    list_bits(movemask(flags), 0, listed)
    return atomic_load(count)


@with_checks
def test_memory_that_is_not_used_as_an_array():
    x, y = np.arange(4.0), np.zeros(4)
    assert run(copy_lanes, (start(x), start(y), 4)) == 0
    assert y.tolist() == x.tolist()
    assert run(copy_lanes, (0, 0, -3)) == 0
    assert_refused(copy_lanes, (start(x[1:]), start(y), 4), "32 bytes")
    assert_refused(copy_lanes, (start(x), start(y[2:]), 4), "32 bytes")
    flags, listed, count = np.ones(64, np.uint8), np.zeros(64, np.int64), np.array([3])
    assert run(list_all_bits, (start(flags), start(listed), start(count))) == 3
    assert listed.tolist() == list(range(64))
    assert_refused(list_all_bits, (start(flags[1:]), start(listed), start(count)), "64 bytes")
    assert_refused(list_all_bits, (start(flags), start(listed[1:]), start(count)), "512 bytes")
    assert_refused(list_all_bits, (start(flags), start(listed), start(count) + 8), "8 bytes")


@with_checks
def test_kernels_that_are_called_from_python():
    compute = rates_by(LIF_RATE)
    x, gain, result = np.zeros((2, 3)), np.ones(3), np.zeros((2, 3))
    parameters = np.array([0.02, 0.002, 1.0])
    compute(x, gain, gain, parameters, result)
    with pytest.raises(SimulationError, match="`compute_rates`"):
        compute(x, gain, gain[:2].copy(), parameters, result)


def array_of(n_ensembles):
    with nengo.Network(seed=0) as network:
        stimulus = nengo.Node(np.sin)
        array = nengo.networks.EnsembleArray(30, n_ensembles)
        nengo.Connection(stimulus, array.input, transform=np.ones((n_ensembles, 1)))
        nengo.Probe(array.output, synapse=0.01)
    return network


@with_checks
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("name", ["lif", "filter_first_order"])
def test_the_simulator_says_which_kernel_it_was(threads, name, always_shared, monkeypatch):
    lower = CpuEngine._lower

    def spoil(self):
        levels = lower(self)
        pieces = [piece for level in levels for piece in level if isinstance(piece.entry, Row)]
        last = [piece for piece in pieces if piece.code.function.__name__ == name][-1]
        last.entry = Row(last.code, (*last.entry.values[:-1], 10**7))
        return levels

    network = array_of(20)
    with nengo_jit.Simulator(network, threads=threads, progress_bar=False) as sim:
        sim.run_steps(20)
    monkeypatch.setattr(CpuEngine, "_lower", spoil)
    with (
        nengo_jit.Simulator(network, threads=threads, progress_bar=False) as sim,
        pytest.raises(SimulationError, match=f"left its memory: `{name}`"),
    ):
        sim.run_steps(20)
