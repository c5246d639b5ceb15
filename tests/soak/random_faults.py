"""A random network in which things go wrong, run on several simulators that must agree.

A case is drawn from a seed. Its network has a node that raises, or returns what does not fit, at
a random step; a process whose state has the wrong shape; or an operator of which the same is
true. While it runs, the node and other threads read, cut, clear and replace probe data, and reset
the simulator.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis
import nengo
import numpy as np
from nengo.exceptions import NengoException

import nengo_jit
from nengo_jit.builder import Model
from nengo_jit.builder.operator import Copy, DotInc, ElementwiseInc
from nengo_jit.builder.signal import Signal
from nengo_jit.engines.cpu.backend import CpuBackend

sys.path += [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "conformance")]
from random_networks import Recipe, recipes
from test_engines import EXPLODED, Comparison

N_STEPS = 60
RTOL = 1e-7  # rounding grows: in thousands of networks, further than in a few
N_THREADS = 3
DRAWN = 5  # recipes, of which the last is taken: hypothesis begins with the simplest


def fail(error: type[BaseException]) -> Callable[[], Any]:
    """What raises an error."""

    def raise_error() -> None:
        raise error("on purpose")

    return raise_error


# What a node does at the step at which it fails: raises, or returns this in place of a number
FAILURES: dict[str, Callable[[], Any]] = {
    "ValueError": fail(ValueError),
    "ZeroDivisionError": fail(ZeroDivisionError),
    "SystemError": fail(SystemError),
    "Ctrl-C": lambda: signal.raise_signal(signal.SIGINT),
    "KeyboardInterrupt": fail(KeyboardInterrupt),
    "None": lambda: None,
    "too many": lambda: [0.0] * 3,
    "too few": list,
    "nested": lambda: [[0.0, 1.0], [2.0]],
    "infinite": lambda: np.inf,
    "not a number": lambda: [np.nan],
    "text": lambda: "0.5 volts",
    "object": object,
    "nothing": lambda: 0.5,
}
INTERRUPTS = ("Ctrl-C", "KeyboardInterrupt")


class WrongState(nengo.Process):
    """A process that begins with a state of another shape than it says later."""

    def __init__(self, shape: tuple[int, ...]):
        self.shape = shape
        super().__init__(default_size_in=2, default_size_out=2)

    def make_state(self, shape_in: Any, shape_out: Any, dt: float, dtype: Any = None) -> Any:
        return {"x": np.zeros(self.shape)}

    def make_step(self, shape_in: Any, shape_out: Any, dt: float, rng: Any, state: Any) -> Any:
        def step(t: float, x: np.ndarray) -> np.ndarray:
            state["x"][...] += 0.5 * (x - state["x"])
            return state["x"]

        return step


# What is wrong with a whole network or model
OPERATORS: dict[str, Callable[[Signal, Signal, Signal], Any]] = {
    "lengths of a copy": lambda a, b, m: Copy(a, b),
    "index out of range": lambda a, b, m: Copy(a, b, src_slice=[0, 4], dst_slice=[0, 1]),
    "shapes of a product": lambda a, b, m: ElementwiseInc(m, a, b),
    "sizes of a product": lambda a, b, m: DotInc(m, b, a),
}
STATES = [(3,), (2, 2), (0,), ()]


@dataclass(frozen=True)
class Case:
    """A network, what goes wrong in it, and how it is run.

    Attributes
    ----------
    recipe : Recipe
        The network.
    failure : str
        What a node does, see `FAILURES`.
    step : int
        At which step.
    operator : str or None
        Which operator is added, see `OPERATORS`.
    state : tuple of int or None
        Shape of a process's state.
    seed : int
        Of what threads do.
    """

    recipe: Recipe
    failure: str
    step: int
    operator: str | None
    state: tuple[int, ...] | None
    seed: int

    def build(self, act: Callable[[], None] = lambda: None, failure: str | None = None) -> Model:
        """A new model; ``act`` is called by the node that fails, in every step."""
        count, failure = 0, failure or self.failure

        def node(t: float) -> Any:
            nonlocal count
            count += 1
            act()
            if count == self.step:
                return FAILURES[failure]()
            return np.cos(t)

        network = self.recipe.build()
        with network:
            failing = nengo.Node(node, size_out=1)
            nengo.Connection(failing, network.all_ensembles[0][0])
            nengo.Probe(failing)
            if self.state is not None:
                wrong = nengo.Node(WrongState(self.state), size_in=2, size_out=2)
                nengo.Probe(wrong)
        model = Model(label=str(self.seed))
        model.build(network)
        if self.operator is not None:
            sizes = (3, 2, (2, 3))
            a, b, m = (Signal(np.ones(size), name="wrong") for size in sizes)
            model.add_op(OPERATORS[self.operator](a, b, m))
        return model


def draw(seed: int) -> Case:
    """The case of a seed."""
    drawn: list[Recipe] = []

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=DRAWN,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(recipes())
    def take(recipe: Recipe) -> None:
        drawn.append(recipe)

    take()
    rng = np.random.RandomState(seed)
    kind = rng.choice(["node", "node", "node", "state", "operator"])
    return Case(
        recipe=drawn[-1],
        failure=str(rng.choice(list(FAILURES))),
        step=int(rng.randint(1, N_STEPS + 10)),
        operator=str(rng.choice(list(OPERATORS))) if kind == "operator" else None,
        state=STATES[rng.randint(len(STATES))] if kind == "state" else None,
        seed=seed,
    )


def attempt(action: Callable[..., Any], *arguments: Any) -> BaseException | None:
    """Do something; returns what it raised."""
    try:
        action(*arguments)
    except (Exception, KeyboardInterrupt) as error:
        return error
    return None


def assert_alike(error: BaseException | None, other: BaseException | None, where: str) -> None:
    """Check that two errors are of one type, or that there are none."""
    if type(error) is not type(other):
        raise AssertionError(f"{where}: {error!r} and {other!r}") from error or other


def simulator(model: Model, engine: str = "cpu") -> nengo_jit.Simulator:
    return nengo_jit.Simulator(None, model=model, seed=1, engine=engine, progress_bar=False)


def build(case: Case, engine: str) -> None:
    """Build a case, and no more."""
    simulator(case.build(), engine).close()


def data(sim: nengo_jit.Simulator) -> list[np.ndarray]:
    """What was recorded, in the order of the probes."""
    return [np.array(sim.data[probe]) for probe in sim.model.probes]


def check(case: Case) -> None:
    """Run a case; raises an AssertionError if anything differs."""
    failures = [attempt(build, case, name) for name in ("cpu", "reference")]
    assert_alike(*failures, "building for either engine")
    if failures[0] is not None:
        return
    failure = "ValueError" if case.failure in INTERRUPTS else case.failure
    models = case.build(failure=failure), case.build(failure=failure)
    comparison = Comparison(*models, CpuBackend, RTOL)
    comparison.run(N_STEPS)
    expected, error = alone(case, "cpu")
    if (
        max(comparison.largest.values()) <= EXPLODED
    ):  # beyond, NumPy finds errors that others do not
        reference, its_error = alone(case, "reference")
        assert_alike(error, its_error, "running on either engine")
        assert [len(each) for each in expected] == [len(each) for each in reference]
    in_parts(case, expected, error)
    disturbed(case, expected)


def alone(case: Case, engine: str) -> tuple[list[np.ndarray], BaseException | None]:
    """What is recorded step by step until something fails, and what that raises."""
    with simulator(case.build(), engine) as sim:
        for _ in range(N_STEPS):
            error = attempt(sim.step)
            if error is not None:
                return data(sim), error
        return data(sim), None


def in_parts(case: Case, expected: list[np.ndarray], error: BaseException | None) -> None:
    """Runs of random lengths must record the same bits, and fail in the same way."""
    rng = np.random.RandomState(case.seed)
    with simulator(case.build()) as sim:
        found = None
        while sim.n_steps < N_STEPS and found is None:
            n = min(int(rng.choice([1, 2, 7, 30, N_STEPS])), N_STEPS - sim.n_steps)
            found = attempt(sim.run_steps, n)
        assert_alike(found, error, "in runs and in steps")
        for mine, theirs in zip(data(sim), expected):
            np.testing.assert_array_equal(mine, theirs)


def disturbed(case: Case, expected: list[np.ndarray]) -> None:
    """Whatever is done to the data meanwhile, what is left are some consecutive samples."""
    rng = np.random.RandomState(case.seed)
    resets = rng.randint(4) == 0
    sims: list[nengo_jit.Simulator] = []
    wrong: list[str] = []

    def act() -> None:
        if sims:
            disturb(sims[0], rng, resets=False)

    with simulator(case.build(act)) as sim:
        sims.append(sim)
        stop = threading.Event()

        def work(seed: int) -> None:
            mine = np.random.RandomState(seed)
            while not stop.is_set():
                try:
                    disturb(sim, mine, resets)
                except NengoException as error:
                    wrong.append(f"{type(error).__name__}: {error}")

        threads = [threading.Thread(target=work, args=(case.seed + i,)) for i in range(N_THREADS)]
        for thread in threads:
            thread.start()
        try:
            while sim.n_steps < N_STEPS and attempt(sim.run_steps, N_STEPS // 3) is None:
                pass
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        if resets:
            return  # a reset in mid-run is an error or not; neither may do harm
        assert not wrong, wrong[0]
        for mine, theirs in zip(data(sim), expected):
            assert is_part(mine, theirs), f"{len(mine)} samples are not some of {len(theirs)}"


def disturb(sim: nengo_jit.Simulator, rng: np.random.RandomState, resets: bool) -> None:
    """Read or change the data of one probe in one of many ways."""
    probe = sim.model.probes[rng.randint(len(sim.model.probes))]
    raw, way = sim.data.raw[probe], rng.randint(12 if resets else 11)
    if way < 4:
        np.sum([np.sum(sample) for sample in np.array(sim.data[probe])])
    elif way == 4:
        list(raw[len(raw) // 2 :])
    elif way == 5:
        [len(raw), raw[-1:], raw[:3], bool(raw)]
    elif way == 6:
        del raw[:]
    elif way == 7:
        del raw[: len(raw) // 2]
    elif way == 8:
        sim.data.raw[probe] = []
    elif way == 9:
        sim.clear_probes()
    elif way == 10:
        sim.trange()
    else:
        sim.reset()


def is_part(samples: np.ndarray, whole: np.ndarray) -> bool:
    """Whether samples are some consecutive ones of others."""
    n = len(samples)
    return n == 0 or any(
        np.array_equal(samples, whole[first : first + n], equal_nan=True)
        for first in range(len(whole) - n + 1)
    )
