"""Write the golden checkpoint of the present format: run this once for each format."""

from pathlib import Path

import nengo

import nengo_jit
from nengo_jit.persistence.checkpoint import FORMAT

N_STEPS = 40


class Steps:
    """Counts its calls, and saves its state."""

    n = 0

    def __call__(self, t):
        self.n += 1
        return self.n % 3

    def state(self):
        return {"n": self.n, "label": ("steps", None)}

    def load_state(self, state):
        assert state["label"] == ("steps", None)
        self.n = state["n"]


def golden_network():
    """A network with noise, learning, spikes from random numbers, and a function with a state."""
    with nengo.Network(seed=3) as net:
        pre = nengo.Ensemble(8, 1, noise=nengo.processes.WhiteNoise())
        post = nengo.Ensemble(6, 1, neuron_type=nengo.PoissonSpiking(nengo.LIFRate()))
        nengo.Connection(nengo.Node(Steps(), size_out=1), pre)
        learned = nengo.Connection(pre, post, learning_rule_type=nengo.PES())
        nengo.Connection(post, learned.learning_rule)
        nengo.Probe(pre, synapse=0.01)
        nengo.Probe(post.neurons)
    return net


if __name__ == "__main__":
    with nengo_jit.Simulator(golden_network(), progress_bar=False) as simulator:
        simulator.run_steps(N_STEPS)
        simulator.save(Path(__file__).parent / f"{FORMAT}.ckpt")
