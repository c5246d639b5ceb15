#!/usr/bin/env python3
"""Time simulators side by side on the models of a models file, and print a table of ratios.

    compare.py nengo_jit.Simulator                      # against nengo.Simulator, all models
    compare.py nengo_jit.Simulator --models lorenz pes --repeats 5 --json out.json
    compare.py nengo_jit.Simulator --file my_models.py  # a file with MODELS = {name: function}

Each (model, simulator) pair runs in a process of its own, the simulators in turn (A B A B ...),
with nengo's decoder cache off. Figures are medians over the repeats: seconds from constructing the
simulator to its first completed step ('ready': build, planning and any compilation), microseconds
a step after warm-up, and peak memory of the process. A ratio is the median of the pairwise ratios
baseline / candidate: above 1 the candidate is better. SciPy must be installed: without it nengo
cannot merge into block-sparse products and is several times slower than its users see it.
"""

import argparse
import importlib.util
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent


def load_models(path):
    """Load ``MODELS`` from a Python file."""
    spec = importlib.util.spec_from_file_location("bench_models", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.MODELS


def measure(args):
    """Child process: build and run one model on one simulator, print one JSON line."""
    import resource
    import warnings

    import nengo

    warnings.filterwarnings("ignore")
    nengo.rc["decoder_cache"]["enabled"] = "False"
    module, _, name = args.simulator.rpartition(".")
    simulator = getattr(importlib.import_module(module), name)
    net = load_models(args.file)[args.models[0]]()
    start = time.perf_counter()
    sim = simulator(net, progress_bar=False, **json.loads(args.options))
    build = time.perf_counter() - start
    sim.run_steps(1, progress_bar=False)
    ready = time.perf_counter() - start
    sim.run_steps(50, progress_bar=False)
    n_steps, step = 50, 0.0
    while True:  # as many steps as fill about a second, at most 20,000
        start = time.perf_counter()
        sim.run_steps(n_steps, progress_bar=False)
        took = time.perf_counter() - start
        step = took / n_steps
        if took > 0.7 or n_steps >= 20000:
            break
        n_steps = min(20000, max(2 * n_steps, int(1.0 / max(step, 1e-7))))
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"build": build, "ready": ready, "step": step * 1e6, "rss": rss}))


def spawn(simulator, model, options, args):
    """Measure one model on one simulator in a process of its own."""
    command = [sys.executable, __file__, simulator, "--child", "--models", model]
    command += ["--file", args.file, "--options", options]
    env = dict(os.environ, PYTHONWARNINGS="ignore")
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=args.timeout, env=env
        )
    except subprocess.TimeoutExpired:
        return {"error": f"no answer in {args.timeout} s"}
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        return {"error": lines[-1][:200]}
    return json.loads(done.stdout.strip().splitlines()[-1])


def geometric_mean(values):
    """Geometric mean of ratios, not a number if there are none."""
    return statistics.geometric_mean(values) if values else float("nan")


def main():
    """Measure, print the table, return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("simulator", help="candidate, as module.Class")
    parser.add_argument("--baseline", default="nengo.Simulator")
    parser.add_argument("--options", default="{}", help="JSON keyword arguments for the candidate")
    parser.add_argument("--models", nargs="*", default=None)
    parser.add_argument("--file", default=str(HERE / "models.py"))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--timeout", type=float, default=600)
    parser.add_argument("--json", default=None, help="also write every figure to this file")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.file = str(pathlib.Path(args.file).resolve())
    if args.child:
        return measure(args)

    if importlib.util.find_spec("scipy") is None:
        parser.error("SciPy is not installed: the baseline would be slower than users see it")
    names = args.models or list(load_models(args.file))
    figures, totals = {}, {"ready": [], "step": [], "rss": []}
    heads = ("model", "ready s", "x", "us/step", "x", "MiB", "x")
    print("{:22s} {:>17s} {:>6s} {:>21s} {:>6s} {:>13s} {:>6s}".format(*heads))
    for model in names:
        base, cand = [], []
        for _ in range(args.repeats):
            base.append(spawn(args.baseline, model, "{}", args))
            cand.append(spawn(args.simulator, model, args.options, args))
        figures[model] = {"baseline": base, "candidate": cand}
        errors = [row["error"] for row in base + cand if "error" in row]
        if errors:
            print(f"{model:22s} FAILED: {errors[0]}", flush=True)
            continue
        row = {}
        for key in totals:
            ratio = statistics.median(b[key] / c[key] for b, c in zip(base, cand))
            totals[key].append(ratio)
            row[key] = (
                statistics.median(b[key] for b in base),
                statistics.median(c[key] for c in cand),
                ratio,
            )
        print(
            "{:22s} {:8.2f} {:8.2f} {:6.2f}".format(model, *row["ready"]),
            "{:10.1f} {:10.1f} {:6.2f}".format(*row["step"]),
            "{:6.0f} {:6.0f} {:6.2f}".format(*row["rss"]),
            flush=True,
        )
    summary = {key: geometric_mean(values) for key, values in totals.items()}
    worst = min(totals["step"], default=float("nan"))
    print(
        f"geometric mean ratio: ready {summary['ready']:.2f}  step {summary['step']:.2f}  "
        f"memory {summary['rss']:.2f}  (models {len(totals['step'])}/{len(names)}, "
        f"slowest step ratio {worst:.2f})"
    )
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(figures, indent=1))
    return 0 if len(totals["step"]) == len(names) else 1


if __name__ == "__main__":
    sys.exit(main())
