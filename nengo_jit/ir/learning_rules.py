"""Operators that compute changes of weights.

Every rule writes its change to a signal of its own, called delta, at the end of a step. The next
step begins by adding all deltas to the weights: ``W[k] = W[k - 1] + delta[k - 1]``. So the order of
several rules on one connection does not matter.
"""

from __future__ import annotations

import nengo.builder.learning_rules as reference
import numpy as np

from nengo_jit.ir.arrays import Array, Namespace
from nengo_jit.ir.base import Operator, operand
from nengo_jit.ir.products import dot, outer
from nengo_jit.ir.signal import Signal


class SimPES(Operator, reference.SimPES):
    r"""Change weights by the prescribed error sensitivity rule.

    Implements :math:`\Delta W_{ij} = -\frac{\kappa\,dt}{n} e_i a_j` (MacNeil & Eliasmith 2011).

    Parameters
    ----------
    pre_filtered : Signal
        Activities :math:`a` of the n pre neurons (hertz).
    error : Signal
        Error :math:`e` of each row of the weights: decoded value minus target.
    delta : Signal
        Change :math:`\Delta W`, a matrix.
    learning_rate : float
        :math:`\kappa` (per second).
    tag : str, optional
        The purpose of the operator.

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

    def parameters(self, dt: float) -> tuple[object, ...]:
        return (-self.learning_rate * dt / self.pre_filtered.shape[0],)

    @staticmethod
    def compute(xp: Namespace, alpha: Array, pre: Array, error: Array) -> tuple[Array, ...]:
        return (outer(xp, alpha * error, pre),)


class SimBCM(Operator, reference.SimBCM):
    r"""Change weights by the Bienenstock-Cooper-Munro rule.

    Implements :math:`\Delta W_{ij} = \kappa\,dt\, a_i (a_i - \theta_i) a_j`
    (Bienenstock, Cooper & Munro 1982).

    Parameters
    ----------
    pre_filtered, post_filtered : Signal
        Activities :math:`a_j` and :math:`a_i` of the pre and post neurons (hertz).
    theta : Signal
        Threshold :math:`\theta_i` of each post neuron (hertz).
    delta : Signal
        Change :math:`\Delta W`, a matrix.
    learning_rate : float
        :math:`\kappa` (per second).
    tag : str, optional
        The purpose of the operator.

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

    def parameters(self, dt: float) -> tuple[object, ...]:
        return (self.learning_rate * dt,)

    @staticmethod
    def compute(
        xp: Namespace, alpha: Array, pre: Array, post: Array, theta: Array
    ) -> tuple[Array, ...]:
        return (outer(xp, alpha * post * (post - theta), pre),)


class SimOja(Operator, reference.SimOja):
    r"""Change weights by Oja's rule.

    Implements :math:`\Delta W_{ij} = \kappa\,dt\,(a_i a_j - \beta a_i^2 W_{ij})` (Oja 1982).

    Parameters
    ----------
    pre_filtered, post_filtered : Signal
        Activities :math:`a_j` and :math:`a_i` of the pre and post neurons (hertz).
    weights : Signal
        The weights :math:`W`, a matrix.
    delta : Signal
        Change :math:`\Delta W`, a matrix.
    learning_rate : float
        :math:`\kappa` (per second).
    beta : float
        Rate of forgetting, :math:`\beta` (dimensionless).
    tag : str, optional
        The purpose of the operator.

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

    def parameters(self, dt: float) -> tuple[object, ...]:
        return self.learning_rate * dt, self.beta

    @staticmethod
    def compute(
        xp: Namespace, alpha: Array, beta: Array, pre: Array, post: Array, weights: Array
    ) -> tuple[Array, ...]:
        forgetting = alpha * post * post
        kept = xp.asarray(-beta * weights * forgetting[:, None], dtype=weights.dtype)
        return (kept + outer(xp, alpha * post, pre),)


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
        The purpose of the operator.

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

    def parameters(self, dt: float) -> tuple[object, ...]:
        return self.learning_rate * dt, self.scale[:, np.newaxis]

    @staticmethod
    def compute(
        xp: Namespace,
        alpha: Array,
        scale: Array,
        x: Array,
        post: Array,
        encoders: Array,
        learning: Array,
    ) -> tuple[Array, ...]:
        target = scale * outer(xp, post, x)
        return (alpha * learning * (target - post[:, None] * encoders),)


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
        The purpose of the operator.

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

    def inputs(self) -> list[Signal]:
        return [*self.reads, self.inv_gamma]

    @staticmethod
    def compute(xp: Namespace, r: Array, error: Array, P: Array) -> tuple[Array, ...]:
        Pr = dot(P, r)  # also r.T.dot(P), since P is symmetric
        k = 1 / (1 + dot(r, Pr))
        return error[:, None] * (-k * Pr), P - Pr[:, None] * (Pr * k)
