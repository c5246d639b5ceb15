"""Runs are dispatched to workers, which may die."""

from nengo_jit.sweeps.design import Design
from nengo_jit.sweeps.dispatch import Dispatcher
from nengo_jit.sweeps.executors import LostError
from nengo_jit.sweeps.worker import Outcome

KILLERS = {1, 4}


class OneWorker:
    """All tasks wait at one worker, and are lost with it."""

    most_losses = 2
    n_tasks = 3

    def __init__(self):
        self._submitted = {}
        self._count = 0

    def submit(self, runs):
        self._count += 1
        self._submitted[self._count] = runs
        return self._count

    def finished(self):
        submitted, self._submitted = self._submitted, {}
        if KILLERS & {run.number for runs in submitted.values() for run in runs}:
            return [(key, LostError("killed")) for key in submitted]
        return [
            (key, [Outcome(run.number, 0.1) for run in runs]) for key, runs in submitted.items()
        ]

    def close(self):
        pass


class Added(list):
    add = list.extend


def test_a_run_that_kills_its_worker_fails_alone():
    added = Added()
    design = Design.of(None, range(12))
    Dispatcher(OneWorker(), design, added, lambda n: None).do(range(12))
    assert sorted(outcome.number for outcome in added) == [*range(12)]
    assert {outcome.number for outcome in added if outcome.error} == KILLERS
