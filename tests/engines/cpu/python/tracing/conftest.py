"""Running one function both ways: as a tape, and called in Python by the reference engine.

Functions are not compared with Python in these tests, unless a test says so: what is tested is what
tapes compute.
"""

import warnings
from unittest.mock import patch

import numpy as np
import pytest
from compiling import compiled

from nengo_jit.builder import Model
from nengo_jit.builder.operator import SimPyFunc
from nengo_jit.builder.signal import Signal
from nengo_jit.engines.cpu.backend import CpuBackend
from nengo_jit.engines.cpu.python import tapes_in_use
from nengo_jit.engines.cpu.python.tracing import tape
from nengo_jit.engines.cpu.python.tracing.bytecode import IS_KNOWN_PYTHON
from nengo_jit.engines.reference import ReferenceBackend

# Elsewhere, functions stay in Python.
collect_ignore_glob = [] if IS_KNOWN_PYTHON else ["test_*.py"]


NEVER = 1 << 60


@pytest.fixture(autouse=True)
def compare_tapes(monkeypatch):
    """Choose how often tapes that are made from now on are compared: ``compare_tapes(20, 1000)``.

    The first number is how often a path is compared at first, the second one which of the calls
    is compared after that.
    """

    def choose(n_proofs, interval):
        monkeypatch.setattr(tape, "N_PROOFS", n_proofs)
        monkeypatch.setattr(tape, "INTERVAL", interval)

    choose(0, NEVER)
    return choose


class Run:
    """What came of a function: for each step its output or its error, and the warnings."""

    def __init__(self, engine_class, function, inputs, size_out, pass_t, initial):
        model = Model()
        size_in = inputs.shape[1]
        x = Signal(np.zeros(size_in)) if size_in else None
        self.output = Signal(np.zeros(size_out))
        model.add_op(SimPyFunc(self.output, function, t=model.time if pass_t else None, x=x))
        self.engine = compiled(model, engine_class)
        self.engine.reset(1)
        self.plan = self.engine.explain()
        self.results = []
        if initial is not None:
            self.engine.signals[model.step][...] = initial
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for row in inputs:
                if size_in:
                    self.engine.signals[x] = row
                self._step()
        self.warnings = [(each.category, str(each.message)) for each in caught]

    def _step(self):
        try:
            with patch.object(tapes_in_use, "WORTH_CHECKING", 0):  # tapes, even for a single step
                self.engine.run(1)
        except Exception as error:
            self.results.append((type(error), str(error)))
        else:
            self.results.append(self.engine.signals[self.output].tobytes())


@pytest.fixture(scope="session")
def run_function():
    """Check that a function gives the same both ways: ``run_function(function, inputs, n_out)``.

    With ``makes``, what is given makes the function. The tape is also compared with Python in every
    step, which must find no difference. Returns the engine's remark on the function, with
    "compiled" in front of it if it is.
    """

    def run(function, inputs=None, size_out=1, n_steps=10, pass_t=True, initial=None, makes=False):
        inputs = np.zeros((n_steps, 0)) if inputs is None else np.asarray(inputs, float)
        as_tape, python = (
            Run(engine, function() if makes else function, inputs, size_out, pass_t, initial)
            for engine in (CpuBackend, ReferenceBackend)
        )
        with pytest.MonkeyPatch.context() as monkeypatch:
            monkeypatch.setattr(tape, "N_PROOFS", NEVER)
            given = function() if makes else function
            compared = Run(CpuBackend, given, inputs, size_out, pass_t, initial)
        assert not compared.engine.callbacks[0].wrong
        for each in (as_tape, compared):
            assert each.results == python.results
            assert each.warnings == python.warnings
        if as_tape.plan.compiled:
            remark = as_tape.plan.compiled[0][1]
            return f"compiled except {remark}" if remark else "compiled"
        return as_tape.plan.in_python[0][1]

    return run
