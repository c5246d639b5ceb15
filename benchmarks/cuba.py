#!/usr/bin/env python3
"""The CUBA network (Vogels & Abbott 2005) on ours, on nengo and on Brian2.

    cuba.py
    cuba.py --neurons 40000 --brian /path/to/python    # one that has Brian2, if this one has not

prints, for each number of neurons, how long each simulator takes until its first step is done, how
long a step takes, and how often the neurons spike. Brian2 runs as a C++ program, compiled for this
processor, on one OpenMP thread and on two; the extra ``bench`` installs it. All get the same
synapses, 2 % at 4,000 neurons: a fixed number for each neuron, drawn row by row.

    cuba.py --seeds 10

compares rates from as many initial states, and the spikes of 2,000 steps with the reference engine.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

SYNAPSES = {4000: 80, 40000: 800}  # of each neuron, by the number of neurons
BIAS, TAU_RC, TAU_REF = 1.1, 0.02, 0.005  # of the neurons (seconds)
EXCITATORY, INHIBITORY = (0.162, 0.005), (-0.9, 0.01)  # weight at 80 synapses, time constant (s)
SHARE = 0.8  # of neurons that are excitatory
WARM_UP = 200  # steps of a millisecond
RUNNERS = ("ours", "ours in float32", "nengo", "Brian2", "Brian2, 2 threads")


def draw_synapses(n):
    """For each population the sources of the synapses of each neuron: (n, synapses) arrays."""
    rng = np.random.default_rng(0)
    n_excitatory, k = int(SHARE * n), SYNAPSES[n]
    k_excitatory = int(SHARE * k)
    drawn = []
    for size, count in ((n_excitatory, k_excitatory), (n - n_excitatory, k - k_excitatory)):
        rows = [rng.choice(size, count, replace=False, shuffle=False) for _ in range(n)]
        drawn.append(np.sort(np.array(rows, np.int32), axis=1))
    return drawn


def voltages(n, seed):
    """Initial voltages."""
    return np.random.default_rng(seed).uniform(0, 1, n)


def network(n, seed):
    """The network in nengo."""
    import nengo
    import scipy.sparse

    with nengo.Network(seed=0) as net:
        neurons = nengo.LIF(TAU_RC, TAU_REF, initial_state={"voltage": voltages(n, seed)})
        ones = np.ones(n)
        options = {"gain": ones, "bias": BIAS * ones, "encoders": ones[:, None]}
        cells = nengo.Ensemble(n, 1, neuron_type=neurons, **options)
        first = 0
        for sources, (weight, tau) in zip(draw_synapses(n), (EXCITATORY, INHIBITORY)):
            size = int(SHARE * n) if first == 0 else n - first
            data = np.full(sources.size, weight * 80 / SYNAPSES[n] * tau)
            ends = np.arange(n + 1) * sources.shape[1]
            matrix = scipy.sparse.csr_matrix((data, sources.ravel(), ends), shape=(n, size))
            transform = nengo.Sparse((n, size), init=matrix)
            pre = cells.neurons[first : first + size]
            nengo.Connection(pre, cells.neurons, transform=transform, synapse=tau)
            first += size
        spikes = nengo.Probe(cells.neurons, sample_every=0.001)
    return net, spikes


def run_nengo(args):
    """Run nengo's simulator, or ours."""
    import nengo

    import nengo_jit

    nengo.rc["decoder_cache"]["enabled"] = "False"
    nengo.rc["precision"]["bits"] = "32" if args.runner.endswith("float32") else "64"
    simulator = nengo.Simulator if args.runner == "nengo" else nengo_jit.Simulator
    net, spikes = network(args.neurons, args.seed)
    if not args.rates:
        net.probes.clear()
    began = time.perf_counter()
    with simulator(net, progress_bar=False) as sim:
        sim.step()
        ready = time.perf_counter() - began
        sim.run_steps(WARM_UP - 1, progress_bar=False)
        batch, best = max(args.steps // 20, 1), np.inf
        for _ in range(args.steps // batch):
            began = time.perf_counter()
            sim.run_steps(batch, progress_bar=False)
            best = min(best, (time.perf_counter() - began) / batch)
        rate = np.nan
        if args.rates:
            n_spikes = np.count_nonzero(sim.data[spikes][WARM_UP:])
            rate = n_spikes / args.neurons / (1e-3 * (sim.n_steps - WARM_UP))
    return {"ready": ready, "step": best, "rates": [rate]}


def run_brian(args):
    """Run Brian2's C++ program, once for each state that it may begin with."""
    import brian2 as b

    n, n_threads = args.neurons, 2 if args.runner.endswith("threads") else 1
    folder = tempfile.mkdtemp()
    b.set_device("cpp_standalone", directory=folder, build_on_run=False)
    if n_threads > 1:
        b.prefs.devices.cpp_standalone.openmp_threads = n_threads
    b.prefs.codegen.cpp.extra_compile_args_gcc = ["-w", "-O3", "-ffast-math", "-march=native"]
    b.defaultclock.dt = b.ms
    began = time.perf_counter()
    equations = f"""
    dv/dt = ({BIAS} + ge + gi - v) / ({TAU_RC} * second) : 1 (unless refractory)
    dge/dt = -ge / ({EXCITATORY[1]} * second) : 1
    dgi/dt = -gi / ({INHIBITORY[1]} * second) : 1
    """
    cells = b.NeuronGroup(
        n, equations, "exact", threshold="v>1", reset="v=0", refractory=TAU_REF * b.second
    )
    cells.v = voltages(n, 0)
    synapses, first = [], 0
    kinds = (("ge", EXCITATORY[0]), ("gi", INHIBITORY[0]))
    for sources, (name, weight) in zip(draw_synapses(n), kinds):
        made = b.Synapses(cells, cells, on_pre=f"{name} += {weight * 80 / SYNAPSES[n]}")
        made.connect(i=sources.ravel() + first, j=np.repeat(np.arange(n), sources.shape[1]))
        synapses.append(made)
        first += int(SHARE * n)
    monitor = b.SpikeMonitor(cells, record=False)
    network = b.Network(cells, synapses, monitor)
    network.run(WARM_UP * b.ms)
    network.run(args.steps * b.ms)
    b.device.build(directory=folder, compile=True, run=False)
    ready, best, rates = time.perf_counter() - began, np.inf, []
    for seed in range(args.seeds):
        b.device.run(run_args={cells.v: voltages(n, seed)})
        best = min(best, b.device._last_run_time / args.steps)
        rates.append(monitor.num_spikes / n / (1e-3 * (WARM_UP + args.steps)))
    b.device.delete(force=True)
    return {"ready": ready, "step": best, "rates": rates}


def measure(runner, args, **options):
    """What a run in a process of its own prints."""
    given = {"neurons": args.neurons, "steps": args.steps, "seed": 0, "seeds": 1, **options}
    python = args.brian if runner.startswith("Brian2") else sys.executable
    command = [python, __file__, "--runner", runner]
    command += [f"--{name}={value}" for name, value in given.items()]
    found = subprocess.run(command, capture_output=True, text=True)
    if found.returncode:
        print(f"{runner}: {found.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return None
    return json.loads(found.stdout.splitlines()[-1])


def compare_rates(args):
    """Print rates from several initial states, and whether spikes are the reference engine's."""
    seeds = range(args.seeds)
    rates = {"ours": [measure("ours", args, seed=k, rates=1)["rates"][0] for k in seeds]}
    rates["Brian2"] = measure("Brian2", args, seeds=args.seeds)["rates"]
    for name, some in rates.items():
        print(f"{name:8} {statistics.mean(some):.3f} Hz, spread {statistics.stdev(some):.3f}")
    import nengo_jit

    net, spikes = network(args.neurons, 0)
    trains = []
    for engine in ("cpu", "reference"):
        with nengo_jit.Simulator(net, engine=engine, progress_bar=False) as sim:
            sim.run_steps(2000, progress_bar=False)
            trains.append(np.array(sim.data[spikes]) != 0)
    differ = np.flatnonzero((trains[0] != trains[1]).any(axis=1))
    first = f"from step {differ[0] + 1} on" if differ.size else "never in 2,000 steps"
    print(f"spikes differ from the reference engine's {first}")


def main():
    """Measure, or do what a process was started for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--neurons", type=int, choices=SYNAPSES, default=4000)
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=0, help="compare rates from so many states")
    parser.add_argument("--brian", default=sys.executable, help="Python that has Brian2")
    parser.add_argument("--only", nargs="*", default=RUNNERS, help="runners to measure")
    for hidden in ("--runner", "--seed", "--rates"):
        parser.add_argument(hidden, type=str if hidden == "--runner" else int, default=0)
    args = parser.parse_args()
    if args.runner:
        run = run_brian if args.runner.startswith("Brian2") else run_nengo
        print(json.dumps(run(args)))
        return
    if args.seeds:
        compare_rates(args)
        return
    print(f"{args.neurons} neurons{'':8}ready (s)   step (µs)")
    for runner in args.only:
        steps = max(args.steps // 50, 20) if runner == "nengo" else args.steps
        found = [measure(runner, args, steps=steps) for _ in range(args.repeats)]
        found = [each for each in found if each]
        if found:
            ready, step = (min(each[name] for each in found) for name in ("ready", "step"))
            print(f"{runner:20} {ready:9.2f} {1e6 * step:11.1f}", flush=True)


if __name__ == "__main__":
    main()
