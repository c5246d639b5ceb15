"""Timed programs compute the same, and their parts add up."""

import nengo
import numpy as np
import pytest

import nengo_jit
from nengo_jit.engines.cpu.program.products import Strategy
from nengo_jit.engines.cpu.program.stopwatch import BETWEEN, EMPTY, FIRST, LATEST, Stopwatch
from nengo_jit.engines.timing import Part


def network(seed=0):
    with nengo.Network(seed=seed) as net:
        net.config[nengo.Ensemble].noise = nengo.processes.WhiteNoise(seed=3)
        a = nengo.Ensemble(40, 1)
        b = nengo.Ensemble(40, 2, neuron_type=nengo.AdaptiveLIF())
        node = nengo.Node(lambda t: [np.sin(t), t])
        nengo.Connection(node, b)
        connection = nengo.Connection(a, b[0], learning_rule_type=nengo.PES())
        nengo.Connection(b[1], connection.learning_rule)
        net.probes_of = [nengo.Probe(b, synapse=0.01), nengo.Probe(a.neurons)]
    return net


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("threads", [1, 2])
def test_results_are_those_of_an_undisturbed_run(threads, bits):
    nengo.rc["precision"]["bits"] = str(bits)
    found = []
    for is_timed in (False, True):
        net = network()
        with nengo_jit.Simulator(net, progress_bar=False, threads=threads) as sim:
            if is_timed:
                sim.run_steps(100)
                assert sim._engine.run_timed(250).n_steps <= 249
                sim.step()
                sim._engine.run_timed(50)
                sim.run_steps(99)
            else:
                sim.run_steps(500)
            assert sim.n_steps == 500
            found.append([sim.data[probe] for probe in net.probes_of])
    for one, other in zip(*found):
        np.testing.assert_array_equal(one, other)


@pytest.fixture(scope="module")
def timing():
    with nengo_jit.Simulator(network(), progress_bar=False) as sim:
        sim.run_steps(200)
        fusion = sim._engine._lowering.fusion
        yield sim._engine.run_timed(1000), sim._engine.explain(), fusion


def test_parts_sum_to_the_whole(timing):
    timed, *_ = timing
    assert sum(part.seconds for part in timed.parts) == pytest.approx(timed.seconds, rel=0.05)


def test_the_whole_is_the_duration_of_the_steps():
    with nengo.Network(seed=0) as net:
        ensemble = nengo.Ensemble(20_000, 1)
        nengo.Connection(ensemble, ensemble, solver=nengo.solvers.NoSolver())
    with nengo_jit.Simulator(net, progress_bar=False, threads=1) as sim:
        stopwatch = sim._engine._stopwatch = Stopwatch()
        sim._engine._request_programs()
        sim._engine.run(5)
        shares = []
        for _ in range(20):  # other processes may run before or after the steps of a block
            block = stopwatch._run_block(sim._engine.run, 50)
            assert block.n_steps == 50
            shares.append(1e-9 * block.times[0][BETWEEN:].sum() / block.seconds)
            if shares[-1] > 0.9:
                break
        assert shares[-1] > 0.9 and max(shares) < 1


def test_shares_of_a_part_sum_to_one(timing):
    timed, *_ = timing
    for part in timed.parts:
        assert sum(part.shares.values()) == pytest.approx(1.0)


def test_every_operator_that_takes_time_has_a_share(timing):
    timed, plan, fusion = timing
    shared = {operator for part in timed.parts for operator in part.shares}
    idle = {
        operator
        for operator in plan.operators
        if operator in plan.deferred or type(operator).__name__ == "SimProbe"
    }
    idle |= {op for op, way in fusion.strategies.items() if way is Strategy.NONE}
    assert set(plan.operators) - idle - shared <= plan.invariant


def test_fused_operators_have_a_share_in_the_kernel_that_runs_them():
    with nengo.Network() as net:
        nengo.Connection(nengo.Node(0.5), nengo.Ensemble(10, 1))
    with nengo_jit.Simulator(net, progress_bar=False) as sim:
        (lif,) = [part for part in sim._engine.run_timed(20).parts if part.name == "lif"]
    assert {"SimNeurons", "DotInc", "Copy"} <= {type(each).__name__ for each in lif.shares}


def test_functions_are_parts_of_their_own(timing):
    timed, *_ = timing
    (function,) = [part for part in timed.parts if part.is_function]
    assert [type(each).__name__ for each in function.shares] == ["SimPyFunc"]
    assert function.seconds > 0


def test_usual_programs_have_no_stamps():
    with nengo_jit.Simulator(network(), progress_bar=False) as sim:
        sim.run_steps(10)
        sim._engine.run_timed(20)
        sim.run_steps(10)
        names = [code.name for code in codes_of(sim._engine) if hasattr(code, "name")]
    assert "stamp" not in names and "lif" in names


def codes_of(engine):
    return engine._programs.later._sequential._codes[0]


def test_blocks_that_were_interrupted_do_not_count(monkeypatch):
    stopwatch = Stopwatch()
    times = np.zeros(FIRST + 1, np.int64)
    stopwatch._sheets.append((times, [Part("kernel", 0.0, {None: 1.0})]))
    switches = iter([0, 0, 0, 1, 1, 1])
    monkeypatch.setattr(
        "nengo_jit.engines.cpu.program.stopwatch.n_interruptions", lambda: next(switches)
    )
    durations = iter([None, 1000, 50_000, 1200])

    def run(n_steps):
        duration = next(durations)
        if duration is not None:
            n_steps = 10
            times[FIRST] += 10 * duration
            times[[BETWEEN, EMPTY]] += 10 * 50, 10 * 50
            times[LATEST] = 7
        return n_steps

    timing = stopwatch.measure(run, 31)
    kernel, between = timing.parts
    assert timing.n_steps == 20
    assert kernel.seconds == pytest.approx(1e-9 * (10 * 1000 + 10 * 1200 - 20 * 50))
    assert between.seconds == 0
    assert timing.seconds == pytest.approx(kernel.seconds)


def test_a_failing_step_leaves_usual_programs():
    with nengo.Network() as net:
        nengo.Node(lambda t: 1 / 0 if t > 0.02 else 0.0)
    with nengo_jit.Simulator(net, progress_bar=False) as sim:
        with pytest.raises(ZeroDivisionError):
            sim._engine.run_timed(100)
        assert sim.n_steps == 20
        sim.reset()
        sim.run_steps(15)
        assert sim._engine._stopwatch is None
        assert sim.n_steps == 15
