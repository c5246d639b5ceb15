"""Cases for fuzzers: a function as a node's and as a connection's, compiled and in Python."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from unittest.mock import patch

import numpy as np

from nengo_jit.builder import Model
from nengo_jit.builder.operator import SimPyFunc
from nengo_jit.builder.signal import Signal
from nengo_jit.builder.targets import assign
from nengo_jit.engines.cpu.backend import CpuBackend
from nengo_jit.engines.cpu.python import tapes_in_use
from nengo_jit.engines.cpu.python.functions import Functions
from nengo_jit.engines.cpu.python.tracing import tape
from nengo_jit.engines.reference import ReferenceBackend

sys.path.append(str(Path(__file__).resolve().parents[4]))  # for scripts
from compiling import compiled

SIZE = 4  # of inputs
N_STEPS = 40
# Paths are compared this often before they are believed, and one of so many calls after that: so
# values are compared that tapes have written, and a difference that a tape's own comparisons find,
# which would hide it, is a finding as well.
N_PROOFS, INTERVAL = 5, 7
SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 1e155, 1e-310, -3.75]


class Case:
    """A function to be run both ways.

    Attributes
    ----------
    text : str
        A program, which defines ``make``.
    names : dict of (str, object)
        What it finds around itself.
    is_node : bool
        Whether the function is one of time and input, or of a point.
    size_out : int
        How many numbers it returns.
    inputs : (n, SIZE) numpy.ndarray
        What the function is called with.
    """

    text: str
    names: dict
    is_node: bool
    size_out: int
    inputs: np.ndarray

    def make(self):
        """The function, new, with a state of its own."""
        names = dict(self.names)
        exec(self.text, names)
        return names["make"]()

    def check(self) -> bool:
        """Compare what the function computes both ways; tells whether it was compiled.

        Raises
        ------
        AssertionError
            If there is a difference in any bit, or another error.
        """
        with (
            warnings.catch_warnings(),
            patch.object(tape, "N_PROOFS", N_PROOFS),
            patch.object(tape, "INTERVAL", INTERVAL),
        ):
            warnings.simplefilter("ignore")
            return self._check_node() if self.is_node else self._check_connection()

    def _check_node(self) -> bool:
        results, is_compiled = {}, False
        for engine_class in (CpuBackend, ReferenceBackend):
            model = Model()
            x, output = Signal(np.zeros(SIZE)), Signal(np.zeros(self.size_out))
            model.add_op(SimPyFunc(output, self.make(), t=model.time, x=x))
            engine = compiled(model, engine_class)
            engine.reset(1)
            if engine_class is CpuBackend:
                plan = engine.explain()
                is_compiled = bool(plan.compiled)
                remark = (*plan.compiled, *plan.in_python)[0][1]
                assert "malformed" not in remark
                assert "cannot be compiled" not in remark, remark
            results[engine_class] = []
            for row in self.inputs:
                engine.signals[x] = row
                results[engine_class].append(_outcome(engine, output))
            assert not any(each.wrong for each in getattr(engine, "callbacks", ()))
        assert results[CpuBackend] == results[ReferenceBackend]
        return is_compiled

    def _check_connection(self) -> bool:
        points = self.inputs.copy()
        points.setflags(write=False)
        targets = np.zeros((len(points), self.size_out))
        function = self.make()
        evaluator = Functions()
        natively = evaluator.natively(function, points, targets)
        assert not any(known.wrong for known in evaluator._known.values())
        if natively is None:
            return False
        n_done, n_stops, in_python = 0, 0, self.make()
        while n_done < len(points):
            n_more = natively(points[n_done:], targets[n_done:])
            assert n_more is not None
            for i in range(n_done, n_done + n_more):
                expected = np.zeros(self.size_out)
                assign(in_python(points[i]), expected)
                assert expected.tobytes() == targets[i].tobytes()
            n_done += n_more
            n_stops += 1
            if n_done < len(points):  # a point for Python
                outcomes = []
                for each in (function, in_python):
                    try:
                        outcomes.append(repr(each(points[n_done])))
                    except Exception as error:
                        outcomes.append(repr(error))
                assert outcomes[0] == outcomes[1]
                n_done += 1
        return True


def _outcome(engine, output):
    try:
        with patch.object(tapes_in_use, "WORTH_CHECKING", 0):  # tapes, even for a single step
            engine.run(1)
    except Exception as error:
        return type(error), str(error)
    return engine.signals[output].tobytes()


def inputs_of(seed: int, n: int, special: list[float], share: float) -> np.ndarray:
    """Random inputs, with a share of special numbers."""
    numbers = np.random.RandomState(seed % 2**32)
    inputs = numbers.uniform(-2, 2, (n, SIZE))
    is_special = numbers.uniform(size=inputs.shape) < share
    inputs[is_special] = numbers.choice(special, int(is_special.sum()))
    return inputs
