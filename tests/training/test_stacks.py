"""Like parameters are trained in one array, with the results that they have alone."""

import jax
import jax.numpy as jnp
import nengo
import numpy as np
import optax
import pytest

from nengo_jit.engines.jax.compilation import as_given
from nengo_jit.training import Trainer
from nengo_jit.training.expressions import is_alike
from nengo_jit.training.optimizers import of_stacks
from nengo_jit.training.program import Program
from nengo_jit.training.stacks import Stacks
from nengo_jit.training.surrogates import fast_sigmoid

SHAPES = {"a": (3, 2), "b": (3, 2), "c": (), "d": (), "e": (4,)}
STACKS = Stacks({name: f"{shape}" for name, shape in SHAPES.items()}, SHAPES)
SCHEDULE = optax.cosine_onecycle_schedule(20, 0.1)


def values(seed):
    rng = np.random.RandomState(seed)
    return {name: np.float32(rng.standard_normal(shape)) for name, shape in SHAPES.items()}


def of_matrices(params):
    return jax.tree.map(lambda each: each.ndim > 1, params)


@pytest.mark.parametrize(
    "optimizer, expected",
    [
        (optax.sgd(0.1, momentum=0.9, nesterov=True), True),
        (optax.chain(optax.clip(0.5), optax.adamw(SCHEDULE, weight_decay=0.1)), True),
        (optax.rmsprop(0.1, centered=True), True),
        (optax.chain(optax.clip_by_global_norm(0.5), optax.adam(0.1)), False),
        (optax.lamb(0.1), False),
        (optax.adamw(0.1, weight_decay=1.0, mask=of_matrices), False),
        (optax.masked(optax.scale(0.0), {"b": True, **dict.fromkeys("acde", False)}), False),
        (
            optax.adamw(0.1, weight_decay=1.0, mask={"b": False, **dict.fromkeys("acde", True)}),
            False,
        ),
    ],
)
def test_an_optimizer_of_stacks_does_what_it_does_for_names(optimizer, expected):
    alone, together = values(0), STACKS.stacked(values(0))
    assert is_alike(optimizer, STACKS, together) is expected
    stacked = of_stacks(optax.with_extra_args_support(optimizer), STACKS, together)
    own, all_own = optimizer.init(alone), stacked.init(together)
    for seed in range(1, 4):
        slopes = values(seed)
        updates, own = optimizer.update(slopes, own, alone)
        alone = optax.apply_updates(alone, updates)
        steps = STACKS.stacked(slopes)
        for_line_search = {"value": 0.0, "grad": steps, "value_fn": lambda _: 0.0}
        updates, all_own = stacked.update(steps, all_own, together, **for_line_search)
        together = optax.apply_updates(together, updates)
    found = STACKS.by_name(together)
    for name, each in alone.items():
        np.testing.assert_allclose(found[name], each, rtol=1e-6)


def test_what_is_trained_is_apart_from_what_is_not():
    stacks = Stacks(dict.fromkeys("abcd", "bias (3,)"), ["c", "a"])
    assert stacks.members == {"bias (3,)": ["a", "c"], "bias (3,), not trained": ["b", "d"]}
    assert stacks.trained == {"bias (3,)"}
    params = {name: np.full(3, number) for number, name in enumerate("abcd")}
    found = stacks.by_name(stacks.stacked(params, np))
    assert all(np.array_equal(found[name], each) for name, each in params.items())


def array_of(n):
    """Return a network of n like ensembles, some with a learning rule, and its input."""
    with nengo.Network(seed=0) as net:
        given = nengo.Node(np.zeros(n), label="given")
        error = nengo.Node(size_in=1)
        nengo.Connection(given[0], error)
        out = nengo.Node(size_in=n)
        for number in range(n):
            ensemble = nengo.Ensemble(6, 1, neuron_type=nengo.RectifiedLinear())
            nengo.Connection(given[number], ensemble)
            nengo.Connection(ensemble, out[number], function=np.square, synapse=0.01)
            scaled = nengo.Connection(ensemble, out[number], transform=0.5, synapse=0.02)
            scaled.learning_rule_type = nengo.PES(1e-4)
            nengo.Connection(error, scaled.learning_rule)
        nengo.Probe(out, label="seen")
    return net, given


def n_equations(n):
    net, _ = array_of(n)
    with as_given():
        program = Program(net, 0.001, None, fast_sigmoid, lambda obj, name: True)
        params = program.stacks.stacked(program.parameters.initial, np)
        inputs = {"given": np.zeros((5, n))}

        def loss(params):
            state = program.initial_state(params)
            return jnp.sum(program.run(params, state, inputs)[1]["seen"] ** 2)

        return str(jax.make_jaxpr(jax.grad(loss))(params)).count(" = ")


def test_a_program_does_not_grow_with_the_number_of_like_objects():
    assert n_equations(12) == n_equations(6)


def test_parameters_by_name_are_those_that_are_set():
    net, _ = array_of(3)
    trainer = Trainer(net)
    rng = np.random.RandomState(0)
    wanted = {name: rng.randn(*each.shape) for name, each in trainer.params.items()}
    trainer.params = wanted
    assert trainer.params.keys() == wanted.keys()
    assert all(np.array_equal(each, wanted[name]) for name, each in trainer.params.items())
