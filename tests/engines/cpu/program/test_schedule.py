"""Sharing work among threads: nothing lost, nothing twice, no two threads in one place."""

from itertools import zip_longest

import nengo
import numpy as np
import pytest
from compiling import compiled
from hypothesis import given, settings
from hypothesis import strategies as st

from nengo_jit.builder import Model
from nengo_jit.engines.cpu.language.columns import Count, Distance, In, Out, OutRows, Own, Whole
from nengo_jit.engines.cpu.language.kernel import kernel
from nengo_jit.engines.cpu.language.primitives import Address, Memory
from nengo_jit.engines.cpu.program import program as programs_of_a_step
from nengo_jit.engines.cpu.program import schedule
from nengo_jit.engines.cpu.program.components import Links, Phase, Task
from nengo_jit.engines.cpu.program.schedule import Batch, batches, share
from nengo_jit.engines.cpu.program.team import IS_LAST, LEADS, wait_for_all
from nengo_jit.engines.cpu.python.callbacks import Callback
from nengo_jit.planner.graph import operators_before

ITEMSIZE = 8
TEAM = 4096  # address of its memory


@kernel(cost=1000.0)
def divisible(memory: Memory, read: In, written: Out, n: Count) -> None:
    pass


@kernel(cost=20000.0)
def private(memory: Memory, number: int, written: Own) -> None:
    pass


@kernel(cost=1000.0)
def whole(memory: Memory, number: int, written: Whole, n: Count) -> None:
    pass


@kernel(cost=1000.0)
def by_rows(memory: Memory, read: In, written: OutRows, n: Count, distance: Distance) -> None:
    pass


@kernel(cost=20000.0)
def unknown(memory: Memory, number: int, read: Address) -> None:
    pass


def rows_of(kernel, *rows):
    """Rows with these values."""
    return [kernel.row(**dict(zip(kernel.columns.names, row))) for row in rows]


def tasks(*level):
    """What is done on a level, row by row."""
    return [
        Task("operator", row, span)
        for work in level
        for row, span in zip_longest(work.rows, work.spans)
    ]


def written(work):
    """Every element that a task of work writes to."""
    for row in work.rows:
        if work.code is divisible:
            read, first, n = row.values
            yield from ((read + i * ITEMSIZE, first + i * ITEMSIZE) for i in range(n))
        else:
            yield row.values


def places(work):
    """Every address that a task of work may write to."""
    if work.code is unknown:
        return [place for span in work.spans for place in range(*span, ITEMSIZE)]
    return [element[1] for element in written(work)]


spans = st.tuples(st.integers(0, 60), st.integers(1, 30))


@given(
    rows=st.lists(
        st.tuples(st.integers(0, 50), st.integers(0, 50), st.integers(1, 60)), max_size=6
    ),
    alone=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 100)), max_size=4),
    scattered=st.lists(spans, max_size=4),
    n_threads=st.integers(1, 4),
)
@settings(derandomize=True, deadline=None, max_examples=200)
def test_threads_do_everything_once_in_the_same_order(rows, alone, scattered, n_threads):
    level = tasks(
        Batch(
            divisible,
            rows_of(divisible, *((1000 + a * 64, 100_000 + w * 64, n) for a, w, n in rows)),
        ),
        Batch(private, rows_of(private, *((a, 200_000 + 64 * p) for a, p in alone))),
        Batch(
            unknown,
            rows_of(unknown, *((i, 0) for i in range(len(scattered)))),
            [(100_000 + 64 * low, 100_000 + 64 * (low + n)) for low, n in scattered],
        ),
    )
    programs = share([Phase([level])], n_threads, TEAM, ITEMSIZE)
    parts = [[w for w in program if w.code is not wait_for_all] for program in programs]
    # the same elements as one thread would write, as often, and in the same order
    for work in batches(level, ITEMSIZE):
        shares = [
            element for part in parts for w in part if w.code is work.code for element in written(w)
        ]
        assert sorted(shares) == sorted(written(work))
    targets = [{place for work in part for place in places(work)} for part in parts]
    for i, mine in enumerate(targets):
        for other in targets[:i]:
            assert not mine & other


