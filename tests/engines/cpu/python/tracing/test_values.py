"""Iterators, identities, types, views and layouts are those that Python and NumPy have."""

import collections.abc
import numbers
from types import FunctionType

import numpy as np
import pytest

PAIR = (1.0, 2.0)
NESTED = ((1.0, 2.0), (3.0, 4.0))
MATRIX = np.random.RandomState(0).randn(5, 4)
WIDE = np.random.RandomState(1).randn(4, 8)
NAN = float("nan")
CASES = {}


def case(function):
    CASES[function.__name__] = function
    return function


def squares(values):
    for value in values:
        yield value * value


# Iterators have a state


@case
def zip_is_consumed(t, x):
    pairs = zip(x, x)
    total = sum(a * b for a, b in pairs)
    return [total, len(list(pairs))]


@case
def zip_takes_one_too_many(t, x):
    long, short = iter(x), iter([t])
    pairs = list(zip(long, short))
    return [len(pairs), next(long)]


@case
def enumerate_goes_on(t, x):
    pairs = enumerate(x, 3)
    for _, value in pairs:
        if value > -5:
            break
    return [i + v for i, v in pairs][:2]


@case
def reversed_goes_on(t, x):
    values = reversed(x)
    for _ in values:
        break
    return [*values][:2]


@case
def generator_is_consumed(t, x):
    values = squares(x)
    return [sum(values), sum(values)]


@case
def generator_expression_is_consumed(t, x):
    values = (2 * v for v in x)
    total = 0.0
    for value in values:
        total += value
        if total != 0:
            break
    return [total, len(list(values))]


@case
def generator_is_lazy(t, x):
    seen = []

    def numbers_of(values):
        for value in values:
            seen.append(value)
            yield value

    for value in numbers_of(x):
        if value * 0 == 0:
            break
    return [len(seen), seen[0]]


@case
def generator_that_returns(t, x):
    def first_positive(values):
        for value in values:
            if value > 0:
                yield value
                return
            yield -1.0

    return [sum(first_positive(x)), len(list(first_positive(x)))]


@case
def generator_with_finally(t, x):
    seen = [t]

    def careful():
        try:
            yield 1.0
            yield 2.0
        finally:
            seen.append(5.0)

    for _ in careful():
        break
    return [len(seen), sum(seen)]


@case
def any_stops(t, x):
    values = iter(x)
    found = any(v > -100 for v in values)
    return [found, len(list(values))]


@case
def unpacking_takes_all(t, x):
    values = iter([1.0, t, 3.0])
    a, *rest = values
    b, c = rest
    return [a + b + c, len(list(values))]


@case
def next_with_default(t, x):
    values = iter([t])
    return [next(values, 5.0), next(values, 5.0)]


@case
def array_changes_under_iteration(t, x):
    taken = []
    for value in x:
        x[1:] = 7.0
        taken.append(value)
    return taken[:2]


@case
def list_grows_under_iteration(t, x):
    values = [t, 1.0]
    for value in values:
        if len(values) < 5:
            values.append(value + 1)
    return [len(values), sum(v * i for i, v in enumerate(values))]


# Identities and types


@case
def tuples_are_themselves(t, x):
    return [PAIR is PAIR, NESTED[0] is NESTED[0]]


@case
def tuples_made_are_others(t, x):
    mine = (t, 2.0)
    return [mine is tuple(mine), mine[:] is mine]


@case
def lists_are_others(t, x):
    mine = [t]
    return [mine is list(mine), mine is mine]


@case
def attributes_that_are_none(t, x):
    values = [t]
    return [x.base is None, (x.copy().base is None) + (values.append is None)]


@case
def attributes_of_numbers(t, x):
    return [t.real + t.imag, x[0].real]


@case
def booleans(t, x):
    return [(t > 0.1) is True, (t > 0.1) is None]


@case
def functions_are_callable(t, x):
    def function():
        return t

    return [callable(function), callable(t) + callable(x)]


@case
def functions_have_a_type(t, x):
    def function():
        return t

    return [isinstance(function, FunctionType), type(function) is FunctionType]


@case
def abstract_types(t, x):
    return [isinstance(t, numbers.Real), isinstance([t], collections.abc.Sequence)]


@case
def iterators_have_a_type(t, x):
    pairs = zip(x, x)
    return [isinstance(pairs, list), isinstance(pairs, zip) + callable(pairs)]


@case
def not_a_number_is_itself(t, x):
    return [NAN in [NAN, t], NAN == NAN]


# Views and copies


@case
def diagonal_matrix(t, x):
    return np.diag(x)[0][:2] + np.diag(x, 1)[0][:2] + np.diag(x, -1)[1][:2]


@case
def diagonal_is_a_view(t, x):
    matrix = np.outer(x, x)
    diagonal = np.diag(matrix)
    matrix[0, 0] = 5.0
    return diagonal[:2]


@case
def layout_of_sums(t, x):
    matrix = np.outer(x, x + 1)[:, :2]
    result = matrix.T + matrix.T
    result.ravel()[1] = 7.0
    return result.ravel()[:2]


@case
def layout_of_mixed_sums(t, x):
    matrix = np.outer(x, x + 1)
    result = matrix.T * matrix
    result.ravel()[1] = 7.0
    result.T.ravel()[2] = 9.0
    return result.ravel()[1:3]


