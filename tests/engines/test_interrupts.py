"""Samples, steps and lists agree whatever interrupts them, at whatever bytecode."""

import contextlib
import sys
from pathlib import Path

import nengo
import numpy as np
import pytest
from compiling import compiled

import nengo_jit.engines
from nengo_jit.builder import Model
from nengo_jit.engines import ENGINES, recorder, samples
from nengo_jit.engines.cpu.python import tapes_in_use

FOLDER = Path(nengo_jit.engines.__file__).parent
NAMES = ("samples.py", "recorder.py", "recording.py", "reference.py", "base.py", "cpu/recorder.py")
FILES = {str(FOLDER / name) for name in NAMES}


@pytest.fixture(autouse=True)
def with_tapes(monkeypatch):
    """Functions are compiled, in spite of the tracer that interrupts."""
    monkeypatch.setattr(tapes_in_use, "calls_are_observed", lambda: False)


class Interrupt(BaseException):
    """What nobody catches by accident."""


def _ask_for_bytecodes():
    """Python 3.12 reports bytecodes only after somebody has asked for them in an earlier trace."""

    def trace(frame, event, arg):
        frame.f_trace_opcodes = True
        return trace

    sys.settrace(trace)
    (lambda: None)()
    sys.settrace(None)


def interrupted(call, n, files=FILES):
    """Call a function, interrupted at the n-th bytecode in our files; whether there was one."""
    left = n

    def trace(frame, event, arg):
        if frame.f_code.co_filename not in files:
            return None
        frame.f_trace_opcodes = True
        return trace_bytecode

    def trace_bytecode(frame, event, arg):
        nonlocal left
        if event == "opcode":
            left -= 1
            if left == 0:
                raise Interrupt
        return trace_bytecode

    before = sys.gettrace()
    _ask_for_bytecodes()
    sys.settrace(trace)
    try:
        call()
    except Interrupt:
        return True
    finally:
        sys.settrace(before)
    return False


class Example:
    """An engine whose probes record the number of the step."""

    def __init__(self, name):
        with nengo.Network(seed=0) as net:
            clock = nengo.Node(lambda t: np.round(1000 * t), size_out=1)
            self.each, self.third = nengo.Probe(clock), nengo.Probe(clock, sample_every=0.003)
            self.listed = nengo.Probe(clock)
        model = Model()
        model.build(net)
        self.engine = compiled(model, name)
        self.engine.reset(0)
        self.taken = {probe: [] for probe in (self.each, self.third, self.listed)}

    def check(self):
        """All samples of all steps are somewhere, once, and in order."""
        n_steps = self.engine.n_steps
        assert self.engine.time == n_steps * 0.001
        for probe, period in ((self.each, 1), (self.third, 3), (self.listed, 1)):
            whole = [*self.taken[probe], *np.ravel(self.engine.samples[probe]).tolist()]
            assert whole == list(range(period, n_steps + 1, period))

    def take(self):
        """Empty all lists, keeping what is in them."""
        for probe, taken in self.taken.items():
            values = self.engine.samples[probe]
            taken += np.ravel(values).tolist()
            del values[:]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_run(engine):
    example, n = Example(engine), 1
    example.engine.recording.redirect(example.listed, [])
    while interrupted(lambda: example.engine.run(4), n):
        example.check()
        if n % 100 == 0:
            example.take()
        n += 1
    example.engine.run(2)
    example.check()
    assert n > 100


@pytest.mark.parametrize("engine", ENGINES)
def test_reading_and_deleting(engine):
    example, n = Example(engine), 1

    def read():
        for probe in (example.each, example.third):
            values = example.engine.samples[probe]
            assert len(values) == len(values.array)
            values.append([-1.0])
            values.pop()

    while interrupted(read, n):
        for probe in (example.each, example.third):
            values = example.engine.samples[probe]
            if len(values) and values[-1] == -1:  # appended, not taken away again
                values.pop()
        example.check()
        example.engine.run(300 if n % 50 == 0 else 1)  # the values go on in another block
        n += 1
    assert n > 100


@pytest.mark.parametrize("engine", ENGINES)
def test_clearing(engine):
    example, n = Example(engine), 1
    while True:
        lists = example.engine.samples
        is_done = not interrupted(example.engine.clear_samples, n)
        example.engine.run(2)
        for probe, values in lists.items():
            if values is not example.engine.samples[probe]:
                example.taken[probe] += np.ravel(values).tolist()
        example.check()
        if is_done:
            break
        n += 1
    assert n > 100


@pytest.mark.parametrize("engine", ENGINES)
def test_no_memory_for_samples(engine, monkeypatch):
    example = Example(engine)
    example.engine.recording.redirect(example.listed, [])
    for n_steps in (3, 700, 5000):
        for module, name in ((recorder, "empty"), (recorder, "full"), (samples, "empty")):
            with monkeypatch.context() as patch:
                patch.setattr(module.np, name, no_memory)
                with contextlib.suppress(MemoryError):
                    example.engine.run(n_steps)
            example.check()
    example.engine.run(10)
    example.check()


def no_memory(*args, **kwargs):
    raise MemoryError
