"""A few of the calls of ``make fuzz-python``, in a process of their own; none is left out."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nengo_jit.engines.cpu.python.tracing.functions import FUNCTIONS, METHODS, PURE
from nengo_jit.engines.cpu.python.tracing.interpreter import LIST_METHODS
from nengo_jit.engines.cpu.python.tracing.of_numpy import ATTRIBUTES
from nengo_jit.engines.cpu.python.tracing.ufuncs import UFUNCS

FOLDER = Path(__file__).parent
N_CALLS = 2  # of each entry


@pytest.fixture
def every_function(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    import every_function

    return every_function


def test_calls_of_every_function(every_function):
    count = N_CALLS * len(every_function.ENTRIES)
    command = [sys.executable, "-X", "faulthandler", FOLDER / "every_function.py", "0", str(count)]
    process = subprocess.run(command, capture_output=True, text=True)
    assert process.returncode == 0, process.stdout + process.stderr
    assert int(process.stdout.split()[0]) > count // 3


def test_none_is_left_out(every_function):
    names = {name for name, _ in every_function.ENTRIES}
    ours = {each.__name__ for each in FUNCTIONS if every_function.name_of(each) is None}
    assert ours == {"store", "assign"}
    called = {*FUNCTIONS, *PURE, *(each for each in vars(np).values() if type(each) is np.ufunc)}
    assert {every_function.name_of(each) for each in called} - {None} <= names
    assert {f".{name}" for name in (*METHODS, *ATTRIBUTES)} <= names
    assert {f"list.{name}" for name in LIST_METHODS} <= names
    assert set(UFUNCS) <= {*every_function.SYMBOLS, *every_function.UNARY}
    for name, templates in every_function.ENTRIES:
        assert all(name.split("list.")[-1].strip(".") in each for each in templates)
