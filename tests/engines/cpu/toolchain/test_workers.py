"""Processes that compile: they share the work, die without harm, and do not answer to Ctrl-C."""

import importlib
import os
import platform
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from multiprocessing import spawn
from pathlib import Path

import numpy as np
import pytest

from nengo_jit.engines.cpu.language.primitives import FLOAT64, Signature
from nengo_jit.engines.cpu.toolchain import workers as module
from nengo_jit.engines.cpu.toolchain.cache.folder import Folder
from nengo_jit.engines.cpu.toolchain.cache.locks import KernelLocks, acquire_slot
from nengo_jit.engines.cpu.toolchain.jobs import LATER, LIKELY, job_for
from nengo_jit.engines.cpu.toolchain.workers import CompilerError, Workers, _environment

only_posix = pytest.mark.skipif(os.name != "posix", reason="needs signals")


def returns_three(memory, table):
    return 3


def returns_four(memory, table):
    return 4


def does_not_compile(memory, table):
    return memory.no_such_attribute


def job(function):
    name = function.__name__
    return job_for(f"{name}-{32 * '0'}", function, Signature(name), FLOAT64, ())


@pytest.fixture
def folder(tmp_path):
    folder = Folder(tmp_path / "cache")
    folder.make()
    return folder


@pytest.fixture
def workers(folder):
    workers = Workers(folder)
    yield workers
    workers.close()


def compile_here(workers, *functions):
    jobs = [job(function) for function in functions]
    workers.submit(jobs)
    return dict(workers.wait_for(job.name for job in jobs))


def entries(folder):
    return {path.name for path in folder.path.glob("*-*")}


def test_what_is_compiled_is_kept(workers, folder):
    found = compile_here(workers, returns_three, returns_four)
    assert set(found) == entries(folder) == {job(returns_three).name, job(returns_four).name}
    for name, content in found.items():
        assert folder.read(name) == content


def test_processes_import_the_compiler_only(workers, monkeypatch):
    """Of nengo and of this package they need nothing, which takes half as long to import again."""
    report = "assert 'numba' in sys.modules and 'nengo' not in sys.modules, 'too much'"
    monkeypatch.setattr(module, "START", module.START.replace("main(output)", report))
    workers.submit([job(returns_three)])
    worker = workers._workers.pop()
    assert worker.end(timeout=60) == (0, "")


def test_without_a_folder_kernels_are_compiled_all_the_same():
    workers = Workers(None)
    assert set(compile_here(workers, returns_three, returns_four))
    workers.close()


def test_what_another_process_has_compiled_is_taken(workers, folder, monkeypatch):
    """Here no process of ours gets a place, so all comes from another one."""
    monkeypatch.setattr(module, "acquire_slot", lambda path, n: None)
    name = job(returns_three).name
    threading.Timer(0.2, lambda: folder.write(name, b"of another process", {})).start()
    assert compile_here(workers, returns_three) == {name: b"of another process"}


def test_a_kernel_that_another_process_is_at_is_left_to_it(workers, folder):
    ours, others = job(returns_three).name, job(returns_four).name
    with KernelLocks(folder.path).try_lock(others):
        threading.Timer(3.0, lambda: folder.write(others, b"of another process", {})).start()
        found = compile_here(workers, returns_three, returns_four)
    assert found[others] == b"of another process"
    assert found[ours] == folder.read(ours)


def test_what_could_not_be_kept_is_compiled_once(folder, monkeypatch):
    monkeypatch.setenv("NENGO_JIT_CACHE_SIZE", "0")
    monkeypatch.setattr(module, "n_cores", lambda: 1)
    workers = Workers(folder)
    compile_here(workers, returns_three)
    (worker,) = workers._workers
    monkeypatch.setattr(module, "n_cores", lambda: 2)
    told = []
    monkeypatch.setattr(type(worker), "send", lambda worker, message: told.append(message))
    workers._events.put((job(returns_three).name, b"code", None))
    assert list(workers._results()) == [(job(returns_three).name, b"code")]
    assert told == [((), (job(returns_three).name,))]
    assert entries(folder) == set()
    workers.close()


