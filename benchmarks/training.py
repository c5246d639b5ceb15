"""Time training: this package, snnTorch, Norse and Spyx, one processor each, taking turns.

    pip install "nengo-jit[bench-training]"
    python benchmarks/training.py

The network has 64, 128, 128 and 10 units; each of 1,437 digits is 30 steps long, in batches of 64.
After the first epoch, which compiles, an epoch is the least of several, by the clock and in
processor time. Packages that cannot be imported are named. Other sizes, with random data, are
options; on a GPU, take ``--sizes 784 1024 1024 10 --steps 100 --batch 256 --samples 2560``.
With ``--memory``, this package alone is trained with 100, 1,000 and 10,000 steps a sample, with and
without computing values again (``remat``).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from training_packages import PACKAGES, Setting

HERE = Path(__file__).parent
STEPS = 100, 1_000, 10_000


class Run:
    """A package's training in a process of its own, on one processor.

    Attributes
    ----------
    error : str or None
        Why it ended early.
    epochs : list of (float, float)
        Seconds of each epoch by the clock, and of processor time.
    accuracy, memory : float
        Share of right answers, and most memory (MiB), at the end.
    """

    def __init__(self, name: str, setting: Setting, bits: str, pinned: bool):
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "training_packages.py"), name, json.dumps(setting), bits],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=_on_one_processor if pinned else None,
        )
        self.error: str | None = None
        self.epochs: list[tuple[float, float]] = []
        self.accuracy = self.memory = float("nan")

    def take_turn(self) -> None:
        """Train for an epoch."""
        found = self._next()
        if found:
            self.epochs.append(found)

    def finish(self) -> None:
        """Read the results, after the last epoch."""
        found = self._next()
        if found:
            self.accuracy, self.memory = found

    def _next(self) -> tuple[float, float] | None:
        """Let the process go on, unless it has just started, and read what it prints."""
        if self.error is not None:
            return None
        assert self._process.stdin and self._process.stdout and self._process.stderr
        if self.epochs:
            self._process.stdin.write("\n")
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            lines = self._process.stderr.read().strip().splitlines()
            self.error = lines[-1] if lines else "ended early"
            return None
        first, second = json.loads(line)
        return first, second


def _on_one_processor() -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def compare(names: list[str], setting: Setting, bits: str, pinned: bool) -> None:
    """Train with packages in turns, and print a table."""
    runs = {}
    for name in names:
        runs[name] = Run(name, setting, bits, pinned)
        runs[name].take_turn()  # the first epoch compiles: alone
    for _ in range(setting.epochs - 1):
        for run in runs.values():
            run.take_turn()
    print("| package | first epoch (s) | epoch (s) | processor (s) | accuracy | memory (MiB) |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, run in runs.items():
        run.finish()
        if run.error is None:
            clock, processor = (min(each) for each in zip(*run.epochs[1:]))
            print(
                f"| {name} | {run.epochs[0][0]:.2f} | {clock:.3f} | {processor:.3f} | "
                f"{run.accuracy:.1%} | {run.memory:.0f} |"
            )
    for name, run in runs.items():
        if run.error is not None:
            print(f"Not measured: {name} ({run.error})")


def measure_memory(setting: Setting, bits: str, pinned: bool) -> None:
    """Train with long samples, with and without `remat`, and print a table."""
    print("| steps | remat | training step (s) | memory (MiB) |")
    print("| ---: | --- | ---: | ---: |")
    for steps in STEPS:
        for remat in ("auto", None):
            chosen = setting._replace(steps=steps, remat=remat, samples=setting.batch, epochs=3)
            run = Run("nengo-jit", chosen, bits, pinned)
            for _ in range(chosen.epochs):
                run.take_turn()
            run.finish()
            if run.error is None:
                seconds = min(each for each, _ in run.epochs[1:])
                print(f"| {steps:,} | {remat} | {seconds:.3f} | {run.memory:.0f} |", flush=True)
            else:
                print(f"| {steps:,} | {remat} | {run.error} | |", flush=True)


def main() -> None:
    """Compare packages, or measure memory."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--packages", nargs="+", choices=PACKAGES, default=list(PACKAGES))
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128, 128, 10])
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--samples", type=int, default=1437)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--bits", choices=["32", "64"], default="32", help="of this package")
    parser.add_argument("--all-processors", action="store_true", help="do not take only one")
    parser.add_argument("--memory", action="store_true", help="measure memory of long samples")
    given = parser.parse_args()
    setting = Setting(given.sizes, given.steps, given.batch, given.epochs, given.samples)
    if given.memory:
        measure_memory(setting, given.bits, not given.all_processors)
    else:
        compare(given.packages, setting, given.bits, not given.all_processors)


if __name__ == "__main__":
    main()
