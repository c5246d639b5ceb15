"""``expm1`` and ``log1p`` in float64, for processors: XLA's are slower there, and less exact.

Argument reduction and series are those of `nengo_jit.engines.cpu.toolchain.llvm.elementary`, which
explains them (Muller, "Elementary Functions"). The largest errors found in millions of numbers are
1.8 and 1.5 units in the last place; those of XLA's functions on processors are 4.2 and 128.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from math import factorial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

FRACTION, BIAS = 52, 1023  # bits of a number's fraction; bias of its exponent
LN2 = float(np.log(2.0))
LN2_HIGH = int(LN2 * 2**32) / 2**32  # a product with an exponent is exact
LN2_LOW = float(Decimal(2).ln() - Decimal(LN2_HIGH))  # the rest of ln 2
OVERFLOWING, VANISHING = 1024.25 * LN2, -56 * LN2  # expm1 is infinite, and -1
NEGLIGIBLE = 2.0**-54  # its square does not change 1
ROOT_OF_HALF = 0.5**0.5

EXP_TAIL = [1.0 / factorial(n) for n in range(2, 14)]
LOG_TAIL = [2.0 / (2 * n + 1) for n in range(1, 10)]


def _is_ours(x: jax.Array) -> bool:
    """Whether XLA's function is slower and less exact."""
    return x.dtype == jnp.float64 and jax.default_backend() == "cpu"


def expm1(x: jax.Array) -> jax.Array:
    """Return ``exp(x) - 1``, precise near zero."""
    if not _is_ours(x):
        return jnp.expm1(x)
    bounded = jnp.clip(x, VANISHING, OVERFLOWING)
    n = jnp.round(bounded * (1.0 / LN2))
    r = (bounded - n * LN2_HIGH) - n * LN2_LOW
    y = r + (r * r) * _polynomial(EXP_TAIL, r)
    n = n - 1.0  # since 2**1024 is out of range
    half = (y + (1.0 - 0.5 * _power_of_two(-n))) * _power_of_two(n)
    return jnp.where(abs(x) < NEGLIGIBLE, x, half + half)


def log1p(x: jax.Array) -> jax.Array:
    """Return ``log(1 + x)``, precise near zero."""
    if not _is_ours(x):
        return jnp.log1p(x)
    # 1 + x = 2**k (1 + f); f is computed from x, since 1 + x is rounded.
    bits = lax.bitcast_convert_type(1.0 + x, jnp.int64)
    exponent = (bits + (_as_integer(1.0) - _as_integer(ROOT_OF_HALF))) >> FRACTION
    k = (exponent - BIAS).astype(x.dtype)
    scale = _power_of_two(2.0 - k)
    f = (0.25 * x) * scale + (0.25 * scale - 1.0)
    s = f / (2.0 + f)
    square, half_square = s * s, (0.5 * f) * f
    correction = s * (half_square + square * _polynomial(LOG_TAIL, square)) + k * LN2_LOW
    y = k * LN2_HIGH + (f - (half_square - correction))
    y = jnp.where(abs(x) < NEGLIGIBLE, x, y)
    special = jnp.where(x < -1.0, jnp.nan, jnp.where(x == -1.0, -jnp.inf, x))
    return jnp.where((x > -1.0) & (x < jnp.inf), y, special)


def _as_integer(value: float) -> int:
    return int(np.asarray(value).view(np.int64))


def _power_of_two(n: jax.Array) -> jax.Array:
    """Two to the power of an integer that is given as a floating-point number."""
    return lax.bitcast_convert_type((n.astype(jnp.int64) + BIAS) << FRACTION, jnp.float64)


def _polynomial(coefficients: Sequence[float], x: jax.Array) -> jax.Array:
    """Return ``coefficients[0] + coefficients[1] x + ...`` by Horner's scheme."""
    value = jnp.full_like(x, coefficients[-1])
    for each in reversed(coefficients[:-1]):
        value = value * x + each
    return value
