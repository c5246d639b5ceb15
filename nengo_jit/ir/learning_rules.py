"""Build learning rules: operators that compute how weights change.

Every rule writes its change to a signal of its own, called delta, at the end of a step; the
next step begins by adding all deltas to the weights: ``W[k] = W[k - 1] + delta[k - 1]``. So
several rules on one connection do not depend on their order.
"""

from __future__ import annotations

from typing import Any

import nengo.builder.learning_rules as reference
import numpy as np
from nengo import Connection, Ensemble, Node
from nengo.connection import LearningRule
from nengo.ensemble import Neurons
from nengo.exceptions import BuildError
from nengo.learning_rules import BCM, PES, RLS, Oja, Voja
from nengo.synapses import Synapse

from nengo_jit.builder.builder import Builder, Model
from nengo_jit.builder.connection import slice_signal
from nengo_jit.ir.operator import Copy, DotInc, Operator, Reset, Step, operand
from nengo_jit.ir.signal import Signal, SignalDict


class SimPES(Operator, reference.SimPES):
    r"""Change weights by the prescribed error sensitivity rule.

    Implements :math:`\Delta W_{ij} = -\frac{\kappa\,dt}{n} e_i a_j` (MacNeil & Eliasmith 2011).

    Parameters
    ----------
    pre_filtered : Signal
        Activities :math:`a` of the n pre neurons (hertz).
    error : Signal
        Error :math:`e` of each row of the weights: what is decoded minus what should be.
    delta : Signal
        Change :math:`\Delta W`, a matrix.
    learning_rate : float
        :math:`\kappa` (per second).
    tag : str, optional
        What the operator is for.

    Notes
    -----
    sets ``[]``, incs ``[]``, reads ``[pre_filtered, error]``, updates ``[delta]``
    """

    pre_filtered = operand("reads", 0)
    error = operand("reads", 1)
    delta = operand("updates")

    def __init__(
        self,
        pre_filtered: Signal,
        error: Signal,
        delta: Signal,
        learning_rate: float,
        tag: str | None = None,
    ):
        Operator.__init__(self, tag, sets=[], incs=[], reads=[pre_filtered, error], updates=[delta])
        self.learning_rate = learning_rate

    @property
    def _descstr(self) -> str:
        return f"pre={self.pre_filtered}, error={self.error} -> {self.delta}"

    def make_step(self, signals: SignalDict, dt: float, rng: Any) -> Step:
        activities, error = signals[self.pre_filtered], signals[self.error]
        delta = signals[self.delta]
        alpha = -self.learning_rate * dt / len(activities)

        def step_simpes() -> None:
            np.outer(alpha * error, activities, out=delta)

        return step_simpes


class SimBCM(Operator, reference.SimBCM):
    r"""Change weights by the Bienenstock-Cooper-Munro rule.

    Implements :math:`\Delta W_{ij} = \kappa\,dt\, a_i (a_i - \theta_i) a_j`
    (Bienenstock, Cooper & Munro 1982).

    Parameters
    ----------
    pre_filtered, post_filtered : Signal
        Activities :math:`a_j` and :math:`a_i` of the neurons on either side (hertz).
    theta : Signal
        Threshold :math:`\theta_i` of each post neuron (hertz).
    delta : Signal
        Change :math:`\Delta W`, a matrix.
    learning_rate : float
        :math:`\kappa` (per second).
    tag : str, optional
        What the operator is for.

    Notes
    -----
    sets ``[]``, incs ``[]``, reads ``[pre_filtered, post_filtered, theta]``, updates ``[delta]``
    """

    pre_filtered = operand("reads", 0)
    post_filtered = operand("reads", 1)
    theta = operand("reads", 2)
    delta = operand("updates")

    def __init__(
        self,
        pre_filtered: Signal,
        post_filtered: Signal,
        theta: Signal,
        delta: Signal,
        learning_rate: float,
        tag: str | None = None,
    ):
        reads = [pre_filtered, post_filtered, theta]
        Operator.__init__(self, tag, sets=[], incs=[], reads=reads, updates=[delta])
        self.learning_rate = learning_rate

    @property
    def _descstr(self) -> str:
        return f"pre={self.pre_filtered}, post={self.post_filtered} -> {self.delta}"

    def make_step(self, signals: SignalDict, dt: float, rng: Any) -> Step:
        pre, post = signals[self.pre_filtered], signals[self.post_filtered]
        theta, delta = signals[self.theta], signals[self.delta]
        alpha = self.learning_rate * dt

        def step_simbcm() -> None:
            np.outer(alpha * post * (post - theta), pre, out=delta)

        return step_simbcm


