import builtins
import os
import subprocess
import sys

import nengo
import numpy as np
import optax
import pytest
from nengo.exceptions import SimulationError, ValidationError

import nengo_jit
from nengo_jit.training import (
    BestWeights,
    EarlyStopping,
    Trainer,
    firing_rates,
    weight_penalty,
)
from tests.training.networks import classifier, of_all_kinds, patterns

X, LABELS = patterns()


def fitted(trainer, given, scores, **options):
    options = {"optimizer": optax.adam(0.02), "epochs": 4, "progress_bar": False, **options}
    return trainer.fit({given: X}, {scores: LABELS}, loss="cross_entropy_mean", **options)


def test_training_classifies_and_the_frozen_network_answers_the_same():
    net, given, scores = classifier(nengo.LIF(amplitude=0.01))
    trainer = Trainer(net, batch=24, seed=1)
    before = trainer.evaluate({given: X}, {scores: LABELS}, loss="cross_entropy_mean")
    history = fitted(trainer, given, scores, epochs=15)
    after = trainer.evaluate({given: X}, {scores: LABELS}, loss="cross_entropy_mean")
    assert after["loss"] < 0.3 * before["loss"]
    assert after["accuracy"] >= 0.95
    assert len(history["loss"]) == 15 and history["loss"][-1] < history["loss"][0]
    predicted = trainer.predict({given: X})[scores]
    assert predicted.shape == (48, 15, 3)
    trainer.freeze_params()
    for number in (0, 1, 47):
        given.output = X[number, 0]
        with nengo.Simulator(net, progress_bar=False) as sim:
            sim.run_steps(15)
        np.testing.assert_allclose(sim.data[scores], predicted[number], atol=1e-9)


def test_seeds_decide_the_result():
    results = []
    for seed in (1, 1, 2):
        net, given, scores = classifier()
        trainer = Trainer(net, batch=24, seed=seed)
        fitted(trainer, given, scores)
        results.append(trainer.params)
    assert all(np.array_equal(results[0][name], results[1][name]) for name in results[0])
    assert not all(np.array_equal(results[0][name], results[2][name]) for name in results[0])


def test_a_step_of_the_optimizer_uses_all_samples_of_a_batch_and_the_remainder():
    def learned(batch, y, x):
        net, given, scores = classifier(nengo.RectifiedLinear())
        trainer = Trainer(net, batch=batch, seed=1)
        before = trainer.params
        history = trainer.fit(
            {given: x}, {scores: y}, optimizer=optax.sgd(1e-3), epochs=1, progress_bar=False
        )
        return {name: each - before[name] for name, each in trainer.params.items()}, history

    y = np.random.RandomState(0).randn(10, 15, 3)
    whole, history = learned(10, y, X[:10])
    batches = [learned(10, y[part], X[:10][part]) for part in (slice(0, 5), slice(5, 10))]
    for name, change in whole.items():
        mean = (batches[0][0][name] + batches[1][0][name]) / 2
        np.testing.assert_allclose(change, mean, rtol=1e-6, atol=1e-12)
    mean = (batches[0][1]["loss"][0] + batches[1][1]["loss"][0]) / 2
    assert history["loss"][0] == pytest.approx(mean)
    _, with_remainder = learned(8, y, X[:10])
    assert with_remainder["loss"][0] == pytest.approx(mean, rel=0.2)


def test_batches_can_come_from_any_iterable():
    net, given, scores = classifier()
    trainer = Trainer(net, seed=1)
    batches = [({given: X[i::4]}, {scores: LABELS[i::4]}) for i in range(4)]
    history = trainer.fit(
        batches, loss="cross_entropy_last", optimizer="adam", epochs=3, progress_bar=False
    )
    assert len(history) == 3
    wrong = [batches[0], ({given: X}, {scores: LABELS + 1})]
    with pytest.raises(ValidationError, match=r"labels from 1 to 3 in epoch 1, batch 2"):
        trainer.fit(wrong, loss="cross_entropy_last", progress_bar=False)
    wrong = [batches[0], ({given: X[..., :2]}, {scores: LABELS})]
    with pytest.raises(ValidationError, match=r"not \(48, 15, 2\) in epoch 1, batch 2"):
        trainer.fit(wrong, loss="cross_entropy_last", progress_bar=False)
    with pytest.raises(ValidationError, match="no samples in epoch 2"):
        trainer.fit(iter(batches), loss="cross_entropy_last", epochs=2, progress_bar=False)


