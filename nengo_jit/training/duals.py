"""Dual numbers: values, and how they change if the arguments of a formula do.

The change of a result is a sum of changes times slopes. JAX transposes it, so that one pass gives
the gradients of all arguments. A slope that is not finite is zero. So what `where` does not select,
which may be infinite or NaN, adds nothing to a gradient, and none is NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from types import ModuleType
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp

from nengo_jit.engines.jax.arrays import xp

Change: TypeAlias = jax.Array | None  # None is zero
Surrogate: TypeAlias = Callable[[jax.Array], jax.Array]


class Dual:
    """An array and its change, for arithmetic.

    Parameters
    ----------
    value : jax.Array or float
        The value.
    change : jax.Array or None
        Its change; None is zero.
    """

    __array_ufunc__ = None  # NumPy's numbers leave operations to this class

    def __init__(self, value: Any, change: Change = None):
        self.value, self.change = value, change

    def __add__(self, other: Any) -> Dual:
        b = _dual(other)
        return Dual(self.value + b.value, _sum(self.change, b.change))

    def __sub__(self, other: Any) -> Dual:
        return self + (-_dual(other))

    def __rsub__(self, other: Any) -> Dual:
        return _dual(other) - self

    def __neg__(self) -> Dual:
        return Dual(-self.value, None if self.change is None else -self.change)

    def __mul__(self, other: Any) -> Dual:
        b = _dual(other)
        change = _sum(_scaled(self.change, b.value), _scaled(b.change, self.value))
        return Dual(self.value * b.value, change)

    def __truediv__(self, other: Any) -> Dual:
        b = _dual(other)
        value, slope = self.value / b.value, 1.0 / jnp.asarray(b.value)
        change = _sum(_scaled(self.change, slope), _scaled(b.change, -value * slope))
        return Dual(value, change)

    def __rtruediv__(self, other: Any) -> Dual:
        return _dual(other) / self

    def __pow__(self, power: float) -> Dual:
        return Dual(self.value**power, _scaled(self.change, power * self.value ** (power - 1)))

    def __abs__(self) -> Dual:
        return Dual(abs(self.value), _scaled(self.change, jnp.sign(self.value)))

    def __lt__(self, other: Any) -> jax.Array:
        return jnp.less(self.value, _dual(other).value)

    def __le__(self, other: Any) -> jax.Array:
        return jnp.less_equal(self.value, _dual(other).value)

    def __gt__(self, other: Any) -> jax.Array:
        return jnp.greater(self.value, _dual(other).value)

    def __ge__(self, other: Any) -> jax.Array:
        return jnp.greater_equal(self.value, _dual(other).value)

    __radd__, __rmul__ = __add__, __mul__


class Spiked(NamedTuple):
    """The condition of a spike.

    Attributes
    ----------
    fired : jax.Array of bool
        Whether there is one.
    distance : Dual
        Distance to the threshold, in thresholds.
    """

    fired: jax.Array
    distance: Dual


@lru_cache
def vocabulary(surrogate: Surrogate) -> ModuleType:
    """Return the functions of formulas for dual numbers, as a module for `nengo_jit.scalar.bind`.

    The slope of ``where(above(x, t), a, b)`` in ``x`` is ``surrogate(distance) (a - b) / |t|``, and
    that of ``floor(x)`` is one: neuron types that count spikes in whole numbers have the gradient
    of their rate.
    """
    library = ModuleType("duals", __doc__)
    vars(library).update(
        where=partial(_where, surrogate),
        greater=partial(_compared, jnp.greater),
        greater_equal=partial(_compared, jnp.greater_equal),
        maximum=partial(_extreme, jnp.maximum, jnp.greater_equal),
        minimum=partial(_extreme, jnp.minimum, jnp.less_equal),
        exp=partial(_function, xp.exp, lambda x, y: y),
        expm1=partial(_function, xp.expm1, lambda x, y: y + 1.0),
        log1p=partial(_function, xp.log1p, lambda x, y: 1.0 / (1.0 + x)),
        tanh=partial(_function, xp.tanh, lambda x, y: 1.0 - y * y),
        floor=partial(_function, xp.floor, lambda x, y: 1.0),
    )
    return library


def _dual(x: Any) -> Dual:
    return x if isinstance(x, Dual) else Dual(x)


def _sum(a: Change, b: Change) -> Change:
    if a is None or b is None:
        return b if a is None else a
    return a + b


def _scaled(change: Change, slope: Any) -> Change:
    if change is None:
        return None
    return change * jnp.where(jnp.isfinite(slope), slope, 0.0).astype(change.dtype)


def _function(
    function: Callable[[Any], Any], slope: Callable[[Any, Any], Any], argument: Any
) -> Dual:
    x = _dual(argument)
    y = function(x.value)
    return Dual(y, None if x.change is None else _scaled(x.change, slope(x.value, y)))


def _extreme(
    function: Callable[[Any, Any], Any], is_first: Callable[[Any, Any], Any], a: Any, b: Any
) -> Dual:
    a, b = _dual(a), _dual(b)
    change = _selected(is_first(a.value, b.value), a.change, b.change)
    return Dual(function(a.value, b.value), change)


def _compared(compare: Callable[..., jax.Array], x: Any, threshold: Any) -> Spiked:
    x, threshold = _dual(x), _dual(threshold)
    return Spiked(compare(x.value, threshold.value), (x - threshold) / abs(threshold))


def _where(surrogate: Surrogate, condition: Any, if_true: Any, if_false: Any) -> Dual:
    a, b = _dual(if_true), _dual(if_false)
    if not isinstance(condition, Spiked):
        return Dual(
            jnp.where(condition, a.value, b.value), _selected(condition, a.change, b.change)
        )
    fired, distance = condition
    dtype = jnp.asarray(distance.value).dtype
    high, low = (jnp.asarray(each.value, dtype) for each in (a, b))
    slope = surrogate(distance.value) * (high - low)
    change = _sum(_scaled(distance.change, slope), _selected(fired, a.change, b.change))
    return Dual(jnp.where(fired, high, low), change)


def _selected(condition: Any, a: Change, b: Change) -> Change:
    if a is None and b is None:
        return None
    return jnp.where(condition, 0.0 if a is None else a, 0.0 if b is None else b)
