"""The base class of operators: four lists of signals, and a function that computes on them.

Each operator has the name and the attributes of nengo's operator and derives from it, so that
third-party code that checks for nengo's types accepts ours. It inherits nothing else.
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
Rng: TypeAlias = np.random.RandomState | ModuleType  # the module `numpy.random`


def operand(role: str, index: int = 0) -> property:
    """Return a property that reads an element of one of an operator's lists.

    Parameters
    ----------
    role : {"sets", "incs", "reads", "updates"}
        The list.
    index : int
        Index of the operand in the list.
    """
    read: dict[str, Callable[[Operator], Signal]] = {  # without `getattr`, which is slower
        "sets": lambda operator: operator.sets[index],
        "incs": lambda operator: operator.incs[index],
        "reads": lambda operator: operator.reads[index],
        "updates": lambda operator: operator.updates[index],
    }
    return property(read[role], doc=f"Signal: ``{role}[{index}]``.")


class Operator(reference.Operator):
    """A computation that a simulator runs in every step.

    In one step, a signal is set at most once, then incremented any number of times, then read
    any number of times, then updated at most once. This rule determines the order of operators. An
    update is the value for the next step.

    An operator must state all four lists; there are no defaults.

    Parameters
    ----------
    tag : str, optional
        The purpose of the operator, for messages.
    sets, incs, reads, updates : list of Signal
        The signals that the operator accesses, by role. Subclasses may also set the attributes.
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
        """The operands as text, for `str`."""
        return ""

    @property
    def all_signals(self) -> list[Signal]:
        """List of Signal: every signal that the operator accesses."""
        return [*self.reads, *self.sets, *self.incs, *self.updates]

    def init_signals(self, signals: SignalDict) -> None:
        """Allocate memory for the operator's signals, and for buffers if it needs some.

        Parameters
        ----------
        signals : SignalDict
            The memory, which `make_step` will get; ``signals.init(signal)`` adds a signal.
        """
        for signal in self.all_signals:
            if signal not in signals:
                signals.init(signal)

    def inputs(self) -> list[Signal]:
        """Return the signals whose values `compute` takes: those that are read, and the state.

        State signals are set or updated; `compute` takes their previous values.
        """
        return list(self.reads)

    def outputs(self) -> list[Signal]:
        """Return the signals whose values `compute` returns."""
        return [*self.sets, *self.incs, *self.updates]

    def place(self) -> Place:
        """Return the index of the elements of the output that are set or incremented."""
        return Ellipsis

    def parameters(self, dt: float) -> tuple[object, ...] | None:
        """Return the first arguments of `compute`, before the values of signals.

        Parameters
        ----------
        dt : float
            Length of a step (seconds).

        Returns
        -------
        tuple or None
            Floats and NumPy arrays, which may differ among operators that are computed together,
            and other objects, which may not. None if only
            `make_step` can run the operator.
        """
        return ()

    def draws(self, dt: float, rng: Rng) -> Callable[..., np.ndarray] | None:
        """Return the function that draws the random numbers that `compute` takes as last argument.

        Parameters
        ----------
        dt : float
            Length of a step (seconds).
        rng : numpy.random.RandomState
            Source of randomness. The method may draw a seed from it.

        Returns
        -------
        callable or None
            Called in each step with the time (seconds) and the values of `inputs`, in NumPy. None
            if `compute` takes no random numbers.
        """
        return None

    def check(self, signals: SignalDict) -> None:
        """Check that the operator can run.

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
        """Compute the new values of the outputs: a pure function, which writes to no array.

        It uses only functions of the Python array API standard, on arrays of any library.

        Parameters
        ----------
        xp : module
            The array library, such as NumPy.
        *arguments
            The `parameters`, the values of the `inputs`, and the result of `draws` if it is given.

        Returns
        -------
        tuple
            For each of the `outputs`, its new value or, if it is incremented, the increment, in a
            shape that broadcasts to the output's.
        """
        raise NotImplementedError("this operator has no compute; call its make_step")

    def make_step(self, signals: SignalDict, dt: float, rng: Rng) -> Step:
        """Return the function that runs the operator once: it calls `compute` on NumPy arrays.

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
        assert parameters is not None, "an operator whose parameters are None overrides make_step"
        inputs = [signals[signal] for signal in self.inputs()]
        compute: Compute = partial(self.compute, np, *parameters, *inputs)
        targets = [signals[signal] for signal in self.outputs()]
        if len(targets) != 1:
            return writing_all(compute, targets, [s in self.incs for s in self.outputs()])
        if self.incs:
            return adding(compute, targets[0], self.place())
        return assigning(compute if inputs else always(compute()), targets[0], self.place())


def always(values: tuple[Any, ...]) -> Compute:
    """Return a function that returns the same values in each step."""
    return lambda: values


def assigning(compute: Compute, target: np.ndarray, place: Place) -> Step:
    """Return the step that assigns the computed value to an array, or to elements of it."""

    def step_assigning() -> None:
        target[...] = compute()[0]

    def step_assigning_elements() -> None:
        target[place] = compute()[0]

    return step_assigning if place is Ellipsis else step_assigning_elements


def writing_all(compute: Compute, targets: list[np.ndarray], is_added: list[bool]) -> Step:
    """Return the step that assigns the computed values, or adds them, to several arrays."""
    values: tuple[Any, ...] = ()  # kept alive: reallocating large blocks is slow

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
    """Return the step that adds the computed value to an array, or to elements of it."""

    def step_adding() -> None:
        np.add(target, compute()[0], target)  # faster than +=

    def step_adding_to_elements() -> None:
        target[place] += compute()[0]

    def step_adding_repeatedly() -> None:
        np.add.at(target, place, compute()[0])

    if place is Ellipsis:
        return step_adding
    return step_adding_repeatedly if selects_twice(place, target.shape) else step_adding_to_elements