@pytest.mark.parametrize("by", ["object", "type", "predicate", "network"])
def test_only_what_is_chosen_is_trained(by):
    net, given, scores = classifier()
    hidden, (_, second) = net.ensembles[0], net.connections
    chosen, expected = {
        "object": ([second], {"hidden.neurons → out.transform"}),
        "type": ([nengo.Ensemble], {"hidden.bias", "hidden.encoders"}),
        "predicate": (lambda obj, name: name == "gain", {"hidden.gain"}),
        "network": (
            net,
            {
                "hidden.bias",
                "hidden.encoders",
                "given → hidden.neurons.transform",
                "hidden.neurons → out.transform",
            },
        ),
    }[by]
    trainer = Trainer(net, batch=24, trainable=chosen)
    assert set(trainer.trained) == expected
    before = trainer.params
    fitted(trainer, given, scores, epochs=1)
    changed = {name for name, each in trainer.params.items() if (each != before[name]).any()}
    assert changed == expected - {"hidden.encoders"}  # the ensemble's input is not used
    assert hidden.gain.tolist() == [100.0] * 20


def test_a_state_carries_over_from_batch_to_batch():
    def losses(**options):
        net, given, scores = classifier()
        trainer = Trainer(net, batch=4, **options)
        seen = []

        def loss(output, target):
            return output.mean()

        for _ in range(2):
            history = trainer.fit(
                {given: X[[0, 1, 2, 3] * 2]},
                {scores: np.zeros(8)},
                loss=loss,
                optimizer=optax.sgd(0.0),
                epochs=1,
                progress_bar=False,
            )
            seen.append(history["loss"][0])
        long = np.concatenate([X[:4], X[:4]], axis=1)
        return (
            seen,
            trainer.predict({given: X[:4]})[scores].mean(),
            trainer.predict({given: long})[scores].mean(),
        )

    seen, once, twice = losses(keep_state=True)
    assert seen == pytest.approx([twice, twice])
    seen, once, twice = losses()
    assert seen == pytest.approx([once, once])
    assert abs(once - twice) > 1e-3 * abs(once)


def test_weights_that_an_online_rule_changes_are_trained_as_its_start():
    with nengo.Network(seed=0) as net:
        given = nengo.Node(np.zeros(1), label="given")
        neurons = nengo.SpikingRectifiedLinear()
        first, last = (nengo.Ensemble(9, 1, neuron_type=neurons, label=each) for each in "ab")
        nengo.Connection(given, first)
        learned = nengo.Connection(
            first, last, learning_rule_type=nengo.PES(1e-4), synapse=0.01, transform=2.0
        )
        nengo.Connection(given, learned.learning_rule)
        probe = nengo.Probe(last, synapse=0.01)
    trainer = Trainer(net, trainable=learned, batch=2)
    assert trainer.trained == ["a → b.decoders", "a → b.transform"]
    before = trainer.params
    x = np.random.RandomState(0).uniform(-1, 1, (2, 30, 1))
    target = {probe: np.ones((2, 30, 1))}
    trainer.fit({given: x}, target, epochs=1, progress_bar=False)
    for name in trainer.trained:
        assert (trainer.params[name] != before[name]).any()


def test_a_penalty_makes_weights_smaller_and_is_part_of_the_loss():
    def trained(**options):
        net, given, scores = classifier()
        trainer = Trainer(net, batch=24, seed=0)
        before = np.abs(trainer.params["hidden.neurons → out.transform"]).sum()
        history = fitted(trainer, given, scores, epochs=1, **options)
        after = trainer.params["hidden.neurons → out.transform"]
        return before, np.abs(after).sum(), history["loss"][0]

    still = optax.sgd(0.0)
    before, _, loss = trained(optimizer=still)
    penalty = weight_penalty(l1=0.5, attributes=["transform"])
    _, _, more = trained(optimizer=still, penalty=penalty)
    assert more > loss + 0.5 * before
    _, free, _ = trained()
    _, kept_small, _ = trained(penalty=weight_penalty(l1=1.0, l2=1.0))
    assert kept_small < free

    def broken(params):
        return sum(each.sum() for each in params.values()) * np.nan

    with pytest.raises(SimulationError, match="penalty is nan in epoch 1, batch 1"):
        trained(penalty=broken)


