#!/usr/bin/env python3
"""Time the first and the second start of every model of a models file, and print a table.

    first_start.py                             # all models of models.py
    first_start.py --models lorenz pes
    first_start.py --file my_models.py         # a file with MODELS = {name: function}
    first_start.py --compiled                  # after `nengo-jit compile`
    first_start.py --entries 20000             # with nengo's decoder cache, of so many entries

A start is a process of its own, by default with nengo's decoder cache off. The first one finds an
empty cache of machine code, the second one what the first has left, which is all that the model
waits for; what else it can use is compiled later (kernels for tapes). Figures are seconds from
constructing the simulator to its first completed step, seconds of processor time that this has
taken (of processes that compile as well), peak memory of the process (MB), how much longer the
first start took (seconds), how many modules each process has imported, and which of the packages
that compile are among them. With ``--count``, each figure is the median of several pairs of starts.
"""

import argparse
import hashlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from compare import HERE, load_models

COMPILERS = ("numba", "llvmlite", "elftools")


def measure(path, name, decoders):
    """Child process: build one model and run one step, print one JSON line."""
    import resource

    import nengo

    import nengo_jit
    from nengo_jit.engines.cpu.toolchain.kernel_cache import KERNELS

    nengo.rc["decoder_cache"].update(enabled=str(decoders is not None), path=str(decoders))
    net = load_models(path)[name]()
    before, start = os.times(), time.perf_counter()
    sim = nengo_jit.Simulator(net, progress_bar=False)
    sim.run_steps(1, progress_bar=False)
    took = time.perf_counter() - start
    KERNELS.stop_workers()  # processes that have ended count
    after = os.times()
    sim.close()
    figures = {
        "seconds": took,
        "cpu": sum(after[:4]) - sum(before[:4]),
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "modules": len(sys.modules),
        "imported": [package for package in COMPILERS if package in sys.modules],
    }
    print(json.dumps(figures))


def start(path, name, cache):
    """Start a model in a process; returns its figures."""
    command = [sys.executable, __file__, "--file", str(path), "--child", name]
    decoders = cache / "decoders"
    if decoders.exists():
        command += ["--decoders", str(decoders)]
    environment = {**os.environ, "NENGO_JIT_CACHE_DIR": str(cache)}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def fill(folder, n_entries):
    """Make a cache of decoders with an index of so many entries."""
    from nengo.cache import DecoderCache

    with DecoderCache(cache_dir=folder)._index as index:
        for number in range(n_entries):
            index[hashlib.sha1(b"%d" % number).hexdigest()] = (str(folder / f"{number}.nco"), 0, 1)


def pair(arguments, name):
    """The first and the second start of a model on a new cache."""
    with tempfile.TemporaryDirectory() as folder:
        cache = pathlib.Path(folder)
        if arguments.entries is not None:
            fill(cache / "decoders", arguments.entries)
        if arguments.compiled:
            environment = {**os.environ, "NENGO_JIT_CACHE_DIR": folder}
            command = [sys.executable, "-m", "nengo_jit", "compile"]
            subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
        first, second = (start(arguments.file, name, cache) for _ in range(2))
    return first, second, {"seconds": first["seconds"] - second["seconds"]}


def median(figures):
    """The median of each number in several dictionaries; what is no number is that of the last."""
    return {
        key: statistics.median(each[key] for each in figures) if key != "imported" else value
        for key, value in figures[-1].items()
    }


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="*", help="names of models; all by default")
    parser.add_argument("--file", type=pathlib.Path, default=HERE / "models.py")
    parser.add_argument("--compiled", action="store_true", help="fill the cache beforehand")
    parser.add_argument("--count", type=int, default=1, help="pairs of starts of each model")
    parser.add_argument("--entries", type=int, help="use nengo's decoder cache, with so many")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--decoders", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        measure(arguments.file, arguments.child, arguments.decoders)
        return
    print(f"{'model':22s}      first start            second start       longer   imported")
    print(f"{'':22s}  wall s  cpu s    MB    wall s  cpu s    MB    wall s   modules")
    for name in arguments.models or load_models(arguments.file):
        pairs = [pair(arguments, name) for _ in range(arguments.count)]
        *starts, longer = map(median, zip(*pairs))
        row = "  ".join("{seconds:8.2f} {cpu:6.2f} {memory:5.0f}".format(**each) for each in starts)
        modules = ", ".join(
            f"{each['modules']:.0f} ({'+'.join(each['imported']) or 'no compiler'})"
            for each in starts
        )
        print(f"{name:22s}{row}  {longer['seconds']:8.2f}   {modules}", flush=True)


if __name__ == "__main__":
    main()
