"""Members of an `enum.IntEnum` as indices of arrays, which early versions of Numba refuse."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from numba import types

from nengo_jit.engines.cpu.toolchain.llvm.interface import (
    Builder,
    Definition,
    Signature,
    Target,
    Type,
    Typing,
    Value,
    Values,
)
from nengo_jit.engines.cpu.toolchain.llvm.intrinsics import instruction


def _by_number(
    operation: Callable[..., object], typingctx: Typing, array: Type, index: Type, *rest: Type
) -> Definition | None:
    """Return the operation on an array with an integer as index, for members only."""
    if not (isinstance(array, types.Array) and isinstance(index, types.IntEnumMember)):
        return None
    plain: Any = typingctx.resolve_function_type(operation, (array, types.intp, *rest), {})

    def codegen(context: Target, builder: Builder, signature: Signature, args: Values) -> Value:
        container, member, *values = args
        number = context.cast(builder, member, index, types.intp)
        return context.get_function(operation, plain)(builder, (container, number, *values))

    _, _, *converted = plain.args
    return plain.return_type(array, index, *converted), codegen


@instruction(operator.getitem)
def _getitem(typingctx: Typing, array: Type, index: Type) -> Definition | None:
    return _by_number(operator.getitem, typingctx, array, index)


@instruction(operator.setitem)
def _setitem(typingctx: Typing, array: Type, index: Type, value: Type) -> Definition | None:
    return _by_number(operator.setitem, typingctx, array, index, value)
