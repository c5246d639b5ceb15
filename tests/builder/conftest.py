"""What the tests of operators share: memory for them, and a way to carry them out."""

import numpy as np
import pytest

from nengo_jit.builder.signal import SignalDict


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
