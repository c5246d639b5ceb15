"""Support third-party build functions that were written for nengo's builder.

Third-party signals and operators need no support here. Our classes derive from nengo's, nengo's
classes have the attributes that the planner and the reference engine use, and operators of other
types run by their ``make_step``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nengo.builder


def third_party_build_function(nengo_class: type) -> Callable[..., Any] | None:
    """Return the build function that third-party code registered with nengo for a class.

    Parameters
    ----------
    nengo_class : type
        The class; its base classes are not searched.

    Returns
    -------
    callable or None
        None if there is none, or only nengo's own.
    """
    function = nengo.builder.Builder.builders.get(nengo_class)
    is_nengos_function = (getattr(function, "__module__", None) or "").startswith("nengo.builder.")
    is_nengos_class = nengo_class.__module__.startswith("nengo.")
    return None if is_nengos_function and is_nengos_class else function


def use_our_build_functions(model: nengo.builder.Model, builder: nengo.builder.Builder) -> None:
    """Make a model use our build functions.

    Parameters
    ----------
    model : Model or nengo.builder.Model
        The model. Only nengo's default builder is replaced; any other was chosen by the user.
    builder : Builder
        Our builder.
    """
    if type(model.builder) is nengo.builder.Builder:
        model.builder = builder
