"""Threads that want to run a simulator which waits for them get an error, and nothing hangs."""

import queue
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import nengo
import numpy as np
import pytest
from nengo.exceptions import SimulationError, SimulatorClosed

import nengo_jit
from nengo_jit import turn
from nengo_jit.engines import ENGINES

PATIENCE = 60  # seconds after which a test fails that would wait for ever


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(turn, "PATIENCE", 0.1)


def by_thread(work):
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def by_future(work):
    with ThreadPoolExecutor(1) as pool:
        pool.submit(work).result(PATIENCE)


def by_queue(work):
    done = queue.Queue()
    threading.Thread(target=lambda: (work(), done.put(None)), daemon=True).start()
    done.get(timeout=PATIENCE)


def by_asking_again_and_again(work):
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    end = time.monotonic() + PATIENCE
    while thread.is_alive():
        time.sleep(0.01)
        assert time.monotonic() < end


def network(function):
    with nengo.Network(seed=0) as net:
        node = nengo.Node(function, size_out=1)
        net.probe = nengo.Probe(node)
    return net


class InStep:
    """Does something in step 20, once it has a simulator, and keeps what it raises."""

    def __init__(self):
        self.sim, self.error = None, None

    def __call__(self, t):
        if self.sim is not None and round(1000 * t) == 20:
            self.wait(self.work)
        return t

    def work(self):
        try:
            self.act(self.sim)
        except Exception as error:
            self.error = error


@pytest.mark.parametrize("engine", ENGINES)
class TestFunctionsThatWait:
    @pytest.mark.parametrize("wait", [by_thread, by_future, by_queue, by_asking_again_and_again])
    @pytest.mark.parametrize(
        "act",
        [
            lambda sim: sim.step(),
            lambda sim: sim.run_steps(3),
            lambda sim: sim.reset(),
            lambda sim: str(sim.plan),
        ],
    )
    def test_the_other_thread_gets_an_error(self, engine, wait, act, monkeypatch):
        monkeypatch.setattr(turn, "LONG_PATIENCE", 0.1)
        function = InStep()
        function.wait, function.act = wait, act
        net = network(function)
        with nengo_jit.Simulator(net, engine=engine, progress_bar=False) as sim:
            function.sim = sim
            sim.run_steps(50)
            assert isinstance(function.error, SimulationError)
            assert "Step 20 does not end" in str(function.error)
            assert np.allclose(sim.data[net.probe][:, 0], 0.001 * np.arange(1, 51))
            function.sim = None
            sim.reset()
            sim.run_steps(30)
            assert sim.n_steps == 30

    def test_closing_ends_the_run_after_the_step(self, engine):
        function = InStep()
        function.wait, function.act = by_thread, lambda sim: sim.close()
        net = network(function)
        sim = nengo_jit.Simulator(net, engine=engine, progress_bar=False)
        function.sim = sim
        with pytest.raises(SimulatorClosed):
            sim.run_steps(50)
        assert isinstance(function.error, SimulationError)
        assert sim.closed
        assert len(sim.data[net.probe]) == sim.n_steps == 20

    def test_two_simulators_that_run_each_other(self, engine):
        meeting, errors, sims = threading.Barrier(2), [], []

        def other(number):
            def step_the_other(t):
                if len(sims) == 2 and round(1000 * t) == 5:
                    meeting.wait(PATIENCE)
                    try:
                        sims[1 - number].step()
                    except SimulationError as error:
                        errors.append(error)
                return t

            return step_the_other

        for number in range(2):
            net = network(other(number))
            sims.append(nengo_jit.Simulator(net, engine=engine, progress_bar=False))
        threads = [threading.Thread(target=sim.run_steps, args=(10,), daemon=True) for sim in sims]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()
        assert errors
        assert sum(sim.n_steps for sim in sims) == 22 - len(errors)
        for sim in sims:
            sim.close()

    def test_those_who_wait_for_a_run_that_goes_on_are_patient(self, engine):
        net = network(lambda t: time.sleep(0.01) or t)
        with nengo_jit.Simulator(net, engine=engine, progress_bar=False) as sim:
            thread = threading.Thread(target=sim.run_steps, args=(50,), daemon=True)
            thread.start()
            sim.run_steps(5)
            thread.join(PATIENCE)
            assert sim.n_steps == 55
