"""Build learning rules: filter activities, encode errors and change weights."""

from __future__ import annotations

import numpy as np
from nengo import Connection, Ensemble, Node
from nengo.connection import LearningRule
from nengo.ensemble import Neurons
from nengo.exceptions import BuildError
from nengo.learning_rules import BCM, PES, RLS, Oja, Voja
from nengo.synapses import Synapse

from nengo_jit.builder.builder import Builder, Model
from nengo_jit.builder.connection import slice_signal
from nengo_jit.ir.learning_rules import SimBCM, SimOja, SimPES, SimRLS, SimVoja
from nengo_jit.ir.operator import Copy, DotInc, Reset
from nengo_jit.ir.signal import Signal
from nengo_jit.settings import settings


def get_pre_ens(conn: Connection) -> Ensemble:
    """Return the pre ensemble of a connection, from the ensemble or from its neurons."""
    return conn.pre_obj if isinstance(conn.pre_obj, Ensemble) else conn.pre_obj.ensemble


def get_post_ens(conn: Connection) -> Ensemble | Node:
    """Return the post ensemble or node of a connection, to the ensemble or to its neurons."""
    post = conn.post_obj
    return post if isinstance(post, (Ensemble, Node)) else post.ensemble


def build_or_passthrough(model: Model, synapse: Synapse | None, signal: Signal) -> Signal:
    """Filter a signal, without a delay of one step; return it as it is without a synapse."""
    return signal if synapse is None else model.build(synapse, signal)


@Builder.register(LearningRule)
def build_learning_rule(model: Model, rule: LearningRule) -> None:
    """Build a learning rule of any type into a model.

    Makes the rule's delta signal and the operator that adds it to the signal that the rule
    modifies. Then builds the rule's type, which adds the operator that computes delta.

    Parameters
    ----------
    model : Model
        The model to build into.
    rule : nengo.connection.LearningRule
        The rule.

    Raises
    ------
    BuildError
        If the rule modifies something other than encoders, decoders or weights.

    Notes
    -----
    Sets ``model.sig[rule]["delta"]``, and ``model.params[rule]`` to None.
    """
    conn = rule.connection
    if rule.modifies == "encoders":
        target = model.sig[get_post_ens(conn)]["encoders"]
        tag = "encoders += delta"
    elif rule.modifies in ("decoders", "weights"):
        target = model.sig[conn]["weights"]
        tag = "weights += delta"
    else:
        raise BuildError(
            f"Unknown target {rule.modifies!r} of {rule}: use 'encoders', 'decoders' or 'weights'"
        )
    if target is None:
        raise BuildError(f"{conn} has no weights for {rule} to modify: give it a transform")
    delta = Signal(shape=target.shape, name=f"{rule}.delta")
    model.add_op(Copy(delta, target, inc=True, tag=f"{tag} of {conn}"))
    model.sig[rule]["delta"] = delta
    model.params[rule] = None
    model.build(rule.learning_rule_type, rule)


def _build_error(model: Model, rule: LearningRule, dtype: np.dtype | None = None) -> Signal:
    """Make the signal that connections to a supervised rule lead to."""
    initial = np.zeros(rule.size_in, dtype or settings().float_dtype)
    error = Signal(initial, name=f"{rule}.error")
    model.add_op(Reset(error, tag=f"{rule} error"))
    model.sig[rule]["in"] = model.sig[rule]["error"] = error
    return error


def _neural_activities(model: Model, conn: Connection) -> tuple[Signal, Signal]:
    """Return the outputs of the pre and post neurons of a connection."""
    return (
        model.sig[get_pre_ens(conn).neurons]["out"],
        model.sig[get_post_ens(conn).neurons]["out"],
    )


@Builder.register(PES)
def build_pes(model: Model, pes: PES, rule: LearningRule) -> None:
    """Build a PES rule into a model, see `SimPES`.

    If the connection leads to neurons, their scaled encoders encode the error first.

    Parameters
    ----------
    model : Model
        The model to build into.
    pes : nengo.PES
        The rule's type; it can be built any number of times.
    rule : nengo.connection.LearningRule
        The rule.

    Raises
    ------
    BuildError
        If the connection leads to a list of neurons.

    Notes
    -----
    Sets ``model.sig[rule]["in"]``, ``["error"]`` and ``["activities"]``.
    """
    conn = rule.connection
    error = _build_error(model, rule)
    source = model.sig[conn.pre_obj]["out"]
    if isinstance(conn.pre_obj, Neurons):
        source = slice_signal(model, source, conn.pre_slice)
    activities = build_or_passthrough(model, pes.pre_synapse, source)
    model.sig[rule]["activities"] = activities
    row_error = _encode_error(model, conn, error) if conn._to_neurons else error
    delta = model.sig[rule]["delta"]
    model.add_op(SimPES(activities, row_error, delta, pes.learning_rate, tag=f"{rule}"))


def _encode_error(model: Model, conn: Connection, error: Signal) -> Signal:
    """Compute the error of each post neuron of a connection."""
    if not isinstance(conn.post_slice, slice):
        raise BuildError(
            f"Building {conn}: PES learning rule does not support advanced indexing on "
            "non-decoded connections"
        )
    encoders = model.sig[get_post_ens(conn)]["encoders"]
    if isinstance(conn.post_obj, Ensemble):
        encoders = encoders[:, conn.post_slice]  # some dimensions
    else:
        encoders = encoders[conn.post_slice, :]  # some neurons
    encoded = Signal(shape=encoders.shape[0], name="PES:encoded_error")
    model.add_op(Reset(encoded, tag="PES:encoded_error"))
    model.add_op(DotInc(encoders, error, encoded, tag="PES:encode"))
    return encoded


