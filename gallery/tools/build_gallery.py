"""Run all examples on our simulator and on nengo's, and write the gallery's pages.

    build_gallery.py                    # all, in some minutes
    build_gallery.py lorenz bcm         # only these; the others keep what they have
    build_gallery.py --no-run           # only the pages

Writes `docs/gallery/`, which is not in the repository: pages, pictures, notebooks and times.
"""

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import nbformat
import nengo
from texts import notebook, read
from writing import JIT, NENGO, Result, index, page

TOOLS = Path(__file__).parent
GALLERY = TOOLS.parent
OUTPUT = GALLERY.parent / "docs" / "gallery"
SECTIONS = {
    "Dynamics": ["oscillator", "lorenz", "delay_network", "arm"],
    "Cognition": ["basal_ganglia", "question_answering", "large"],
    "Images": ["digits", "held_images", "training"],
    "Neurons": ["izhikevich", "cuba"],
    "Learning and comparing": ["bcm", "own_learning_rule", "sweep"],
}
NAMES = [name for names in SECTIONS.values() for name in names]


def measure(name: str, simulator: str, *options: str) -> tuple[str, dict[str, float]]:
    """Run an example in a process of its own; returns what it printed, and its times."""
    script = [str(TOOLS / "measure_example.py"), str(GALLERY / f"{name}.py"), simulator, *options]
    done = subprocess.run([sys.executable, *script], stdout=subprocess.PIPE, text=True, check=True)
    printed, _, last = done.stdout.rstrip().rpartition("\n")
    return printed, json.loads(last)


def run(name: str) -> Result:
    """Draw an example's pictures, and measure it once kernels are compiled."""
    styles = {
        style: ("--style", style, "--picture", str(OUTPUT / f"{name}.{style}.png"))
        for style in ("dark", "light")
    }
    measure(name, JIT, *styles["dark"])
    printed, ours = measure(name, JIT, *styles["light"])
    _, theirs = measure(name, NENGO)
    return Result({JIT: ours, NENGO: theirs}, printed, when_and_where())


def when_and_where() -> str:
    """Return the date, and what times are measured on."""
    return (
        f"{datetime.date.today()} on {os.cpu_count()} processors ({platform.machine()}), with "
        f"Python {platform.python_version()} and nengo {nengo.__version__}"
    )


def main() -> None:
    """Build from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help=f"examples to run: {', '.join(NAMES)}")
    parser.add_argument("--no-run", action="store_true", help="write only the pages")
    options = parser.parse_args()
    unknown = set(options.names) - set(NAMES)
    if unknown:
        parser.error(f"There is no example {', '.join(sorted(unknown))}.")
    OUTPUT.mkdir(exist_ok=True)
    kept = OUTPUT / "times.json"
    results = {}
    if kept.exists():
        results = {name: Result(**each) for name, each in json.loads(kept.read_text()).items()}
    for name in [] if options.no_run else options.names or NAMES:
        print(f"{name}: ", end="", flush=True)
        results[name] = run(name)
        print(results[name].verdict)
        kept.write_text(json.dumps({key: asdict(each) for key, each in results.items()}))

    sections = {
        title: [read(GALLERY / f"{name}.py") for name in names] for title, names in SECTIONS.items()
    }
    for example in [each for examples in sections.values() for each in examples]:
        (OUTPUT / f"{example.name}.md").write_text(page(example, results.get(example.name)))
        nbformat.write(notebook(example), OUTPUT / f"{example.name}.ipynb")
    (OUTPUT / "index.md").write_text(index(sections, results))
    print(f"Wrote {OUTPUT}")


if __name__ == "__main__":
    main()
