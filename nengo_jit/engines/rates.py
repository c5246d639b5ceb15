"""Compute steady firing rates on an engine, by running neurons that have to settle."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from nengo.neurons import NeuronType

from nengo_jit.engines.backend import Backend
from nengo_jit.ir.model import Model
from nengo_jit.ir.neurons import SimNeurons
from nengo_jit.ir.operator import Copy
from nengo_jit.ir.signal import Signal
from nengo_jit.neurons import Formula
from nengo_jit.neurons.rates import DT, RateBackend
from nengo_jit.parallel import n_cores, parallel_map
from nengo_jit.settings import settings_held

POPULATION = 4096  # neurons that are run together, so that their state fits into a core's cache


class OnEngine(RateBackend):
    """Computes rates on the engine that will run the neurons.

    Parameters
    ----------
    backend : Backend
        Backend of the engine; its options have the maximum number of threads.
    """

    def __init__(self, backend: Backend):
        self.backend = backend
        self.threads = backend.options.threads or n_cores()

    def settle(self, neurons: NeuronType, formula: Formula, J: np.ndarray) -> np.ndarray:
        if J.dtype not in self.backend.precisions:
            return super().settle(neurons, formula, J)
        parts = np.array_split(J, min(self.threads, -(-len(J) // POPULATION)) or 1)
        alone = type(self.backend)(replace(self.backend.options, threads=1))
        with settings_held(J.dtype):  # an engine has one precision
            populations = [Population(alone, neurons, formula, part) for part in parts]
        return np.concatenate(list(parallel_map(Population.settle, populations, self.threads)))

    def compute(
        self,
        formula: Formula,
        x: np.ndarray,
        gain: np.ndarray,
        bias: np.ndarray,
        parameters: tuple[float, ...],
        result: np.ndarray,
    ) -> None:
        compute = self.backend.rates_by(formula)
        if compute is None:
            super().compute(formula, x, gain, bias, parameters, result)
        else:
            compute(x, gain, bias, parameters, result)


class Population:
    """Neurons with constant currents, on an engine of their own.

    Parameters
    ----------
    backend : Backend
        Backend of the engine.
    neurons : nengo.neurons.NeuronType
        The neuron type.
    formula : Formula
        Its formula, with ``settling``.
    J : (n,) numpy.ndarray
        Currents (dimensionless).
    """

    def __init__(self, backend: Backend, neurons: NeuronType, formula: Formula, J: np.ndarray):
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
        self.engine = backend.compile(backend.plan(model))

    def settle(self) -> np.ndarray:
        """Mean output of each neuron after it has settled (hertz)."""
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
