"""What users get wrong. Each error names the object, and the place if data come in batches."""

import nengo
import numpy as np
import optax
import pytest
from nengo.exceptions import SimulationError, ValidationError

from nengo_jit.training import Trainer, weight_penalty
from tests.training.networks import classifier, patterns

X, LABELS = patterns()
TARGETS = np.zeros((48, 15, 3))


@pytest.fixture(scope="module")
def trained():
    net, given, scores = classifier()
    return Trainer(net, batch=16), given, scores


def fails(trained, x, y, message, error=ValidationError, **options):
    """Fit fails with a message, and has learned nothing."""
    trainer, _, _ = trained
    before = trainer.params
    with pytest.raises(error, match=message):
        trainer.fit(x, y, **{"epochs": 1, "progress_bar": False, **options})
    assert all(np.array_equal(before[name], each) for name, each in trainer.params.items())


@pytest.mark.parametrize("values", [X.astype(str), X.astype(object), X + 1j, None])
def test_inputs_and_targets_are_real_numbers(trained, values):
    _, given, scores = trained
    fails(trained, {given: values}, {scores: LABELS}, "'given'.* needs real numbers")
    if values is not None:
        values = values[:, :, :3]
    fails(trained, {given: X}, {scores: values}, "scores.* needs real numbers")


def test_rows_of_different_lengths_are_named(trained):
    _, given, scores = trained
    fails(trained, {given: [[1], [1, 2]]}, {scores: LABELS}, "'given'.* needs an array, not rows")
    fails(trained, {given: X}, {scores: [[1], [1, 2]]}, "scores.* needs an array, not rows")


@pytest.mark.parametrize("x", [None, 3, X, lambda: iter(())])
def test_data_are_dictionaries_or_an_iterable_of_pairs(trained, x):
    _, _, scores = trained
    fails(trained, x, {scores: LABELS}, "x: Give dictionaries as x and y, or an iterable of pairs")
    if not isinstance(x, np.ndarray):
        fails(trained, x, None, "x: Give dictionaries as x and y, or an iterable of pairs")
    with pytest.raises(ValidationError, match="Give a dictionary"):
        trained[0].evaluate(x, {scores: LABELS})


def test_each_batch_is_a_pair(trained):
    _, given, scores = trained
    good = {given: X[:4]}, {scores: TARGETS[:4]}
    bads = {"dict": good[0], "tuple of 3": (*good, 1), "ndarray": X, "None": None}
    for found, bad in bads.items():
        message = rf"x: Give a pair.* not {found}.* in epoch 1, batch 2"
        fails(trained, [good, bad], None, message)
    fails(trained, [good, (good[0], TARGETS)], None, "y: Give a dictionary.* in epoch 1, batch 2")


def test_all_batches_have_targets_for_the_same_probes():
    net, given, scores = classifier()
    with net:
        other = nengo.Probe(net.nodes[1], label="other")
    trained = Trainer(net), given, scores
    one = {given: X[:4]}, {scores: TARGETS[:4]}
    both = {given: X[:4]}, {scores: TARGETS[:4], other: TARGETS[:4]}
    fails(trained, [both, one], None, '"other".* has no target in epoch 1, batch 2')
    fails(trained, [one, both], None, '"other".* has a target but no loss in epoch 1, batch 2')


def test_samples_have_steps_and_probes_have_samples():
    net, given, scores = classifier()
    with net:
        rare = nengo.Probe(net.nodes[1], sample_every=0.02, label="rare")
    trained = Trainer(net), given, scores
    fails(trained, {given: X[:, :0]}, {scores: LABELS}, "x: There are no steps")
    fails(trained, {given: X[:0]}, {scores: LABELS[:0]}, "x: There are no samples")
    message = '"rare".* has no sample in 15 steps'
    fails(trained, {given: X}, {rare: LABELS}, message, loss="cross_entropy_last")
    fails(trained, {given: X}, {rare: TARGETS[:, :0]}, message)


