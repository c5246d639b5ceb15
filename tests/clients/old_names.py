"""pytest plugin: runs the tests of older packages on the simulator that is asked for.

It replaces ``nengo.Simulator`` by what ``CLIENTS_SIMULATOR`` names, before any test module is
imported, and brings back what these packages use and NumPy 2 and nengo 4 have removed or changed.
"""

import importlib
import os
import sys
from types import ModuleType
from typing import Any
from unittest import mock

import nengo
import nengo.utils.numpy
import numpy as np
import pytest


def bring_back_modules() -> None:
    """``nengo.utils.compat``, as far as it is used, and an empty ``nengo.conftest``."""
    compat = ModuleType("nengo.utils.compat")
    for name in ("is_integer", "is_iterable", "is_number"):
        setattr(compat, name, getattr(nengo.utils.numpy, name))
    compat.with_metaclass = lambda meta, *bases: meta("Base", bases, {})
    sys.modules[compat.__name__] = compat
    sys.modules["nengo.conftest"] = ModuleType("nengo.conftest")


def bring_back_names() -> None:
    """Names and arguments of NumPy 1 and nengo 2."""
    np.asfarray = lambda a: np.asarray(a, float)  # noqa: NPY201  as NumPy 1 had it
    nengo.LinearFilter.method.default = "zoh"
    make_probe = nengo.Probe.__init__

    def init_probe(self: nengo.Probe, target: Any, attr: str | None = None, **options: Any) -> None:
        make_probe(self, target, "output" if attr == "spikes" else attr, **options)

    nengo.Probe.__init__ = init_probe


def adapt_nengolib() -> None:
    """Let nengolib's processes, synapses and neurons keep to nengo 4."""
    from nengolib import neurons, processes
    from nengolib.signal import system

    def without_state(make_step: Any) -> Any:
        return lambda self, shape_in, shape_out, dt, rng, state=None, **options: make_step(
            self, shape_in, shape_out, dt, rng, **options
        )

    for kind in (processes.Callable, system.NengoLinearFilterMixin):
        kind.make_step = without_state(kind.make_step)
    system.NengoLinearFilterMixin.make_state = lambda self, *shapes, **options: {}
    neurons.Tanh.step = neurons.Tanh.step_math
    sample, rates = neurons._sample_lif_state, nengo.LIF.rates

    def sample_one(*arguments: Any) -> Any:
        def rates_of_one(self: nengo.LIF, x: np.ndarray, *parameters: np.ndarray) -> np.ndarray:
            return rates(self, x[np.newaxis], *parameters)[0]

        with mock.patch.object(nengo.LIF, "rates", rates_of_one):
            return sample(*arguments)

    neurons._sample_lif_state = sample_one


def adapt_loihi() -> None:
    """Let nengo-loihi convert weights as NumPy 1 did."""
    from nengo_loihi import block

    set_weights = block.Synapse.set_weights
    block.Synapse.set_weights = lambda self, weights: set_weights(self, np.float32(weights))


def pytest_configure() -> None:
    bring_back_modules()
    bring_back_names()
    module, name = os.environ["CLIENTS_SIMULATOR"].split(".")
    nengo.Simulator = getattr(importlib.import_module(module), name)
    adapt_nengolib()
    adapt_loihi()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out tests that need a browser."""
    items[:] = [item for item in items if "driver" not in item.fixturenames]
