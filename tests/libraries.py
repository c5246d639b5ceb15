"""Array libraries beside NumPy, and how equal to NumPy's their results must be."""

import importlib

import numpy as np
import pytest

from nengo_jit.ir.products import Rows

LIBRARIES = ("numpy", "array_api_strict", "jax.numpy")

every_library = pytest.mark.parametrize("name", LIBRARIES)


class Library:
    """An array library.

    Parameters
    ----------
    name : str
        One of LIBRARIES; the test is skipped if it is not installed.
    """

    def __init__(self, name):
        jax = pytest.importorskip(name.split(".")[0])
        self.xp = importlib.import_module(name)
        self.jax = jax if name == "jax.numpy" else None
        if self.jax is not None:
            jax.config.update("jax_enable_x64", True)

    def call(self, function, arguments):
        """Call a function of arrays and other things; JAX traces it."""
        if self.jax is None:
            return function(*arguments)
        is_operand = [isinstance(each, self.jax.Array | Rows) for each in arguments]
        operands = [each for flag, each in zip(is_operand, arguments) if flag]

        def traced(operands):
            given = iter(operands)
            return function(
                *(next(given) if flag else each for flag, each in zip(is_operand, arguments))
            )

        return self.jax.jit(traced)(operands)

    def assert_equal(self, actual, expected, rtol=1e-12, scale=0.0):
        """See that results are NumPy's: to the bit or, with JAX, nearly."""
        actual, expected = np.asarray(actual), np.asarray(expected)
        if self.jax is None:
            np.testing.assert_array_equal(actual, expected)
        else:
            np.testing.assert_allclose(actual, expected, rtol=rtol, atol=rtol * scale)
