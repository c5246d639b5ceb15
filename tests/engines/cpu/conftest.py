"""Running models on the CPU engine and on the reference engine."""

from dataclasses import replace

import nengo
import numpy as np
import pytest
import scipy.sparse
from compiling import compiled
from sharing import sharing

from nengo_jit.builder import Model
from nengo_jit.builder.signal import Signal
from nengo_jit.engines.cpu.engine import CpuEngine
from nengo_jit.engines.cpu.language.kernel import Kernel
from nengo_jit.engines.cpu.python.instructions import Opcode
from nengo_jit.engines.cpu.python.tracing.tape import Writer


def run_cpu(model, n_steps, threads=1):
    """Run a model on the CPU engine; with more than one thread, all that can be shared is."""
    with sharing():
        engine = compiled(model, threads=threads)
        engine.reset(1)
        engine.run(n_steps)
    return engine


@pytest.fixture(scope="session")
def run_both():
    """Run a model on both engines: ``run_both(model, n_steps) -> (cpu, reference)``."""

    def run(model, n_steps, threads=1):
        cpu = run_cpu(model, n_steps, threads)
        reference = compiled(model, "reference")
        reference.reset(1)
        reference.run(n_steps)
        return cpu, reference

    return run


@pytest.fixture
def kernels_of(monkeypatch):
    """What engines that are made run, by name, the latest engine last."""
    lower, made = CpuEngine._lower, []

    def noting(self):
        levels = lower(self)
        codes = [piece.code for level in levels for piece in level]
        made.append([code for code in codes if isinstance(code, Kernel)])
        return levels

    monkeypatch.setattr(CpuEngine, "_lower", noting)
    return lambda name: [code for code in made[-1] if code.function.__name__ == name]


def numbers(engine, signal):
    array = engine.signals[signal]
    return array.data if scipy.sparse.issparse(array) else array


@pytest.fixture(scope="session")
def check(run_both):
    """Check that operators give the same results on both engines, and do not run in Python.

    In half precision, they have the same bits.
    """

    def run(operators, n_steps=3):
        model = Model()
        for operator in operators:
            model.add_op(operator)
        cpu, reference = run_both(model, n_steps)
        assert cpu.callbacks == []
        tolerance = 1e-10 if model.time.dtype == np.float64 else 1e-4
        for signal in reference.signals:
            expected, actual = numbers(reference, signal), numbers(cpu, signal)
            scale = np.abs(expected).max(initial=1e-30)
            if model.time.dtype == np.float16:
                np.testing.assert_array_equal(actual, expected, err_msg=str(signal))
            else:
                assert np.allclose(actual, expected, rtol=tolerance, atol=tolerance * scale), signal
        divided = run_cpu(model, n_steps, threads=3)
        for signal in divided.signals:
            assert np.array_equal(numbers(divided, signal), numbers(cpu, signal), equal_nan=True), (
                signal
            )

    return run


class Maker:
    """Makes random signals of one precision."""

    def __init__(self, seed, bits):
        nengo.rc.set("precision", "bits", str(bits))
        self.rng = np.random.RandomState(seed)

    def array(self, *shape):
        return self.rng.uniform(-1, 1, shape).astype(nengo.rc.float_dtype)

    def signal(self, *shape, readonly=False):
        return Signal(self.array(*shape), readonly=readonly)

    def view(self, *shape, readonly=False):
        """A signal, or a part of one: with gaps, reversed, or both."""
        steps = [int(self.rng.choice([1, 1, 1, 2, 3, -1, -2])) for _ in shape]
        whole = self.signal(*(n * abs(step) for n, step in zip(shape, steps)), readonly=readonly)
        return whole[tuple(slice(None, None, step) for step in steps)] if shape else whole


@pytest.fixture(scope="session")
def maker():
    """Make a source of random signals: ``maker(seed, bits)``."""
    return Maker


@pytest.fixture
def wrong_tapes(monkeypatch):
    """Tapes add where they should multiply."""
    write = Writer.write

    def wrong(self, instruction):
        is_product = instruction.opcode == Opcode.MULTIPLY
        write(self, replace(instruction, opcode=Opcode.ADD) if is_product else instruction)

    monkeypatch.setattr(Writer, "write", wrong)
    monkeypatch.setattr(Writer, "is_written", lambda *_: True)
