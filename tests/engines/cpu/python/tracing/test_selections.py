"""Elements that a computed condition or index selects, and what stays in Python."""

import numpy as np
import pytest

W = np.arange(12.0).reshape(3, 4)[:, ::2]


def added(t, x):
    v = x * 2.0
    v[v > 0] += t
    v[x < -0.5] *= 3
    return v


def from_others(t, x):
    v, w = x * 2.0, x - t
    chosen = v < w
    v[chosen] = 2 * w[chosen] - v[chosen]
    return v


def of_integers(t, x):
    n = np.arange(3)
    n[x > 0] += 2
    n[x > 0.5] = x[x > 0.5] * 9
    return n


def in_matrices(t, x):
    m = np.outer(x, x + t)
    m[m > 0.1] -= 0.5
    m.T[m.T < -0.2] /= 3
    return m[1]


def of_an_alias(t, x):
    v = x.copy()
    chosen = v > 0
    taken = v[chosen]
    same = taken
    taken += 1
    v[chosen] = same
    return v


def at_an_index(t, x):
    v = x.copy()
    v[int(t * 1000) % 6 - 3] = 5.0
    v[np.argmax(x)] += 1
    return v


def at_rows(t, x):
    m = np.outer(x, x)
    m[int(t * 1000) % 3] = x
    m[np.array([int(t * 1000) % 2])] = 7.0
    return m[:, 1]


def copied_row(t, x):
    m = np.outer(x, x)
    row = m[np.array([int(t * 1000) % 3])]
    m[:] = t
    return row.ravel() + m[0]


def counted(t, x):
    return [np.count_nonzero(x > 0), np.round(x[0] * 9), (x * 9).round()[1] + x.clip(0, 0.5)[2]]


def multiplied(t, x):
    m = np.outer(x, x + t)
    return np.dot(m + 1, m.T * 2)[1] + (m @ (m + t))[0]


def short(t, x):
    v = x.astype(np.float32)
    v[v > 0] += t
    v[np.argmin(x)] = t
    return v


COMPILED = [
    *(added, from_others, of_integers, in_matrices, of_an_alias, at_an_index, at_rows, copied_row),
    *(counted, multiplied, short),
]


@pytest.mark.parametrize("function", COMPILED, ids=lambda function: function.__name__)
def test_compiled(run_function, function):
    inputs = np.random.RandomState(3).uniform(-1, 1, (60, 3))
    inputs[5], inputs[6] = 0.0, -0.0
    inputs[7, 1], inputs[8] = np.inf, 1e300
    remark = run_function(function, inputs, 3)
    assert remark.startswith("compiled")


def out_of_range(t, x):
    v = x.copy()
    v[int(t * 1000) % 7 - 3] = 5.0
    return v


def test_an_index_out_of_range_is_an_error(run_function):
    run_function(out_of_range, np.ones((3, 3)), 3)


def by_calling_numpy(t, x):
    m = np.outer(x, x)
    return (m @ m.T)[0] + np.fft.fft(x).real + W[:, 1] * t


def inexact(t, x):
    v = x * 2.0
    v[x > 0] = np.log1p(v[x > 0]) / np.tanh(x[x > 0] + 0.1)
    return v + np.sum(v[v > 0.5]) + np.mean(x[x > -2])


def of_rows(t, x):
    m = np.outer(x, x + t)
    m[x > 0] += 0.5 * x
    m[:, x < 0] = 3.0
    m[x > 0.5, :] = x
    return m.ravel()[2:5]


def by_indices(t, x):
    v = x.copy()
    (chosen,) = np.nonzero(x > 0)
    v[chosen] *= 2
    if len(chosen) > 1:
        v[np.where(x < -0.3)] = t
    return v + chosen.size


def row_in_place(t, x):
    m = np.outer(x, x)
    winner = np.argmax(x)
    m[winner] += 0.1 * (x - m[winner])
    m[winner, :] *= 2
    return m[:, 1] + m[winner, winner]


@pytest.mark.parametrize(
    "function",
    [by_calling_numpy, inexact, of_rows, by_indices, row_in_place],
    ids=lambda function: function.__name__,
)
def test_selected_and_called(run_function, function):
    inputs = np.random.RandomState(3).uniform(-1, 1, (60, 3))
    inputs[5], inputs[6] = 0.0, -0.0
    inputs[7, 1], inputs[8] = np.inf, 1e300
    assert run_function(function, inputs, 3).startswith("compiled")


IN_PYTHON = {
    "makes a large array or list": lambda t, x: np.zeros(600_000)[:3] + x,
    "calculates with elements that different conditions select": (
        lambda t, x: np.sum(x[x > 0] * x[x >= 0]) + x
    ),
    "calls `unique`": lambda t, x: np.unique(x),
}


@pytest.mark.parametrize("reason", IN_PYTHON)
def test_what_stays_in_python(run_function, reason):
    inputs = np.random.RandomState(3).uniform(0.1, 1, (5, 3))
    assert reason in run_function(IN_PYTHON[reason], inputs, 3)
