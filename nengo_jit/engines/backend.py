"""Backends: what an engine can do while a model is built, before there is a plan to run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from nengo import Connection, Network
from nengo.exceptions import ValidationError
from nengo.utils.progress import Progress

from nengo_jit.engines.base import Engine
from nengo_jit.ir.base import Operator
from nengo_jit.ir.evaluator import IN_PYTHON, Evaluator
from nengo_jit.ir.model import Model
from nengo_jit.ir.signal import Signal
from nengo_jit.neurons import Formula
from nengo_jit.options import Options
from nengo_jit.planner import Pass, Plan, make_plan

if TYPE_CHECKING:
    from nengo_jit.engines.batch import BatchEngine

# These never change results, so that an engine may ignore them.
HINTS = frozenset({"threads", "compile_python"})


class Backend(ABC):
    """Knows what an engine can do at build time, and makes the engine.

    Parameters
    ----------
    options : Options
        The user's options.

    Attributes
    ----------
    name : str
        Name of the engine, for users.
    options_taken : frozenset of str
        Names of the options that this engine accepts; by default those that never change results.
        Others raise an error if given by keyword, and are ignored if set in the environment.
    precisions : collection of numpy.dtype
        Types of numbers that the engine supports.

    Raises
    ------
    ValidationError
        If an option is given that the engine does not accept.
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
        """Sequence of callable: passes of the planner, after it has ordered the operators.

        See `nengo_jit.planner.passes`. An engine that runs one operator after the other needs none.
        """
        return ()

    def plan(self, model: Model, progress: Progress | None = None) -> Plan:
        """Plan how to run a model on the engine.

        Parameters
        ----------
        model : Model
            The model.
        progress : nengo.utils.progress.Progress, optional
            Is updated while the model is planned.

        Raises
        ------
        BuildError
            If it cannot run.
        """
        return make_plan(model, self.passes, progress)

    @property
    def builder(self) -> Backend:
        """Backend: the one whose `rates_by` and `evaluator` the builder uses; by default this."""
        return self

    @abstractmethod
    def compile(self, plan: Plan, progress: Progress | None = None) -> Engine:
        """Make an engine that runs a plan.

        Parameters
        ----------
        plan : Plan
            From `plan`.
        progress : nengo.utils.progress.Progress, optional
            Is updated while the engine gets ready.
        """

    def compile_batch(
        self, plan: Plan, n_members: int, values: Mapping[Signal, np.ndarray]
    ) -> BatchEngine | None:
        """Make an engine that runs all members of a batch at once.

        Parameters
        ----------
        plan : Plan
            From `plan`.
        n_members : int
            Number of members.
        values : dict of (Signal, numpy.ndarray)
            Initial values by member, for signals that are not read-only.

        Returns
        -------
        BatchEngine or None
            None if members run in turn, on engines from `compile`.

        Raises
        ------
        ValidationError
            If the batch does not fit in the memory.
        """
        return None

    def calls_python(self, operator: Operator) -> bool:
        """Whether the engine certainly calls Python for an operator in each step."""
        return True

    def prepare(self, network: Network, dtype: np.dtype) -> None:
        """Begin to get ready, in the background, for a network that is about to be built.

        Parameters
        ----------
        network : nengo.Network
            The network.
        dtype : numpy.dtype
            Type of the model's numbers.
        """
        return

    def reads_columns(self, conn: Connection) -> bool:
        """Whether the engine reads a connection's weights column by column if they are constant.

        The builder then stores a large matrix in this order, so that the engine need not copy it.
        """
        return False

    def rates_by(self, formula: Formula) -> Callable[..., None] | None:
        """Function that computes the rates of a formula natively; None if there is none.

        It is called as ``compute(x, gain, bias, parameters, result)``, see
        `nengo_jit.neurons.rates.RateBackend.compute`, by any number of threads at the same time.
        """
        return None

    def evaluator(self) -> Evaluator:
        """Evaluator of the functions of connections, while a model is built."""
        return IN_PYTHON
