"""Run the test suites of packages that use simulators, on nengo's simulator and on ours.

Usage: run_clients.py [--suites nengo-gui nengolib]

``make test-clients`` installs the packages from PyPI into an environment of their own. For each
suite a line tells how many tests pass on both, and names those that fail on nengo, too; with newer
versions of nengo, NumPy and SciPy than a package knows, there are some. The exit status is zero if
no test fails on ours only.
"""

import argparse
import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from xml.etree import ElementTree

HERE = Path(__file__).resolve().parent
SIMULATORS = ("nengo.Simulator", "nengo_jit.Simulator")
SUITES = {  # what pytest is told
    "nengo-spa": ["--pyargs", "nengo_spa", "--slow", "-n", "2"],
    "nengo-gui": ["--pyargs", "nengo_gui"],
    "nengo-extras": ["--pyargs", "nengo_extras"],  # those that are slow load data from the network
    "nengolib": ["--pyargs", "nengolib"],
    "direct": [str(HERE / "direct.py")],
}
# whether it keeps to real time depends on the machine's load; direct.py looks at the rest
BY_THE_CLOCK = "test_real_time_simulator"


def run(suite: str, simulator: str, folder: Path) -> dict[str, str]:
    """Run a suite; return of each test whether it passed, failed or was skipped."""
    report = folder / f"{suite}-{simulator}.xml"
    command = [sys.executable, "-m", "pytest", *SUITES[suite]]
    command += ["-p", "old_names", "-p", "upstream_settings", "-p", "no:cacheprovider"]
    command += ["-q", "-W", "ignore", "--tb=short", "--continue-on-collection-errors"]
    command += ["-c", os.devnull, "--rootdir", sysconfig.get_path("purelib")]
    command += ["--junitxml", str(report)]
    paths = [HERE, HERE.parent / "conformance"]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "CLIENTS_SIMULATOR": simulator,
    }
    with report.with_suffix(".log").open("w") as log:
        subprocess.run(command, cwd=folder, env=environment, stdout=log, stderr=log, check=False)
    return {
        f"{case.get('classname')}::{case.get('name')}": outcome_of(case)
        for case in ElementTree.parse(report).iter("testcase")
    }


def outcome_of(case: ElementTree.Element) -> str:
    """What pytest reports of a test."""
    found = {child.tag for child in case}
    for tag, outcome in (("error", "failed"), ("failure", "failed"), ("skipped", "skipped")):
        if tag in found:
            return outcome
    return "passed"


def compare(suite: str, folder: Path) -> bool:
    """Run a suite on both simulators and print what became of it; tells whether all is well."""
    theirs, ours = (run(suite, simulator, folder) for simulator in SIMULATORS)
    names = {
        name
        for name in theirs.keys() | ours.keys()
        if suite == "direct" or not name.endswith(f"::{BY_THE_CLOCK}")
    }
    passed = {name for name in names if theirs.get(name) == ours.get(name) == "passed"}
    on_both = {name for name in names if theirs.get(name) == ours.get(name) == "failed"}
    on_nengo = {name for name in names if theirs.get(name) == "failed"} - on_both
    differ = {name for name in names if theirs.get(name) != ours.get(name)} - on_nengo
    print(
        f"{suite}: {len(passed)} tests passed on both, {len(on_both)} fail on nengo, too, "
        f"{len(on_nengo)} on nengo only, {len(differ)} on ours only"
    )
    for title, found in (
        ("on nengo, too", on_both),
        ("on nengo only", on_nengo),
        ("on ours only", differ),
    ):
        for name in sorted(found):
            print(f"  fails {title}: {name}")
    sys.stdout.flush()
    return bool(passed) and not differ


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--suites", nargs="+", default=list(SUITES), choices=SUITES)
    suites = parser.parse_args().suites
    folder = Path(tempfile.mkdtemp(prefix="nengo-jit-clients-"))
    print(f"logs are in {folder}", file=sys.stderr, flush=True)
    n_wrong = sum(not compare(suite, folder) for suite in suites)
    return 1 if n_wrong else 0


if __name__ == "__main__":
    sys.exit(main())
