"""Support third-party build functions that were written for nengo's builder.

Operators of nengo's own classes become ours, so that engines know what they compute. All others run
by their ``make_step``. Third-party signals need no support: nengo's class has the attributes that
the planner and the engines use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import nengo.builder

from nengo_jit.ir.base import Operator
from nengo_jit.ir.learning_rules import SimBCM, SimOja, SimPES, SimRLS, SimVoja
from nengo_jit.ir.neurons import SimNeurons
from nengo_jit.ir.operator import Copy, DotInc, ElementwiseInc, Reset, SparseDotInc, TimeUpdate
from nengo_jit.ir.probe import SimProbe
from nengo_jit.ir.processes import SimProcess
from nengo_jit.ir.python import SimPyFunc
from nengo_jit.ir.transforms import ConvInc, ConvTransposeInc, GeneralConvInc

OURS: dict[type, type[Operator]] = {
    ours.__bases__[-1]: ours
    for ours in (
        *(ConvInc, ConvTransposeInc, Copy, DotInc, ElementwiseInc, GeneralConvInc, Reset, SimBCM),
        *(SimNeurons, SimOja, SimPES, SimProbe, SimProcess, SimPyFunc, SimRLS, SimVoja),
        *(SparseDotInc, TimeUpdate),
    )
}
"""From nengo's classes of operators to ours."""

METHODS = ("init_signals", "make_step")
_NENGOS = {(kind, name): getattr(kind, name) for kind in OURS for name in METHODS}

# Attributes that the two classes store under different names. All others agree.
RENAMED = {
    "_sets": "sets",
    "_incs": "incs",
    "_reads": "reads",
    "_updates": "updates",
    "neurons": "_neurons",
}


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
    if function is None:
        return None
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


def use_our_operators(operators: Iterable[nengo.builder.Operator]) -> None:
    """Turn operators of nengo's own classes into operators of ours, in place.

    They stay the same objects, with the same lists and attributes, and remain instances of nengo's
    classes. nengo's simulator can run them, too.

    Parameters
    ----------
    operators : iterable of nengo.builder.Operator
        Operators of any type. Those of other classes, subclasses included, do not change, nor do
        those for which somebody has replaced a method of ``METHODS``.
    """
    for operator in operators:
        kind = type(operator)
        if kind not in OURS or any(
            getattr(kind, name) is not _NENGOS[kind, name] for name in METHODS
        ):
            continue
        attributes = vars(operator)
        if any(name in attributes for name in METHODS):
            continue
        for nengos, ours in RENAMED.items():
            if nengos in attributes:
                attributes[ours] = attributes.pop(nengos)
        operator.__class__ = OURS[kind]