@pytest.fixture
def one_block(monkeypatch):
    """Each thread runs its components together."""
    monkeypatch.setattr(schedule, "BLOCK", np.inf)


def kinds(program):
    return ["wait" if work.code is wait_for_all else "work" for work in program]


@pytest.mark.parametrize("n_threads", [2, 3, 4])
@pytest.mark.parametrize("distance", [64, 72, 1000])
def test_no_thread_gets_a_part_of_a_row(n_threads, distance):
    n = 21
    level = tasks(
        Batch(by_rows, rows_of(by_rows, (0, 10_000, n, distance))),
        Batch(divisible, rows_of(divisible, (50_000, 10_000, n * distance // ITEMSIZE))),
    )
    programs = share([Phase([level])], n_threads, TEAM, ITEMSIZE)
    read, stop = 0, 10_000
    for program in programs:
        rows, elements = (
            next(work.rows[0] for work in program if work.code is code)
            for code in (by_rows, divisible)
        )
        assert (rows["read"], rows["written"], elements["written"]) == (read, stop, stop)
        read += rows["n"] * ITEMSIZE
        stop += rows["n"] * distance
        assert elements["written"] + elements["n"] * ITEMSIZE == stop
    assert len(programs) == n_threads and stop == 10_000 + n * distance


def test_little_work_is_not_shared():
    level = tasks(Batch(divisible, rows_of(divisible, (0, 1000, 1))))
    (program,) = share([Phase([level])], 4, TEAM, ITEMSIZE)
    assert kinds(program) == ["work"]


def test_work_that_may_write_anywhere_is_not_shared():
    level = tasks(
        Batch(divisible, rows_of(divisible, (0, 1000, 1000))),
        Batch(unknown, rows_of(unknown, (1, 2))),
    )
    (program,) = share([Phase([level])], 4, TEAM, ITEMSIZE)
    assert kinds(program) == ["work", "work"]


def test_barriers_surround_shared_levels():
    alone = Phase([tasks(Batch(divisible, rows_of(divisible, (0, 1000, 1))))])
    shared = Phase([tasks(Batch(divisible, rows_of(divisible, (0, 1000, 1000))))])
    first, second = share([alone, shared, shared, alone], 2, TEAM, ITEMSIZE)
    assert kinds(first) == ["work", "wait"] * 4
    assert kinds(second) == ["wait", "work", "wait", "work", "wait", "wait"]
    barriers = [[w.rows[0] for w in p if w.code is wait_for_all] for p in (first, second)]
    assert {(row["n_threads"], row["team"]) for rows in barriers for row in rows} == {(2, TEAM)}
    roles = [[row["role"] for row in rows] for rows in barriers]
    assert roles == [[LEADS] * 3 + [LEADS | IS_LAST], [0] * 3 + [IS_LAST]]


def test_threads_wait_once_for_a_phase_of_components(one_block):
    names = [f"component {i}" for i in range(10)]
    levels = [
        [
            Task(name, *rows_of(divisible, (0, 100_000 * level + 640 * i, 10)))
            for i, name in enumerate(names)
        ]
        for level in range(3)
    ]
    phase = Phase(levels, {name: i for i, name in enumerate(names)})
    programs = share([phase], 2, TEAM, ITEMSIZE)
    for number, program in enumerate(programs):
        assert kinds(program) == ["work", "work", "work", "wait"]
        for level, work in enumerate(program[:3]):
            mine = levels[level][5 * number : 5 * number + 5]
            assert work.rows == [task.entry for task in mine]


def test_a_thread_runs_a_few_components_at_a_time(monkeypatch):
    names = [f"component {i}" for i in range(10)]
    levels = [
        [
            Task(name, *rows_of(divisible, (0, 100_000 * level + 640 * i, 10)))  # 10 microseconds
            for i, name in enumerate(names)
        ]
        for level in range(3)
    ]
    monkeypatch.setattr(schedule, "BLOCK", 70_000.0)  # two components of three levels
    phase = Phase(levels, {name: i for i, name in enumerate(names)})
    (program,) = share([phase], 1, TEAM, ITEMSIZE)
    assert [batch.rows for batch in program] == [
        [task.entry for task in level[i : i + 2]] for i in range(0, 10, 2) for level in levels
    ]


def test_a_large_component_has_blocks_of_its_own(monkeypatch):
    """One operator, then ten that depend on it, with another one for each: a component."""
    top = Task("top", *rows_of(divisible, (0, 0, 10)))
    names = [f"{i}" for i in range(10)]
    levels = [
        [
            Task(f"{level} {name}", *rows_of(divisible, (0, 100_000 * level + 640 * i, 10)))
            for i, name in enumerate(names)
        ]
        for level in (1, 2)
    ]
    graph = {"top": [f"1 {name}" for name in names]}
    graph |= {f"1 {name}": [f"2 {name}"] for name in names}
    graph |= {f"2 {name}": [] for name in names}
    monkeypatch.setattr(schedule, "BLOCK", 45_000.0)  # two components of two levels
    every = [task.operator for level in [[top], *levels] for task in level]
    links = Links({})
    links.before = operators_before(graph)
    phase = Phase([[top], *levels], dict.fromkeys(every, 0), links)
    (program,) = share([phase], 1, TEAM, ITEMSIZE)
    assert [batch.rows for batch in program] == [
        [top.entry],
        *([task.entry for task in level[i : i + 2]] for i in range(0, 10, 2) for level in levels),
    ]


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_blocks_change_no_results(threads, always_shared, monkeypatch):
    """The same to the last bit, however few components run together."""
    model = Model()
    with nengo.Network(seed=1) as net:
        a, b = (nengo.networks.EnsembleArray(40, 24) for _ in range(2))
        nengo.Connection(nengo.Node([0.5] * 24), a.input)
        nengo.Connection(a.output, b.input, synapse=0.002)
        nengo.Connection(b.output, a.input, synapse=0.002)
    model.build(net)
    engines = [compiled(model, threads=1)]
    monkeypatch.setattr(programs_of_a_step, "LARGE", 0.0)
    monkeypatch.setattr(schedule, "BLOCK", 200.0)
    engines.append(compiled(model, threads=threads))
    for engine in engines:
        engine.reset(0)
        engine.run(100)
    n_entries = [len(each._programs.later._sequential._codes[0]) for each in engines]
    assert n_entries[1] > 2 * n_entries[0]
    for signal, array in engines[0].signals.items():
        assert (array == engines[1].signals[signal]).all(), signal


@pytest.fixture(scope="module")
def network():
    with nengo.Network(seed=0) as net:
        stim = nengo.Node(lambda t: np.sin(20 * t), label="stim")
        big = nengo.Ensemble(6000, 2)
        rates = nengo.Ensemble(6000, 2, neuron_type=nengo.LIFRate())
        for ens in (big, rates):
            ens.eval_points = nengo.dists.UniformHypersphere()
            ens.n_eval_points = 50
        nengo.Connection(stim, big[0])
        nengo.Connection(stim, rates[1])
        for i, (pre, post) in enumerate([(big, rates), (rates, big), (big, big)]):
            solver = nengo.solvers.NoSolver(
                np.random.RandomState(i).randn(6000, 2) * 1e-5, weights=False
            )
            nengo.Connection(pre, post, solver=solver)
        net.probes_ = [
            nengo.Probe(big.neurons),
            nengo.Probe(rates, solver=nengo.solvers.NoSolver()),
        ]
    return net


def engine_with(network, threads):
    model = Model()
    model.build(network)
    engine = compiled(model, threads=threads)
    engine.reset(0)
    return engine


def test_results_do_not_depend_on_the_number_of_threads(network, always_shared):
    engines = [engine_with(network, threads) for threads in (1, 2, 3)]
    assert [engine._programs.later.shared.n_threads for engine in engines] == [1, 2, 3]
    for engine in engines:
        engine.run(60)
    for probe in network.probes_:
        samples = [np.array(engine.samples[probe]) for engine in engines]
        assert np.array_equal(samples[0], samples[1])
        assert np.array_equal(samples[0], samples[2])


def test_a_failing_callback_stops_all_threads(network, always_shared):
    failures = [0.02]

    def fail(t):
        if t in failures:
            failures.remove(t)
            raise ValueError("no more")
        return 0.0

    with network:
        node = nengo.Node(fail)
    try:
        engine = engine_with(network, 2)
        with pytest.raises(ValueError, match="no more"):
            engine.run(100)
        assert engine.n_steps == 19
        engine.run(5)
        assert engine.n_steps == 24
    finally:
        network.nodes.remove(node)


def test_one_thread_calls_python_in_order(always_shared):
    """Between levels that threads divide, by components and by addresses."""
    calls = []
    with nengo.Network(seed=0) as net:
        previous = nengo.Node(lambda t: calls.append(0) or t)
        for number in (1, 2):
            array = nengo.networks.EnsembleArray(20, 16, neuron_type=nengo.RectifiedLinear())
            node = nengo.Node(lambda t, x, n=number: calls.append(n) or x[0], size_in=16)
            nengo.Connection(previous, array.input, transform=np.ones((16, 1)), synapse=None)
            nengo.Connection(array.output, node, synapse=None)
            nengo.Node(lambda t, n=number: calls.append(-n))
            previous = node
    engine = engine_with(net, 3)
    first, *others = engine._programs.later.shared._codes
    assert [code for code in first if isinstance(code, Callback)] == engine.callbacks
    for codes in others:
        assert not any(isinstance(code, Callback) for code in codes)
        assert sum(code is not wait_for_all for code in codes) > 2
    calls.clear()  # making a node calls its function, too
    engine.run(20)
    assert calls == [0, -1, -2, 1, 2] * 20


def test_components_keep_the_order_of_one_thread(one_block):
    level = [
        *(
            Task(name, *rows_of(private, (i, 1000 * i)))
            for i, name in enumerate("abcdefgh")
            if name > "d"
        ),
        *(Task(name, *rows_of(divisible, (0, 640 * i, 10))) for i, name in enumerate("abcdefgh")),
    ]
    phase = Phase([level], {name: i for i, name in enumerate("abcdefgh")})
    for program in share([phase], 2, TEAM, ITEMSIZE):
        codes = [work.code for work in program if work.code is not wait_for_all]
        assert codes == sorted(codes, key=[private, divisible].index)


@pytest.mark.parametrize("n_threads", [2, 3, 4])
def test_rows_that_cannot_be_divided_go_to_one_thread_with_what_lies_there(n_threads):
    spans = [(first, first + 100 * ITEMSIZE) for first in (0, 800, 1600, 2400)]
    undivided = rows_of(whole, *((1, low, 100) for low, _ in spans))
    divided = rows_of(divisible, (0, 0, 400))
    level = tasks(Batch(whole, undivided, spans), Batch(divisible, divided))
    programs = share([Phase([level])], n_threads, TEAM, ITEMSIZE)
    assert len(programs) == n_threads
    found = []
    for program in programs:
        rows = [row for work in program if work.code is not wait_for_all for row in work.rows]
        mine = [row for row in rows if row.kernel is whole]
        theirs = sum(row.size for row in rows if row.kernel is divisible)
        assert theirs == 100 * len(mine)
        found += mine
    assert [row.values for row in found] == [row.values for row in undivided]
