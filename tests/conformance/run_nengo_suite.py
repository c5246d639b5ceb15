"""Run nengo's own test suite on our Simulator, once on each engine.

Usage: run_nengo_suite.py [pytest options]

Tests that take a simulator are run, slow and deprecated SPA tests included. The fixtures of
these tests are seeded by the tests' names, relative to the folder that nengo is installed in.
"""

import os
import subprocess
import sys
from pathlib import Path

import nengo

from nengo_jit.engines import ENGINES

HERE = Path(__file__).resolve().parent


def run(engine: str, options: list[str]) -> int:
    """Run the suite on one engine; return pytest's exit status."""
    command = [sys.executable, "-m", "pytest", "--pyargs", "nengo", "--slow", "--spa"]
    command += ["-p", "upstream_settings", "-p", "no:cacheprovider", "-q"]
    command += ["-c", str(HERE / "nengo_suite.ini")]
    command += ["--rootdir", str(Path(nengo.__file__).parents[1])]
    paths = [str(HERE), os.environ.get("PYTHONPATH", "")]
    environment = dict(os.environ, NENGO_JIT_ENGINE=engine, PYTHONPATH=os.pathsep.join(paths))
    print(f"nengo's tests on the engine '{engine}'", flush=True)
    return subprocess.run([*command, *options], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(max(run(engine, sys.argv[1:]) for engine in ENGINES))
