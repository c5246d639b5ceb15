"""A few of the random programs of ``make fuzz-python``, in a process of their own."""

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).with_name("random_programs.py")
COUNT = 100


def test_random_programs():
    command = [sys.executable, "-X", "faulthandler", str(SCRIPT), "0", str(COUNT)]
    process = subprocess.run(command, capture_output=True, text=True)
    assert process.returncode == 0, process.stdout + process.stderr
    n_compiled = int(process.stdout.split()[0])
    assert n_compiled > COUNT // 2
