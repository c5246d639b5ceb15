"""Runs that are killed again and again and resumed end as a run that nobody disturbs, bit for bit.

    python tests/soak/killed.py [--count 200] [--seed 0] [--steps 4000]

Each run has noise, learning, spikes from random numbers, a function with a generator and one with a
state. It writes checkpoints, and its probe data stream to disk. Its process is killed with SIGKILL
at random moments, also while it writes, and another one resumes it, until it is done. Processes are
forked from one that has imported everything, and has no threads.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from unittest import mock

import nengo
import numpy as np

import nengo_jit
from nengo_jit.persistence import store, stream
from nengo_jit.persistence.checkpoint import Checkpoint

SETTINGS = {store: {"MOST_ROWS": 256}, stream: {"PENDING": 1 << 16, "INTERVAL": 0.02}}
PATIENCE = 120.0  # seconds for a process to begin its run


class Counter:
    """Counts its calls, and saves the number."""

    n = 0

    def __call__(self, t: float) -> float:
        self.n += 1
        return self.n % 7 - 3.0

    def state(self) -> int:
        return self.n

    def load_state(self, state: int) -> None:
        self.n = state


def network() -> nengo.Network:
    rng = np.random.RandomState(5)
    with nengo.Network(seed=2) as net:
        stimulus = nengo.Node(lambda t: np.sin(6 * t) + 0.1 * rng.normal())
        steps = nengo.Node(Counter(), size_in=0)
        pre = nengo.Ensemble(30, 1, noise=nengo.processes.WhiteNoise())
        post = nengo.Ensemble(20, 1, neuron_type=nengo.PoissonSpiking(nengo.LIFRate()))
        signal_ = nengo.Node(nengo.processes.WhiteSignal(0.5, high=20))
        for each in (stimulus, steps, signal_):
            nengo.Connection(each, pre, transform=0.3)
        learned = nengo.Connection(pre, post, learning_rule_type=nengo.PES(1e-3))
        nengo.Connection(post, learned.learning_rule)
        nengo.Probe(pre, synapse=0.01)
        nengo.Probe(pre.neurons)
        nengo.Probe(post.neurons)
        nengo.Probe(learned, "weights", sample_every=0.01)
        nengo.Probe(stimulus)
    return net


def run(folder: Path, n_steps: int, every: int | str, begun: Callable[[], None]) -> None:
    """Resume the run in a folder, and go on to its end."""
    for module, settings in SETTINGS.items():
        vars(module).update(settings)
    checkpoint = folder / "run.ckpt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = nengo_jit.Simulator.resume(
            checkpoint, network(), record=folder / "run.zarr", progress_bar=False
        )
    with made as sim:
        begun()
        if sim.n_steps < n_steps:  # else it was killed after its last checkpoint
            sim.run_steps(n_steps - sim.n_steps, checkpoint=checkpoint, every=every)


def run_unsynced(folder: Path, n_steps: int, every: int | str, begun: Callable[[], None]) -> None:
    """Do the same without waiting for the disk, which takes most of the time."""
    with mock.patch("os.fsync"):
        run(folder, n_steps, every, begun)


def forked(action: Callable[[Callable[[], None]], None]) -> tuple[int, int]:
    """Do something in a forked process; returns its id, and where it says that it has begun."""
    there, here = os.pipe()
    process = os.fork()
    if process:
        os.close(here)
        return process, there
    status = 1
    try:
        os.close(there)
        action(lambda: os.write(here, b"!") and None)
        status = 0
    except BaseException as error:
        print(repr(error), *getattr(error, "__notes__", []), file=sys.stderr, flush=True)
    finally:
        os._exit(status)


def ended(process: int, begun: int) -> int:
    """Wait for the end of a process; returns its exit status, or minus the signal."""
    status = os.waitpid(process, 0)[1]
    os.close(begun)
    return os.waitstatus_to_exitcode(status)


def results(folder: Path) -> dict[str, bytes]:
    """Every bit of the data and of the last state."""
    import zarr

    group = zarr.open_group(folder / "run.zarr", mode="r")
    found = {name: each[:].tobytes() for name, each in sorted(group.arrays())}
    state = Checkpoint.read(folder / "run.ckpt").state
    for number, each in enumerate(state["signals"]):
        found[f"signal {number}"] = np.asarray(each).tobytes()
    found["steps"] = str((state["n_steps"], state["rng"]["state"]["pos"])).encode()
    found["objects"] = repr(sorted(state["objects"])).encode()
    return found


def in_a_process(folder: Path, n_steps: int) -> dict[str, bytes]:
    """Results of an undisturbed run."""
    folder.mkdir()
    begun = forked(lambda begin: run(folder, n_steps, 1000, begin))
    assert ended(*begun) == 0
    return results_of(folder)


def results_of(folder: Path) -> dict[str, bytes]:
    """Results, read in a process of its own: reading starts threads."""
    there, here = os.pipe()
    process = os.fork()
    if not process:
        import pickle

        try:
            with os.fdopen(here, "wb") as file:
                pickle.dump(results(folder), file)
        finally:
            os._exit(0)
    os.close(here)
    import pickle

    with os.fdopen(there, "rb") as file:
        found: dict[str, bytes] = pickle.load(file)
    os.waitpid(process, 0)
    return found


def killed_again_and_again(folder: Path, n_steps: int, draw: random.Random) -> int:
    """Kill a run until it is done; returns how often it was killed."""
    folder.mkdir()
    n_killed = 0
    syncs = draw.random() < 0.2  # a process that is killed loses nothing that is not synced
    while True:
        every = draw.choice([100, 250, "20 ms"])
        start = time.monotonic()
        process, begun = forked(partial(run if syncs else run_unsynced, folder, n_steps, every))
        if not select.select([begun], [], [], PATIENCE)[0]:
            os.kill(process, signal.SIGKILL)
            raise RuntimeError("a run has not begun")
        longest = max(0.4, time.monotonic() - start)  # so that a busy machine gets on, too
        time.sleep(draw.uniform(0.0, longest))
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            os.close(begun)
            assert os.waitstatus_to_exitcode(status) == 0, "a run has failed"
            return n_killed
        os.kill(process, signal.SIGKILL)
        assert ended(process, begun) in (-signal.SIGKILL, 0)
        n_killed += 1


def with_little_room(folder: Path, n_steps: int, n_bytes: int) -> None:
    """A run on a disk that becomes full: an error, and all up to the last flush is there."""
    folder.mkdir()

    def until_it_is_full(begin: Callable[[], None]) -> None:
        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, n_bytes))

        try:
            run(folder, n_steps, 50, limit)
        except OSError as error:
            assert error.errno == 27, error  # EFBIG
            assert str(folder) in str(error) + "".join(getattr(error, "__notes__", []))
            return
        raise AssertionError("there was room enough")

    with open(os.devnull, "w") as quiet:
        assert ended(*forked(until_it_is_full)) == 0, quiet
    assert ended(*forked(lambda begin: run(folder, n_steps, 1000, begin))) == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=2000)
    arguments = parser.parse_args()
    import zarr  # noqa: F401  # so that forked processes need not import it

    place = Path(tempfile.mkdtemp())
    try:
        expected = in_a_process(place / "undisturbed", arguments.steps)
        n_killed = 0
        for number in range(arguments.count):
            folder = place / str(number)
            n_killed += killed_again_and_again(
                folder, arguments.steps, random.Random(f"{arguments.seed} {number}")
            )
            if results_of(folder) != expected:
                raise SystemExit(f"run {number} differs; its files are in {folder}")
            shutil.rmtree(folder)
            if number % 10 == 9:
                print(f"{number + 1} runs, killed {n_killed} times: all equal", flush=True)
        for n_bytes in (2000, 20_000, 60_000):
            folder = place / f"full{n_bytes}"
            with_little_room(folder, arguments.steps, n_bytes)
            assert results_of(folder) == expected
            print(f"files of at most {n_bytes} bytes: resumed, equal", flush=True)
    except SystemExit:
        raise
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
    shutil.rmtree(place)


if __name__ == "__main__":
    main()
