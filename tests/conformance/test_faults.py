"""Random networks with random faults: a few of those of ``make fuzz``, and what runs them."""

import subprocess
import sys
from pathlib import Path

SOAK = Path(__file__).resolve().parents[1] / "soak"
SCRIPT = """
import os, sys, time

sys.path.insert(0, {folder!r})
import pool


def run(seed):
    if seed == 3:
        os.abort()
    if seed == 4:
        print("what was drawn")
        raise ValueError("no")
    if seed == 6:
        time.sleep(100)


pool.TIMEOUT = 20.0
sys.exit(pool.main(__file__, run, "Nothing", count=9))
"""


def python(script: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(script), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_networks_in_which_things_go_wrong():
    done = python(SOAK / "fuzz.py", "--count", "8", "--processes", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "8 cases" in done.stdout


def test_crashes_errors_and_hangs_are_findings(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(folder=str(SOAK)))
    done = python(script, "--processes", "2")
    assert done.returncode == 1
    assert "9 cases" in done.stdout
    assert "findings: [3, 4, 6]" in done.stdout
    for text in ("seed 3 dies with -6", "what was drawn", "ValueError: no", "seed 6 hangs"):
        assert text in done.stdout
    alone = python(script, "--seed", "5", "--count", "1")
    assert alone.returncode == 0, alone.stdout


def test_runs_end_in_time(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(folder=str(SOAK)))
    done = python(script, "--seed", "10", "--count", "1000000", "--seconds", "1")
    assert done.returncode == 0, done.stdout + done.stderr
