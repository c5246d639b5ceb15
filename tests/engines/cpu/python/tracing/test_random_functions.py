"""Random functions give the same numbers, errors and warnings as tapes and in Python."""

import math

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

NUMBERS = ["0", "1", "2", "-3", "7", "True", "False", "0.0", "-0.0", "0.5", "-1.25", "3.7"]
NUMBERS += ["1e-3", "1e155", "-1e300", "2**53", "np.float64(2.5)", "np.pi", "g", "np.int64(3)"]
VALUES = ["t", "x[0]", "x[1]", "x[-1]", "int(x[0])", "(x[0] > t)", "round(t)", "x.sum()"]
UNARY = ["-({})", "abs({})", "float({})", "int({})", "round({})", "(not {})", "bool({})", "+({})"]
UNARY += ["({}) ** 2", "({}) ** 3", "2 ** bool({})"]
UNARY += [f"math.{name}({{}})" for name in ("sin", "exp", "log", "sqrt", "floor", "ceil", "atan")]
UNARY += [f"math.{name}({{}})" for name in ("tanh", "fabs", "degrees", "isnan", "log1p", "trunc")]
UNARY += [f"np.{name}({{}})" for name in ("sin", "exp", "log", "sqrt", "abs", "sign", "tanh")]
UNARY += [f"np.{name}({{}})" for name in ("square", "floor", "isfinite", "rint", "reciprocal")]
BINARY = [f"(({{}}) {op} ({{}}))" for op in ["+", "-", "*", "/", "//", "%", "+", "-", "*"]]
BINARY += ["(({}) ** float({}))"]  # powers of integers could take for ever
BINARY += [f"(({{}}) {op} ({{}}))" for op in ["<", "<=", "==", "!=", ">", ">=", "and", "or"]]
BINARY += ["min({}, {})", "max({}, {})", "math.atan2({}, {})", "math.fmod({}, {})"]
BINARY += ["np.maximum({}, {})", "np.arctan2({}, {})", "np.mod({}, {})", "pow({}, float({}))"]
BINARY += [
    "divmod({}, {})[0]",
    "math.copysign({}, {})",
    "np.power({}, {})",
    "np.where({0}, {1}, t)",
]
TERNARY = ["(({0}) if ({1}) else ({2}))", "np.clip({0}, {1}, {2})", "(({0}) < ({1}) <= ({2}))"]
TERNARY += ["[{0}, {1}, {2}][int(t) % 3]", "sum([{0}, {1}, {2}])", "max([{0}, {1}, {2}])"]

scalars = st.recursive(
    st.sampled_from(VALUES + VALUES + NUMBERS),
    lambda inner: st.one_of(
        st.builds(str.format, st.sampled_from(UNARY), inner),
        st.builds(str.format, st.sampled_from(BINARY), inner, inner),
        st.builds(str.format, st.sampled_from(TERNARY), inner, inner, inner),
    ),
    max_leaves=7,
)

VECTORS = [
    "x",
    "x[::-1]",
    "x.copy()",
    "a",
    "np.arange(3)",
    "np.zeros(3)",
    "(x > t)",
    "x[[2, 0, 1]]",
]
OF_VECTOR = ["-({})", "np.sin({})", "np.exp({})", "np.roll({}, 1)", "np.abs({})", "({}) ** 2"]
OF_VECTOR += ["np.cumsum({})", "np.tanh({})", "({}) ** 0.5", "np.array({})", "np.sqrt({})", "~({})"]
OF_VECTOR += ["np.roll({}, int(t))", "[v * 2 for v in {}]", "np.sign({})", "({}) ** -1"]
OF_TWO = [
    f"(({{}}) {op} ({{}}))" for op in ["+", "-", "*", "/", "//", "%", "<", ">=", "==", "&", "|"]
]
OF_TWO += ["np.maximum({}, {})", "np.where(x > 0, {}, {})", "np.hypot({}, {})"]
TO_SCALAR = ["np.sum({})", "np.max({})", "np.mean({})", "np.prod({})", "({})[1]", "len({})"]
TO_SCALAR += ["np.dot({0}, a)", "np.linalg.norm({})", "({})[int(t) % 3]", "np.any({})", "sum({})"]

vectors = st.recursive(
    st.sampled_from(VECTORS),
    lambda inner: st.one_of(
        st.builds(str.format, st.sampled_from(OF_VECTOR), inner),
        st.builds(str.format, st.sampled_from(OF_TWO), inner, inner),
        st.builds(str.format, st.sampled_from(OF_TWO), inner, scalars),
        st.builds("np.array([{}, {}, {}])".format, scalars, scalars, scalars),
    ),
    max_leaves=4,
)
results = st.one_of(
    scalars.map(lambda s: (s, 1)),
    st.builds("[{}, {}]".format, scalars, scalars).map(lambda s: (s, 2)),
    vectors.map(lambda s: (s, 3)),
    st.builds(str.format, st.sampled_from(TO_SCALAR), vectors).map(lambda s: (s, 1)),
)
numbers = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 1e155, -3.75, 1e-310]),
    st.floats(-10, 10),
    st.floats(allow_nan=False, allow_infinity=False),
)
inputs = st.lists(st.lists(numbers, min_size=3, max_size=3), min_size=4, max_size=4)


def function_of(expression):
    names = {"np": np, "math": math, "g": 2.5, "a": np.array([0.3, -1.7, 2.2])}
    return eval(f"lambda t, x: {expression}", names)


@settings(
    max_examples=400,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
@given(results, inputs, st.sampled_from([0, 700, 2999]))
def test_random_functions(run_function, result, inputs, initial):
    expression, size_out = result
    run_function(function_of(expression), inputs, size_out, initial=initial)