def test_what_can_wait_comes_last(workers, monkeypatch):
    monkeypatch.setattr(module, "n_cores", lambda: 1)
    late = job_for(f"late-{32 * '0'}", returns_four, Signature("late"), FLOAT64, (), priority=LATER)
    with monkeypatch.context() as no_process_yet:
        no_process_yet.setattr(module, "acquire_slot", lambda path, n: None)
        workers.submit([replace(late, work=10**6), job(returns_three)])
    assert next(workers.wait_for([job(returns_three).name]))[0] == job(returns_three).name
    assert [name for name, _ in workers.wait_for([late.name])] == [late.name]


def test_what_somebody_waits_for_comes_first(workers, monkeypatch):
    monkeypatch.setattr(module, "n_cores", lambda: 1)
    jobs = [replace(job(function), priority=LIKELY) for function in (returns_three, returns_four)]
    with monkeypatch.context() as no_process_yet:
        no_process_yet.setattr(module, "acquire_slot", lambda path, n: None)
        workers.submit([replace(jobs[0], work=10**6), jobs[1]])
    assert next(workers.wait_for([jobs[1].name]))[0] == jobs[1].name
    assert [name for name, _ in workers.wait_for([jobs[0].name])] == [jobs[0].name]


def test_what_is_ready_is_taken_without_waiting(workers):
    assert workers.collect() == []
    workers.submit([job(returns_three)])
    taken = []
    for _ in range(6000):
        taken = taken or workers.collect()
        time.sleep(0.0 if taken else 0.01)
    assert [name for name, _ in taken] == [job(returns_three).name]
    assert workers.collect() == []


def test_any_number_of_processes_may_end_for_want_of_work(workers, monkeypatch):
    monkeypatch.setattr(module, "MAX_CRASHES", 1)
    compile_here(workers, returns_three)
    (worker,) = workers._workers
    worker._process.wait()
    assert len(compile_here(workers, returns_four)) == 1


def test_what_goes_wrong_is_told(workers):
    with pytest.raises(CompilerError, match="no_such_attribute"):
        compile_here(workers, does_not_compile)
    assert len(compile_here(workers, returns_three)) == 1


@pytest.mark.parametrize("name", ["sitecustomize", "code", "timeit", "numba", "elftools"])
def test_files_of_the_user_are_not_taken_for_the_compilers(workers, tmp_path, monkeypatch, name):
    """They may have any names, and be the very program that runs, with all its effects."""
    mark = tmp_path / "has run"
    (tmp_path / f"{name}.py").write_text(f"open({str(mark)!r}, 'w').close()\nraise SystemExit(1)")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert len(compile_here(workers, returns_three)) == 1
    assert not mark.exists()


def test_modules_of_functions_are_not_imported(workers, tmp_path, monkeypatch):
    """They may be the user's, and have effects; those of this package import nengo."""
    effects = tmp_path / "effects"
    source = f"open({str(effects)!r}, 'a').write('x')\ndef returns_five(memory, table): return 5"
    (tmp_path / "of_the_user.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    function = importlib.import_module("of_the_user").returns_five
    assert len(compile_here(workers, function)) == 1
    assert effects.read_text() == "x"


def test_what_python_ignores_in_its_path_is_ignored(workers, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path, None, b"/tmp", ""])
    assert len(compile_here(workers, returns_three)) == 1


