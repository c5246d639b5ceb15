"""Operators: what is computed in a step, on which signals, and in which role.

Each class has the name, the attributes and, as a base, the type of nengo's operator, so that
third-party code which looks for nengo's finds ours; nothing but the type is inherited.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import Any

import nengo.builder.operator as reference
import nengo.utils.numpy as npext
import numpy as np
from nengo.builder.signal import Signal
from nengo.exceptions import BuildError, SimulationError
from nengo.utils.functions import function_name
from nengo.utils.numpy import is_array_like

from nengo_jit.ir.signal import SignalDict

Step = Callable[[], None]


def operand(role: str, index: int = 0) -> Any:
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

    def make_step(self, signals: SignalDict, dt: float, rng: Any) -> Step:
        """Return the function that carries the operator out once: its definition, in NumPy.

        Parameters
        ----------
        signals : SignalDict
            The live arrays.
        dt : float
            Length of a step (seconds).
        rng : numpy.random.RandomState
            Source of randomness.
        """
        raise NotImplementedError(f"{type(self).__name__} does not implement make_step")


class TimeUpdate(Operator, reference.TimeUpdate):
    """Advance the step counter and the time.

    Implements ``step += 1`` and ``time = step * dt``: in the first step, t is dt.

    Parameters
    ----------
    step : Signal
        Number of steps, an integer of shape ``()``.
    time : Signal
        Simulated time of shape ``()`` (seconds).
    tag : str, optional
        What the operator is for.

    Notes
    -----
    sets ``[step, time]``, incs ``[]``, reads ``[]``, updates ``[]``
    """

    step = operand("sets", 0)
    time = operand("sets", 1)

    def __init__(self, step: Signal, time: Signal, tag: str | None = None):
        Operator.__init__(self, tag, sets=[step, time], incs=[], reads=[], updates=[])

    def make_step(self, signals: SignalDict, dt: float, rng: Any) -> Step:
        step, time = signals[self.step], signals[self.time]

        def step_timeupdate() -> None:
            step[...] += 1
            time[...] = step * dt

        return step_timeupdate


class Reset(Operator, reference.Reset):
    """Assign a constant to a signal.

    Implements ``dst[...] = value``.

    Parameters
    ----------
    dst : Signal
        The signal to assign to.
    value : float
        The constant.
    tag : str, optional
        What the operator is for.

    Notes
    -----
    sets ``[dst]``, incs ``[]``, reads ``[]``, updates ``[]``
    """

    dst = operand("sets")

    def __init__(self, dst: Signal, value: float = 0, tag: str | None = None):
        Operator.__init__(self, tag, sets=[dst], incs=[], reads=[], updates=[])
        self.value = float(value)

    @property
    def _descstr(self) -> str:
        return str(self.dst)

    def make_step(self, signals: SignalDict, dt: float, rng: Any) -> Step:
        dst, value = signals[self.dst], self.value

        def step_reset() -> None:
            dst[...] = value

        return step_reset


class Copy(Operator, reference.Copy):
    """Assign a signal, or add it, to another, with optional selections on either side.

    Implements ``dst[dst_slice] = src[src_slice]`` or, with ``inc``,
    ``dst[dst_slice] += src[src_slice]``, where a repeated index adds repeatedly.

    Parameters
    ----------
    src, dst : Signal
        Where from and where to.
    src_slice, dst_slice : slice or list of int, optional
        What to select. A slice becomes a view of the signal; a list stays an attribute.
    inc : bool
        Add instead of assigning.
    tag : str, optional
        What the operator is for.

    Raises
    ------
    BuildError
        By `make_step`, if ``dst_slice`` has repeated indices and ``inc`` is false.

    Notes
    -----
    sets ``[] if inc else [dst]``, incs ``[dst] if inc else []``, reads ``[src]``, updates ``[]``
    """

    src = operand("reads")

    def __init__(
        self,
        src: Signal,
        dst: Signal,
        src_slice: Any = None,
        dst_slice: Any = None,
        inc: bool = False,
        tag: str | None = None,
    ):
        if isinstance(src_slice, slice):
            src, src_slice = src[src_slice], None
        if isinstance(dst_slice, slice):
            dst, dst_slice = dst[dst_slice], None
        Operator.__init__(
            self,
            tag,
            sets=[] if inc else [dst],
            incs=[dst] if inc else [],
            reads=[src],
            updates=[],
        )
        self.src_slice = src_slice
        self.dst_slice = dst_slice
        self.inc = inc

    @property
    def dst(self) -> Signal:
        """Signal: where to."""
        return (self.incs if self.inc else self.sets)[0]

    @property
    def _descstr(self) -> str:
        def selected(signal: Signal, selection: Any) -> str:
            return f"{signal}" if selection is None else f"{signal}[{selection}]"

        source = selected(self.src, self.src_slice)
        return f"{source} -> {selected(self.dst, self.dst_slice)}, inc={self.inc}"

    def make_step(self, signals: SignalDict, dt: float, rng: Any) -> Step:
        src, dst = signals[self.src], signals[self.dst]
        source, target = as_selection(self.src_slice), as_selection(self.dst_slice)
        repeated = isinstance(target, np.ndarray) and has_repeats(target, len(dst))

        def step_copy() -> None:
            dst[target] = src[source]

        def step_copy_inc() -> None:
            dst[target] += src[source]

        def step_copy_inc_repeated() -> None:
            np.add.at(dst, target, src[source])

        if not repeated:
            return step_copy_inc if self.inc else step_copy
        if not self.inc:
            raise BuildError(
                f"{self}: Cannot have repeated indices in ``dst_slice`` "
                "when copy is not an increment"
            )
        return step_copy_inc_repeated


def as_selection(selection: Any) -> Any:
    """What to index an array with: everything for None, an array for a list or a tuple."""
    if selection is None:
        return Ellipsis
    if not is_array_like(selection):
        return selection
    indices = np.asarray(selection)
    return indices if indices.size else indices.astype(int)  # [] has no type of its own


def has_repeats(indices: Any, length: int) -> bool:
    """Whether a list of indices into ``length`` elements names one of them twice.

    Parameters
    ----------
    indices : array_like of int or bool
        Negative integers count from the end; booleans are a mask and never repeat.
    length : int
        Number of elements that are indexed.
    """
    array = np.asarray(indices)
    if array.dtype.kind == "b":
        return False
    return np.unique(np.where(array < 0, array + length, array)).size < array.size


class ElementwiseInc(Operator, reference.ElementwiseInc):
    """Add a product, element by element.

    Implements ``Y[...] += A * X``, with broadcasting.

    Parameters
    ----------
    A, X : Signal
        The factors.
    Y : Signal
        What is incremented.
    tag : str, optional
        What the operator is for.

    Raises
    ------
    BuildError
        By `make_step`, if the shapes do not broadcast to that of ``Y``.

    Notes
    -----
    sets ``[]``, incs ``[Y]``, reads ``[A, X]``, updates ``[]``
    """

    A = operand("reads", 0)
    X = operand("reads", 1)
    Y = operand("incs")

    def __init__(self, A: Signal, X: Signal, Y: Signal, tag: str | None = None):
        Operator.__init__(self, tag, sets=[], incs=[Y], reads=[A, X], updates=[])

    @property
    def _descstr(self) -> str:
        return f"{self.A}, {self.X} -> {self.Y}"

    def make_step(self, signals: SignalDict, dt: float, rng: Any) -> Step:
        A, X, Y = signals[self.A], signals[self.X], signals[self.Y]
        if not broadcasts(A.shape, X.shape, Y.shape):
            raise BuildError(
                f"Incompatible shapes in {self}: Trying to do {Y.shape} += {A.shape} * {X.shape}"
            )

        def step_elementwiseinc() -> None:
            Y[...] += A * X

        return step_elementwiseinc


def broadcasts(a: tuple[int, ...], x: tuple[int, ...], y: tuple[int, ...]) -> bool:
    """Whether shapes ``a`` and ``x`` broadcast to ``y``, up to leading ones."""
    try:
        product = np.broadcast_shapes(a, x)
    except ValueError:
        return False
    return (1,) * (len(y) - len(product)) + product == y


class DotInc(Operator, reference.DotInc):
    """Add a matrix-vector product.

    Implements ``Y[...] += A.dot(X)``.

    Parameters
    ----------
    A : Signal
        The matrix, or a vector or scalar.
    X : Signal
        The vector, or a column vector.
    Y : Signal
        What is incremented.
    reshape : bool, optional
        Whether the product, of one element, takes the shape of ``Y``. Found out if not given.
    tag : str, optional
        What the operator is for.

    Raises
    ------
    BuildError
        If ``X`` or ``Y`` is a matrix, or if the shapes do not fit.

    Notes
    -----
    sets ``[]``, incs ``[Y]``, reads ``[A, X]``, updates ``[]``
    """

    A = operand("reads", 0)
    X = operand("reads", 1)
    Y = operand("incs")

    def __init__(
        self,
        A: Signal,
        X: Signal,
        Y: Signal,
        reshape: bool | None = None,
        tag: str | None = None,
    ):
        for name, signal in (("X", X), ("Y", Y)):
            if any(n > 1 for n in signal.shape[1:]):
                raise BuildError(f"{tag or 'DotInc'}: {name} must be a column vector, not {signal}")
        Operator.__init__(self, tag, sets=[], incs=[Y], reads=[A, X], updates=[])
        self.reshape = needs_reshape(A, X, Y, tag) if reshape is None else reshape

    @property
    def _descstr(self) -> str:
        return f"{self.A}, {self.X} -> {self.Y}"

    def make_step(self, signals: SignalDict, dt: float, rng: Any) -> Step:
        A, X, Y = signals[self.A], signals[self.X], signals[self.Y]

        def step_dotinc() -> None:
            Y[...] += A.dot(X)

        def step_dotinc_reshape() -> None:
            Y[...] += A.dot(X).reshape(Y.shape)

        return step_dotinc_reshape if self.reshape else step_dotinc


def needs_reshape(A: Signal, X: Signal, Y: Signal, tag: str | None = None) -> bool:
    """Whether ``A.dot(X)`` is one element that must take the shape of ``Y`` to be added to it.

    Raises
    ------
    BuildError
        If ``A.dot(X)`` does not exist or cannot be added to ``Y``.
    """
    product: tuple[int, ...] | None
    if A.shape == () or X.shape == ():
        product = A.shape + X.shape
    elif A.shape[-1] != X.shape[0]:
        product = None
    else:
        product = A.shape[:-1] + X.shape[1:]
    if product is None or product not in ((), Y.shape):
        raise BuildError(f"shape mismatch in {tag}: {A.shape} x {X.shape} -> {Y.shape}")
    return Y.size == 1 and int(np.prod(product)) == 1


class SparseDotInc(DotInc, reference.SparseDotInc):
    """Add the product of a sparse matrix and a vector.

    Implements ``Y[...] += A.dot(X)``.

    Parameters
    ----------
    A : Signal
        The sparse matrix.
    X : Signal
        The vector.
    Y : Signal
        What is incremented.
    tag : str, optional
        What the operator is for.

    Raises
    ------
    BuildError
        If ``A`` is not sparse, or ``X`` or ``Y`` is a matrix.

    Notes
    -----
    sets ``[]``, incs ``[Y]``, reads ``[A, X]``, updates ``[]``
    """

    def __init__(self, A: Signal, X: Signal, Y: Signal, tag: str | None = None):
        if not A.sparse:
            raise BuildError(f"{tag or 'SparseDotInc'}: A must be a sparse Signal, not {A}")
        DotInc.__init__(self, A, X, Y, reshape=False, tag=tag)

    def make_step(self, signals: SignalDict, dt: float, rng: Any) -> Step:
        matrix = signals[self.A]
        if npext.is_spmatrix(matrix) and not has_valid_indices(matrix):
            raise BuildError(f"{self}: the indices of {self.A} do not fit its shape")
        return DotInc.make_step(self, signals, dt, rng)


def has_valid_indices(matrix: Any) -> bool:
    """Whether the indices of a SciPy matrix point to elements of it: SciPy does not look.

    Formats other than CSR, CSC and COO are not looked at, either.
    """
    if matrix.format in ("csr", "csc"):
        n, m = matrix.shape if matrix.format == "csr" else matrix.shape[::-1]
        ends, indices = matrix.indptr, matrix.indices
        return (
            ends.shape == (n + 1,)
            and ends[0] == 0
            and bool((ends[1:] >= ends[:-1]).all())
            and ends[-1] <= min(matrix.data.size, indices.size)
            and _are_below(indices, m)
        )
    if matrix.format == "coo":
        return (
            matrix.row.shape == matrix.col.shape == matrix.data.shape
            and _are_below(matrix.row, matrix.shape[0])
            and _are_below(matrix.col, matrix.shape[1])
        )
    return True


def _are_below(indices: np.ndarray, n: int) -> bool:
    return indices.size == 0 or bool(indices.min() >= 0 and indices.max() < n)


class SimPyFunc(Operator, reference.SimPyFunc):
    """Call a Python function, once in every step.

    Implements ``output[...] = fn(t, x)``, where ``t`` or ``x`` may be left out. The function
    gets a copy of ``x``, which it may keep.

    Parameters
    ----------
    output : Signal or None
        Where the result goes; it is ignored if None.
    fn : callable
        The function.
    t : Signal or None
        The time to pass as a float (seconds), if any.
    x : Signal or None
        The signal to pass, if any.
    tag : str, optional
        What the operator is for.

    Raises
    ------
    SimulationError
        In a step, if the result is None, not finite, not numeric or does not fit ``output``.

    Notes
    -----
    sets ``[output]`` or ``[]``, incs ``[]``, reads those of ``[t, x]`` that are passed,
    updates ``[]``
    """

    def __init__(
        self,
        output: Signal | None,
        fn: Callable[..., Any],
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
        """Signal or None: where the result goes."""
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

    def make_call(self, signals: SignalDict) -> Callable[[], Any]:
        """Return the function that calls ``fn`` with what is passed, and returns the result.

        Parameters
        ----------
        signals : SignalDict
            The live arrays.
        """
        fn = self.fn
        t: Any = None if self.t is None else signals[self.t]
        x: Any = None if self.x is None else signals[self.x]

        # One function for each case, since they are called in every step.
        def of_x() -> Any:
            return fn(x.copy())

        def of_t() -> Any:
            return fn(t.item())

        def of_both() -> Any:
            return fn(t.item(), x.copy())

        cases: dict[tuple[bool, bool], Callable[[], Any]]
        cases = {(False, True): of_x, (True, False): of_t, (True, True): of_both}
        return cases.get((t is not None, x is not None), fn)

    def make_step(self, signals: SignalDict, dt: float, rng: Any) -> Step:
        fn, call = self.fn, self.make_call(signals)
        if self.output is None:
            return call
        output = signals[self.output]
        if not output.flags.writeable:
            return lambda: store(call(), output, fn)  # which says so, as nengo does
        fill = output.fill

        def step_simpyfunc() -> None:
            value = call()
            if isinstance(value, float) and isfinite(value):  # by far the quickest check
                fill(value)
            else:
                store(value, output, fn)

        return step_simpyfunc


def store(value: Any, output: np.ndarray, fn: Callable[..., Any]) -> None:
    """Assign what a user's function returned, or say what is wrong with it.

    Parameters
    ----------
    value : object
        The returned value.
    output : numpy.ndarray
        Where it goes, with broadcasting.
    fn : callable
        The function, to be named.

    Raises
    ------
    SimulationError
        If ``value`` is None, not finite, not numeric, complex or of the wrong shape.
    """
    try:
        if value is not None and _is_finite(value):
            output[...] = value  # not as an array: NumPy refuses more of what is none
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
        return int(np.count_nonzero(finite)) == finite.size  # quicker than all()
    return bool(np.all(finite))
