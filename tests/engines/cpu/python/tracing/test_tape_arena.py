"""The memory of a tape: aligned, zero, in one place for as long as the tape exists."""

import gc
import os
import weakref

import nengo
import numpy as np
import pytest

import nengo_jit
from nengo_jit.engines.cpu.python.tracing.arena import LINE, Arena
from nengo_jit.ir.memory import ALIGNMENT, address


def test_pieces_do_not_overlap_and_stay_where_they_are():
    arena = Arena(50)
    pieces = []
    for i, n in enumerate([3, 20, 8, 1, 100, 0, 1000, 9] * 3, 1):
        piece = arena.numbers(n) if i % 2 else arena.take(n)
        assert not piece.any()
        piece[:] = i
        pieces.append((piece, address(piece), i))
    for piece, at, i in pieces:
        assert address(piece) == at
        assert (piece == i).all()


@pytest.mark.parametrize("n", [1, LINE, LINE + 1, 1000])
def test_long_vectors_start_on_a_cache_line(n):
    arena = Arena(30)
    arena.words((1, 2, 3))
    numbers = arena.numbers(n)
    assert numbers.dtype == np.float64 and numbers.shape == (n,)
    assert n <= LINE or address(numbers) % ALIGNMENT == 0
    assert address(arena.take(1)) > address(numbers[-1:]) + 8  # with a word in between


def test_lists_are_read_where_they_are():
    arena = Arena(0)
    assert arena.words((1, 2)) != arena.words((3, 4))


def simulators(n):
    with nengo.Network(seed=0) as net:
        node = nengo.Node(lambda t, x: np.dot(x, x[::-1]) * np.sin(t) + t, size_in=3)
        nengo.Connection(nengo.Node([0.1, 0.2, 0.3]), node, synapse=None)
        probe = nengo.Probe(node)
    made = [nengo_jit.Simulator(net, engine="cpu", progress_bar=False) for _ in range(n)]
    assert all(sim.plan.compiled for sim in made)
    return made, probe


def test_many_simulators_have_memory_of_their_own():
    made, probe = simulators(5)
    for n_steps in (1, 30, 2):
        for sim in made:
            sim.run_steps(n_steps)
    assert len({sim.data[probe].tobytes() for sim in made}) == 1
    tapes = [weakref.ref(sim._engine.callbacks[0].traced.tape) for sim in made]
    for sim in made:
        sim.close()
    del made, sim
    gc.collect()
    assert [each() for each in tapes] == [None] * 5


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_process_goes_on():
    (sim, whole), probe = simulators(2)
    sim.run_steps(50)
    whole.run_steps(80)
    is_equal = False
    child = os.fork()
    try:
        sim.run_steps(30)
        is_equal = sim.data[probe].tobytes() == whole.data[probe].tobytes()
    finally:
        if child == 0:
            os._exit(0 if is_equal else 1)
    assert is_equal
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
