#!/usr/bin/env python3
"""Interrupt runs in threads by real SIGINTs, go on, and compare with undisturbed runs.

    interrupts.py --count 300 --seed 0

After each interrupt the same process runs on to the last step: all samples must be those of one
undisturbed run, bit for bit, and the process must end by itself.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import nengo
import numpy as np

import nengo_jit

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from sharing import sharing

N_STEPS = 2000
SECONDS = 60  # for what remains to be done when the last signal has been sent


def network():
    """Python, compiled Python, learning, noise and neurons, in levels that threads share."""
    with nengo.Network(seed=1) as net:
        stimulus = nengo.Node(lambda t: np.sin(20 * t))
        logged = nengo.Node(lambda t, x: sorted([t, x[0]])[1], size_in=1, size_out=1)
        array = nengo.networks.EnsembleArray(50, 20)
        noise = nengo.Node(nengo.processes.WhiteNoise(seed=3), size_out=1)
        nengo.Connection(stimulus, array.input, transform=np.ones((20, 1)))
        nengo.Connection(noise, array.input[0])
        nengo.Connection(stimulus, logged)
        target = nengo.Node(size_in=1)
        rule = nengo.PES(1e-3)
        learned = nengo.Connection(array.ea_ensembles[0], target, learning_rule_type=rule)
        nengo.Connection(target, learned.learning_rule)
        nengo.Probe(array.output)
        nengo.Probe(array.ea_ensembles[3].neurons)
        nengo.Probe(logged)
        nengo.Probe(learned, "weights", sample_every=0.01)
    return net


def data_of(sim):
    """All samples of a simulator."""
    return [sim.data[probe].tobytes() for probe in sim.model.probes]


class Interrupter:
    """Sends this process SIGINTs, which raise KeyboardInterrupt only where that is expected."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.is_expected = False
        self.n_raised = 0
        signal.signal(signal.SIGINT, self.handle)

    def handle(self, number, frame):
        """Raise KeyboardInterrupt, as Python does."""
        if self.is_expected:
            self.n_raised += 1
            raise KeyboardInterrupt

    def send_within(self, seconds):
        """Send one to three signals, the first at a random moment of the next seconds."""
        delays = [self.random.uniform(0, seconds)]
        delays += [self.random.expovariate(2000.0) for _ in range(self.random.choice([0, 0, 1, 2]))]

        def send():
            for delay in delays:
                time.sleep(delay)
                os.kill(os.getpid(), signal.SIGINT)

        thread = threading.Thread(target=send)
        thread.start()
        return thread


def run_on(sim, interrupter, n_steps):
    """Run up to a number of steps, whatever comes in between."""
    while sim.n_steps < n_steps:
        try:
            interrupter.is_expected = True
            sim.run_steps(n_steps - sim.n_steps)
            interrupter.is_expected = False
        except KeyboardInterrupt:
            interrupter.is_expected = False
            n_samples = len(sim.data[sim.model.probes[0]])
            assert n_samples == sim.n_steps, f"{n_samples} samples of {sim.n_steps} steps"


def child(count, seed):
    """Interrupt runs until a number of interrupts have been raised."""
    interrupter = Interrupter(seed)
    with (
        sharing(most=200),
        nengo_jit.Simulator(network(), engine="cpu", threads=2, progress_bar=False) as sim,
    ):
        start = time.perf_counter()
        sim.run_steps(N_STEPS)
        seconds = time.perf_counter() - start
        expected = data_of(sim)
        while interrupter.n_raised < count:
            sim.reset()
            sender = interrupter.send_within(seconds)
            run_on(sim, interrupter, N_STEPS)
            sender.join()
            assert data_of(sim) == expected, f"other results after {interrupter.n_raised} signals"
    print(f"{interrupter.n_raised} interrupts, all samples equal", flush=True)


def main():
    """Parse the command line; run in a process that must end by itself."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(args.count, args.seed)
        return
    command = [sys.executable, __file__, "--child"]
    command += ["--count", str(args.count), "--seed", str(args.seed)]
    sys.exit(subprocess.run(command, timeout=SECONDS + 2 * args.count).returncode)


if __name__ == "__main__":
    main()
