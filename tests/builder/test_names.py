"""Names stay importable from where users know them, wherever they are defined."""

import importlib
import pickle

import numpy as np
import pytest

import nengo_jit.builder
from nengo_jit.ir.signal import Signal

NAMES = {
    "builder": """
        BuildFunction Builder Model method_of
    """,
    "caching": """
        SaltedCache decoder_cache
    """,
    "connection": """
        Decoded build_connection slice_signal
    """,
    "costs": """
        UNIT build_cost n_eval_points solve_cost
    """,
    "decoders": """
        Ahead BATCH BUDGET Decoders Key NON_NEGATIVE POINTS Solved System Uses
        WELL_CONDITIONED connections_in_order dimensions_of key_of
    """,
    "ensemble": """
        build_ensemble gen_eval_points get_activities get_encoders get_gain_bias
    """,
    "generators": """
        generator
    """,
    "interop": """
        third_party_build_function use_our_build_functions
    """,
    "learning_rules": """
        SimBCM SimOja SimPES SimRLS SimVoja build_bcm build_learning_rule build_oja
        build_or_passthrough build_pes build_rls build_voja get_post_ens get_pre_ens
    """,
    "linalg": """
        LARGE MOST_EXCHANGES NEGLIGIBLE PANEL PATIENCE ROWS Solve dot dot_transposed gram
        solve_nonnegative solver_of
    """,
    "memory": """
        EXPORTING hold owner_of
    """,
    "network": """
        SEEDING_ORDER build_network seed_network
    """,
    "neurons": """
        SimNeurons build_alif build_alifrate build_lif build_lifrate build_neurons
        build_rates_to_spikes
    """,
    "node": """
        build_node
    """,
    "operator": """
        Copy DotInc ElementwiseInc Operator Reset SimPyFunc SparseDotInc Step TimeUpdate
        as_selection broadcasts has_repeats has_valid_indices needs_reshape operand store
    """,
    "probe": """
        PROBEABLE SimProbe build_probe conn_probe signal_probe
    """,
    "processes": """
        SimProcess build_process build_synapse make_state
    """,
    "sampling": """
        sample shuffled
    """,
    "settings": """
        Settings settings settings_held
    """,
    "signal": """
        ALIGNMENT MOST_SHARED Signal SignalDict address align aligned_block byte_span
        is_index is_sparse
    """,
    "solver": """
        WORTH_BLAS_THREADS build_decoders build_linear_system build_no_solver build_solver
        check_activities get_eval_points solve_for_decoders
    """,
    "targets": """
        Evaluator IN_PYTHON MOST_STOPS Natively assign check_targets get_targets
        targets_ahead
    """,
    "transforms": """
        ConvInc ConvTransposeInc GeneralConvInc Weighted build_convolution build_dense
        build_no_transform build_sparse  multiply
        same_padding windows
    """,
}


@pytest.mark.parametrize(
    ("module", "name"),
    [(module, name) for module, names in NAMES.items() for name in names.split()],
)
def test_names_are_where_they_have_always_been(module, name):
    assert hasattr(importlib.import_module(f"nengo_jit.builder.{module}"), name)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("signal", "Signal"),
        ("signal", "SignalDict"),
        ("operator", "Operator"),
        ("operator", "Reset"),
        ("operator", "Copy"),
        ("operator", "SimPyFunc"),
        ("neurons", "SimNeurons"),
        ("processes", "SimProcess"),
        ("learning_rules", "SimOja"),
        ("transforms", "ConvInc"),
        ("probe", "SimProbe"),
    ],
)
def test_there_is_one_class_of_a_name(module, name):
    value = getattr(importlib.import_module(f"nengo_jit.builder.{module}"), name)
    assert value.__module__.startswith("nengo_jit.ir.")
    assert value is getattr(importlib.import_module(value.__module__), name)


def test_signals_that_were_pickled_by_their_former_name_can_be_loaded():
    stored = pickle.dumps(Signal([1.0, 2.0], name="s"), protocol=0)
    former = stored.replace(b"nengo_jit.ir.signal", b"nengo_jit.builder.signal")
    assert former != stored
    loaded = pickle.loads(former)
    assert type(loaded) is nengo_jit.builder.Signal
    np.testing.assert_array_equal(loaded.initial_value, [1.0, 2.0])