class SimOja(Operator, reference.SimOja):
    r"""Change weights by Oja's rule.

    Implements :math:`\Delta W_{ij} = \kappa\,dt\,(a_i a_j - \beta a_i^2 W_{ij})` (Oja 1982).

    Parameters
    ----------
    pre_filtered, post_filtered : Signal
        Activities :math:`a_j` and :math:`a_i` of the neurons on either side (hertz).
    weights : Signal
        The weights :math:`W`, a matrix.
    delta : Signal
        Change :math:`\Delta W`, a matrix.
    learning_rate : float
        :math:`\kappa` (per second).
    beta : float
        How much is forgotten, :math:`\beta` (dimensionless).
    tag : str, optional
        What the operator is for.

    Notes
    -----
    sets ``[]``, incs ``[]``, reads ``[pre_filtered, post_filtered, weights]``,
    updates ``[delta]``
    """

    pre_filtered = operand("reads", 0)
    post_filtered = operand("reads", 1)
    weights = operand("reads", 2)
    delta = operand("updates")

    def __init__(
        self,
        pre_filtered: Signal,
        post_filtered: Signal,
        weights: Signal,
        delta: Signal,
        learning_rate: float,
        beta: float,
        tag: str | None = None,
    ):
        reads = [pre_filtered, post_filtered, weights]
        Operator.__init__(self, tag, sets=[], incs=[], reads=reads, updates=[delta])
        self.learning_rate = learning_rate
        self.beta = beta

    @property
    def _descstr(self) -> str:
        return f"pre={self.pre_filtered}, post={self.post_filtered} -> {self.delta}"

    def make_step(self, signals: SignalDict, dt: float, rng: Any) -> Step:
        pre, post = signals[self.pre_filtered], signals[self.post_filtered]
        weights, delta = signals[self.weights], signals[self.delta]
        alpha, beta = self.learning_rate * dt, self.beta

        def step_simoja() -> None:
            forgetting = alpha * post * post
            np.multiply(-beta * weights, forgetting[:, np.newaxis], out=delta)
            delta[...] += np.outer(alpha * post, pre)

        return step_simoja


class SimVoja(Operator, reference.SimVoja):
    r"""Move encoders towards the input: Oja's rule in the represented space.

    Implements :math:`\Delta E_{ij} = \kappa\,dt\,L\,(s_i a_i x_j - a_i E_{ij})`
    (Voelker, Crawford & Eliasmith 2014).

    Parameters
    ----------
    pre_decoded : Signal
        Total input :math:`x` of the ensemble.
    post_filtered : Signal
        Activities :math:`a_i` of the ensemble's neurons (hertz).
    scaled_encoders : Signal
        The encoders times gain over radius, :math:`E`, a matrix.
    delta : Signal
        Change :math:`\Delta E`, a matrix.
    scale : (n_neurons,) numpy.ndarray
        Gain over radius of each neuron, :math:`s`.
    learning_signal : Signal
        :math:`L`, which turns learning on (1) and off (0).
    learning_rate : float
        :math:`\kappa` (per second).
    tag : str, optional
        What the operator is for.

    Notes
    -----
    sets ``[]``, incs ``[]``,
    reads ``[pre_decoded, post_filtered, scaled_encoders, learning_signal]``, updates ``[delta]``
    """

    pre_decoded = operand("reads", 0)
    post_filtered = operand("reads", 1)
    scaled_encoders = operand("reads", 2)
    weights = operand("reads", 2)
    learning_signal = operand("reads", 3)
    delta = operand("updates")

    def __init__(
        self,
        pre_decoded: Signal,
        post_filtered: Signal,
        scaled_encoders: Signal,
        delta: Signal,
        scale: np.ndarray,
        learning_signal: Signal,
        learning_rate: float,
        tag: str | None = None,
    ):
        reads = [pre_decoded, post_filtered, scaled_encoders, learning_signal]
        Operator.__init__(self, tag, sets=[], incs=[], reads=reads, updates=[delta])
        self.scale = scale
        self.learning_rate = learning_rate

    @property
    def _descstr(self) -> str:
        return f"pre={self.pre_decoded}, post={self.post_filtered} -> {self.delta}"

    def make_step(self, signals: SignalDict, dt: float, rng: Any) -> Step:
        x, activities = signals[self.pre_decoded], signals[self.post_filtered]
        encoders, delta = signals[self.scaled_encoders], signals[self.delta]
        learning = signals[self.learning_signal]
        alpha = self.learning_rate * dt
        scale = self.scale[:, np.newaxis]

        def step_simvoja() -> None:
            target = scale * np.outer(activities, x)
            delta[...] = alpha * learning * (target - activities[:, np.newaxis] * encoders)

        return step_simvoja


