"""Find the rates of neurons that have to settle, by running them on an engine."""

from __future__ import annotations

from functools import partial

import numpy as np
from nengo.neurons import NeuronType

from nengo_jit.builder.builder import Model
from nengo_jit.builder.neurons import SimNeurons
from nengo_jit.builder.operator import Copy
from nengo_jit.builder.signal import Signal
from nengo_jit.engines.base import Engine
from nengo_jit.neurons import Formula
from nengo_jit.neurons.rates import DT, Settle, settle_in_numpy
from nengo_jit.parallel import n_cores, parallel_map
from nengo_jit.planner.plan import make_plan

POPULATION = 4096  # neurons that are run together: their state stays in a core's cache


def settle_on(engine: type[Engine], threads: int | None = None) -> Settle:
    """What finds rates as `nengo_jit.neurons.rates.settle_in_numpy` does, on an engine.

    Parameters
    ----------
    engine : type
        Which engine.
    threads : int, optional
        How many threads to use at most; as many as there are cores by default.
    """
    return partial(_settle, engine, n_cores() if threads is None else threads)


def _settle(
    engine: type[Engine], threads: int, neurons: NeuronType, formula: Formula, J: np.ndarray
) -> np.ndarray:
    parts = np.array_split(J, min(threads, -(-len(J) // POPULATION)) or 1)
    model = Model(dt=DT)
    if model.time.dtype != J.dtype:  # engines have one precision at a time
        return settle_in_numpy(neurons, formula, J)
    populations = [Population(engine, neurons, formula, part) for part in parts]
    return np.concatenate(list(parallel_map(Population.settle, populations, threads)))


class Population:
    """Neurons at constant currents, on an engine of their own.

    Parameters
    ----------
    engine : type
        Which engine.
    neurons : nengo.neurons.NeuronType
        What to run.
    formula : Formula
        Its formula, with ``settling``.
    J : (n,) numpy.ndarray
        Currents (dimensionless).
    """

    def __init__(self, engine: type[Engine], neurons: NeuronType, formula: Formula, J: np.ndarray):
        assert formula.settling is not None
        self.settling = formula.settling
        self.J = J
        n = min(len(J), POPULATION)
        self.input, output, self.total, *states = (
            Signal(np.zeros(n), name=name) for name in ("J", "output", "total", *formula.states)
        )
        model = Model(dt=DT)
        model.add_op(SimNeurons(neurons, self.input, output, dict(zip(formula.states, states))))
        model.add_op(Copy(output, self.total, inc=True))
        self.engine = engine(make_plan(model, engine.runs_python), threads=1)

    def settle(self) -> np.ndarray:
        """Mean output of each neuron (hertz) once it has settled."""
        signals = self.engine.signals
        n_settle, n_count = self.settling
        result = np.empty_like(self.J)
        for start in range(0, len(self.J), POPULATION):
            block = self.J[start : start + POPULATION]
            self.engine.reset(0)
            signals[self.input][: len(block)] = block
            self.engine.run(n_settle)
            signals[self.total][...] = 0.0
            self.engine.run(n_count)
            result[start : start + POPULATION] = signals[self.total][: len(block)] / float(n_count)
        return result
