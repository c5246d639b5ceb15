"""Training data: what users give, checked, as arrays by the names of nodes and probes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

import jax.numpy as jnp
import numpy as np
from nengo import Node, Probe
from nengo.exceptions import ValidationError
from numpy.typing import ArrayLike

from nengo_jit.training.losses import REAL, Loss, is_of, is_of_labels, mse
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


def pair_of(data: object, attr: str, place: str = "") -> tuple[X, Y]:
    """Return inputs and targets that come together; ValidationError ends with the place."""
    if isinstance(data, tuple | list) and len(data) == 2:
        x, y = data
        return x, y
    size = f" of {len(data)}" if isinstance(data, tuple | list) else ""
    raise ValidationError(
        "Give a pair, a dictionary from nodes to arrays and one from probes to targets, not "
        f"{type(data).__name__}{size}{place}",
        attr=attr,
    )


def checked(program: Program, x: X, y: Y | None = None, place: str = "") -> Data:
    """Check data.

    Parameters
    ----------
    program : Program
        The network.
    x : mapping of (nengo.Node, (n, steps, size_out) array_like)
        The outputs of nodes.
    y : mapping of (nengo.Probe, (n, ...) array_like), optional
        The targets of probes.
    place : str
        What messages end with.

    Returns
    -------
    Data

    Raises
    ------
    ValidationError
        If an object is not in the network, or has data of another shape, or that are not finite.
        The message names the object.
    """
    try:
        return _checked(program, x, {} if y is None else y)
    except ValidationError as error:
        if not place:
            raise
        raise ValidationError(f"{error.args[0]}{place}", attr=error.attr) from error


def _checked(program: Program, x: X, y: Y) -> Data:
    names = {node: name for name, node in program.nodes.items()}
    if not isinstance(x, Mapping) or not x:
        raise ValidationError("Give a dictionary from nodes to arrays", attr="x")
    inputs: dict[str, np.ndarray] = {}
    for node, values in x.items():
        if node not in names:
            raise ValidationError(f"{node} is no node of the network without input", attr="x")
        array = _numbers(node, values, "x").astype(program.dtype, copy=False)
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
        what = "steps" if data.n else "samples"
        raise ValidationError(f"There are no {what}", attr="x")
    return data._replace(targets=_targets(program, y, data.n))


def shared_inputs(program: Program, data: Data) -> dict[str, np.ndarray]:
    """Return what nodes output that have no data, each (steps, size_out), by name."""
    return {
        name: program.tabulated(name, data.n_steps)
        for name in program.nodes
        if name not in data.inputs
    }


def _targets(program: Program, y: Y, n: int) -> dict[str, np.ndarray]:
    if not isinstance(y, Mapping):
        raise ValidationError("Give a dictionary from probes to targets", attr="y")
    names = {probe: name for name, probe in program.probes.items()}
    targets = {}
    for probe, values in y.items():
        if probe not in names:
            raise ValidationError(f"{probe} is no probe of the network", attr="y")
        array = _numbers(probe, values, "y")
        if array.ndim == 0 or len(array) != n:
            raise ValidationError(f"{probe} needs {n} targets, not {array.shape}", attr="y")
        if jnp.issubdtype(array.dtype, jnp.floating):
            array = array.astype(program.dtype)
            if not np.isfinite(array).all():
                raise ValidationError(f"{probe} has targets that are not finite", attr="y")
        targets[names[probe]] = array
    return targets


def _numbers(obj: Node | Probe, values: ArrayLike, attr: str) -> np.ndarray:
    """Return an array of real numbers; ValidationError names the object if there is none."""
    try:
        array = np.asarray(values)
    except ValueError as error:  # rows of different lengths
        raise ValidationError(f"{obj} needs an array, not rows: {error}", attr=attr) from error
    if not is_of(array.dtype, REAL):
        raise ValidationError(f"{obj} needs real numbers, not {array.dtype}", attr=attr)
    return array


def check_targets(
    program: Program, data: Data, losses: Mapping[str, Loss], place: str = ""
) -> None:
    """Check that targets fit their losses; ValidationError names the probe, then the place."""
    for name in (*losses, *data.targets):
        reason = _misfit(program, data, losses, name)
        if reason is not None:
            raise ValidationError(f"{program.probes[name]} {reason}{place}", attr="y")


def _misfit(program: Program, data: Data, losses: Mapping[str, Loss], name: str) -> str | None:
    """Say why a probe's target does not fit its loss, if it does not."""
    loss, target = losses.get(name), data.targets.get(name)
    if loss is None:
        return "has a target but no loss"
    shape = (data.n, program.n_samples(name, data.n_steps), *program.shape_of(name))
    if not shape[1]:
        return f"has no sample in {data.n_steps} steps"
    if target is None:
        return "has no target" if loss is mse or is_of_labels(loss) else None
    if is_of_labels(loss):
        return _no_labels(target, shape[-1])
    return _no_sequences(target, shape) if loss is mse else None


def _no_labels(labels: np.ndarray, n_classes: int) -> str | None:
    """Say why targets are no labels, if they are not."""
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        return (
            f"needs labels: one integer for each sample, not {labels.dtype} in the shape "
            f"{labels.shape}"
        )
    if labels.min() < 0 or labels.max() >= n_classes:
        return f"has {n_classes} classes, but labels from {labels.min()} to {labels.max()}"
    return None


def _no_sequences(target: np.ndarray, shape: tuple[int, ...]) -> str | None:
    """Say why targets do not have the shape of an output, if they have not."""
    fits = target.ndim == len(shape) and all(a in (1, b) for a, b in zip(target.shape, shape))
    return None if fits else f"needs targets of the shape {shape}, not {target.shape}"
