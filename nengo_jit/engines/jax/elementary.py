"""``expm1`` and ``log1p``, for processors: XLA's are slower there, and less exact.

Argument reduction and series are those of `nengo_jit.engines.cpu.toolchain.llvm.elementary`, which
explains them (Muller, "Elementary Functions"). The largest errors found in millions of numbers are
1.8 and 1.5 units in the last place in float64, and 2.4 and 1.4 in float32; those of XLA's functions
on processors are 4.2 and 128, and 5.7 and 2.5.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from math import factorial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

LN2 = float(np.log(2.0))
ROOT_OF_HALF = 0.5**0.5
EXP_TAIL = [1.0 / factorial(n) for n in range(2, 14)]
COTH_TAIL = [1.0 / 48, -1.0 / 2_880, 1.0 / 120_960]  # of an eighth of r coth(r/2)


class Format:
    """A type of floating-point numbers, and what the functions need for it.

    Parameters
    ----------
    dtype : numpy.dtype
        float32 or float64.
    ln2_bits : int
        Bits of the first part of ln 2. Its product with an exponent is exact.
    log_terms : int
        Number of terms of the series of the logarithm.

    Attributes
    ----------
    fraction, bias : int
        Bits of a number's fraction; bias of its exponent.
    integer : numpy.dtype
        Integers of the same size.
    ln2_high, ln2_low : float
        ln 2 in two parts.
    overflowing, vanishing : float
        Where expm1 is infinite, and -1.
    negligible : float
        The square of this number does not change 1.
    log_tail : list of float
        Coefficients of the series of the logarithm.
    """

    def __init__(self, dtype: np.dtype, ln2_bits: int, log_terms: int):
        info = np.finfo(dtype)
        self.dtype, self.fraction, self.bias = dtype, info.nmant, info.maxexp - 1
        self.integer = np.dtype(f"i{dtype.itemsize}")
        self.ln2_high = int(LN2 * 2**ln2_bits) / 2**ln2_bits
        self.ln2_low = float(Decimal(2).ln() - Decimal(self.ln2_high))
        self.overflowing, self.vanishing = (info.maxexp + 0.25) * LN2, -(info.nmant + 4) * LN2
        self.negligible = 2.0 ** -(info.nmant + 2)
        self.log_tail = [2.0 / (2 * n + 1) for n in range(1, 1 + log_terms)]

    def word_of(self, value: float) -> int:
        """Return the bits of a number as an integer."""
        return int(np.asarray(value, self.dtype).view(self.integer))

    def power_of_two(self, n: jax.Array) -> jax.Array:
        """Return two to the power of a whole number that is given as a floating-point number."""
        shifted = n + (1.5 * 2.0**self.fraction + self.bias)  # its last bits are n plus the bias
        bits = lax.bitcast_convert_type(shifted, self.integer) << self.fraction
        return lax.bitcast_convert_type(bits, self.dtype)


FORMATS = {
    np.dtype(np.float64): Format(np.dtype(np.float64), 32, 9),
    np.dtype(np.float32): Format(np.dtype(np.float32), 15, 4),
}


def _format_of(x: jax.Array) -> Format | None:
    """Return the format of numbers if XLA's functions are slower and less exact for it."""
    return FORMATS.get(x.dtype) if jax.default_backend() == "cpu" else None


def expm1(x: jax.Array) -> jax.Array:
    """Return ``exp(x) - 1``, precise near zero."""
    form = _format_of(x)
    if form is None:
        return jnp.expm1(x)
    bounded = jnp.clip(x, form.vanishing, form.overflowing)
    n = jnp.round(bounded * (1.0 / LN2))
    r = (bounded - n * form.ln2_high) - n * form.ln2_low
    n = n - 1.0  # since two to the power of the largest exponent is out of range
    of_reduced = _by_division if form.dtype == np.float32 else _by_series
    return jnp.where(abs(x) < form.negligible, x, of_reduced(form, n, r))


def _by_series(form: Format, n: jax.Array, r: jax.Array) -> jax.Array:
    """Return ``2**(n + 1) exp(r) - 1``."""
    y = r + (r * r) * _polynomial(EXP_TAIL, r)
    half = (y + (1.0 - 0.5 * form.power_of_two(-n))) * form.power_of_two(n)
    return half + half


def _by_division(form: Format, n: jax.Array, r: jax.Array) -> jax.Array:
    """Return ``2**(n + 1) exp(r) - 1``, with half a unit more of error.

    XLA computes a division once, but all that follows once for each result that needs it. So the
    division comes last: ``exp(r) - 1 = 2 r / (c - r)``, where ``c = r coth(r/2)``.
    """
    scale = form.power_of_two(n)
    denominator = 0.25 - 0.125 * r + (r * r) * _polynomial(COTH_TAIL, r * r)
    return (0.5 * scale * r + (scale - 0.5) * (2.0 * denominator)) / denominator


def log1p(x: jax.Array) -> jax.Array:
    """Return ``log(1 + x)``, precise near zero."""
    form = _format_of(x)
    if form is None:
        return jnp.log1p(x)
    # 1 + x = 2**k (1 + f); f is computed from x, since 1 + x is rounded.
    bits = lax.bitcast_convert_type(1.0 + x, form.integer)
    exponent = (bits + (form.word_of(1.0) - form.word_of(ROOT_OF_HALF))) >> form.fraction
    k = (exponent - form.bias).astype(x.dtype)
    scale = form.power_of_two(2.0 - k)
    f = (0.25 * x) * scale + (0.25 * scale - 1.0)
    s = f / (2.0 + f)
    square, half_square = s * s, (0.5 * f) * f
    correction = s * (half_square + square * _polynomial(form.log_tail, square)) + k * form.ln2_low
    y = k * form.ln2_high + (f - (half_square - correction))
    y = jnp.where(abs(x) < form.negligible, x, y)
    special = jnp.where(x < -1.0, jnp.nan, jnp.where(x == -1.0, -jnp.inf, x))
    return jnp.where((x > -1.0) & (x < jnp.inf), y, special)


def _polynomial(coefficients: Sequence[float], x: jax.Array) -> jax.Array:
    """Return ``coefficients[0] + coefficients[1] x + ...`` by Horner's scheme."""
    value = jnp.full_like(x, coefficients[-1])
    for each in reversed(coefficients[:-1]):
        value = value * x + each
    return value