@case
def layout_of_outer_sums(t, x):
    result = x[:, None] + x
    result.ravel()[1] = 7.0
    return result.ravel()[:2]


@case
def layout_of_copies(t, x):
    matrix = np.outer(x, x + 1).T
    results = [np.array(matrix), np.copy(matrix), matrix.copy(), matrix.astype(float)]
    results += [np.zeros_like(matrix), np.where(matrix > 0, matrix, t), -matrix]
    results += [np.maximum(matrix, 0), matrix.astype(bool), np.sin(matrix), matrix > 0]
    total = np.zeros(2)
    for i, result in enumerate(results):
        result.ravel()[1] = 2 + i
        total += result.ravel()[1:3]
    return total


@case
def take_of_one(t, x):
    return [isinstance(np.take(x, 0), np.ndarray), np.take(x, 1)]


@case
def row_that_is_written(t, x):
    matrix = np.outer(x, x)
    row = matrix[int(t * 1000) % 3]
    row[0] = 100.0
    return matrix[:2, 0]


@case
def row_of_what_is_written(t, x):
    matrix = np.outer(x, x)
    row = matrix[int(t * 1000) % 3]
    matrix[:, 1] = 100.0
    return row[:2]


@case
def row_that_is_a_column(t, x):
    column = (WIDE * x[0]).T[int(t * 1000) % 3]
    return [np.dot(column, column), np.tanh(column)[1]]


@case
def copies_are_new(t, x):
    same, other = np.asarray(x), np.array(x)
    same[0] = 5.0
    return [x[0], other[0]]


@case
def in_place_of_another_shape(t, x):
    try:
        x += np.ones((1, 3))
    except ValueError:
        return [1.0, 2.0]
    return x[:2]


# Numbers to the last bit


def close(values):
    """All bits of some numbers, in two."""
    return [np.sum(values), np.sum(np.abs(values) * np.arange(1.0, len(values) + 1))]


@case
def products_of_transposed(t, x):
    return close(np.append(MATRIX.T @ np.append(x, [t, 1.1]), np.dot(MATRIX.T, MATRIX[:, 0] * t)))


@case
def products_of_strided(t, x):
    return close(WIDE[:, ::2] @ np.append(x, t))


@case
def dot_of_strided(t, x):
    values = np.concatenate([np.sin(np.arange(11.0) * t), x])
    return [np.dot(values[::2], values[::-2]), values[::3] @ values[::3]]


@case
def norm_of_strided(t, x):
    values = np.concatenate([np.sin(np.arange(11.0) * t), x])
    return [np.linalg.norm(values[::2]), np.linalg.norm(values[::-1])]


@case
def sum_of_reversed(t, x):
    values = np.concatenate([np.sin(np.arange(11.0) * t), x])
    return [np.sum(values[::-1]), np.prod(values[::-2])]


@case
def dot_with_zero(t, x):
    return np.dot(-np.abs(x), 0)[:2] + np.dot(0.0, -x)[:2]


@case
def dot_of_one(t, x):
    return [np.dot(x[:1], [-0.0]), np.dot(x[:1], np.zeros(1))]


@case
def functions_of_transposed(t, x):
    matrix = np.outer(np.abs(x) + 0.3, np.append(np.abs(x) + t, 0.7)).T
    values = [np.abs(matrix) ** 1.7, np.power(matrix, 0.3), np.log(matrix), np.exp(matrix)]
    values += [np.sin(matrix), np.tanh(matrix[::2]), np.arctan2(matrix, matrix.T[0][:3])]
    return close(np.concatenate([value.ravel() for value in values]))


@case
def functions_of_vectors(t, x):
    values = np.abs(np.append(x, t)) + 0.1
    return close(np.concatenate([np.log(values), np.power(values, 1.7), np.exp(values)]))


@case
def functions_of_strided(t, x):
    values = np.abs(np.concatenate([np.sin(np.arange(31.0) * (t + 1)), x])) + 0.1
    results = [np.log(values[::2]), values[::3] ** 1.7, np.exp(values[::-1]), np.cos(values[1::2])]
    results += [np.log(values[[3, 1, 2, 9]]), np.power(values[::2].copy(), 2.3)]
    results += [np.log(MATRIX[:, 1] ** 2 + t), np.log(np.abs(MATRIX[:, 1]))]
    return close(np.concatenate(results))


@pytest.mark.parametrize("name", CASES)
def test_values_are_those_of_python(run_function, name):
    inputs = np.random.RandomState(3).uniform(-1, 1, (60, 3))
    inputs[5], inputs[6] = 0.0, -0.0
    run_function(CASES[name], inputs, 2)


COMPILED = [
    *("zip_is_consumed", "enumerate_goes_on", "generator_is_lazy", "any_stops", "booleans"),
    *("tuples_are_themselves", "functions_are_callable", "diagonal_matrix", "layout_of_sums"),
    *("functions_have_a_type", "array_changes_under_iteration", "sum_of_reversed"),
]


@pytest.mark.parametrize("name", COMPILED)
def test_they_are_compiled(run_function, name):
    remark = run_function(CASES[name], np.ones((20, 3)), 2)
    assert remark.startswith("compiled") != (name == "booleans")


def test_np_split_of_a_list_is_left_to_python(run_function):
    remark = run_function(lambda t, x: np.split([x[0], t], 2)[0], np.ones((3, 2)))
    assert "np.split" in remark