def test_metrics_of_each_epoch_are_those_of_evaluate():
    net, given, scores = classifier()
    trainer = Trainer(net, batch=24, seed=0)
    metrics = {"highest": (scores, lambda output, target: output.max(axis=(1, 2)).mean())}
    history = fitted(
        trainer,
        given,
        scores,
        epochs=1,
        optimizer=optax.sgd(0.0),
        metrics=metrics,
        validation=({given: X}, {scores: LABELS}),
    )
    for name in ("loss", "accuracy", "highest"):
        assert history[name][0] == pytest.approx(history[f"validation_{name}"][0])
    output = trainer.predict({given: X})[scores]
    assert history["highest"][0] == pytest.approx(output.max(axis=(1, 2)).mean())
    share = (output.mean(axis=1).argmax(axis=1) == LABELS).mean()
    assert history["accuracy"][0] == pytest.approx(share)
    with pytest.raises(ValidationError, match="'loss' is the name of another value"):
        fitted(trainer, given, scores, metrics={"loss": metrics["highest"]})


def test_rates_can_be_regularised():
    net, given, scores = classifier()
    with net:
        spikes = nengo.Probe(net.ensembles[0].neurons, label="spikes")
    trainer = Trainer(net, batch=24, seed=0)
    rates = {probe: firing_rates(0.0, 0.05, weight=1e8) for probe in (spikes,)}
    before = trainer.predict({given: X})[spikes].mean()
    loss = {scores: "cross_entropy_mean", **rates}
    trainer.fit({given: X}, {scores: LABELS}, loss=loss, optimizer=optax.adam(0.02), epochs=8,
                progress_bar=False)  # fmt: skip
    assert trainer.predict({given: X})[spikes].mean() < 0.7 * before


def test_validation_callbacks_and_the_best_weights():
    net, given, scores = classifier()
    trainer = Trainer(net, batch=24, seed=0)
    seen = []

    def note(trainer, history):
        seen.append((history["validation_loss"][-1], trainer.params))

    history = fitted(
        trainer,
        given,
        scores,
        epochs=30,
        optimizer=optax.adam(0.5),
        validation=({given: X}, {scores: LABELS}),
        callbacks=[note, EarlyStopping(patience=3), BestWeights()],
    )
    values = history["validation_loss"]
    best = int(np.argmin(values))
    assert len(values) == min(30, best + 4)
    assert all(np.array_equal(each, seen[best][1][name]) for name, each in trainer.params.items())
    assert set(history.epochs[0]) >= {"loss", "seconds", "validation_loss", "validation_accuracy"}
    axes = history.plot()
    assert [line.get_label() for line in axes.lines] == [
        "loss",
        "accuracy",
        "validation loss",
        "validation accuracy",
    ]


def test_callbacks_of_metrics_that_do_not_exist_name_those_that_do():
    net, given, scores = classifier()
    trainer = Trainer(net, batch=24)
    with pytest.raises(ValidationError, match="no metric 'validation_loss', only 'loss', 'acc"):
        fitted(trainer, given, scores, callbacks=[EarlyStopping()])


def test_ctrl_c_keeps_what_was_learned():
    net, given, scores = classifier()
    trainer = Trainer(net, batch=24, seed=0)
    kept = []

    def interrupt(trainer, history):
        kept.append(trainer.params)
        if len(history) == 2:
            raise KeyboardInterrupt

    history = fitted(trainer, given, scores, callbacks=[interrupt])
    assert history.interrupted and len(history) == 2
    assert all(np.array_equal(kept[-1][name], each) for name, each in trainer.params.items())


def test_parameters_are_saved_and_loaded(tmp_path):
    net, given, scores = classifier()
    trainer = Trainer(net, batch=24, seed=0)
    fitted(trainer, given, scores, epochs=1)
    trainer.save(tmp_path / "learned.npz")
    other = Trainer(classifier()[0], seed=3)
    other.load(tmp_path / "learned.npz")
    assert all(np.array_equal(other.params[name], each) for name, each in trainer.params.items())
    third = Trainer(of_all_kinds()[0])
    with pytest.raises(ValidationError, match="is not in both"):
        third.load(tmp_path / "learned.npz")
    (tmp_path / "broken.npz").write_bytes(b"PK nothing")
    with pytest.raises(ValidationError, match="damaged"):
        third.load(tmp_path / "broken.npz")


def test_parameters_can_be_given_to_a_network_with_other_neurons():
    net, given, scores = classifier(nengo.LIFRate(amplitude=0.01))
    trainer = Trainer(net, batch=24, seed=0)
    fitted(trainer, given, scores, epochs=10)
    spiking, _, _ = classifier(nengo.LIF(amplitude=0.01))
    trainer.freeze_params(spiking)
    assert isinstance(spiking.ensembles[0].neuron_type, nengo.LIF)
    np.testing.assert_array_equal(spiking.ensembles[0].bias, trainer.params["hidden.bias"])
    other = Trainer(spiking)
    node, probe = spiking.nodes[0], spiking.probes[0]
    found = other.evaluate({node: X}, {probe: LABELS}, loss="cross_entropy_mean")
    assert found["accuracy"] > 0.9
    with pytest.raises(ValidationError, match="other objects"):
        trainer.freeze_params(of_all_kinds()[0])


