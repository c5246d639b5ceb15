"""Python is called in nengo's order within a step; a few networks of ``make fuzz-calls``, too."""

import nengo
import numpy as np
import pytest
from random_calls import KINDS, SIMULATORS, Case, Process, Shared, check, draw, outcome
from sharing import sharing

OURS = pytest.mark.parametrize("name", [name for name in SIMULATORS if name != "nengo"])


@pytest.mark.parametrize("seed", range(80))
def test_calls_are_in_nengos_order(seed):
    check(draw(seed))


@pytest.mark.parametrize("seed", range(0, 80, 8))
def test_calls_are_in_nengos_order_on_jax(seed):
    check(draw(seed), ["jax"])


def test_cases_are_of_all_kinds_with_and_without_ensembles():
    cases = [draw(seed) for seed in range(2 * (len(KINDS) + 1))]
    found = {(case.kinds[0], case.with_ensembles) for case in cases if len(set(case.kinds)) == 1}
    assert found == {(kind, with_ensembles) for kind in KINDS for with_ensembles in (False, True)}
    assert sum(len(set(case.kinds)) > 1 for case in cases) == 2


def test_callers_that_note_nothing_are_compiled():
    shared = Shared()
    with nengo.Network() as net:
        nengo.Node(Process(shared.caller(1, is_noted=True, fails_at=0)))
        nengo.Node(Process(shared.caller(2, is_noted=False, fails_at=0)))
    with SIMULATORS["one thread"](net) as sim:
        plan = sim.plan
    assert (len(plan.in_python), len(plan.compiled)) == (1, 1)


class Robot(nengo.Process):
    """A robot that keeps its position in an attribute."""

    def __init__(self):
        self.position = np.zeros(1)
        super().__init__(default_size_in=0, default_size_out=1)

    def make_step(self, shape_in, shape_out, dt, rng, state):
        position = self.position

        def step(t):
            position[...] += 1.0
            return position

        return step


class Sensor(nengo.Process):
    """What tells where a robot is."""

    def __init__(self, robot):
        self.robot = robot
        super().__init__(default_size_in=0, default_size_out=1)

    def make_step(self, shape_in, shape_out, dt, rng, state):
        robot = self.robot
        return lambda t: robot.position


@OURS
@pytest.mark.parametrize("is_function", [True, False])
@pytest.mark.parametrize("robot_is_first, lag", [(True, 0), (False, 1)])
def test_a_sensor_finds_a_robot_where_it_is_in_nengo(name, is_function, robot_is_first, lag):
    robot = Robot()
    with nengo.Network(seed=1) as net:
        if robot_is_first:
            nengo.Node(robot)
        if is_function:
            sensor = nengo.Node(lambda t: robot.position * 1.0, size_out=1)
        else:
            sensor = nengo.Node(Sensor(robot))
        if not robot_is_first:
            nengo.Node(robot)
        probe = nengo.Probe(sensor)
    with sharing(), SIMULATORS[name](net) as sim:
        robot.position[...] = 0
        sim.run_steps(150)
        assert sim.data[probe][:, 0].tolist() == [step - lag for step in range(1, 151)]


@pytest.mark.parametrize("kinds", [("function", "part"), ("part", "process"), ("part", "part")])
def test_what_only_lowering_finds_to_call_python_keeps_its_place(kinds):
    """Nengo's own processes, with a function or a distribution of the user's in them."""
    for seed in range(3):
        case = Case(seed, kinds * 3, with_ensembles=False)
        assert outcome(case, "one thread") == outcome(case, "nengo")


def broken(number):
    """A node that raises in its third step."""

    def step(t):
        if t > 0.0025:
            raise ValueError(f"of node {number}")
        return t

    class Broken(nengo.Process):
        def make_step(self, shape_in, shape_out, dt, rng, state):
            return step

    if number % 2:
        return nengo.Node(step, label=str(number))
    return nengo.Node(Broken(default_size_in=0, default_size_out=1), label=str(number))


@OURS
@pytest.mark.parametrize("order", [(0, 1), (1, 0), (2, 0, 1), (1, 3, 2)])
def test_of_two_errors_in_a_step_nengos_is_raised(name, order):
    def raised(name):
        with nengo.Network() as net:
            for number in order:
                broken(number)
        with sharing(), SIMULATORS[name](net) as sim, pytest.raises(ValueError) as info:
            sim.run_steps(5)
        return str(info.value)

    assert raised(name) == raised("nengo") == f"of node {order[0]}"
