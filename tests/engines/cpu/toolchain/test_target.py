"""The processor that code is made for: the host, or one that is named."""

import os
import subprocess
import sys
from unittest import mock

import pytest

from nengo_jit.engines.cpu.toolchain import target
from nengo_jit.engines.cpu.toolchain.llvm.intrinsics import IS_X86

only_x86 = pytest.mark.skipif(not IS_X86, reason="the names are those of x86 processors")


@pytest.fixture
def choose(monkeypatch):
    """Choose a processor: ``choose(name, features)``."""

    def forget():
        target.target_machine.cache_clear()
        target.has.cache_clear()

    def set_variables(name=None, features=None):
        for variable, value in (("NUMBA_CPU_NAME", name), ("NUMBA_CPU_FEATURES", features)):
            if value is None:
                monkeypatch.delenv(variable, raising=False)
            else:
                monkeypatch.setenv(variable, value)
        forget()

    yield set_variables
    monkeypatch.undo()
    forget()


@only_x86
@pytest.mark.parametrize(
    "name, features, wide, compresses",
    [
        ("x86-64", None, False, False),
        ("x86-64-v3", None, False, False),
        ("x86-64-v4", None, True, False),
        ("icelake-server", None, True, True),
        ("icelake-server", "-avx512vbmi2", True, False),
        ("icelake-server", "-avx512f", False, False),
        ("x86-64-v3", "+avx512f,+avx512vl,+avx512bw,+avx512vbmi2", True, True),
    ],
)
def test_abilities_are_those_of_the_target(choose, name, features, wide, compresses):
    choose(name, features)
    assert target.has("vectors of 512 bits") == wide
    assert target.has("compressing bytes") == compresses


@only_x86
def test_without_a_name_the_target_is_the_host(choose):
    import llvmlite.binding as llvm

    choose()
    features = llvm.get_host_cpu_features()
    assert target.has("vectors of 512 bits") == features.get("avx512f", False)
    assert target.has("compressing bytes") == features.get("avx512vbmi2", False)


def test_each_target_has_code_of_its_own(choose):
    found = []
    for chosen in ((None, None), ("x86-64-v3", None), ("x86-64-v3", ""), ("x86-64-v3", "-avx2")):
        choose(*chosen)
        found.append(target.description())
    assert len(set(found)) == 3  # no features are as good as none


SCRIPT = """
import numpy as np
from nengo_jit.engines.cpu.language.kernel import routine
from nengo_jit.engines.cpu.toolchain.kernel_cache import address_of
from nengo_jit.engines.cpu.language.primitives import ENTRY, FLOAT64, n_lanes

@routine()
def lanes_of(memory, address):
    return n_lanes(memory)

print(ENTRY(address_of(lanes_of, FLOAT64))(None, 0))
"""


@only_x86
def test_kernels_follow_the_target(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)  # Numba wants functions from files
    environment = {
        **os.environ,
        "NUMBA_CPU_NAME": "x86-64-v3",
        "NENGO_JIT_CACHE_DIR": str(tmp_path),
    }
    environment.pop("NUMBA_CPU_FEATURES", None)
    command = [sys.executable, str(tmp_path / "script.py")]
    output = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert output.stdout.split() == ["4"]


@only_x86
@pytest.mark.parametrize("chosen", [None, ""])
def test_the_host_may_lack_what_processors_of_its_name_have(choose, monkeypatch, chosen):
    """Such as in a virtual machine; an empty list of features chooses nothing."""
    import llvmlite.binding as llvm

    host = mock.Mock(flatten=lambda: "-avx512f")
    monkeypatch.setattr(llvm, "get_host_cpu_name", lambda: "icelake-server")
    monkeypatch.setattr(llvm, "get_host_cpu_features", lambda: host)
    choose(None, chosen)
    assert not target.has("vectors of 512 bits")
