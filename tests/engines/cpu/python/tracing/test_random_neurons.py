"""A few of the random neuron types of ``make fuzz-python``, in a process of their own."""

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).with_name("random_neurons.py")
COUNT = 10


def test_random_neurons():
    command = [sys.executable, "-X", "faulthandler", str(SCRIPT), "0", str(COUNT)]
    process = subprocess.run(command, capture_output=True, text=True)
    assert process.returncode == 0, process.stdout + process.stderr
    assert int(process.stdout.split()[0]) > COUNT // 3