@Builder.register(BCM)
def build_bcm(model: Model, bcm: BCM, rule: LearningRule) -> None:
    """Build a BCM rule into a model, see `SimBCM`.

    Parameters
    ----------
    model : Model
        The model to build into.
    bcm : nengo.BCM
        The rule's type; it can be built any number of times.
    rule : nengo.connection.LearningRule
        The rule.

    Notes
    -----
    Sets ``model.sig[rule]["theta"]``, ``["pre_filtered"]`` and ``["post_filtered"]``.
    """
    pre, post = _neural_activities(model, rule.connection)
    sig = model.sig[rule]
    sig["pre_filtered"] = build_or_passthrough(model, bcm.pre_synapse, pre)
    sig["post_filtered"] = build_or_passthrough(model, bcm.post_synapse, post)
    sig["theta"] = build_or_passthrough(model, bcm.theta_synapse, post)
    model.add_op(
        SimBCM(
            sig["pre_filtered"],
            sig["post_filtered"],
            sig["theta"],
            sig["delta"],
            bcm.learning_rate,
            tag=f"{rule}",
        )
    )


@Builder.register(Oja)
def build_oja(model: Model, oja: Oja, rule: LearningRule) -> None:
    """Build an Oja rule into a model, see `SimOja`.

    Parameters
    ----------
    model : Model
        The model to build into.
    oja : nengo.Oja
        The rule's type; it can be built any number of times.
    rule : nengo.connection.LearningRule
        The rule.

    Notes
    -----
    Sets ``model.sig[rule]["pre_filtered"]`` and ``["post_filtered"]``.
    """
    pre, post = _neural_activities(model, rule.connection)
    sig = model.sig[rule]
    sig["pre_filtered"] = build_or_passthrough(model, oja.pre_synapse, pre)
    sig["post_filtered"] = build_or_passthrough(model, oja.post_synapse, post)
    model.add_op(
        SimOja(
            sig["pre_filtered"],
            sig["post_filtered"],
            model.sig[rule.connection]["weights"],
            sig["delta"],
            oja.learning_rate,
            oja.beta,
            tag=f"{rule}",
        )
    )


@Builder.register(Voja)
def build_voja(model: Model, voja: Voja, rule: LearningRule) -> None:
    """Build a Voja rule into a model, see `SimVoja`.

    Parameters
    ----------
    model : Model
        The model to build into.
    voja : nengo.Voja
        The rule's type; it can be built any number of times.
    rule : nengo.connection.LearningRule
        The rule. Its learning signal is 1 plus the input from connections to it.

    Notes
    -----
    Sets ``model.sig[rule]["in"]``, ``["scaled_encoders"]`` and ``["post_filtered"]``.
    """
    conn = rule.connection
    post = conn.post_obj
    sig = model.sig[rule]
    sig["post_filtered"] = build_or_passthrough(model, voja.post_synapse, model.sig[post]["out"])
    sig["in"] = Signal(shape=rule.size_in, name=f"{rule}.learning")
    model.add_op(Reset(sig["in"], value=1.0, tag=f"{rule} learning"))
    sig["scaled_encoders"] = model.sig[post]["encoders"]
    model.add_op(
        SimVoja(
            model.sig[conn]["out"],
            sig["post_filtered"],
            sig["scaled_encoders"],
            sig["delta"],
            scale=model.params[post].gain / post.radius,
            learning_signal=sig["in"],
            learning_rate=voja.learning_rate,
            tag=f"{rule}",
        )
    )


@Builder.register(RLS)
def build_rls(model: Model, rls: RLS, rule: LearningRule) -> None:
    """Build an RLS rule into a model, see `SimRLS`.

    Parameters
    ----------
    model : Model
        The model to build into.
    rls : nengo.RLS
        The rule's type; it can be built any number of times.
    rule : nengo.connection.LearningRule
        The rule.

    Notes
    -----
    Sets ``model.sig[rule]["in"]``, ``["error"]``, ``["pre_filtered"]`` and ``["inv_gamma"]``.
    The latter begins as the identity times ``learning_rate * dt / n_neurons``.
    """
    conn = rule.connection
    sig = model.sig[rule]
    source = model.sig[conn.pre_obj]["out"]
    sig["pre_filtered"] = build_or_passthrough(model, rls.pre_synapse, source)
    dtype = settings().float_dtype
    if dtype.itemsize < 4:  # half precision is too coarse: nengo uses double precision, always
        dtype = np.dtype(np.float64)
    error = _build_error(model, rule, dtype)
    n_neurons = sig["pre_filtered"].shape[0]
    initial = np.eye(n_neurons, dtype=error.dtype) * (rls.learning_rate * model.dt / n_neurons)
    sig["inv_gamma"] = Signal(initial, name=f"{rule}.inv_gamma")
    model.add_op(SimRLS(sig["pre_filtered"], error, sig["delta"], sig["inv_gamma"], tag=f"{rule}"))
