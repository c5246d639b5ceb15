"""The builder: converts nengo objects to a Model of signals and operators."""

from nengo_jit.builder.builder import Builder, Model
from nengo_jit.builder.connection import build_connection
from nengo_jit.builder.ensemble import build_ensemble
from nengo_jit.builder.learning_rules import (
    build_bcm,
    build_learning_rule,
    build_oja,
    build_pes,
    build_rls,
    build_voja,
)
from nengo_jit.builder.network import build_network
from nengo_jit.builder.neurons import (
    build_alif,
    build_alifrate,
    build_lif,
    build_lifrate,
    build_neurons,
    build_rates_to_spikes,
)
from nengo_jit.builder.node import build_node
from nengo_jit.builder.operator import Operator
from nengo_jit.builder.probe import build_probe
from nengo_jit.builder.processes import build_process, build_synapse
from nengo_jit.builder.signal import Signal
from nengo_jit.builder.solver import build_no_solver, build_solver
from nengo_jit.builder.transforms import (
    build_convolution,
    build_dense,
    build_no_transform,
    build_sparse,
)

__all__ = [
    "Builder",
    "Model",
    "Operator",
    "Signal",
    "build_alif",
    "build_alifrate",
    "build_bcm",
    "build_connection",
    "build_convolution",
    "build_dense",
    "build_ensemble",
    "build_learning_rule",
    "build_lif",
    "build_lifrate",
    "build_network",
    "build_neurons",
    "build_no_solver",
    "build_no_transform",
    "build_node",
    "build_oja",
    "build_pes",
    "build_probe",
    "build_process",
    "build_rates_to_spikes",
    "build_rls",
    "build_solver",
    "build_sparse",
    "build_synapse",
    "build_voja",
]
