"""Random Python functions: compiled or not, they give the same bits and errors, and none crashes.

``make fuzz-python`` runs 20,000 random programs, and as many calls of the functions that may be
compiled. A finding is printed with its program and seed;
``python tests/soak/fuzz_python.py --seed SEED --count 1`` runs it again.
"""

import sys
from pathlib import Path

from pool import main

sys.path.append(str(Path(__file__).resolve().parents[1] / "engines" / "cpu" / "python" / "tracing"))

import every_function
import random_neurons
import random_programs

NEURONS = 20  # a neuron type takes as long as this many programs


def run(seed):
    """Check the program, the call and, of some seeds, the neuron type."""
    random_programs.run(seed)
    every_function.run(seed)
    if seed % NEURONS == 0:
        random_neurons.run(seed)


if __name__ == "__main__":
    sys.exit(main(__file__, run, __doc__, count=20_000))
