"""Third-party code that was written for nengo's builder, at work in ours.

Signals and operators need nothing from here: ours derive from nengo's, nengo's have all that
the planner and the reference engine ask for, and an operator of any other type is run through
its ``make_step``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nengo.builder


def third_party_build_function(nengo_class: type) -> Callable[..., Any] | None:
    """The build function that somebody other than nengo registered with nengo for a class.

    Parameters
    ----------
    nengo_class : type
        The class itself; base classes are not searched.

    Returns
    -------
    callable or None
        None where there is no build function or nengo's own.
    """
    function = nengo.builder.Builder.builders.get(nengo_class)
    is_nengos_function = (getattr(function, "__module__", None) or "").startswith("nengo.builder.")
    is_nengos_class = nengo_class.__module__.startswith("nengo.")
    return None if is_nengos_function and is_nengos_class else function


def use_our_build_functions(model: nengo.builder.Model, builder: nengo.builder.Builder) -> None:
    """Make a model that somebody else created build with our build functions.

    Parameters
    ----------
    model : Model or nengo.builder.Model
        The model. Nengo's default builder is replaced; any other is left in place, since
        somebody chose it.
    builder : Builder
        Our builder.
    """
    if type(model.builder) is nengo.builder.Builder:
        model.builder = builder
