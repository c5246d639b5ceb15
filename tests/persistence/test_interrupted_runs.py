"""Ctrl-C in runs that write checkpoints: it ends them between two steps, with a checkpoint."""

import signal
import threading

import nengo
import numpy as np
import pytest

import nengo_jit
from nengo_jit.persistence.interrupts import HeldInterrupts

AT = 0.3  # seconds


class Counter:
    """Counts its calls, and sends Ctrl-C in the middle of a step."""

    def __init__(self, times=1):
        self.n, self.times = 0, times

    def __call__(self, t):
        self.n += 1
        if abs(t - AT) < 1e-9:
            for _ in range(self.times):
                signal.raise_signal(signal.SIGINT)
        return self.n

    def state(self):
        return {"n": self.n}

    def load_state(self, state):
        self.n = state["n"]


def network(times=1):
    with nengo.Network(seed=1) as net:
        counter = nengo.Node(Counter(times))
        a = nengo.Ensemble(20, 1)
        nengo.Connection(counter, a, transform=1e-3)
        net.probes_ = [nengo.Probe(counter), nengo.Probe(a.neurons)]
    return net


def simulator(net, engine, **options):
    return nengo_jit.Simulator(net, progress_bar=False, seed=3, engine=engine, **options)


@pytest.mark.parametrize("engine", ["cpu", "reference"])
@pytest.mark.parametrize("streams", [False, True])
def test_a_run_continues_from_the_step_where_it_was_interrupted(tmp_path, engine, streams):
    if streams:
        pytest.importorskip("zarr")
    path = tmp_path / "run.ckpt"
    options = {"record": tmp_path / "run.zarr"} if streams else {}
    with simulator(network(), engine, **options) as sim:
        with pytest.raises(KeyboardInterrupt):
            sim.run_steps(10**7, checkpoint=path, every="1 h")
        n_done = sim.n_steps
        assert 300 <= n_done < 10**7
    found, whole = network(), network(times=0)
    with nengo_jit.Simulator.resume(path, found, progress_bar=False, engine=engine) as sim:
        assert sim.n_steps == n_done
        sim.run_steps(100, checkpoint=path)
        with simulator(whole, engine) as other:
            other.run_steps(n_done + 100)
            for probe, expected in zip(found.probes_, whole.probes_):
                np.testing.assert_array_equal(sim.data[probe], other.data[expected])


def test_a_second_one_ends_the_step(tmp_path):
    with simulator(network(times=2), "cpu") as sim:
        with pytest.raises(KeyboardInterrupt):
            sim.run_steps(500, checkpoint=tmp_path / "run.ckpt", every="1 h")
        assert sim.n_steps == 299
    assert not (tmp_path / "run.ckpt").exists()


def test_python_handles_the_signal_after_a_run(tmp_path):
    with simulator(network(times=0), "cpu") as sim:
        sim.run_steps(10, checkpoint=tmp_path / "run.ckpt")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_one_that_comes_at_the_end_is_raised():
    with pytest.raises(KeyboardInterrupt), HeldInterrupts():
        signal.raise_signal(signal.SIGINT)


def test_handlers_of_others_are_left_alone():
    seen = []
    before = signal.signal(signal.SIGINT, lambda *_: seen.append("signal"))
    try:
        with HeldInterrupts() as held:
            signal.raise_signal(signal.SIGINT)
            held.check()
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == ["signal"]


def test_threads_may_not_handle_signals():
    found = []

    def use():
        with HeldInterrupts() as held:
            found.append(held.is_pending)

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert found == [False]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
