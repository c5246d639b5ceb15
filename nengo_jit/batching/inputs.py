"""What users give for the nodes of a batch, in a call that runs steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import nengo
import numpy as np
from nengo.builder import Model
from nengo.exceptions import ValidationError

from nengo_jit.batching.choice import Batch, numbers_in, seeds_of, whole
from nengo_jit.batching.variation import Variation
from nengo_jit.engines.turns import Output


@dataclass(frozen=True)
class Members:
    """What is known of the members of a batch, once they are built.

    Attributes
    ----------
    batch : Batch
        What the user has chosen.
    variation : Variation
        How they differ from the start.
    outputs : dict of (nengo.Node, Output)
        The outputs that users may give.
    """

    batch: Batch
    variation: Variation
    outputs: dict[nengo.Node, Output]

    def seeds(self, seed: Any) -> tuple[int, ...]:
        """Return the seed of each member, from one for all or one for each."""
        n_members = self.batch.n_members
        seeds = [seed] * n_members if whole(seed) is not None else seed
        return seeds_of(seeds, n_members) or ()

    def rows(self, inputs: object, n_steps: int | None) -> dict[Output, np.ndarray]:
        """Return what nodes output for the inputs of a run, see `checked_inputs`."""
        checked = checked_inputs(inputs, self.outputs, self.batch.n_members, n_steps)
        return {self.outputs[node]: array for node, array in checked.items()}


def checked_inputs(
    inputs: object, outputs: Mapping[nengo.Node, Output], n_members: int, n_steps: int | None
) -> dict[nengo.Node, np.ndarray]:
    """Check what a user gives for nodes.

    Parameters
    ----------
    inputs : dict of (nengo.Node, array_like)
        The arrays.
    outputs : dict of (nengo.Node, Output)
        The outputs that can be given.
    n_members : int
        Number of members.
    n_steps : int or None
        Number of steps; None for one step, without an axis for it.

    Returns
    -------
    dict of (nengo.Node, numpy.ndarray)
        Contiguous arrays of shape ``(n_members, n_steps, size)``.

    Raises
    ------
    ValidationError
        If a node is unknown, or an array has another shape or is not of finite numbers.
    """
    if not isinstance(inputs, Mapping):
        raise ValidationError(
            f"Must be a dictionary from nodes to arrays (got {inputs!r})", attr="inputs"
        )
    checked = {}
    for node, value in inputs.items():
        if not isinstance(node, nengo.Node) or node not in outputs:
            raise ValidationError(f"{node!r} {_why_not(node)}", attr="inputs")
        signal = outputs[node].signal
        steps = () if n_steps is None else (n_steps,)
        wanted = (n_members, *steps, *signal.shape)
        array = numbers_in(value)
        if array is None:
            raise ValidationError(
                f"{node}: must be numbers of shape {wanted} (got {value!r})", attr="inputs"
            )
        if array.shape != wanted:
            raise ValidationError(
                f"{node}: must have the shape {wanted} (got {array.shape})", attr="inputs"
            )
        if not np.isfinite(array).all():
            raise ValidationError(f"{node}: must be finite numbers", attr="inputs")
        array = array.reshape(n_members, -1, *signal.shape)
        checked[node] = np.ascontiguousarray(array, signal.dtype)
    return checked


def _why_not(node: object) -> str:
    if not isinstance(node, nengo.Node):
        return "is no node"
    if node.output is None:
        return "only passes its input on: give the nodes that it comes from"
    return "is no node of this model with an output"


def outputs_of(model: Model) -> dict[nengo.Node, Output]:
    """Return the outputs of all nodes that compute them or have a constant one."""
    writers = {signal: operator for operator in model.operators for signal in operator.sets}
    nodes = (obj for obj in model.params if isinstance(obj, nengo.Node))
    found = {node: model.sig[node]["out"] for node in nodes if node.output is not None}
    return {
        node: Output(signal, writers.get(signal))
        for node, signal in found.items()
        if signal is not None and signal.size
    }