@only_posix
def test_the_working_directory_may_be_gone(workers, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert len(compile_here(workers, returns_three)) == 1


def test_the_package_may_be_found_by_a_relative_path(workers, monkeypatch):
    for name in module.PACKAGES:
        package = sys.modules[name]
        monkeypatch.setattr(package, "__path__", [os.path.relpath(package.__path__[0])])
    assert len(compile_here(workers, returns_three)) == 1


def test_what_is_printed_does_not_get_among_messages(workers, monkeypatch):
    printing = module.START.replace("sys.path +=", "os.write(1, bytes(range(100)))\nsys.path +=")
    monkeypatch.setattr(module, "START", printing)
    assert len(compile_here(workers, returns_three)) == 1


def test_messages_that_make_no_sense_end_in_an_error(workers, monkeypatch):
    nonsense = "import os; os.write(1, bytes([5] + 7 * [0]) + b'salad'); os.read(0, 1)"
    monkeypatch.setattr(module, "START", nonsense)
    monkeypatch.setattr(threading, "excepthook", lambda arguments: None)
    with pytest.raises(CompilerError, match="ended with status"):
        compile_here(workers, returns_three)


def test_nothing_can_be_kept_of_what_is_printed_without_temporary_files(workers, monkeypatch):
    def fail():
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(module.tempfile, "TemporaryFile", fail)
    assert len(compile_here(workers, returns_three)) == 1


TABLE = np.arange(2000.0)


def reads_a_table(memory, table):
    return int(TABLE[table])


def reads_it_backwards(memory, table):
    return int(TABLE[1999 - table])


@only_posix
def test_processes_do_not_wait_for_one_who_is_stopped(folder, monkeypatch):
    """Nobody reads their messages, which do not fit into a pipe, but others wait for kernels."""
    fcntl = pytest.importorskip("fcntl")
    if not hasattr(fcntl, "F_SETPIPE_SZ"):
        pytest.skip("pipes have a fixed size")
    monkeypatch.setattr(
        module._Worker,
        "_listen",
        lambda self, events: fcntl.fcntl(self._process.stdout, fcntl.F_SETPIPE_SZ, 4096),
    )
    monkeypatch.setattr(module, "n_cores", lambda: 1)
    workers = Workers(folder)
    jobs = [job(reads_a_table), job(reads_it_backwards)]
    workers.submit(jobs)
    (worker,) = workers._workers
    assert worker._process.wait(timeout=60) == 0
    assert entries(folder) == {each.name for each in jobs}
    workers.close()


@only_posix
def test_what_a_stopped_process_is_at_is_compiled_all_the_same(workers, folder, monkeypatch):
    """It may have all places, and the locks of all kernels."""
    hurry = (
        "from nengo_jit.engines.cpu.toolchain import worker; "
        "worker.STALL_TIMEOUT = 0.1; main(output)"
    )
    monkeypatch.setattr(module, "START", module.START.replace("main(output)", hurry))
    monkeypatch.setattr(module, "STALL_TIMEOUT", 0.1)
    monkeypatch.setattr(module, "acquire_slot", lambda path, n: None)
    with KernelLocks(folder.path).try_lock(job(returns_three).name):
        assert len(compile_here(workers, returns_three)) == 1


@pytest.mark.skipif(platform.machine() != "x86_64", reason="LLVM minds it on x86-64")
def test_a_processor_that_is_not_known_is_named(workers, monkeypatch):
    monkeypatch.setenv("NUMBA_CPU_NAME", "no-such-processor")
    with pytest.raises(CompilerError, match="NUMBA_CPU_NAME is set to 'no-such-processor'"):
        compile_here(workers, returns_three)


@only_posix
def test_processes_that_die_are_replaced(workers):
    workers.submit([job(returns_three)])
    (worker,) = workers._workers
    worker._process.kill()
    assert len(dict(workers.wait_for([job(returns_three).name]))) == 1


def test_processes_that_cannot_work_are_told_of(workers, monkeypatch):
    monkeypatch.setattr(module, "START", "raise SystemExit('no compiler here')")
    with pytest.raises(CompilerError, match="no compiler here"):
        compile_here(workers, returns_three)


def test_processes_that_do_nothing_are_told_of(workers, monkeypatch):
    """Such as those of a program that is not Python but says that all is well."""
    monkeypatch.setattr(module, "START", "")
    with pytest.raises(CompilerError, match="ended with status 0"):
        compile_here(workers, returns_three)


def test_a_program_that_is_not_python_says_what_to_do(workers, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(sys, "frozen", True, raising=False)
        with pytest.raises(CompilerError, match="set_executable"):
            compile_here(workers, returns_three)
    monkeypatch.setattr(spawn, "get_executable", lambda: b"/no/such/python")
    with pytest.raises(CompilerError, match="/no/such/python"):
        compile_here(workers, returns_three)


def test_without_a_place_no_process_is_started(workers, folder, monkeypatch):
    monkeypatch.setattr(module, "n_cores", lambda: 2)
    places = [acquire_slot(folder.path, 2) for _ in range(2)]
    workers.submit([job(returns_three)])
    assert workers._workers == []
    os.close(places[0])
    assert len(dict(workers.wait_for([job(returns_three).name]))) == 1
    os.close(places[1])


def n_helpers(workers):
    (worker,) = workers._workers
    pid = worker._process.pid
    helpers = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return sum(not _is_zombie(int(helper)) for helper in helpers)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere each process is started by itself")
@pytest.mark.parametrize("n_taken, expected", [(0, 2), (1, 1), (2, 0)])
def test_one_process_becomes_as_many_as_there_are_places(
    workers, folder, monkeypatch, n_taken, expected
):
    monkeypatch.setattr(module, "n_cores", lambda: 3)
    places = [acquire_slot(folder.path, 3) for _ in range(n_taken)]
    compile_here(workers, returns_three, returns_four)
    assert n_helpers(workers) == expected
    for place in places:
        os.close(place)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere each process is started by itself")
def test_what_helpers_cannot_compile_is_told(workers, monkeypatch):
    """Whoever comes first has it; that all are told of it does not matter."""
    monkeypatch.setattr(module, "n_cores", lambda: 3)
    for _ in range(2):
        with pytest.raises(CompilerError, match="no_such_attribute"):
            compile_here(workers, returns_four, does_not_compile)


@only_posix
def test_processes_end_when_there_is_nothing_to_do(workers, monkeypatch):
    compile_here(workers, returns_three)
    (worker,) = workers._workers
    assert worker._process.wait(timeout=60) == 0
    assert len(compile_here(workers, returns_four)) == 1


@only_posix
def test_processes_end_with_the_one_that_has_started_them(folder):
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from nengo_jit.engines.cpu.toolchain.cache.folder import Folder\n"
        "from nengo_jit.engines.cpu.toolchain.jobs import Job\n"
        "from nengo_jit.engines.cpu.toolchain.workers import Workers\n"
        "workers = Workers(Folder(Path(sys.argv[1])))\n"
        "workers.submit([Job('kernel-' + 32 * '0', 1, b'')])\n"
        "print(workers._workers[0]._process.pid, flush=True)\n"
        "sys.stdin.read()"
    )
    command = [sys.executable, "-c", script, str(folder.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        pid = int(process.stdout.readline())
        os.kill(pid, 0)
        process.kill()
    for _ in range(6000):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            break
        if _is_zombie(pid):
            break
        time.sleep(0.01)
    else:
        raise AssertionError("it has not ended")


def _is_zombie(pid):
    """Whether a process has ended, and nobody has asked how."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False


@only_posix
@pytest.mark.parametrize("seconds", [0.0, 0.1, 0.5, 1.5])
def test_ctrl_c_is_answered_while_kernels_are_compiled(workers, monkeypatch, ctrl_c, seconds):
    monkeypatch.setattr(module, "START", "import time; time.sleep(1000)")
    timer = threading.Timer(seconds, lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        timer.start()
        compile_here(workers, returns_three)
    processes = [worker._process for worker in workers._workers]
    workers.close()
    assert all(process.poll() is not None for process in processes)


def test_users_settings_for_numba_are_kept_from_the_compiler(monkeypatch):
    monkeypatch.setenv("NUMBA_BOUNDSCHECK", "1")
    monkeypatch.setenv("NUMBA_CPU_NAME", "x86-64-v3")
    names = {name for name in _environment() if name.startswith("NUMBA_")}
    assert names <= {"NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES"} and "NUMBA_CPU_NAME" in names


def test_code_does_not_depend_on_what_was_compiled_before(workers, folder):
    first = compile_here(workers, returns_three, returns_four)
    again = Workers(None)
    assert compile_here(again, returns_four, returns_three) == first
    again.close()
