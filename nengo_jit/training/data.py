"""Training data: what users give, checked, as arrays by the names of nodes and probes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

import numpy as np
from nengo import Node, Probe
from nengo.exceptions import ValidationError
from numpy.typing import ArrayLike

from nengo_jit.training.losses import Loss, is_of_labels
from nengo_jit.training.program import Program

X: TypeAlias = Mapping[Node, ArrayLike]
Y: TypeAlias = Mapping[Probe, ArrayLike]


class Data(NamedTuple):
    """Samples to train with, or to evaluate.

    Attributes
    ----------
    inputs : dict of (str, (n, steps, size_out) numpy.ndarray)
        By name of a node.
    targets : dict of (str, (n, ...) numpy.ndarray)
        By name of a probe.
    """

    inputs: dict[str, np.ndarray]
    targets: dict[str, np.ndarray]

    @property
    def n(self) -> int:
        """int: number of samples."""
        return len(next(iter(self.inputs.values())))

    @property
    def n_steps(self) -> int:
        """int: number of steps of each sample."""
        return next(iter(self.inputs.values())).shape[1]


def checked(program: Program, x: X, y: Y | None = None) -> Data:
    """Check data.

    Parameters
    ----------
    program : Program
        The network.
    x : mapping of (nengo.Node, (n, steps, size_out) array_like)
        The outputs of nodes.
    y : mapping of (nengo.Probe, (n, ...) array_like), optional
        The targets of probes.

    Returns
    -------
    Data

    Raises
    ------
    ValidationError
        If an object is not in the network, or has data of another shape, or that are not finite.
        The message names the object.
    """
    names = {node: name for name, node in program.nodes.items()}
    if not isinstance(x, Mapping) or not x:
        raise ValidationError("Give a dictionary from nodes to arrays", attr="x")
    inputs: dict[str, np.ndarray] = {}
    for node, values in x.items():
        if node not in names:
            raise ValidationError(f"{node} is no node of the network without input", attr="x")
        array = np.asarray(values, program.dtype)
        if array.ndim != 3 or array.shape[2] != node.size_out:
            raise ValidationError(
                f"{node} needs the shape (samples, steps, {node.size_out}), not {array.shape}",
                attr="x",
            )
        first = next(iter(inputs.values()), array)
        if array.shape[:2] != first.shape[:2]:
            raise ValidationError(
                f"{node} has {array.shape[0]} samples of {array.shape[1]} steps, others have "
                f"{first.shape[0]} of {first.shape[1]}",
                attr="x",
            )
        if not np.isfinite(array).all():
            raise ValidationError(f"{node} has values that are not finite", attr="x")
        inputs[names[node]] = array
    data = Data(inputs, {})
    if not data.n or not data.n_steps:
        raise ValidationError("There are no samples", attr="x")
    return data._replace(targets=_targets(program, y or {}, data.n))


def shared_inputs(program: Program, data: Data) -> dict[str, np.ndarray]:
    """Return what nodes output that have no data, each (steps, size_out), by name."""
    return {
        name: program.tabulated(name, data.n_steps)
        for name in program.nodes
        if name not in data.inputs
    }


def _targets(program: Program, y: Y, n: int) -> dict[str, np.ndarray]:
    names = {probe: name for name, probe in program.probes.items()}
    targets = {}
    for probe, values in y.items():
        if probe not in names:
            raise ValidationError(f"{probe} is no probe of the network", attr="y")
        array = np.asarray(values)
        if array.ndim == 0 or len(array) != n:
            raise ValidationError(f"{probe} needs {n} targets, not {array.shape}", attr="y")
        if array.dtype.kind == "f":
            array = array.astype(program.dtype)
            if not np.isfinite(array).all():
                raise ValidationError(f"{probe} has targets that are not finite", attr="y")
        targets[names[probe]] = array
    return targets


def check_targets(
    program: Program, targets: Mapping[str, np.ndarray], losses: dict[str, Loss]
) -> None:
    """Check that targets fit their losses; ValidationError names the probe."""
    for name, loss in losses.items():
        if not is_of_labels(loss):
            continue
        probe = program.probes[name]
        labels = targets.get(name, np.empty(0))
        if labels.ndim != 1 or labels.dtype.kind not in "iu":
            raise ValidationError(
                f"{probe} needs labels: one integer for each sample, not {labels.dtype} in the "
                f"shape {labels.shape}",
                attr="y",
            )
        if labels.min() < 0 or labels.max() >= probe.size_in:
            raise ValidationError(
                f"{probe} has {probe.size_in} classes, but labels from {labels.min()} to "
                f"{labels.max()}",
                attr="y",
            )
