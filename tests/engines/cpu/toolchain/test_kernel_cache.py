"""The library of machine code: kept on disk, compiled once, loaded without a compiler."""

import logging
import os
import subprocess
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import nengo_jit
from nengo_jit.builder.signal import address as start
from nengo_jit.engines.cpu.kernels import neurons, rates
from nengo_jit.engines.cpu.language import primitives
from nengo_jit.engines.cpu.language.kernel import routine
from nengo_jit.engines.cpu.language.primitives import ENTRY, OUT_OF_BOUNDS, STOPPED, float64s
from nengo_jit.engines.cpu.program import team
from nengo_jit.engines.cpu.toolchain import compiler, kernel_cache, keys
from nengo_jit.engines.cpu.toolchain.cache.entry import pack
from nengo_jit.engines.cpu.toolchain.cache.folder import UNFINISHED, Folder
from nengo_jit.engines.cpu.toolchain.cache.locks import FOLDER
from nengo_jit.engines.cpu.toolchain.linker import link
from nengo_jit.engines.cpu.toolchain.loader import Image, load_image
from nengo_jit.engines.cpu.toolchain.workers import PACKAGES, START, Workers
from nengo_jit.engines.cpu.toolchain.wrapper import ENTRY as ENTRY_NAME
from nengo_jit.neurons import formulas
from nengo_jit.regions import CHECKED, KERNEL, REGIONS

only_linux = pytest.mark.skipif(
    not kernel_cache.IS_LINKED_HERE, reason="other platforms let LLVM put code into memory"
)
FLOAT64 = np.dtype(np.float64)
POWERS = (1.0, 0.5, 0.25, 3.0)  # more than fits into an instruction


@routine()
def with_everything(memory, address):
    """Constants, a table of them, functions of the C library, and an error."""
    values = float64s(address, 4)
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


def forget():
    """Forget all machine code, as if this process had just begun."""
    kernel_cache.KERNELS.addresses.clear()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NENGO_JIT_CACHE_DIR", str(tmp_path / "cache"))
    forget()
    yield tmp_path / "cache"
    kernel_cache.KERNELS.stop_workers()
    forget()


def compiled():
    return compiler.compile_kernel(with_everything.code, with_everything.signature, FLOAT64, set())


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
    check(load_image(link(compiled(), ENTRY_NAME).to_bytes()))


def test_llvm_loads_object_files_where_there_are_no_images():
    check(kernel_cache.load_object(compiled()))


@only_linux
def test_images_refuse_what_they_do_not_know(monkeypatch):
    monkeypatch.setattr("nengo_jit.engines.cpu.toolchain.linker.RELATIVE", set())
    with pytest.raises(NotImplementedError, match="Relocation"):
        link(compiled(), ENTRY_NAME)


@only_linux
def test_a_function_that_the_c_library_lacks_is_named():
    image = Image(bytearray(64), 0, {"no_such_function": 8})
    with pytest.raises(OSError, match="no_such_function"):
        load_image(image.to_bytes())


def test_images_survive_a_file():
    image = Image(bytearray(b"\n\0code"), 3, {"sin": 8}, [1, 2])
    assert Image.from_bytes(image.to_bytes()) == image


def entries(folder):
    return sorted(folder.glob("with_everything-*"))


def no_workers(folder):
    raise AssertionError("nothing is to be compiled")


def test_a_kernel_is_compiled_once(cache, monkeypatch):
    check(kernel_cache.address_of(with_everything, FLOAT64))
    assert [each.name for each in entries(cache)] == [keys.name_of(with_everything, FLOAT64)]
    forget()
    monkeypatch.setattr(kernel_cache, "Workers", no_workers)
    check(kernel_cache.address_of(with_everything, FLOAT64))


def test_precisions_are_kept_apart(cache):
    kernel_cache.load_kernels([(with_everything, np.dtype(dtype)) for dtype in "fd"])
    assert len(entries(cache)) == 2


