"""Ten threads that read, clear, slice and delete probe data while a simulator runs.

Every step must be recorded once, and no thread may see anything but consecutive samples. ``make
stress`` runs this with ``NENGO_JIT_CHECK=1``, then under valgrind, if there is one, which must find
no error. It knows no AVX-512, so kernels are compiled for x86-64-v3 there.
"""

from __future__ import annotations

import argparse
import gc
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import nengo
import numpy as np

import nengo_jit

N_THREADS = 10
STEPS = (1, 3, 10, 100, 400)  # of a run


def network() -> nengo.Network:
    """Probes of nodes that say which step it is, of spikes, and of values and weights."""
    with nengo.Network(seed=0) as net:
        clock = nengo.Node(lambda t: round(t / 0.001))
        ensemble = nengo.Ensemble(60, 1)
        nengo.Connection(clock, ensemble, transform=1e-5)
        learned = nengo.Connection(ensemble, ensemble, learning_rule_type=nengo.PES())
        nengo.Connection(ensemble, learned.learning_rule)
        net.counting = [nengo.Probe(clock) for _ in range(3)]
        nengo.Probe(ensemble.neurons)
        nengo.Probe(ensemble.neurons, "voltage", sample_every=0.0025)
        nengo.Probe(ensemble, synapse=0.01)
        nengo.Probe(learned, "weights", sample_every=0.01)
    return net


def numbers(samples: Any) -> np.ndarray:
    """The steps at which samples of a clock were taken."""
    return np.array(samples, dtype=np.float64).reshape(-1)


def is_consecutive(steps: np.ndarray) -> bool:
    """Whether no step is missing between the first and the last."""
    return bool(np.all(np.diff(steps) == 1))


def read(sim: Any, counting: Any, any_probe: Any) -> bool:
    np.array(sim.data[any_probe]).sum()
    return is_consecutive(numbers(sim.data[counting]))


def cut(sim: Any, counting: Any, any_probe: Any) -> bool:
    raw = sim.data.raw[any_probe]
    [sample.sum() for sample in raw[:3]]
    [sample.sum() for sample in raw[-3:]]
    raw = sim.data.raw[counting]
    return is_consecutive(numbers(raw[len(raw) // 2 :]))


def delete(sim: Any, counting: Any, any_probe: Any) -> bool:
    del sim.data.raw[any_probe][:]
    raw = sim.data.raw[counting]
    del raw[: len(raw) // 2]
    return is_consecutive(numbers(raw[:]))


def clear(sim: Any, counting: Any, any_probe: Any) -> bool:
    sim.clear_probes()
    sim.data.raw[any_probe] = []
    return is_consecutive(numbers(sim.data[counting]))


def look_around(sim: Any, counting: Any, any_probe: Any) -> bool:
    gc.collect(0)
    steps = numbers(sim.data[counting])
    return steps.size == 0 or steps[-1] <= len(sim.trange()) + max(STEPS)


WAYS: list[Callable[[Any, Any, Any], bool]] = [read, cut, delete, clear, look_around]


def stress(seconds: float, seed: int) -> list[str]:
    """Run for some time; returns what is wrong."""
    wrong: list[str] = []
    net, stop, counts = network(), threading.Event(), [0] * N_THREADS
    with nengo_jit.Simulator(net, progress_bar=False) as sim:

        def work(number: int) -> None:
            rng, way = np.random.RandomState(seed + number), WAYS[number % len(WAYS)]
            while not stop.is_set():
                probes = net.counting[rng.randint(3)], net.probes[rng.randint(len(net.probes))]
                if not way(sim, *probes):
                    wrong.append(f"{way.__name__}: a sample is missing, or there twice")
                counts[number] += 1
                time.sleep(rng.uniform(0, 0.003))

        def guarded(number: int) -> None:
            try:
                work(number)
            except Exception as error:
                wrong.append(f"{type(error).__name__}: {error}")

        threads = [threading.Thread(target=guarded, args=(i,)) for i in range(N_THREADS)]
        for thread in threads:
            thread.start()
        rng, end = np.random.RandomState(seed), time.monotonic() + seconds
        try:
            while time.monotonic() < end and not wrong:
                sim.run_steps(int(rng.choice(STEPS)))
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        print(f"{sim.n_steps} steps; what threads did: {counts}")
        sim.clear_probes()
        sim.run_steps(50)
        if len(sim.data[net.counting[0]]) != 50:
            wrong.append("samples are missing afterwards")
    return wrong


def main() -> int:
    """Run; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=3, help="simulators, one after the other")
    parser.add_argument("--seconds", type=float, default=20.0, help="for each")
    parser.add_argument("--seed", type=int, default=0, help="of what threads do")
    options = parser.parse_args()
    nengo.rc.reload_rc([])
    nengo.rc.set("decoder_cache", "enabled", "False")
    wrong: list[str] = []
    for number in range(options.count):
        wrong += stress(options.seconds, options.seed + number)
    print("\n".join(dict.fromkeys(wrong)) or "nothing is wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
