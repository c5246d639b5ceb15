"""What an engine can do while a model is built, before there is anything to run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from typing import Any, ClassVar

import numpy as np
from nengo.exceptions import ValidationError

from nengo_jit.engines.base import Engine
from nengo_jit.ir.evaluator import IN_PYTHON, Evaluator
from nengo_jit.ir.model import Model
from nengo_jit.neurons import Formula
from nengo_jit.options import Options
from nengo_jit.planner import Pass, Plan, make_plan

# These never change results, so that an engine may take no notice of them.
HINTS = frozenset({"threads", "compile_python"})


class Backend(ABC):
    """Knows what an engine can do at build time, and makes the engine.

    Parameters
    ----------
    options : Options
        What the user has chosen.

    Attributes
    ----------
    name : str
        What users call the engine.
    options_taken : frozenset of str
        Names of the options that may be given to this engine; by default those that never change
        results. Others, if given by keyword, are refused. What the environment says is for those
        engines that take it.
    precisions : collection of numpy.dtype
        Types of numbers that the engine can compute with.

    Raises
    ------
    ValidationError
        If an option is given that the engine does not take.
    """

    name: ClassVar[str]
    options_taken: ClassVar[frozenset[str]] = HINTS
    precisions: ClassVar[Collection[np.dtype]] = [np.dtype(f"float{n}") for n in (16, 32, 64)]

    def __init__(self, options: Options = Options()):  # noqa: B008  # it is frozen
        for name in sorted(options.given - {"engine"} - self.options_taken):
            known = ", ".join(sorted(self.options_taken)) or "none"
            raise ValidationError(
                f"The engine '{self.name}' does not have this option; it has: {known}", attr=name
            )
        self.options = options

    @property
    def passes(self) -> Sequence[Pass]:
        """Sequence of callable: what the planner does beyond ordering the operators.

        See `nengo_jit.planner.passes`; none are needed for an engine that carries out one operator
        after the other.
        """
        return ()

    def plan(self, model: Model) -> Plan:
        """Plan how to run a model on the engine; BuildError if it cannot be run."""
        return make_plan(model, self.passes)

    @abstractmethod
    def compile(self, plan: Plan, progress: Any = None) -> Engine:
        """Make an engine that runs a plan.

        Parameters
        ----------
        plan : Plan
            From `plan`.
        progress : nengo.utils.progress.Progress, optional
            Is told how far getting ready is.
        """

    def calls_python(self, operator: Any) -> bool:
        """Whether it is plain that the engine calls Python for an operator in every step."""
        return True

    def prepare(self, network: Any, dtype: np.dtype) -> None:
        """Begin to get ready for a network that is about to be built.

        Parameters
        ----------
        network : nengo.Network
            The network.
        dtype : numpy.dtype
            Type of the model's numbers.
        """
        return

    def rates_by(self, formula: Formula) -> Callable[..., None] | None:
        """What computes the rates of a formula natively; None if the engine has nothing.

        It is called as ``compute(x, gain, bias, parameters, result)``, see
        `nengo_jit.neurons.rates.RateBackend.compute`, by any number of threads at the same time.
        """
        return None

    def evaluator(self) -> Evaluator:
        """What evaluates the functions of connections while a model is built."""
        return IN_PYTHON
