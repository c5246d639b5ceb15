#!/usr/bin/env python3
"""Print memory, time to be ready and time of a step, from a thousand neurons to millions.

    large_models.py                              # sizes that take a minute
    large_models.py --neurons 1000000 3000000    # these, if they fit
    large_models.py --bits 32 --threads 1

Each size is measured in a process of its own. Memory is the most that it had, and includes Python,
imports and the network. "made" is the CPU time for the network, which is nengo's; "ready" is that
from the network until a simulator has run its first step. A step is the best of several batches.
Growth is linear if time and memory per neuron stay the same from row to row. The last lines say how
many neurons would then fit into common amounts of memory.

The model is a chain of parts of 16 dimensions, about 3,200 neurons each, with gated buffers that
hold their values, products and squares: ensembles of 50 neurons, as in models such as Spaun.
"""

import argparse
import json
import os
import subprocess
import sys
import time
import warnings

import nengo
import numpy as np

import nengo_jit

SIZES = (1_000, 3_000, 10_000, 30_000, 100_000, 300_000)
WIDTH = 16  # dimensions of a part
MEMORIES = 8, 16, 24  # GB
PART_OF_MEMORY = 0.9  # which a process may have
COLUMNS = {
    "neurons": "d",
    "ensembles": "d",
    "operators": "d",
    "made (s)": ".2f",
    "ready (s)": ".2f",
    "step (ms)": ".3f",
    "MiB": ".0f",
    "bytes/neuron": ".0f",
}


def part(dimensions, gate):
    """Buffers, products and squares; returns an input and an output."""
    held = nengo.networks.EnsembleArray(50, dimensions)
    passed = nengo.networks.EnsembleArray(50, dimensions)
    product = nengo.networks.Product(100, dimensions)
    squares = held.add_output("square", np.square)
    nengo.Connection(held.output, held.input, synapse=0.1)
    nengo.Connection(held.output, product.input_a)
    nengo.Connection(squares, product.input_b)
    nengo.Connection(product.output, passed.input)
    for ensemble in held.ensembles:
        nengo.Connection(gate, ensemble.neurons, transform=-np.ones((50, 1)))
    return held.input, passed.output


def large_model(n_neurons):
    """Return a chain of parts with about so many neurons."""
    with nengo.Network(seed=0) as net:
        gate = nengo.Node(lambda t: float(t % 0.4 > 0.2))
        latest = nengo.Node(lambda t: np.sin(t * np.arange(1, WIDTH + 1)))
        n_dimensions = max(1, n_neurons // 200)
        for start in range(0, n_dimensions, WIDTH):
            width = min(WIDTH, n_dimensions - start)
            into, out = part(width, gate)
            nengo.Connection(latest[:width], into, synapse=0.01)
            latest = out
        nengo.Probe(latest, synapse=0.02)
    return net


def measured(n_neurons, bits, threads, seconds=2.0):
    """Build and run a model of about so many neurons in this process; returns a row."""
    warnings.filterwarnings("ignore", category=UserWarning)
    nengo.rc.set("precision", "bits", str(bits))
    nengo.rc.set("decoder_cache", "enabled", "False")
    start = time.process_time()
    net = large_model(n_neurons)
    made = time.process_time()
    with nengo_jit.Simulator(net, progress_bar=False, threads=threads) as sim:
        sim.run_steps(1)
        ready = time.process_time()
        sim.run_steps(20)
        steps, deadline = [], time.perf_counter() + seconds
        while len(steps) < 3 or time.perf_counter() < deadline:
            began = time.perf_counter()
            sim.run_steps(20)
            steps.append((time.perf_counter() - began) / 20)
        peak = kibibytes("/proc/self/status", "VmHWM")
        return {
            "neurons": net.n_neurons,
            "ensembles": len(net.all_ensembles),
            "operators": len(sim.model.operators),
            "made (s)": made - start,
            "ready (s)": ready - made,
            "step (ms)": 1e3 * min(steps),
            "MiB": peak / 2**20,
            "bytes/neuron": peak / net.n_neurons,
        }


def kibibytes(path, name):
    """Return a number of Linux's that is given in KiB, in bytes."""
    with open(path, encoding="utf-8") as lines:
        sizes = dict(line.split(":", 1) for line in lines)
    return int(sizes[name].split()[0]) * 2**10


def in_a_process(n_neurons, args):
    """Measure in a new process; returns a row of the table."""
    command = [sys.executable, __file__, "--alone", "--neurons", str(n_neurons)]
    command += ["--bits", str(args.bits)]
    if args.threads is not None:
        command += ["--threads", str(args.threads)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, env=os.environ)
    return json.loads(done.stdout)


def main():
    """Measure what was asked for and print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--neurons", type=int, nargs="+", default=SIZES)
    parser.add_argument("--bits", type=int, choices=(32, 64), default=64)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.alone:
        print(json.dumps(measured(args.neurons[0], args.bits, args.threads)))
        return
    print("".join(f"{name:>13s}" for name in COLUMNS))
    rows = []
    for n_neurons in sorted(args.neurons):
        if rows and n_neurons * marginal(rows) > PART_OF_MEMORY * kibibytes(
            "/proc/meminfo", "MemAvailable"
        ):
            print(f"{n_neurons:13,d}  (does not fit)")
            continue
        row = in_a_process(n_neurons, args)
        rows.append(row)
        print("".join(f"{row[name]:13,{form}}" for name, form in COLUMNS.items()), flush=True)
    if len(rows) > 1:
        for size in MEMORIES:
            room = PART_OF_MEMORY * size * 1e9 - 2**20 * rows[0]["MiB"]
            print(f"{size} GB: {room / marginal(rows) / 1e6:.1f} million neurons")


def marginal(rows):
    """Bytes that one more neuron takes, by the smallest and the largest model so far."""
    first, last = rows[0], rows[-1]
    if first is last:
        return 0.0
    return 2**20 * (last["MiB"] - first["MiB"]) / (last["neurons"] - first["neurons"])


if __name__ == "__main__":
    main()
