#!/usr/bin/env python3
"""Time the JAX engine: what it takes to get ready, and a step, beside the CPU engine and nengo.

    jax_engine.py
    jax_engine.py integrator lorenz --bits 32
    jax_engine.py noisy_mix --noise fast
    jax_engine.py hundred_nodes delay_lines    # of nodes.py

*lowering* and *compiling* are processor time (seconds): to lower the plan, and to compile it with
an empty cache. A step is the least time of several batches (microseconds), on the device that JAX
has found, which is printed first.
"""

import argparse
import os
import tempfile
import time
import warnings

import jax
import nengo
import nodes
from models import MODELS
from timing import step_time

import nengo_jit

ALL = nodes.MODELS | MODELS


def main(names, bits, noise):
    """Print a table."""
    warnings.simplefilter("ignore")
    nengo.rc["decoder_cache"]["enabled"] = "False"
    nengo.rc["precision"]["bits"] = str(bits)
    print(jax.devices()[0].device_kind, f"{bits} bits")
    columns = ("lowering", "compiling", "jax", "cpu", "nengo")
    print(f"{'model':22s}" + "".join(f"{column:>11s}" for column in columns))
    for name in names:
        model = ALL[name]()
        with nengo_jit.Simulator(model, engine="jax", noise=noise, progress_bar=False) as sim:
            start = time.process_time()
            sim._engine._facts = None  # lower it again
            sim.reset()
            lowered = time.process_time()
            sim.run_steps(1, progress_bar=False)
            compiled = time.process_time()
            steps = [step_time(sim, most_steps=1000, budget=2.0)]
        for make in (nengo_jit.Simulator, nengo.Simulator):
            with make(ALL[name](), progress_bar=False) as sim:
                steps.append(step_time(sim, most_steps=1000, budget=2.0))
        times = f"{lowered - start:11.2f}{compiled - lowered:11.2f}"
        print(f"{name:22s}{times}" + "".join(f"{step:11.1f}" for step in steps), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", metavar="model")
    parser.add_argument("--bits", type=int, default=64)
    parser.add_argument("--noise", choices=["nengo", "fast"])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["JAX_COMPILATION_CACHE_DIR"] = folder
        jax.config.update("jax_compilation_cache_dir", folder)
        main(arguments.models or list(MODELS), arguments.bits, arguments.noise)
