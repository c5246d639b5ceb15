"""Whether an optimizer may have like parameters in one array: what it computes, as expressions.

It may if it computes the same of each parameter, element by element, as Adam does. Norms of a
parameter are no such computation, nor are masks for some names, nor those for matrices only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import optax
from jax.extend.core import Literal

from nengo_jit.training.stacks import Stacked, Stacks

N_STEPS = 2  # of an optimizer: after the first, its state is no longer the initial one
CALLS = ("jit", "pjit", "closed_call")
OF_SHAPES = ("shape", "broadcast_dimensions", "sharding", "ctx_mesh", "inline", "jaxpr", "name")
# fmt: off
ELEMENTWISE = {
    "abs", "add", "add_any", "and", "ceil", "clamp", "convert_element_type", "copy", "cos", "div",
    "eq", "erf", "exp", "exp2", "expm1", "floor", "ge", "gt", "integer_pow", "is_finite", "le",
    "log", "log1p", "logistic", "lt", "max", "min", "mul", "ne", "neg", "not", "or", "pow", "rem",
    "round", "rsqrt", "select_n", "sign", "sin", "sqrt", "square", "stop_gradient", "sub", "tan",
    "tanh", "xor",
}
# fmt: on


class NotElementwiseError(Exception):
    """An array is used as a whole."""


class Expressions:
    """Numbers for expressions: equal ones have the same number."""

    def __init__(self) -> None:
        self._known: dict[object, int] = {}
        self._of_params: set[int] = set()

    def number(self, *expression: object) -> int:
        """Return the number of an expression: an operation, and the numbers of its operands."""
        return self._known.setdefault(expression, len(self._known))

    def of_updates(
        self, optimizer: optax.GradientTransformation, params: Stacked, kinds: Mapping[str, str]
    ) -> dict[str, int]:
        """Return the number of the expression that each parameter is changed by.

        Parameters
        ----------
        optimizer : optax.GradientTransformation
            The optimizer.
        params : dict of (str, jax.Array)
            Parameters, or stacks of them.
        kinds : mapping of (str, str)
            What is written in expressions for each of them: the name of its stack.

        Raises
        ------
        NotElementwiseError
            If an array is used as a whole.
        """

        def steps(params: Stacked, slopes: list[Stacked]) -> Stacked:
            state = optimizer.init(params)
            for each in slopes:
                updates, state = optimizer.update(each, state, params)
                params = optax.apply_updates(params, updates)
            return params

        arguments = params, [params] * N_STEPS
        traced = jax.make_jaxpr(steps)(*arguments)
        paths = jax.tree_util.tree_flatten_with_path(arguments)[0]
        inputs = [self.number(path[:-1], kinds[path[-1].key]) for path, _ in paths]
        self._of_params.update(inputs)
        results = self._evaluated(traced.jaxpr, traced.consts, inputs)
        return dict(zip(sorted(params), results))

    def _evaluated(self, jaxpr: Any, constants: Sequence[Any], inputs: Sequence[int]) -> list[int]:
        numbers = dict(zip(jaxpr.invars, inputs))
        numbers |= {
            each: self.number("constant", repr(value))
            for each, value in zip(jaxpr.constvars, constants)
        }

        def of(atom: Any) -> int:
            is_literal = isinstance(atom, Literal)
            return self.number("literal", repr(atom.val)) if is_literal else numbers[atom]

        for each in jaxpr.eqns:
            operands = [of(atom) for atom in each.invars]
            numbers.update(zip(each.outvars, self._of_equation(each, operands)))
        return [of(atom) for atom in jaxpr.outvars]

    def _of_equation(self, equation: Any, operands: list[int]) -> list[int]:
        name, options = equation.primitive.name, equation.params
        if name in CALLS:
            inner = options["jaxpr"]
            return self._evaluated(inner.jaxpr, inner.consts, operands)
        is_of_params = not self._of_params.isdisjoint(operands)
        if name == "broadcast_in_dim" and not equation.invars[0].aval.shape:
            return operands
        if is_of_params and name not in ELEMENTWISE:
            raise NotElementwiseError(name)
        kept = sorted((key, repr(each)) for key, each in options.items() if key not in OF_SHAPES)
        results = [
            self.number(name, tuple(kept), place, *operands)
            for place in range(len(equation.outvars))
        ]
        if is_of_params:
            self._of_params.update(results)
        return results


def is_alike(optimizer: optax.GradientTransformation, stacks: Stacks, trained: Stacked) -> bool:
    """Whether an optimizer does the same to stacks as to the parameters in them by name."""
    expressions, params = Expressions(), stacks.by_name(trained)
    try:
        together = expressions.of_updates(optimizer, trained, {each: each for each in trained})
        kinds = {name: stacks.places[name].stack for name in params}
        alone = expressions.of_updates(optimizer, params, kinds)
    except Exception:  # the optimizer looks at whole arrays, or at names that stacks do not have
        return False
    return all(together[kinds[name]] == each for name, each in alone.items())
