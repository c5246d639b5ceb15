"""Each sample goes to one list, whoever replaces lists and whatever comes in between."""

from collections import deque
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse

from nengo_jit.engines.recording import Recording
from nengo_jit.engines.samples import Samples


class Run:
    """A recording of probes "p", in each step, and "q", in every third."""

    def __init__(self, sparse=False):
        self.source = np.zeros(2)
        signals = {"s": scipy.sparse.diags([1.0, 1.0]).tocsr() if sparse else self.source}
        probes = [SimpleNamespace(probe=p, signal="s", period=n) for p, n in (("p", 1), ("q", 3))]
        self.recording = Recording(probes, signals)
        if sparse:
            self.source = signals["s"].data

    def steps(self, n):
        clock = self.recording.clock
        for _ in range(n):
            self.source[:] = clock.n_steps + 1
            for recorder in self.recording.recorders.values():
                if (clock.n_steps + 1) % recorder.period < 1:
                    recorder.write()
                else:
                    recorder.skip()
            clock.complete(clock.n_steps + 1)
            if clock.calls:
                self.recording.deliver()


@pytest.fixture
def run():
    return Run()


def numbers(samples):
    return [sample[0] for sample in samples]


def test_samples_go_to_lists_of_our_own(run):
    run.steps(7)
    p, q = map(run.recording.latest, "pq")
    assert type(p) is type(q) is Samples
    assert (numbers(p), numbers(q)) == ([1, 2, 3, 4, 5, 6, 7], [3, 6])


def test_clearing_begins_anew_and_leaves_old_lists_alone(run):
    lists = []
    for n in (4, 1, 600, 3):
        lists.append(tuple(map(run.recording.latest, "pq")))
        run.steps(n)
        run.recording.clear()
    assert [n for p, _ in lists for n in numbers(p)] == list(range(1, 609))
    assert [n for _, q in lists for n in numbers(q)] == list(range(3, 609, 3))
    assert [len(p) for p, _ in lists] == [4, 1, 600, 3]


def test_old_lists_keep_what_nobody_has_looked_at(run):
    old = run.recording.latest("p")
    run.steps(5)
    run.recording.clear()
    run.steps(2000)  # in other blocks
    assert numbers(old) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("n", [2, 3000])
def test_a_list_ends_where_the_next_begins_even_if_somebody_saw_more(run, n):
    old = run.recording.latest("p")
    run.steps(5)
    block, ticks = run.recording.recorders["p"].block, run.recording.clock.ticks
    run.steps(n)
    seen = old.array
    run.recording._redirect("p", block, ticks)  # as if all that had come in between
    assert numbers(old) == [1, 2, 3, 4, 5]
    assert numbers(run.recording.latest("p")) == list(range(6, 6 + n))
    assert numbers(seen) == list(range(1, 6 + n))


@pytest.mark.parametrize("make", [list, lambda: deque(maxlen=9), lambda: Samples((2,), float)])
def test_samples_are_appended_to_what_somebody_puts_there(run, make):
    first, second = make(), make()
    run.steps(2)
    run.recording.redirect("p", first)
    run.steps(3)
    assert numbers(first) == [3, 4, 5]
    first.append(np.zeros(2))
    run.recording.redirect("p", second)
    run.steps(1)
    assert (numbers(first), numbers(second)) == ([3, 4, 5, 0], [6])
    run.recording.clear()
    run.steps(1)
    assert (numbers(second), numbers(run.recording.latest("p"))) == ([6], [7])
    assert not run.recording.clock.calls


@pytest.mark.parametrize("n", [2, 3000])
def test_a_list_gets_what_was_recorded_while_it_was_brought(run, n):
    run.steps(5)
    block, ticks = run.recording.recorders["p"].block, run.recording.clock.ticks
    old, mine = run.recording.latest("p"), []
    run.steps(n)
    run.recording._redirect("p", block, ticks, mine)
    run.steps(2)
    assert numbers(old) == [1, 2, 3, 4, 5]
    assert numbers(mine) == list(range(6, 8 + n))


def test_one_list_for_two_probes_gets_the_samples_of_both(run):
    both = []
    run.recording.redirect("p", both)
    run.recording.redirect("q", both)
    run.steps(4)
    assert numbers(both) == [1, 2, 3, 3, 4]


def test_arrays_in_a_list_are_its_own(run):
    mine = []
    run.recording.redirect("p", mine)
    run.steps(2)
    mine[0][:] = 9
    assert numbers(mine) == [9, 2]


def test_what_cannot_take_samples_raises_for_each_of_them(run):
    run.steps(1)
    run.recording.redirect("p", None)
    assert run.recording.latest("p") is None
    for _ in range(2):
        with pytest.raises(AttributeError, match="cannot be appended to None"):
            run.steps(1)
    run.recording.redirect("p", [])
    run.steps(1)
    assert numbers(run.recording.latest("p")) == [4]


def test_an_error_in_append_loses_that_sample_only(run):
    class Full(list):
        def append(self, value):
            if len(self) == 1:
                super().append("failed")
                raise MemoryError
            super().append(value[0])

    full = Full()
    run.recording.redirect("p", full)
    run.steps(1)
    with pytest.raises(MemoryError):
        run.steps(1)
    run.recording.deliver()
    run.steps(2)
    assert full == [1, "failed", 3, 4]


def test_sparse_matrices_are_appended_to_a_list():
    run = Run(sparse=True)
    run.steps(4)
    p, q = map(run.recording.latest, "pq")
    assert (type(p), len(p), len(q)) == (list, 4, 1)
    assert p[2].toarray().tolist() == q[0].toarray().tolist() == [[3, 0], [0, 3]]
    run.recording.clear()
    run.steps(1)
    assert (len(p), len(run.recording.latest("p"))) == (4, 1)
