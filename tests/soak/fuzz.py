"""Random networks with random faults: no crash, and no difference that rounding does not explain.

``make fuzz`` runs 2,000 of them with ``NENGO_JIT_CHECK=1``. A finding is printed with its seed;
``python tests/soak/fuzz.py --seed SEED --count 1`` runs it again.
"""

import logging
import sys
import warnings

import nengo
from pool import main
from random_faults import check, draw


def run(seed: int) -> None:
    """Run the case of a seed."""
    nengo.rc.reload_rc([])
    nengo.rc.set("decoder_cache", "enabled", "False")
    logging.getLogger("nengo_jit").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    case = draw(seed)
    try:
        check(case)
    except BaseException:
        print(case)
        raise


if __name__ == "__main__":
    sys.exit(main(__file__, run, __doc__, count=2000))
