"""The operator that calls a user's Python function, and checks of the value that it returns."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import Any

import nengo.builder.operator as reference
import numpy as np
from nengo.builder.signal import Signal
from nengo.exceptions import SimulationError
from nengo.utils.functions import function_name

from nengo_jit.ir.base import Operator, Rng, Step
from nengo_jit.ir.memory import SignalDict


class SimPyFunc(Operator, reference.SimPyFunc):
    """Call a Python function, once in every step.

    Implements ``output[...] = fn(t, x)``, where ``t`` or ``x`` may be missing. The function gets a
    copy of ``x``, which it may keep.

    Parameters
    ----------
    output : Signal or None
        The signal for the result; None to ignore it.
    fn : callable
        The function.
    t : Signal or None
        The time, passed as a float (seconds); None to pass none.
    x : Signal or None
        The signal to pass; None to pass none.
    tag : str, optional
        The purpose of the operator.

    Raises
    ------
    SimulationError
        In a step, if the result is None, not finite, not numeric, or of another shape than
        ``output``.

    Notes
    -----
    sets ``[output]`` or ``[]``, incs ``[]``, reads those of ``[t, x]`` that are passed,
    updates ``[]``
    """

    def __init__(
        self,
        output: Signal | None,
        fn: Callable[..., object],
        t: Signal | None,
        x: Signal | None,
        tag: str | None = None,
    ):
        Operator.__init__(
            self,
            tag,
            sets=[] if output is None else [output],
            incs=[],
            reads=[signal for signal in (t, x) if signal is not None],
            updates=[],
        )
        self.fn = fn
        self.t_passed = t is not None
        self.x_passed = x is not None

    @property
    def output(self) -> Signal | None:
        """Signal or None: the signal for the result."""
        return self.sets[0] if self.sets else None

    @property
    def t(self) -> Signal | None:
        """Signal or None: the time, if it is passed."""
        return self.reads[0] if self.t_passed else None

    @property
    def x(self) -> Signal | None:
        """Signal or None: the input, if it is passed."""
        return self.reads[-1] if self.x_passed else None

    @property
    def _descstr(self) -> str:
        return f"{self.x} -> {self.output}, fn='{function_name(self.fn)}'"

    def make_call(self, signals: SignalDict) -> Callable[[], object]:
        """Return a function that calls ``fn`` with its arguments and returns the result.

        Parameters
        ----------
        signals : SignalDict
            The live arrays.
        """
        fn = self.fn
        t: Any = None if self.t is None else signals[self.t]
        x: Any = None if self.x is None else signals[self.x]

        # One function per case, without branches: they are called in every step.
        def of_x() -> object:
            return fn(x.copy())

        def of_t() -> object:
            return fn(t.item())

        def of_both() -> object:
            return fn(t.item(), x.copy())

        cases: dict[tuple[bool, bool], Callable[[], object]]
        cases = {(False, True): of_x, (True, False): of_t, (True, True): of_both}
        return cases.get((t is not None, x is not None), fn)

    def make_step(self, signals: SignalDict, dt: float, rng: Rng) -> Step:
        fn, call = self.fn, self.make_call(signals)
        if self.output is None:
            return call
        output = signals[self.output]
        if not output.flags.writeable:
            return lambda: store(call(), output, fn)  # raises, as in nengo
        fill = output.fill

        def step_simpyfunc() -> None:
            value = call()
            if isinstance(value, float) and isfinite(value):  # by far the fastest check
                fill(value)
            else:
                store(value, output, fn)

        return step_simpyfunc


def store(value: object, output: np.ndarray, fn: Callable[..., object]) -> None:
    """Assign the value that a user's function returned; raise if it is invalid.

    Parameters
    ----------
    value : object
        The returned value.
    output : numpy.ndarray
        The array to assign to, with broadcasting.
    fn : callable
        The function, for the error message.

    Raises
    ------
    SimulationError
        If ``value`` is None, not finite, not numeric, complex or of the wrong shape.
    """
    try:
        if value is not None and _is_finite(value):
            output[...] = value  # not np.asarray(value): it would accept more types
            return
    except (TypeError, ValueError) as error:
        raise SimulationError(
            f"Function '{function_name(fn)}' returned a value {value!r} of invalid type "
            f"{type(value)!r} or shape; numbers of shape {output.shape} are needed"
        ) from error
    raise SimulationError(
        f"Function '{function_name(fn)}' returned non-finite value (got {value!r})"
    )


def _is_finite(value: Any) -> bool:
    """Whether all numbers are finite; None and masked numbers are not."""
    finite = np.isfinite(value)
    if type(finite) is np.ndarray:
        return int(np.count_nonzero(finite)) == finite.size  # faster than all()
    return bool(np.all(finite))
