"""Random networks with random faults: no crash, and no difference that rounding does not explain.

``make fuzz`` runs 2,000 of them with ``NENGO_JIT_CHECK=1``. A finding is printed with its seed;
``python tests/soak/fuzz.py --seed SEED --count 1`` runs it again.
"""

import sys
from functools import partial

from pool import main, run_quietly
from random_faults import check, draw

run = partial(run_quietly, draw, check)

if __name__ == "__main__":
    sys.exit(main(__file__, run, __doc__, count=2000))
