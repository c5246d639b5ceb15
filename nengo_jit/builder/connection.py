"""Build a connection: decode or slice, transform, filter, and add to the post object."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from nengo import Connection, Ensemble, Node
from nengo.base import NengoObject
from nengo.ensemble import Neurons
from nengo.exceptions import BuildError
from nengo.neurons import Direct
from nengo.transforms import Dense, NoTransform
from nengo.utils.numpy import is_integer
from numpy.typing import ArrayLike

from nengo_jit.builder.builder import Builder, Model
from nengo_jit.builder.built import BuiltConnection, Points, in_common
from nengo_jit.builder.generators import generator
from nengo_jit.builder.transforms import APPLY_WEIGHTS
from nengo_jit.ir.base import Operator
from nengo_jit.ir.operator import Copy, ElementwiseInc, Reset
from nengo_jit.ir.python import SimPyFunc
from nengo_jit.ir.signal import Order, Signal


class Decoded(NamedTuple):
    """The input of a connection's transform.

    Attributes
    ----------
    signal : Signal
        The value, or neural activities that still need decoding.
    eval_points, decoders, solver_info
        Input and results of the solver; None if the signal is a value.
    """

    signal: Signal
    eval_points: np.ndarray | Points | None = None
    decoders: np.ndarray | None = None
    solver_info: dict[str, object] | None = None


@Builder.register(Connection)
def build_connection(model: Model, conn: Connection) -> None:
    """Build a connection, and its learning rules, into a model.

    Parameters
    ----------
    model : Model
        The model to build into.
    conn : nengo.Connection
        The connection; its pre and post objects must have been built before.

    Raises
    ------
    BuildError
        If the pre or post object is not in the model, or if the solver, transform, function and
        learning rules do not work together; the message names them.
    NotImplementedError
        For learning on a transform that is neither dense nor absent.

    Notes
    -----
    Sets ``model.sig[conn]["in"]`` and ``["out"]``, the signals of the pre and post object,
    ``["weights"]``, and ``["weighted"]``, the filtered product of input and weights; and
    ``model.sig["gains"][conn]``, the gains of the neurons that it leads to. Then sets
    ``model.params[conn]`` to a `nengo.builder.connection.BuiltConnection`:

    - ``eval_points``: (n_eval_points, dimensions) `numpy.ndarray`, the points for which the
      decoders were solved; None without a solver.
    - ``solver_info``: dict, the solver's information about the solution; None without a solver.
    - ``weights``: `numpy.ndarray` or sparse matrix, the factor of the pre object's output: the
      product of transform and decoders, and of the encoders if the solver solves for weights.
      None without weights.
    - ``transform``: `nengo.transforms.Transform`, the connection's.
    """
    with generator(model.seeds[conn]) as rng:
        decoded, weights = _build_weighted(model, conn, rng)
    if conn.learning_rule is not None:
        _build_learning(model, conn, weights)
    model.params[conn] = BuiltConnection(
        eval_points=decoded.eval_points,
        solver_info=decoded.solver_info,
        transform=conn.transform,
        weights=None if weights is None else weights.initial_value,
    )


def _build_weighted(
    model: Model, conn: Connection, rng: np.random.RandomState
) -> tuple[Decoded, Signal | None]:
    """Build all but the learning rules; return the decoded value and the weights."""
    pre, post, post_slice = conn.pre_obj, conn.post_obj, conn.post_slice  # slow to read
    sig = model.sig[conn]
    sig["in"] = _end_signal(model, conn, pre, "pre", "out")
    sig["out"] = _end_signal(model, conn, post, "post", "in")

    decoded = _build_decoded(model, conn, pre, sig["in"], rng)
    encoders = None
    decoders = decoded.decoders
    solves_weights = decoders is not None and conn.solver.weights
    if solves_weights and isinstance(post, Ensemble):
        # The weights lead to the neurons themselves, so they contain the sliced encoders.
        sig["out"] = model.sig[post.neurons]["in"]
        encoders = model.params[post].scaled_encoders.T[post_slice]
        post_slice = None

    model.order = _order_of(model, conn, decoded.signal)
    name, n_before = str(conn), len(model.operators)
    if decoders is not None and solves_weights and not conn.solver.compositional:
        # The solver solved for the product of decoders, transform and encoders.
        transform = Dense(decoders.shape, init=decoders)
        weighted, weights = model.build(transform, decoded.signal, rng=rng)
    else:
        weighted, weights = model.build(
            conn.transform, decoded.signal, decoders=decoders, encoders=encoders, rng=rng
        )
    model.order = "C"
    _name_product(model.operators[n_before:], name)
    sig["weights"] = weights
    synapse = conn.synapse
    if synapse is not None:
        weighted = model.build(synapse, weighted, mode="update")
    sig["weighted"] = weighted

    if isinstance(post, Neurons):
        _build_into_neurons(model, conn, weighted, sig["out"], post_slice)
    else:
        model.add_op(Copy(weighted, sig["out"], dst_slice=post_slice, inc=True, tag=name))
    return decoded, weights


def _order_of(model: Model, conn: Connection, factor: Signal) -> Order:
    """Return the memory order in which the engine reads weights that are applied to a signal."""
    tells = model.reads_columns if isinstance(model, Model) else None  # else it is nengo's class
    is_output = factor is model.sig[conn]["in"]
    return "F" if tells and is_output and conn.learning_rule is None and tells(conn) else "C"


def _name_product(operators: Iterable[Operator], name: str) -> None:
    """Set the tags of operators that apply weights: transforms do not know their connection."""
    tag = f"{name}{APPLY_WEIGHTS}"
    for operator in operators:
        if str(getattr(operator, "tag", None)).endswith(APPLY_WEIGHTS):
            operator.tag = tag


def _end_signal(model: Model, conn: Connection, obj: NengoObject, end: str, key: str) -> Signal:
    """Return the signal of the object at one end of a connection."""
    if obj not in model.sig:
        raise BuildError(
            f"Building {conn}: the '{end}' object {obj} is not in the model, or has a size of zero."
        )
    signal = model.sig[obj].get(key)
    if signal is None or signal.size == 0:
        raise BuildError(f"Building {conn}: the '{end}' object {obj} has a '{key}' size of zero.")
    return signal


def slice_signal(model: Model, signal: Signal, sl: Any) -> Signal:
    """Select elements of a vector: as a view if they are contiguous, else as a copy.

    Parameters
    ----------
    model : Model
        The model to which an operator that copies is added, if one is needed.
    signal : Signal
        A vector.
    sl : slice, list of int or another index of NumPy's
        The elements.

    Returns
    -------
    Signal

    Raises
    ------
    BuildError
        If the signal is not a vector.
    """
    if signal.ndim != 1:
        raise BuildError(f"Cannot select {sl} of {signal}: only vectors can be sliced")
    if isinstance(sl, slice) and sl.step in (None, 1):
        return signal[sl]
    elements = np.arange(signal.size)[sl]
    selected = Signal(shape=elements.size, name=f"{signal.name}.sliced")
    if isinstance(sl, tuple):  # operators do not accept tuples
        sl = elements.ravel().tolist()
    model.add_op(Copy(signal, selected, src_slice=sl, tag=f"{signal.name}[{sl}]"))
    return selected


def _build_decoded(
    model: Model, conn: Connection, pre: NengoObject, source: Signal, rng: np.random.RandomState
) -> Decoded:
    """Apply the connection's slice and function, or solve for decoders that do."""
    if isinstance(pre, Ensemble) and not isinstance(pre.neuron_type, Direct):
        share = in_common(model.params[pre])
        eval_points, decoders, solver_info = model.build(conn.solver, conn, rng)
        return Decoded(source, share(eval_points), decoders, solver_info)
    sliced = slice_signal(model, source, conn.pre_slice)
    if conn.function is None or not isinstance(pre, (Node, Ensemble)):
        return Decoded(sliced)
    if isinstance(conn.function, np.ndarray):
        raise BuildError(f"Building {conn}: Cannot use function points in direct connection")
    value = Signal(shape=conn.size_mid, name=f"{conn}.func")
    model.add_op(SimPyFunc(value, conn.function, t=None, x=sliced, tag=f"{conn}"))
    return Decoded(value)


