"""What tests share: nengo's default settings, quietly and without files; operators at work."""

import signal
from collections.abc import Iterator

import nengo
import numpy as np
import pytest
from sharing import sharing

from nengo_jit.builder import solver
from nengo_jit.engines.cpu.python.functions import FOR_POINTS
from nengo_jit.engines.cpu.toolchain.kernel_cache import load_kernels
from nengo_jit.ir.memory import SignalDict


@pytest.fixture(autouse=True)
def nengo_settings() -> Iterator[None]:
    nengo.rc.reload_rc([])
    nengo.rc.set("decoder_cache", "enabled", "False")
    nengo.rc.set("progress", "progress_bar", "False")
    floating_point = np.geterr()
    yield
    np.seterr(**floating_point)  # an interrupt that was injected between two opcodes may leave it
    nengo.rc.reload_rc([])


@pytest.fixture(autouse=True)
def decoders_are_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the caches of tests have the decoders of small ensembles, which are solved as fast."""
    monkeypatch.setattr(solver, "LEAST_CACHED", 0)


@pytest.fixture(autouse=True, scope="session")
def kernels_for_tapes() -> None:
    """Wait for what simulators do not wait for, so that tests need not."""
    load_kernels(FOR_POINTS)


@pytest.fixture(autouse=True)
def ctrl_c() -> Iterator[None]:
    """Let Ctrl-C raise KeyboardInterrupt, also in a job that a shell has told to ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def always_shared() -> Iterator[None]:
    """Let threads share all that they can, whether it pays or not."""
    with sharing():
        yield


@pytest.fixture(scope="session")
def prepare():
    """Give operators memory; returns it, and a function that carries them out in turn."""

    def prepare(*operators, dt=0.001, seed=0):
        signals = SignalDict()
        for operator in operators:
            operator.init_signals(signals)
        rng = np.random.RandomState(seed)
        steps = [operator.make_step(signals, dt, rng) for operator in operators]

        def step():
            with np.errstate(invalid="raise", divide="ignore"):
                for step_operator in steps:
                    step_operator()

        return signals, step

    return prepare


@pytest.fixture(scope="session")
def run(prepare):
    """Give operators memory and carry them out; returns the memory."""

    def run(*operators, n_steps=1, dt=0.001, seed=0):
        signals, step = prepare(*operators, dt=dt, seed=seed)
        for _ in range(n_steps):
            step()
        return signals

    return run
