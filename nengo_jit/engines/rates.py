"""Compute steady firing rates by the native code of an engine, where it has some."""

from __future__ import annotations

import numpy as np

from nengo_jit.engines.backend import Backend
from nengo_jit.neurons import Formula
from nengo_jit.neurons.rates import RateBackend


class OnEngine(RateBackend):
    """Computes rates on the engine that will run the neurons.

    Parameters
    ----------
    backend : Backend
        Backend of the engine.
    """

    def __init__(self, backend: Backend):
        self.backend = backend

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
