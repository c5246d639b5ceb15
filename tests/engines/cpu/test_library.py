"""The library of machine code: kept on disk, compiled once, loaded without a compiler."""

import os
import subprocess
import sys

import numpy as np
import pytest

from nengo_jit.builder.signal import address as start
from nengo_jit.engines.cpu import compiler, library
from nengo_jit.engines.cpu.image import Image, load_image
from nengo_jit.engines.cpu.linker import link
from nengo_jit.engines.cpu.machine import ENTRY, OUT_OF_BOUNDS, STOPPED, kernel, reals
from nengo_jit.regions import CHECKED, KERNEL, REGIONS

only_linux = pytest.mark.skipif(
    not library.IS_LINKED_HERE, reason="other platforms let LLVM put code into memory"
)
FLOAT64 = np.dtype(np.float64)
POWERS = (1.0, 0.5, 0.25, 3.0)  # more than fits into an instruction


@kernel("=")
def with_everything(memory, table):
    """Constants, a table of them, functions of the C library, and an error."""
    values = reals(table, 4)
    if values[0] < 0.0:
        raise ValueError("negative")
    total = 0.0
    for i in range(4):
        total += np.log(values[i]) * POWERS[np.int64(values[3]) % 4] + np.sin(values[i])
    values[0] = total
    return 0


def expected(values):
    return sum(np.log(v) * POWERS[int(values[3]) % 4] + np.sin(v) for v in values)


def run(address, values):
    return ENTRY(address)(None, start(values))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NENGO_JIT_CACHE_DIR", str(tmp_path / "cache"))
    library.address_of.cache_clear()
    yield tmp_path / "cache"
    library.address_of.cache_clear()


def compiled():
    return compiler.compile_kernel(with_everything.function, FLOAT64, set())


def check(address):
    values = np.array([0.5, 1.5, 2.5, 3.5])
    result = expected(values)
    assert run(address, values) == 0
    assert values[0] == pytest.approx(result, rel=1e-14)
    stopped = run(address, np.array([-1.0, 1, 1, 1]))
    assert stopped == (OUT_OF_BOUNDS if CHECKED else STOPPED)
    REGIONS.shared[KERNEL] = 0  # this was not an error of the engine's


@only_linux
def test_images_do_what_the_function_does():
    check(load_image(link(compiled(), compiler.ENTRY).to_bytes()))


def test_llvm_loads_object_files_where_there_are_no_images():
    check(library.load_object(compiled()))


@only_linux
def test_images_refuse_what_they_do_not_know(monkeypatch):
    monkeypatch.setattr("nengo_jit.engines.cpu.linker.RELATIVE", set())
    with pytest.raises(NotImplementedError, match="Relocation"):
        link(compiled(), compiler.ENTRY)


@only_linux
def test_a_function_that_the_c_library_lacks_is_named():
    image = Image(bytearray(64), 0, {"no_such_function": 8})
    with pytest.raises(OSError, match="no_such_function"):
        load_image(image.to_bytes())


def test_images_survive_a_file():
    image = Image(bytearray(b"\n\0code"), 3, {"sin": 8}, [1, 2])
    assert Image.from_bytes(image.to_bytes()) == image


def test_a_kernel_is_compiled_once(cache, monkeypatch):
    check(library.address_of(with_everything, FLOAT64))
    (file,) = cache.iterdir()
    assert file.name.startswith("with_everything-")
    library.address_of.cache_clear()
    monkeypatch.setattr(library, "_compile", None)
    check(library.address_of(with_everything, FLOAT64))


def test_precisions_are_kept_apart(cache):
    for dtype in (np.float64, np.float32):
        library.load_kernels([(with_everything, np.dtype(dtype))])
    assert len(list(cache.iterdir())) == 2


@pytest.mark.skipif(os.name != "posix", reason="needs a file in the way of a folder")
def test_without_a_place_to_keep_code_it_still_runs(tmp_path, cache, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NENGO_JIT_CACHE_DIR", str(tmp_path / "file" / "cache"))
    check(library.address_of(with_everything, FLOAT64))


def test_progress_is_told_of_each_kernel(cache):
    class Progress:
        max_steps = n_steps = 0

        def step(self):
            self.n_steps += 1

    progress = Progress()
    library.load_kernels([(with_everything, FLOAT64)], progress)
    assert (progress.max_steps, progress.n_steps) == (1, 1)


SCRIPT = """
import sys
import nengo, nengo_jit
with nengo.Network(seed=0) as net:
    a = nengo.Ensemble(20, 1)
    nengo.Connection(nengo.Node(0.5), a)
    probe = nengo.Probe(a, synapse=0.01)
with nengo_jit.Simulator(net, progress_bar=False) as sim:
    sim.run_steps(20)
print(sim.data[probe][-1, 0], "numba" in sys.modules, "llvmlite" in sys.modules)
"""


@only_linux
def test_only_the_first_process_needs_the_compiler(cache):
    outputs = [
        subprocess.run(
            [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
        ).stdout.split()
        for _ in range(2)
    ]
    assert outputs[0][1:] == ["True", "True"]
    assert outputs[1][1:] == ["False", "False"]
    assert outputs[0][0] == outputs[1][0]
