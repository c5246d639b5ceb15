"""What every operator is: four lists of signals, and what is computed from them.

Each class has the name, the attributes and, as a base, the type of nengo's operator, so that
third-party code which looks for nengo's finds ours; nothing but the type is inherited.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any, TypeAlias

import nengo.builder.operator as reference
import numpy as np
from nengo.builder.signal import Signal

from nengo_jit.ir.arrays import Array, Namespace
from nengo_jit.ir.memory import SignalDict
from nengo_jit.ir.selection import Place, selects_twice

Step = Callable[[], object]
Compute = Callable[[], tuple[Any, ...]]  # in NumPy
Rng: TypeAlias = np.random.RandomState | ModuleType  # which is `numpy.random` itself


def operand(role: str, index: int = 0) -> property:
    """Attribute that reads the operand at ``index`` of one of an operator's role lists.

    Parameters
    ----------
    role : {"sets", "incs", "reads", "updates"}
        The list in which the operand stands.
    index : int
        Its place there.
    """

    def read(operator: Operator) -> Signal:
        return getattr(operator, role)[index]

    return property(read, doc=f"Signal: ``{role}[{index}]``.")


class Operator(reference.Operator):
    """A computation that a simulator carries out in every step.

    In one step a signal is set at most once, then incremented any number of times, then read
    any number of times, then updated at most once: this is what orders the operators. An
    update is the value for the next step.

    Every operator states all four lists; there is no default on purpose.

    Parameters
    ----------
    tag : str, optional
        What the operator is for, in words for people.
    sets, incs, reads, updates : list of Signal
        The signals that the operator touches, by role. Subclasses may also assign them as
        attributes.
    """

    sets: Any = None
    incs: Any = None
    reads: Any = None
    updates: Any = None

    def __init__(
        self,
        tag: str | None = None,
        *,
        sets: list[Signal] | None = None,
        incs: list[Signal] | None = None,
        reads: list[Signal] | None = None,
        updates: list[Signal] | None = None,
    ):
        self.tag = tag
        self.sets = sets
        self.incs = incs
        self.reads = reads
        self.updates = updates

    def __repr__(self) -> str:
        tag = "" if self.tag is None else f" '{self.tag}'"
        return f"<{type(self).__name__}{tag} at 0x{id(self):x}>"

    def __str__(self) -> str:
        tag = "" if self.tag is None else f" '{self.tag}'"
        return f"{type(self).__name__}{{{self._descstr}{tag}}}"

    @property
    def _descstr(self) -> str:
        """Operands in words, for `str`."""
        return ""

    @property
    def all_signals(self) -> list[Signal]:
        """List of Signal: every signal that the operator touches."""
        return [*self.reads, *self.sets, *self.incs, *self.updates]

    def init_signals(self, signals: SignalDict) -> None:
        """Ask for memory for the operator's signals, and for buffers if it needs some.

        Parameters
        ----------
        signals : SignalDict
            Where `make_step` will find the memory; ``signals.init(signal)`` adds to it.
        """
        for signal in self.all_signals:
            if signal not in signals:
                signals.init(signal)

    def inputs(self) -> list[Signal]:
        """Signals whose values `compute` takes: what is read, and what it continues from.

        The latter are signals that are set or updated, with their values before that.
        """
        return list(self.reads)

    def outputs(self) -> list[Signal]:
        """Signals whose values `compute` returns."""
        return [*self.sets, *self.incs, *self.updates]

    def place(self) -> Place:
        """Index of those elements of the output that are set or incremented."""
        return Ellipsis

    def parameters(self, dt: float) -> tuple[object, ...] | None:
        """What `compute` takes before the values of signals.

        Parameters
        ----------
        dt : float
            Length of a step (seconds).

        Returns
        -------
        tuple or None
            Numbers (float) and arrays (of NumPy), which may differ among operators that are
            computed together, and whatever else there is to choose, which may not. None if only
            `make_step` knows what the operator does.
        """
        return ()

    def draws(self, dt: float, rng: Rng) -> Callable[..., np.ndarray] | None:
        """Return what draws the numbers that `compute` takes after all else, if it takes some.

        Parameters
        ----------
        dt : float
            Length of a step (seconds).
        rng : numpy.random.RandomState
            Source of randomness, from which a seed may be drawn at once.

        Returns
        -------
        callable or None
            To be called in each step with the time (seconds) and the values of `inputs`, in NumPy.
        """
        return None

    def check(self, signals: SignalDict) -> None:
        """See that the operator can be carried out.

        Parameters
        ----------
        signals : SignalDict
            The live arrays.

        Raises
        ------
        BuildError
            If it cannot.
        """
        return

    @staticmethod
    def compute(xp: Namespace, *arguments: Any) -> tuple[Array, ...]:
        """Compute what the operator does in a step: a pure function, which writes to nothing.

        It is in the words of the Python array API standard, on arrays of any library.

        Parameters
        ----------
        xp : module
            The library, such as NumPy.
        *arguments
            The `parameters`, the values of the `inputs`, and what is drawn by `draws`, if anything.

        Returns
        -------
        tuple
            For each of the `outputs`, its new value or, if it is incremented, what is added to it,
            in a shape that broadcasts to the output's.
        """
        raise NotImplementedError("only make_step knows what this operator does")

    def make_step(self, signals: SignalDict, dt: float, rng: Rng) -> Step:
        """Return the function that carries the operator out once, in NumPy, by `compute`.

        Parameters
        ----------
        signals : SignalDict
            The live arrays.
        dt : float
            Length of a step (seconds).
        rng : numpy.random.RandomState
            Source of randomness.
        """
        if type(self).compute is Operator.compute:
            raise NotImplementedError(f"{type(self).__name__} does not implement make_step")
        self.check(signals)
        parameters = self.parameters(dt)
        assert parameters is not None, "an operator without parameters has a step of its own"
        inputs = [signals[signal] for signal in self.inputs()]
        compute: Compute = partial(self.compute, np, *parameters, *inputs)
        targets = [signals[signal] for signal in self.outputs()]
        if len(targets) != 1:
            return writing_all(compute, targets, [s in self.incs for s in self.outputs()])
        if self.incs:
            return adding(compute, targets[0], self.place())
        return assigning(compute if inputs else always(compute()), targets[0], self.place())


def always(values: tuple[Any, ...]) -> Compute:
    """What computes the same in each step."""
    return lambda: values


def assigning(compute: Compute, target: np.ndarray, place: Place) -> Step:
    """The step that assigns what is computed to an array, or to elements of it."""

    def step_assigning() -> None:
        target[...] = compute()[0]

    def step_assigning_elements() -> None:
        target[place] = compute()[0]

    return step_assigning if place is Ellipsis else step_assigning_elements


def writing_all(compute: Compute, targets: list[np.ndarray], is_added: list[bool]) -> Step:
    """The step that assigns or adds what is computed to several arrays."""
    values: tuple[Any, ...] = ()  # are kept: large blocks that are freed take long to get again

    def step_writing_all() -> None:
        nonlocal values
        values = compute()
        for target, adds, value in zip(targets, is_added, values):
            if adds:
                target[...] += value
            else:
                target[...] = value

    return step_writing_all


def adding(compute: Compute, target: np.ndarray, place: Any) -> Step:
    """The step that adds what is computed to an array, or to elements of it."""

    def step_adding() -> None:
        np.add(target, compute()[0], target)  # sooner than +=

    def step_adding_to_elements() -> None:
        target[place] += compute()[0]

    def step_adding_repeatedly() -> None:
        np.add.at(target, place, compute()[0])

    if place is Ellipsis:
        return step_adding
    return step_adding_repeatedly if selects_twice(place, target.shape) else step_adding_to_elements
