"""Random networks with code in Python: it is called in nengo's order, with any number of threads.

``make fuzz-calls`` runs 4,000 of them, 500 of each kind of callers, half of these with ensembles.
A finding is printed with its seed; ``python tests/soak/fuzz_calls.py --seed SEED --count 1`` runs
it again.
"""

import sys
from functools import partial
from pathlib import Path

from pool import main, run_quietly

sys.path += [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "conformance")]

from random_calls import check, draw

run = partial(run_quietly, draw, check)

if __name__ == "__main__":
    sys.exit(main(__file__, run, __doc__, count=4000))