@pytest.mark.parametrize(
    "x, y, loss, message",
    [
        (X[..., :3], LABELS, "mse", r"'given'.*needs the shape \(samples, steps, 4\)"),
        (X[0], LABELS, "mse", "'given'"),
        (X * np.nan, LABELS, "mse", "'given'.*not finite"),
        (X, LABELS[:5], "mse", "scores.*needs 48 targets"),
        (X, LABELS + 1, "cross_entropy_last", "scores.*has 3 classes, but labels from 1 to 3"),
        (X, LABELS * 1.0, "cross_entropy_last", "scores.*needs labels"),
        (X, LABELS, "cross", "Unknown loss 'cross'"),
        (X, np.zeros((48, 3)), "mse", r"scores.*shape \(48, 15, 3\), not \(48, 3\)"),
        (X, np.zeros((48, 14, 3)), "mse", r"scores.*shape \(48, 15, 3\), not \(48, 14, 3\)"),
    ],
)
def test_data_that_do_not_fit_are_named(x, y, loss, message):
    net, given, scores = classifier()
    trainer = Trainer(net)
    with pytest.raises(ValidationError, match=message):
        trainer.fit({given: x}, {scores: y}, loss=loss, progress_bar=False)


def test_other_arguments_are_checked():
    net, given, scores = classifier()
    for options in ({"batch": 0}, {"surrogate": "step"}, {"trainable": []}):
        with pytest.raises(ValidationError):
            Trainer(net, **options)
    trainer = Trainer(net)
    with pytest.raises(ValidationError, match="Unknown optimizer"):
        fitted(trainer, given, scores, optimizer="newton")
    with pytest.raises(ValidationError, match="no node"):
        trainer.predict({net.nodes[1]: X})


def test_a_loss_that_is_not_finite_names_probe_epoch_and_batch():
    net, given, scores = classifier()
    trainer = Trainer(net, batch=16, keep_state=True)
    before = trainer.params

    def loss(output, target):
        return (output.mean() * target.mean()) / (1 - target.max())

    target = np.zeros(48)
    target[40] = 1.0
    with pytest.raises(SimulationError, match=r"scores.* is .*inf in epoch 1, batch 3"):
        trainer.fit({given: X}, {scores: target}, loss=loss, progress_bar=False)
    assert all(np.array_equal(before[name], each) for name, each in trainer.params.items())


def test_progress_is_shown(capsys):
    net, given, scores = classifier()
    fitted(Trainer(net, batch=24), given, scores, epochs=2, progress_bar=True)
    assert "Epoch 2/2: loss" in capsys.readouterr().err


BY_HAND = """
import jax, jax.numpy as jnp, numpy as np
from tests.training.networks import classifier, patterns
import nengo, nengo_jit
{precision}
net, given, scores = classifier()
trainer = nengo_jit.Trainer(net)
step, params, state = trainer.function()
x, labels = patterns()

def scores_of(params, x):
    def one(state, u):
        state, outputs = step(params, state, {{"given": u}})
        return state, outputs["scores"]
    return jax.lax.scan(one, state, x)[1]

def loss(params):
    return (jax.vmap(lambda x: scores_of(params, x))(x) ** 2).mean()

value, slopes = jax.jit(jax.value_and_grad(loss))(params)
expected = (trainer.predict({{given: x}})[scores] ** 2).mean()
assert abs(value / expected - 1) < 1e-3, (value, expected)
assert all(np.isfinite(each).all() for each in slopes.values())
assert abs(slopes["hidden.neurons → out.transform"]).max() > 0
"""


@pytest.mark.parametrize(
    "precision",
    ["jax.config.update('jax_enable_x64', True)", "nengo.rc['precision']['bits'] = '32'"],
)
def test_the_function_works_in_loops_of_the_users_own(precision):
    code = BY_HAND.format(precision=precision)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(["", *sys.path])}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr


def test_without_jax_an_error_says_what_to_install(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("nengo_jit.training")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(nengo_jit, "training", raising=False)
    monkeypatch.delitem(vars(nengo_jit), "Trainer", raising=False)
    true_import = builtins.__import__

    def without(name, *arguments, **options):
        if name.split(".")[0] in ("jax", "optax"):
            raise ImportError(name)
        return true_import(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r'pip install "nengo-jit\[jax\]"'):
        nengo_jit.Trainer  # noqa: B018
