"""Run the command line as a process."""

import os
import subprocess
import sys

MODEL = """
import nengo
import numpy as np

nengo.rc["decoder_cache"]["enabled"] = "False"  # it warns if other processes use it
with nengo.Network(seed=1) as model:
    stimulus = nengo.Node(lambda t: np.sin(6 * t))
    with nengo.Network() as inner:
        squares = nengo.Ensemble(30, 1)
    nengo.Connection(stimulus, squares, function=lambda x: x**2)
    decoded = nengo.Probe(squares, synapse=0.01, sample_every=0.002)
    spikes = nengo.Probe(squares.neurons)
"""


def command(*arguments, cwd=None, **environment):
    """Run nengo-jit; returns the finished process, with its output as text."""
    return subprocess.run(
        [sys.executable, "-m", "nengo_jit", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **environment},
        timeout=300,
    )


def refused(done):
    """The only line that a refused command printed."""
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("nengo-jit: ")
    return line
