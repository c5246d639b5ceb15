import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nengo_jit.builder.learning_rules import SimRLS
from nengo_jit.builder.operator import Copy
from nengo_jit.builder.signal import Signal

by_example = settings(max_examples=40, deadline=None, derandomize=True)
cases = given(
    seed=st.integers(0, 10**6),
    bits=st.sampled_from([32, 64]),
    n_post=st.integers(1, 30),
    n_pre=st.integers(1, 40),
)


@by_example
@cases
def test_rls(check, maker, seed, bits, n_post, n_pre):
    make = maker(seed, bits)
    weights, delta = make.signal(n_post, n_pre), make.signal(n_post, n_pre)
    root = make.array(n_pre, n_pre)
    inverse = Signal(np.eye(n_pre, dtype=root.dtype) + root.dot(root.T) / n_pre)
    rule = SimRLS(make.signal(n_pre), make.signal(n_post), delta, inverse)
    check([rule, Copy(delta, weights, inc=True)])