class SimRLS(Operator, reference.SimRLS):
    r"""Change weights by recursive least squares.

    Implements, with :math:`k = 1 / (1 + r^T P r)` from the old P,
    :math:`\Delta W = -k\, e\, (P r)^T` and :math:`P \leftarrow P - k\, P r\, (P r)^T`
    (Haykin, Adaptive Filter Theory, chapter on RLS; Sussillo & Abbott 2009, eq. 4-5).

    Parameters
    ----------
    pre_filtered : Signal
        Activities :math:`r` of the pre neurons (hertz).
    error : Signal
        Error :math:`e` of each row of the weights.
    delta : Signal
        Change :math:`\Delta W`, a matrix.
    inv_gamma : Signal
        :math:`P`, the running estimate of the inverse of the activities' correlation, a
        symmetric matrix.
    tag : str, optional
        What the operator is for.

    Notes
    -----
    sets ``[]``, incs ``[]``, reads ``[pre_filtered, error]``, updates ``[delta, inv_gamma]``
    """

    pre_filtered = operand("reads", 0)
    error = operand("reads", 1)
    delta = operand("updates", 0)
    inv_gamma = operand("updates", 1)

    def __init__(
        self,
        pre_filtered: Signal,
        error: Signal,
        delta: Signal,
        inv_gamma: Signal,
        tag: str | None = None,
    ):
        Operator.__init__(
            self, tag, sets=[], incs=[], reads=[pre_filtered, error], updates=[delta, inv_gamma]
        )

    @property
    def _descstr(self) -> str:
        return f"pre={self.pre_filtered} -> {self.delta}"

    def make_step(self, signals: SignalDict, dt: float, rng: Any) -> Step:
        r, error = signals[self.pre_filtered], signals[self.error]
        delta, P = signals[self.delta], signals[self.inv_gamma]

        def step_simrls() -> None:
            Pr = P.dot(r)  # also r.T.dot(P), since P is symmetric
            k = 1 / (1 + r.dot(Pr))
            P[...] -= Pr[:, np.newaxis] * (Pr * k)
            delta[...] = error[:, np.newaxis] * (-k * Pr)

        return step_simrls


def get_pre_ens(conn: Connection) -> Ensemble:
    """The ensemble at the beginning of a connection from it or from its neurons."""
    return conn.pre_obj if isinstance(conn.pre_obj, Ensemble) else conn.pre_obj.ensemble


def get_post_ens(conn: Connection) -> Ensemble | Node:
    """The ensemble or node at the end of a connection to it or to its neurons."""
    post = conn.post_obj
    return post if isinstance(post, (Ensemble, Node)) else post.ensemble


def build_or_passthrough(model: Model, synapse: Synapse | None, signal: Signal) -> Signal:
    """Filter a signal, without the delay of one step, or leave it as it is."""
    return signal if synapse is None else model.build(synapse, signal)


@Builder.register(LearningRule)
def build_learning_rule(model: Model, rule: LearningRule) -> None:
    """Build a learning rule of any type into a model.

    Makes the rule's delta signal and the operator that adds it to what the rule modifies,
    then builds the rule's type, which adds the operator that computes delta.

    Parameters
    ----------
    model : Model
        What to build into.
    rule : nengo.connection.LearningRule
        What to build.

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
        raise BuildError(f"Unknown target {rule.modifies!r} of {rule}")
    if target is None:
        raise BuildError(f"{conn} has no weights for {rule} to modify")
    delta = Signal(shape=target.shape, name=f"{rule}.delta")
    model.add_op(Copy(delta, target, inc=True, tag=f"{tag} of {conn}"))
    model.sig[rule]["delta"] = delta
    model.params[rule] = None
    model.build(rule.learning_rule_type, rule)


def _build_error(model: Model, rule: LearningRule) -> Signal:
    """The signal in which connections to a supervised rule end."""
    error = Signal(shape=rule.size_in, name=f"{rule}.error")
    model.add_op(Reset(error, tag=f"{rule} error"))
    model.sig[rule]["in"] = model.sig[rule]["error"] = error
    return error


def _neural_activities(model: Model, conn: Connection) -> tuple[Signal, Signal]:
    """Outputs of the neurons on either side of a connection."""
    return (
        model.sig[get_pre_ens(conn).neurons]["out"],
        model.sig[get_post_ens(conn).neurons]["out"],
    )


@Builder.register(PES)
def build_pes(model: Model, pes: PES, rule: LearningRule) -> None:
    """Build a PES rule into a model, see `SimPES`.

    Where the connection ends in neurons, the error is encoded by their scaled encoders first.

    Parameters
    ----------
    model : Model
        What to build into.
    pes : nengo.PES
        The rule's type; it can be built any number of times.
    rule : nengo.connection.LearningRule
        The rule.

    Raises
    ------
    BuildError
        If the connection ends in a list of neurons.

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
    """Error of each neuron that a connection ends in."""
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
        What to build into.
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
        What to build into.
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
        What to build into.
    voja : nengo.Voja
        The rule's type; it can be built any number of times.
    rule : nengo.connection.LearningRule
        The rule. Its learning signal is 1, plus whatever is connected to it.

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
        What to build into.
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
    error = _build_error(model, rule)
    n_neurons = sig["pre_filtered"].shape[0]
    initial: Any = np.eye(n_neurons, dtype=error.dtype) * (rls.learning_rate * model.dt / n_neurons)
    sig["inv_gamma"] = Signal(initial, name=f"{rule}.inv_gamma")
    model.add_op(SimRLS(sig["pre_filtered"], error, sig["delta"], sig["inv_gamma"], tag=f"{rule}"))
