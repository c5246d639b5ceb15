"""Build probes: find the signal to record, or make a connection that computes it."""

from __future__ import annotations

from nengo import Connection, Ensemble, Node, Probe
from nengo.connection import LearningRule
from nengo.ensemble import Neurons
from nengo.exceptions import BuildError

from nengo_jit.builder.builder import Builder, Model
from nengo_jit.builder.connection import slice_signal
from nengo_jit.ir.operator import Copy, Reset
from nengo_jit.ir.probe import SimProbe
from nengo_jit.ir.signal import Signal

# From the type of an object and the attribute that is probed to the key of the signal in
# ``model.sig``, or None if the value must be decoded. Other attributes are keys themselves.
PROBEABLE: dict[type, dict[str, str | None]] = {
    Ensemble: {"decoded_output": None, "input": "in", "scaled_encoders": "encoders"},
    Neurons: {"output": "out", "spikes": "out", "rates": "out", "input": "in"},
    Node: {"output": "out"},
    Connection: {"output": "weighted", "input": "in"},
    LearningRule: {},
}


@Builder.register(Probe)
def build_probe(model: Model, probe: Probe) -> None:
    """Build a probe into a model.

    Parameters
    ----------
    model : Model
        The model to build into.
    probe : nengo.Probe
        The probe; its target must have been built before.

    Raises
    ------
    BuildError
        If the target, or its attribute, cannot be probed.

    Notes
    -----
    Sets ``model.sig[probe]["in"]``, the signal that is recorded, and ``model.params[probe]`` to
    an empty list.
    """
    for probeable_type, keys in PROBEABLE.items():
        if isinstance(probe.obj, probeable_type):
            key = keys.get(probe.attr, probe.attr)
            break
    else:
        raise BuildError(f"Type '{type(probe.obj).__name__}' is not probeable ({probe})")
    if key is None:
        conn_probe(model, probe)
    else:
        signal_probe(model, key, probe)
    model.add_op(SimProbe(model.sig[probe]["in"], tag=f"{probe}"))
    model.probes.append(probe)
    model.params[probe] = []


def conn_probe(model: Model, probe: Probe) -> None:
    """Probe a decoded value, by a connection with the probe's seed, synapse and solver.

    Parameters
    ----------
    model : Model
        The model to build into.
    probe : nengo.Probe
        A probe of an ensemble's decoded output.
    """
    conn = Connection(
        probe.target, probe, synapse=probe.synapse, solver=probe.solver, add_to_container=False
    )
    model.seeds[conn] = model.seeds[probe]
    model.seeded[conn] = model.seeded[probe]
    model.sig[probe]["in"] = Signal(shape=conn.size_out, name=f"{probe}")
    model.add_op(Reset(model.sig[probe]["in"], tag=f"{probe}"))
    model.build(conn)


def signal_probe(model: Model, key: str, probe: Probe) -> None:
    """Probe an existing signal, through the probe's slice and synapse.

    Parameters
    ----------
    model : Model
        The model to build into.
    key : str
        The signal's key in ``model.sig[probe.obj]``.
    probe : nengo.Probe
        A probe of anything except a decoded value.

    Raises
    ------
    BuildError
        If there is no such signal.
    """
    signals = model.sig[probe.obj]
    if key not in signals:
        raise BuildError(f"Attribute '{key}' is not probeable on {probe.obj}.")
    signal = signals[key]
    if signal is None:
        raise BuildError(f"Attribute '{key}' on {probe.obj} is None, cannot be probed")
    if probe.slice is not None:
        signal = slice_signal(model, signal, probe.slice)
    if probe.synapse is not None:
        filtered = model.build(probe.synapse, signal, mode="update")
        model.sig[probe]["filtered"] = filtered
        signal = Signal(shape=filtered.shape, name=f"{probe}")
        model.add_op(Copy(filtered, signal, tag=f"{probe}"))
    model.sig[probe]["in"] = signal
