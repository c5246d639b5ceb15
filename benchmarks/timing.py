"""How long a step takes, of simulators that may be ten thousand times faster than others."""

import time


def step_time(sim, most_steps, budget):
    """Return the shortest time of a step (microseconds).

    Parameters
    ----------
    sim : nengo.Simulator
        Any simulator.
    most_steps : int
        Most steps that are timed together; they take about a tenth of a second.
    budget : float
        How long to measure (seconds).
    """
    sim.run_steps(20, progress_bar=False)
    best, n_steps, end = float("inf"), 10, time.perf_counter() + budget
    while time.perf_counter() < end:
        start = time.perf_counter()
        sim.run_steps(n_steps, progress_bar=False)
        took = time.perf_counter() - start
        best = min(best, took / n_steps)
        n_steps = max(1, min(most_steps, int(0.1 * n_steps / took)))
    return best * 1e6
