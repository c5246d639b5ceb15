"""Build a node."""

from __future__ import annotations

from nengo import Node, Process
from nengo.exceptions import BuildError
from nengo.utils.numpy import is_array_like

from nengo_jit.builder.builder import Builder, Model
from nengo_jit.ir.operator import Reset
from nengo_jit.ir.python import SimPyFunc
from nengo_jit.ir.signal import Signal
from nengo_jit.settings import settings


@Builder.register(Node)
def build_node(model: Model, node: Node) -> None:
    """Build a node into a model.

    An array becomes a constant signal without an operator, a process becomes a `SimProcess`, and
    any other callable a `SimPyFunc`. The output of a node without any of these is its input signal.

    Parameters
    ----------
    model : Model
        The model to build into.
    node : nengo.Node
        The node.

    Raises
    ------
    BuildError
        If the node's output is none of these.

    Notes
    -----
    Sets ``model.sig[node]["in"]`` and ``["out"]``, and ``model.params[node]`` to None.
    """
    output = node.output
    constant = is_array_like(output)
    sig_in = None
    if node.size_in > 0 and not constant:
        sig_in = Signal(shape=node.size_in, name=f"{node}.in")
        model.add_op(Reset(sig_in, tag=f"{node} input"))

    sig_out = None
    if constant:
        sig_out = Signal(output.astype(settings().float_dtype), name=f"{node}.out")
    elif output is None:
        sig_out = sig_in
    elif node.size_out > 0 or isinstance(output, Process):
        sig_out = Signal(shape=node.size_out, name=f"{node}.out")

    if isinstance(output, Process):
        model.build(output, sig_in, sig_out, mode="set")
    elif callable(output):
        model.add_op(SimPyFunc(sig_out, output, t=model.time, x=sig_in, tag=f"{node}"))
    elif output is not None and not constant:
        raise BuildError(
            f"Invalid node output type '{type(output).__name__}' of {node}: "
            "use an array, a process, a callable or None"
        )

    model.sig[node]["in"] = sig_in
    model.sig[node]["out"] = sig_out
    model.params[node] = None
