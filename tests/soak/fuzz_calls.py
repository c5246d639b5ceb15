"""Random networks with code in Python: it is called in nengo's order, with any number of threads.

``make fuzz-calls`` runs 4,000 of them, 500 of each kind of callers, half of these with ensembles.
A finding is printed with its seed; ``python tests/soak/fuzz_calls.py --seed SEED --count 1`` runs
it again.
"""

import logging
import sys
import warnings
from pathlib import Path

import nengo
from pool import main

sys.path += [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "conformance")]

from random_calls import check, draw


def run(seed: int) -> None:
    """Run the case of a seed."""
    nengo.rc.reload_rc([])
    nengo.rc.set("decoder_cache", "enabled", "False")
    nengo.rc.set("progress", "progress_bar", "False")
    logging.getLogger("nengo_jit").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    case = draw(seed)
    try:
        check(case)
    except BaseException:
        print(case)
        raise


if __name__ == "__main__":
    sys.exit(main(__file__, run, __doc__, count=4000))