@pytest.mark.parametrize(
    "result, found",
    [
        (lambda output: output, r"float64 in the shape \(16, 15, 3\)"),
        (lambda output: output.mean()[None], r"float64 in the shape \(1,\)"),
        (lambda output: 1, r"int.* in the shape \(\)"),
        (lambda output: output.sum() + 1j, "complex128"),
        (lambda output: None, "NoneType"),
        (lambda output: "high", "str"),
    ],
)
def test_losses_penalties_and_metrics_are_numbers(trained, result, found):
    _, given, scores = trained
    data = {given: X}, {scores: LABELS}
    message = f"scores.* must be one number .*not {found}"

    def loss(output, target):
        return result(output)

    def mean(output, target):
        return output.mean()

    def penalty(params):
        return result(next(iter(params.values())).sum() + np.zeros((16, 15, 3)))

    fails(trained, *data, f"loss: The loss of .*{message}", loss=loss)
    message = f"The penalty must be one number .*not {found}"
    fails(trained, *data, f"penalty: {message}", loss=mean, penalty=penalty)
    if "int" not in found:
        metrics = {"highest": (scores, loss)}
        message = f"metrics: The metric 'highest' must be one number .*not {found}"
        fails(trained, *data, message, loss=mean, metrics=metrics)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"epochs": -1}, "epochs: Must be a whole number from 0 on"),
        ({"epochs": 1.5}, "epochs: Must be a whole number from 0 on"),
        ({"optimizer": 3}, "optimizer: Must be a name, or one of optax's"),
        ({"optimizer": optax.adam}, "optimizer: Must be a name, or one of optax's"),
        ({"callbacks": print}, "callbacks: Must be a sequence of functions"),
        ({"callbacks": [3]}, "callbacks: Must be a sequence of functions"),
        ({"penalty": 3}, "penalty: Must be a function"),
        ({"metrics": {"mean": np.mean}}, "metrics: 'mean' needs a probe and a function"),
        ({"validation": ({},)}, "validation: Give a pair, .* not tuple of 1"),
        ({"validation": {}}, "validation: Give a pair, .* not dict"),
        ({"validation": ({}, {})}, "x: Give a dictionary .* in the validation"),
    ],
)
def test_arguments_are_checked_before_the_first_epoch(trained, options, message):
    _, given, scores = trained
    fails(trained, {given: X}, {scores: TARGETS}, message, **options)


def test_the_shape_of_validation_data_is_checked_before_the_first_epoch(trained):
    _, given, scores = trained
    message = "scores.* needs targets of the shape .* in the validation"
    for y in (LABELS, TARGETS[:, :3]):
        validation = {given: X}, {scores: y}
        fails(trained, {given: X}, {scores: TARGETS}, message, validation=validation)


@pytest.mark.parametrize(
    "options",
    [
        {"batch": 1.5},
        {"batch": "many"},
        {"seed": -1},
        {"seed": 1.5},
        {"seed": "one"},
        {"remat": 0},
        {"remat": 2.5},
        {"remat": "all"},
        {"trainable": "bias"},
    ],
)
def test_arguments_of_a_trainer_are_checked(options):
    (name,) = options
    net, _, _ = classifier()
    with pytest.raises(ValidationError, match=rf"{name}: .*{options[name]}"):
        Trainer(net, **options)


def test_what_is_no_network_cannot_be_trained():
    with pytest.raises(ValidationError, match="net: Must be a nengo"):
        Trainer(None)


def test_a_penalty_on_one_attribute():
    penalty = weight_penalty(l2=1.0, attributes="bias")
    assert penalty({"a.bias": np.full(2, 3.0), "a.transform": np.ones(2)}) == 18.0


def test_a_loss_of_no_target_that_is_not_finite_is_named(trained):
    _, given, scores = trained
    message = "The loss of .*scores.* is nan in epoch 1, batch 1"
    options = {"loss": lambda output, target: output.sum() * np.nan, "error": SimulationError}
    fails(trained, {given: X}, {scores: LABELS}, message, **options)
