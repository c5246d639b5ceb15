"""Equal constant matrices: products share one, and use a piece of it together."""

from functools import partial

import nengo
import numpy as np
import pytest

import nengo_jit
from nengo_jit.engines.cpu.language.kernel import Row
from nengo_jit.engines.cpu.program import schedule
from nengo_jit.engines.cpu.program.components import Task
from nengo_jit.engines.cpu.program.schedule import batches

SIZE, PRODUCTS = 150, 4


def network():
    """Products of equal matrices with different vectors, and one of another matrix."""
    rng = np.random.RandomState(0)
    matrices = [rng.randn(SIZE, SIZE)] * PRODUCTS + [rng.randn(SIZE, SIZE)]
    with nengo.Network(seed=0) as net:
        net.connections_ = []
        for i, matrix in enumerate(matrices):
            wave = nengo.Node(
                nengo.processes.WhiteSignal(1.0, high=20, seed=i), size_out=SIZE, label=str(i)
            )
            out = nengo.Node(size_in=SIZE)
            net.connections_.append(nengo.Connection(wave, out, transform=matrix.copy()))
            nengo.Probe(out, synapse=0.01)
    return net


def rows_of(sim):
    """Rows of the large products."""
    program = sim._engine._programs.later
    levels = program._levels or [level for phase in program._phases for level in phase.levels]
    entries = [task.entry for level in levels for task in level]
    return [
        each for each in entries if isinstance(each, Row) and "matrix" in each.kernel.columns.names
    ]


def test_products_share_equal_matrices():
    with nengo_jit.Simulator(network(), progress_bar=False, threads=2) as sim:
        addresses = [row["matrix"] for row in rows_of(sim)]
    assert len(addresses) == PRODUCTS + 1
    assert sorted(addresses.count(each) for each in set(addresses)) == [1, PRODUCTS]


@pytest.mark.parametrize("changed", [0, 2, PRODUCTS])
@pytest.mark.parametrize("in_each", [False, True])
def test_matrices_that_are_changed(changed, in_each):
    """Each product follows its own matrix, whichever is read."""
    found = []
    for make in (partial(nengo.Simulator, optimize=False), nengo_jit.Simulator):
        net = network()
        with make(net, progress_bar=False) as sim:
            sim.run_steps(20)
            products = [op for op in sim.model.operators if type(op).__name__ == "DotInc"]
            sources = [sim.signals[op.A] for op in products if op.A.shape == (SIZE, SIZE)]
            for i in {changed, 1} if in_each else {changed}:
                sources[i].setflags(write=True)
                sources[i][:3] = 0.5
            sim.run_steps(20)
            found.append([sim.data[probe] for probe in sim.model.probes])
    for theirs, ours in zip(*found):
        np.testing.assert_allclose(theirs, ours, rtol=1e-9, atol=1e-12)


def test_pieces_are_used_by_all_before_the_next(monkeypatch):
    monkeypatch.setattr(schedule, "PIECE", SIZE * 8 * 40)  # 40 rows
    with nengo_jit.Simulator(network(), progress_bar=False, threads=2) as sim:
        rows = rows_of(sim)
        (batch,) = batches((Task(None, row) for row in rows), 8)
    alike = [row for row in batch.rows if row.size < SIZE]
    assert [row.size for row in alike] == [40] * 3 * PRODUCTS + [30] * PRODUCTS
    assert len({row["matrix"] for row in alike}) == 4
    for i in range(0, len(alike), PRODUCTS):
        assert len({row["matrix"] for row in alike[i : i + PRODUCTS]}) == 1
        assert len({row.target for row in alike[i : i + PRODUCTS]}) == PRODUCTS


def test_terms_of_a_sum_keep_their_order(monkeypatch):
    monkeypatch.setattr(schedule, "PIECE", SIZE * 8 * 40)
    with nengo_jit.Simulator(network(), progress_bar=False, threads=2) as sim:
        rows = rows_of(sim)
        (batch,) = batches((Task(None, row) for row in [*rows, rows[0]]), 8)
    assert batch.rows == [*rows, rows[0]]


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_pieces_change_no_results(threads, monkeypatch, always_shared):
    found = []
    for piece in (1 << 40, 4096):
        monkeypatch.setattr(schedule, "PIECE", piece)
        with nengo_jit.Simulator(network(), progress_bar=False, threads=threads) as sim:
            sim.run_steps(50)
            found.append([sim.data[probe].copy() for probe in sim.model.probes])
    for one, other in zip(*found):
        assert (one == other).all()