def _build_into_neurons(
    model: Model, conn: Connection, weighted: Signal, target: Signal, post_slice: slice | ArrayLike
) -> None:
    """Add to the input currents of neurons, times the neurons' gains.

    For connections to ensembles, the scaled encoders contain the gains.
    """
    gain = model.params[conn.post_obj.ensemble].gain
    if gain is None:
        raise BuildError(f"Building {conn}: {conn.post_obj} are in Direct mode and have no gains")
    copied = gain[post_slice].copy()  # as in nengo: not the array in `sim.data`
    gains = model.sig["gains"][conn] = Signal(copied, name=f"{conn}.gains", readonly=True)
    if is_integer(post_slice) or isinstance(post_slice, slice):
        selected = target[post_slice]
    else:  # a list cannot be a view
        selected = Signal(shape=gains.shape, name=f"{conn}.sliced_out")
        model.add_op(Reset(selected, tag=f"{conn}"))
        model.add_op(Copy(selected, target, dst_slice=post_slice, inc=True, tag=f"{conn}"))
    model.add_op(ElementwiseInc(gains, weighted, selected, tag=f"{conn}.gains_elementwiseinc"))


def _build_learning(model: Model, conn: Connection, weights: Signal | None) -> None:
    """Build the learning rules, and make the signals that they modify writeable."""
    if not isinstance(conn.transform, (Dense, NoTransform)):
        raise NotImplementedError(
            f"Learning on connections with {type(conn.transform).__name__} transforms is not "
            f"supported ({conn})"
        )
    rules = conn.learning_rule
    if isinstance(rules, dict):
        rules = list(rules.values())
    elif not isinstance(rules, Iterable):
        rules = [rules]
    for rule in rules:
        model.build(rule)

    modified = {rule.modifies for rule in rules}
    if "encoders" in modified:
        model.sig[conn.post_obj]["encoders"].readonly = False
    if modified & {"decoders", "weights"}:
        if weights is None or weights.ndim < 2:
            raise BuildError(
                f"Building {conn}: 'transform' must be a 2-dimensional array for learning"
            )
        weights.readonly = False
