"""Run make targets from a clean clone on every version of Python that is found.

Usage: pythons.py [--targets demo test]

For each version there is a new clone of HEAD, with an environment of its own that has the newest
packages allowed, and an empty library of machine code. At the end, one line for each tells what
became of it. The exit status is zero if all is well.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DESCRIBE = "import ensurepip, sys, venv; print(*sys.version_info[:3])"
VERSIONS = "from importlib.metadata import version; print(version('numpy'), version('scipy'))"
SUMMARY = re.compile(r"\d+ (?:passed|failed|error).* in [\d.]+s\b.*")  # pytest's last line
COUNT = re.compile(r"(\d+) (passed|failed|error)")

Version = tuple[int, ...]


def output_of(*command: str | Path) -> str:
    """What a command prints; nothing if it fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def oldest_python() -> Version:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return tuple(int(part) for part in project["requires-python"].removeprefix(">=").split("."))


def pythons() -> dict[Version, Path]:
    """By version: pythonX.Y on the PATH and those of pyenv, the newest of each X.Y."""
    folders = [Path(folder) for folder in os.get_exec_path()]
    candidates = [path for folder in folders for path in sorted(folder.glob("python3.*"))]
    candidates += sorted((Path.home() / ".pyenv" / "versions").glob("*/bin/python"))
    found: dict[Version, Path] = {}
    for path in candidates:
        if re.fullmatch(r"python(3\.\d+)?", path.name):
            version = tuple(int(part) for part in output_of(path, "-c", DESCRIBE).split())
            if version >= oldest_python():
                found.setdefault(version, path)
    newest = {version[:2]: version for version in sorted(found)}
    return {version: found[version] for version in newest.values()}


def count_tests(log: str) -> dict[str, int]:
    """How many tests have passed, failed and so on, in all of pytest's summaries together."""
    counts = dict.fromkeys(("passed", "failed", "error"), 0)
    for summary in SUMMARY.findall(log):
        for n, outcome in COUNT.findall(summary):
            counts[outcome] += int(n)
    return counts


def run(python: Path, targets: list[str], log_path: Path) -> tuple[bool, str]:
    """Run targets on one version; tells whether all is well, and how it went."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="nengo-jit-") as folder, log_path.open("w") as log:
        clone = Path(folder) / "clone"
        head = output_of("git", "-C", ROOT, "rev-parse", "HEAD")
        subprocess.run(["git", "clone", "--quiet", "--no-checkout", ROOT, clone], check=True)
        subprocess.run(["git", "-C", clone, "checkout", "--quiet", head], check=True)
        environment = {**os.environ, "NENGO_JIT_CACHE_DIR": str(Path(folder) / "library")}
        environment.pop("PYTHONPATH", None)
        is_ok = {}
        for target in targets:
            command = ["make", "--keep-going", target, f"PYTHON={python}"]
            finished = subprocess.run(
                command, cwd=clone, env=environment, stdout=log, stderr=log, check=False
            )
            is_ok[target] = finished.returncode == 0
        numpy, scipy = (output_of(clone / ".venv/bin/python", "-c", VERSIONS) or "? ?").split()
    counts = count_tests(log_path.read_text(errors="replace"))
    told = [
        f"NumPy {numpy}",
        f"SciPy {scipy}",
        *(f"{target} {'ok' if ok else 'failed'}" for target, ok in is_ok.items()),
        f"{counts['passed']} tests passed",
        f"{counts['failed'] + counts['error']} failed",
        f"{(time.monotonic() - start) / 60:.1f} min",
    ]
    return all(is_ok.values()), ", ".join(told)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--targets", nargs="+", default=["demo", "test"], help="make targets to run"
    )
    targets = parser.parse_args().targets
    logs = Path(tempfile.mkdtemp(prefix="nengo-jit-pythons-"))
    lines, all_ok = [], True
    for version, python in pythons().items():
        name = ".".join(map(str, version))
        log_path = logs / f"{name}.log"
        print(f"Python {name} ({python}): see {log_path}", file=sys.stderr, flush=True)
        is_ok, told = run(python, targets, log_path)
        all_ok = all_ok and is_ok
        lines.append(f"Python {name}: {told}")
    print("\n".join(lines))
    return 0 if lines and all_ok else 1


if __name__ == "__main__":
    sys.exit(main())
