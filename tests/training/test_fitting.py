"""Values of odd shapes, states that carry over, and optimizers that search along a line."""

import nengo
import numpy as np
import optax
import pytest
from nengo.exceptions import ValidationError

from nengo_jit.training import BestWeights, EarlyStopping, History, Trainer

RNG = np.random.RandomState(0)
X = RNG.uniform(-1, 1, (8, 6, 1))


def learner():
    with nengo.Network(seed=0) as net:
        given = nengo.Node([0.0])
        first = nengo.Ensemble(5, 1, neuron_type=nengo.LIFRate(amplitude=0.01))
        result = nengo.Node(size_in=1)
        nengo.Connection(given, first, synapse=None)
        learned = nengo.Connection(first, result, learning_rule_type=nengo.PES(1e-3))
        nengo.Connection(given, learned.learning_rule)
        weights = nengo.Probe(learned, "weights")
    return net, given, weights


def test_weights_can_be_a_target():
    net, given, weights = learner()
    trainer = Trainer(net)
    target = np.full((8, 6, 1, 5), 0.1)
    history = trainer.fit(
        {given: X}, {weights: target}, optimizer=optax.sgd(0.05), epochs=3, progress_bar=False
    )
    assert history["loss"][-1] < history["loss"][0]
    with pytest.raises(ValidationError, match=r"shape \(8, 6, 1, 5\), not \(8, 6, 5\)"):
        trainer.evaluate({given: X}, {weights: target[:, :, 0]})


def test_a_batch_cannot_go_on_from_fewer_states():
    net, given, weights = learner()
    trainer = Trainer(net, keep_state=True)

    def batches(*sizes):
        return [({given: X[:n]}, {weights: np.zeros((n, 6, 1, 5))}) for n in sizes]

    trainer.fit(batches(4, 4, 3), epochs=1, progress_bar=False)
    with pytest.raises(ValidationError, match=r"4 samples.* only 3,.* in epoch 1, batch 2"):
        trainer.fit(batches(3, 4), epochs=1, progress_bar=False)


def test_an_optimizer_may_search_along_a_line():
    with nengo.Network() as net:
        given, result = nengo.Node([0.0]), nengo.Node(size_in=1)
        nengo.Connection(given, result, transform=1.0, synapse=None)
        probe = nengo.Probe(result)
    search = optax.scale_by_backtracking_linesearch(30)
    history = Trainer(net).fit(
        {given: X},
        {probe: 3 * X},
        optimizer=optax.chain(optax.sgd(1.0), search),
        epochs=5,
        progress_bar=False,
    )
    assert history["loss"][-1] < 0.01 * history["loss"][0]


def test_a_metric_that_is_nan_is_not_the_best():
    history = History()
    best, stop = BestWeights("loss"), EarlyStopping("share", patience=2)
    stopped = []

    class Trained:
        params = {}

    for number, (loss, share) in enumerate([(2.0, 0.5), (1.0, np.nan), (np.nan, 0.1)]):
        history.epochs.append({"loss": loss, "share": share})
        Trained.params = {"epoch": number}
        best(Trained, history)
        stopped.append(stop(Trained, history))
    best.at_end(Trained)
    assert Trained.params == {"epoch": 1}
    assert stopped == [False, False, True]
