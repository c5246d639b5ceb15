"""Locks between processes, which the system gives back."""

import os
import subprocess
import sys

import pytest

from nengo_jit.engines.cpu.toolchain.cache import locks
from nengo_jit.engines.cpu.toolchain.cache.locks import KernelLocks, acquire_slot

pytestmark = pytest.mark.skipif(locks.fcntl is None, reason="this system knows no such locks")

HOLDER = """
import sys
from pathlib import Path
from nengo_jit.engines.cpu.toolchain.cache.locks import KernelLocks
with KernelLocks(Path(sys.argv[1])).try_lock("kernel") as is_ours:
    print(is_ours, flush=True)
    sys.stdin.read()
"""


def hold(folder):
    """A process that has a kernel's lock, if it can."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    return process, process.stdout.readline().decode().strip() == "True"


def end(process, kill=False):
    if kill:
        process.kill()
    process.communicate()


@pytest.mark.parametrize("kill", [False, True])
def test_a_kernel_is_locked_while_a_process_has_it(tmp_path, kill):
    ours = KernelLocks(tmp_path)
    process, has_it = hold(tmp_path)
    assert has_it
    with ours.try_lock("kernel") as is_ours, ours.try_lock("another") as is_free:
        assert not is_ours and is_free
    end(process, kill)
    with ours.try_lock("kernel") as is_ours:
        assert is_ours
        other, has_it = hold(tmp_path)
        assert not has_it
        end(other)


def test_a_lock_is_given_back_after_an_error(tmp_path):
    ours = KernelLocks(tmp_path)
    with pytest.raises(ZeroDivisionError), ours.try_lock("kernel"):
        raise ZeroDivisionError
    process, has_it = hold(tmp_path)
    assert has_it
    end(process)


def test_places_are_taken_once(tmp_path):
    slots = [acquire_slot(tmp_path, 2) for _ in range(3)]
    assert None not in slots[:2] and slots[2] is None
    os.close(slots[0])
    again = acquire_slot(tmp_path, 2)
    assert again is not None
    for slot in (slots[1], again):
        os.close(slot)


def test_a_place_lasts_as_long_as_the_process_that_got_it(tmp_path):
    slot = acquire_slot(tmp_path, 1)
    command = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=(slot,)
    )
    os.close(slot)
    process.stdout.readline()
    assert acquire_slot(tmp_path, 1) is None
    end(process, kill=True)
    slot = acquire_slot(tmp_path, 1)
    assert slot is not None
    os.close(slot)


def test_without_locks_everybody_goes_on(tmp_path, monkeypatch):
    class Without:
        LOCK_EX = LOCK_NB = LOCK_UN = 0

        def lockf(self, *arguments):
            raise OSError(37, "No locks available")

        flock = lockf

    for fcntl in (Without(), None):
        monkeypatch.setattr(locks, "fcntl", fcntl)
        slot = acquire_slot(tmp_path, 1)
        assert slot is not None
        os.close(slot)
        with KernelLocks(tmp_path).try_lock("kernel") as is_ours:
            assert is_ours
