"""Settings that every test runs under: nengo's defaults, quietly and without files."""

import signal
from collections.abc import Iterator

import nengo
import numpy as np
import pytest
from sharing import sharing

from nengo_jit.engines.cpu.functions import FOR_POINTS
from nengo_jit.engines.cpu.library import load_kernels


@pytest.fixture(autouse=True)
def nengo_settings() -> Iterator[None]:
    nengo.rc.reload_rc([])
    nengo.rc.set("decoder_cache", "enabled", "False")
    nengo.rc.set("progress", "progress_bar", "False")
    floating_point = np.geterr()
    yield
    np.seterr(**floating_point)  # an interrupt that was injected between two opcodes may leave it
    nengo.rc.reload_rc([])


@pytest.fixture(autouse=True, scope="session")
def kernels_for_tapes() -> None:
    """Wait for what simulators do not wait for, so that tests need not."""
    load_kernels(FOR_POINTS)


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Let Ctrl-C raise KeyboardInterrupt, also in a job that a shell has told to ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def always_shared() -> Iterator[None]:
    """Let threads share all that they can, whether it pays or not."""
    with sharing():
        yield
