"""Settings: nengo's of now, or those that are held."""

import nengo
import numpy as np
import pytest

from nengo_jit.builder import Model
from nengo_jit.settings import settings, settings_held


@pytest.fixture
def set_bits():
    before = nengo.rc.get("precision", "bits")
    yield lambda bits: nengo.rc.set("precision", "bits", str(bits))
    nengo.rc.set("precision", "bits", before)


def test_settings_are_nengos(set_bits):
    for bits in (16, 32, 64):
        set_bits(bits)
        assert settings().float_dtype == np.dtype(f"float{bits}")
        assert settings().int_dtype == np.dtype(f"int{bits}")


def test_settings_are_held_and_let_go(set_bits):
    set_bits(32)
    with settings_held():
        set_bits(64)
        assert settings().float_dtype == np.float32
    assert settings().float_dtype == np.float64


def test_settings_are_let_go_after_an_error(set_bits):
    with pytest.raises(RuntimeError), settings_held():
        raise RuntimeError
    set_bits(32)
    assert settings().float_dtype == np.float32


def test_a_network_is_built_in_one_precision(set_bits):
    with nengo.Network(seed=0) as net:
        a, b = nengo.Ensemble(5, 1), nengo.Ensemble(5, 1)
    model = Model()
    model.build_callback = lambda obj: set_bits(32)
    model.build(net)
    assert model.params[a].gain.dtype == model.params[b].gain.dtype == np.float64
