"""One simulator at a time writes to a path."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from nengo.exceptions import SimulationError, ValidationError

from nengo_jit.persistence.lock import PathLock

HOLD = """
import sys
from pathlib import Path
from nengo_jit.persistence.lock import PathLock
lock = PathLock(Path(sys.argv[1]))
print("held", flush=True)
input()
"""


def test_a_path_is_locked_until_it_is_released(tmp_path):
    path = tmp_path / "run"
    lock = PathLock(path)
    with pytest.raises(ValidationError, match=r"run' is being written .* in this process"):
        PathLock(path)
    PathLock(tmp_path / "other").release()
    lock.release()
    lock.release()
    assert os.listdir(tmp_path) == []
    PathLock(path).release()


def test_a_process_that_is_killed_releases_it(tmp_path):
    path = tmp_path / "run"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(ValidationError, match=f"in process {process.pid}"):
            PathLock(path)
        process.kill()
        process.wait()
    PathLock(path).release()
    assert os.listdir(tmp_path) == []


def test_a_path_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        PathLock(tmp_path / "missing" / "run")
    assert caught.value.filename == str(tmp_path / "missing" / "run")


def test_forked_processes_do_not_write(tmp_path):
    lock = PathLock(tmp_path / "run")
    child = os.fork()
    if child == 0:
        try:
            lock.check()
        except SimulationError:
            lock.release()  # which leaves the lock to the parent process
            os._exit(7)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    lock.check()
    with pytest.raises(ValidationError):
        PathLock(Path(tmp_path / "run"))
    lock.release()