def test_without_a_place_to_keep_code_it_still_runs(tmp_path, cache, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NENGO_JIT_CACHE_DIR", str(tmp_path / "file" / "cache"))
    check(kernel_cache.address_of(with_everything, FLOAT64))


def test_without_room_to_keep_code_it_still_runs(cache, monkeypatch):
    monkeypatch.setenv("NENGO_JIT_CACHE_SIZE", "0")
    check(kernel_cache.address_of(with_everything, FLOAT64))
    assert entries(cache) == []


def test_a_limit_that_is_no_number_is_said_once_though_nothing_is_compiled(
    cache, compiling, caplog, monkeypatch
):
    kernel_cache.load_kernels([(with_everything, FLOAT64)])
    del compiling[:]
    monkeypatch.setenv("NENGO_JIT_CACHE_SIZE", "abc")
    for _ in range(2):
        forget()
        kernel_cache.load_kernels([(with_everything, FLOAT64)])
    assert compiling == [] and len(caplog.records) == 1
    assert "must be a number of megabytes, not 'abc'" in caplog.text


def test_what_is_kept_can_be_asked(cache, monkeypatch):
    kernels = [(with_everything, FLOAT64)]
    monkeypatch.setenv("NENGO_JIT_CACHE_SIZE", "0")
    kernel_cache.load_kernels(kernels)
    assert not kernel_cache.are_kept(kernels)
    monkeypatch.delenv("NENGO_JIT_CACHE_SIZE")
    forget()
    kernel_cache.load_kernels(kernels)
    assert kernel_cache.are_kept(kernels)


def test_progress_is_told_of_each_kernel(cache):
    class Progress:
        max_steps = n_steps = 0

        def step(self):
            self.n_steps += 1

    for _ in range(2):
        progress = Progress()
        kernel_cache.load_kernels([(with_everything, FLOAT64)], progress)
        assert (progress.max_steps, progress.n_steps) == (1, 1)


@pytest.fixture(scope="session")
def content(tmp_path_factory):
    """The machine code, as the library keeps it."""
    content = compiled()
    return link(content, ENTRY_NAME).to_bytes() if kernel_cache.IS_LINKED_HERE else content


@pytest.fixture
def compiling(cache, content, monkeypatch):
    """What is compiled, by name: at once, in this process."""
    names = []

    class AtOnce(Workers):
        def wait_for(self, missing):
            for name in missing:
                names.append(name)
                if self.folder is not None:
                    self.folder.write(name, content, {})
                yield name, content

        def _start_workers(self):
            pass

    monkeypatch.setattr(kernel_cache, "Workers", AtOnce)
    return names


NAME = keys.name_of(with_everything, FLOAT64)
KINDS = {
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "one bit": lambda path: path.write_bytes(path.read_bytes()[:-9] + b"\xff" * 9),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "another's": lambda path: path.write_bytes(pack("lif-" + 32 * "0", b"code", {})),
    "writable by all": lambda path: path.chmod(0o666),
    "a link": lambda path: path.symlink_to(path.rename(path.parents[1] / "elsewhere")),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_entries_are_compiled_again(cache, compiling, caplog, kind):
    caplog.set_level(logging.WARNING)
    check(kernel_cache.address_of(with_everything, FLOAT64))
    KINDS[kind](cache / NAME)
    forget()
    check(kernel_cache.address_of(with_everything, FLOAT64))
    assert compiling == [NAME] * 2
    assert len(caplog.records) == 1 and NAME in caplog.text
    forget()
    check(kernel_cache.address_of(with_everything, FLOAT64))  # it has been replaced
    assert compiling == [NAME] * 2 and len(caplog.records) == 1
    assert [path.name for path in cache.iterdir()] == [NAME]


@pytest.mark.parametrize("what, other", [("version", "0.0.1"), ("description", "another CPU")])
def test_what_is_of_another_version_or_processor_is_refused_and_replaced(
    cache, content, compiling, caplog, monkeypatch, what, other
):
    """It has another name. In our entry's place it is noticed."""
    with monkeypatch.context() as patched:
        patched.setattr(keys, what, lambda *package: other)
        for cached in (keys.name_of, keys._compiler):
            cached.cache_clear()
        name = keys.name_of(with_everything, FLOAT64)
    keys.name_of.cache_clear()
    keys._compiler.cache_clear()
    assert name != NAME == keys.name_of(with_everything, FLOAT64)
    cache.mkdir(0o700)
    planted = pack(name, b"of another", {})
    for each in (name, NAME):
        (cache / each).write_bytes(planted)
        (cache / each).chmod(0o600)
    check(kernel_cache.address_of(with_everything, FLOAT64))
    assert compiling == [NAME] and len(caplog.records) == 1 and "another kernel" in caplog.text
    assert Folder(cache).read(NAME) == content
    assert (cache / name).read_bytes() == planted


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_a_folder_that_others_can_write_to_is_not_used(cache, compiling, caplog):
    check(kernel_cache.address_of(with_everything, FLOAT64))
    cache.chmod(0o777)
    planted = pack(NAME, b"planted", {})
    (cache / NAME).write_bytes(planted)
    forget()
    check(kernel_cache.address_of(with_everything, FLOAT64))
    assert compiling == [NAME] * 2
    assert "others can write" in caplog.text
    assert (cache / NAME).read_bytes() == planted


def test_the_shared_cache_is_looked_up_first_and_never_written(
    tmp_path, cache, content, compiling, monkeypatch
):
    shared = Folder(tmp_path / "shared")
    monkeypatch.setenv("NENGO_JIT_SHARED_CACHE_DIR", str(shared.path))
    check(kernel_cache.address_of(with_everything, FLOAT64))
    assert compiling == [NAME] and not shared.path.exists()

    shared.write(NAME, content, {})
    os.utime(shared.path / NAME, (0, 0))
    (cache / NAME).write_bytes(b"damaged")
    forget()
    check(kernel_cache.address_of(with_everything, FLOAT64))
    assert compiling == [NAME] and (cache / NAME).read_bytes() == b"damaged"
    assert (shared.path / NAME).stat().st_mtime == 0

    (shared.path / NAME).write_bytes(b"damaged")
    forget()
    check(kernel_cache.address_of(with_everything, FLOAT64))
    assert compiling == [NAME] * 2
    assert (shared.path / NAME).read_bytes() == b"damaged"
    assert Folder(cache).read(NAME) == content


def test_an_entry_that_is_looked_at_twice_is_warned_of_once(cache, compiling, caplog):
    cache.mkdir(0o700)
    (cache / NAME).write_bytes(b"damaged")
    kernel_cache.prefetch([(with_everything, FLOAT64)])
    check(kernel_cache.address_of(with_everything, FLOAT64))
    assert len(caplog.records) == 1 and compiling == [NAME]


def test_how_helpers_are_compiled_is_part_of_the_name(monkeypatch):
    def helping(x):
        return x

    uses_it = routine()(lambda memory, address: helping(address))
    names = []
    for options in ({}, {"fastmath": {"nsz", "contract"}}, {"fastmath": {"contract", "nsz"}}):
        monkeypatch.setitem(primitives.HELPERS, helping, options)
        keys.name_of.cache_clear()
        names.append(keys.name_of(uses_it, FLOAT64))
    monkeypatch.setitem(primitives.FORMULAS, helping, False)
    keys.name_of.cache_clear()
    names.append(keys.name_of(uses_it, FLOAT64))
    assert names[0] != names[1] == names[2] != names[3]


def test_use_is_noted_in_the_users_cache(cache, compiling):
    kernel_cache.address_of(with_everything, FLOAT64)
    os.utime(cache / NAME, (0, 0))
    forget()
    kernel_cache.address_of(with_everything, FLOAT64)
    assert (cache / NAME).stat().st_mtime > 1e9


def test_what_begins_early_is_there_later(cache):
    kernel_cache.prefetch([(with_everything, FLOAT64)])
    check(kernel_cache.address_of(with_everything, FLOAT64))
    kernel_cache.prefetch([(with_everything, FLOAT64)])


def wait_for(condition):
    for _ in range(6000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it does not come")


def test_nobody_waits_for_what_can_wait(cache):
    kernels = [(with_everything, FLOAT64)]
    assert not kernel_cache.are_ready(kernels)
    assert kernel_cache.KERNELS._workers is None  # others may be waited for
    kernel_cache.load_kernels([])
    wait_for(lambda: kernel_cache.are_ready(kernels))
    check(kernel_cache.address_of(with_everything, FLOAT64))
    forget()
    assert kernel_cache.are_ready(kernels)


def test_whoever_cannot_wait_waits_for_what_others_do_not(cache):
    kernels = [(with_everything, FLOAT64)]
    kernel_cache.are_ready(kernels)
    kernel_cache.load_kernels([])
    check(kernel_cache.address_of(with_everything, FLOAT64))
    assert kernel_cache.are_ready(kernels)


def test_another_thread_that_compiles_is_not_waited_for(cache):
    kernels = [(with_everything, FLOAT64)]
    with ThreadPoolExecutor(1) as thread, kernel_cache.KERNELS._lock:
        assert not thread.submit(kernel_cache.are_ready, kernels).result()


@routine()
def does_not_compile(memory, table):
    return memory.no_such_attribute


def test_what_cannot_be_compiled_is_told_of_once_and_not_tried_again(cache, caplog):
    kernels = [(does_not_compile, FLOAT64)]
    assert not kernel_cache.are_ready(kernels)
    kernel_cache.load_kernels([])
    wait_for(lambda: kernel_cache.are_ready(kernels) or caplog.records)
    assert "no_such_attribute" in caplog.text
    for _ in range(2):
        kernel_cache.load_kernels([])
        assert not kernel_cache.KERNELS._deferred
        assert not kernel_cache.are_ready(kernels)
    assert len(caplog.records) == 1


@pytest.mark.parametrize("formula", formulas(), ids=lambda formula: formula.name)
def test_names_do_not_depend_on_what_was_used_before(formula, monkeypatch):
    for each in filter(None, (neurons.kernel_of(formula), rates.kernel_of(formula))):
        name = keys.name_of.__wrapped__(each, FLOAT64)
        own = {key: primitives.FORMULAS[key] for key in (formula.step, formula.rate) if key}
        with monkeypatch.context() as patch:
            patch.setattr(primitives, "FORMULAS", own)
            assert keys.name_of.__wrapped__(each, FLOAT64) == name


def test_all_that_code_is_made_with_is_part_of_its_name():
    """What processes that compile import of ours, but for what says who compiles and where to."""
    script = (
        "import sys\n"
        "from nengo_jit.engines.cpu.toolchain import compiler, linker\n"
        "for name, module in sys.modules.items():\n"
        "    if name.startswith('nengo_jit.') and not hasattr(module, '__path__'):\n"
        "        print(name.removeprefix('nengo_jit.').replace('.', '/'))"
    )
    packages = {name: list(sys.modules[name].__path__) for name in PACKAGES}
    begin = START.format(path=sys.path, packages=packages).replace("os.dup2(2, 1)", "")
    imported = set(in_a_process(begin.partition("from nengo_jit")[0] + script).split())
    assert imported - {"engines/cpu/toolchain/fingerprint", "scalar"} == set(keys.COMPILER)


def test_a_missing_source_is_named(monkeypatch):
    with pytest.raises(ImportError, match="no_such_module"):
        keys._source("no_such_module")


def test_sources_are_read_from_archives(tmp_path):
    archive = tmp_path / "package.zip"
    root = Path(nengo_jit.__file__).parents[1]
    with zipfile.ZipFile(archive, "w") as file:
        for path in (root / "nengo_jit").rglob("*.py"):
            file.write(path, path.relative_to(root))
    script = (
        "import nengo_jit, nengo_jit.engines.cpu.toolchain.keys as keys\n"
        "from nengo_jit.engines.cpu.program.team import run\n"
        "assert '.zip' in nengo_jit.__file__\n"
        "print(keys.name_of(run, keys.np.dtype(float)))"
    )
    output = in_a_process(script, PYTHONPATH=str(archive))
    assert output == keys.name_of(team.run, FLOAT64)


def in_a_process(script, **environment):
    """What a process prints that runs a script."""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **environment},
        cwd=os.path.abspath(os.sep),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


SCRIPT = """
import sys
import nengo, nengo_jit
with nengo.Network(seed=0) as net:
    a = nengo.Ensemble(20, 1)
    nengo.Connection(nengo.Node(0.5), a)
    probe = nengo.Probe(a, synapse=0.01)
with nengo_jit.Simulator(net, progress_bar=False) as sim:
    sim.run_steps(20)
compilers = {"numba", "llvmlite", "elftools"} & set(sys.modules)
print(sim.data[probe][-1, 0], *sorted(compilers))
"""


@only_linux
def test_no_process_imports_the_compiler(cache):
    first, second = in_a_process(SCRIPT), in_a_process(SCRIPT)
    assert first == second
    assert len(first.split()) == 1


@only_linux
def test_settings_for_numba_do_not_get_into_the_cache(cache):
    """`NUMBA_BOUNDSCHECK` and its like change nothing, and keep nothing from running."""
    odd = {
        "NUMBA_BOUNDSCHECK": "1",
        "NUMBA_OPT": "0",
        "NUMBA_ENABLE_AVX": "0",
        "NUMBA_DEBUGINFO": "1",
        "NUMBA_DISABLE_JIT": "1",
    }
    first = in_a_process(SCRIPT, **odd)
    found = {path.name: path.read_bytes() for path in cache.glob("*-*")}
    second = in_a_process(SCRIPT, NENGO_JIT_CACHE_DIR=str(cache) + "-2")
    others = {path.name: path.read_bytes() for path in cache.with_name("cache-2").glob("*-*")}
    assert first == second
    assert found == others and found


@only_linux
def test_an_ascii_locale_is_no_obstacle(cache):
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    assert in_a_process(SCRIPT, **ascii_only) == in_a_process(SCRIPT)


def begin(script, **environment):
    return subprocess.Popen(
        [sys.executable, "-c", script],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        cwd=os.path.abspath(os.sep),
        text=True,
    )


@only_linux
def test_processes_at_once_share_the_work(cache):
    """On an empty cache, with one that is killed: all get the same, and nothing is left over."""
    processes = [begin(SCRIPT) for _ in range(3)]
    killed = begin(SCRIPT)
    time.sleep(1.5)
    killed.kill()
    killed.communicate()
    outputs = {process.communicate()[0] for process in processes}
    assert {process.returncode for process in processes} == {0}
    assert len(outputs) == 1
    names = [path.name for path in cache.iterdir()]
    assert not [name for name in names if name.endswith(UNFINISHED)]
    for name in names:
        if name != FOLDER:
            Folder(cache).read(name)
    assert in_a_process(SCRIPT) == outputs.pop().strip()
