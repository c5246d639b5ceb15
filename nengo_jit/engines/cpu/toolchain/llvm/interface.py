"""Types of Numba's interface for primitives.

Numba asks for the *definition* of a primitive with the types of its arguments, after the context
of type inference. The definition is the signature of the call and a function that generates code
for it with LLVM's instruction builder.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from llvmlite.ir import IRBuilder as Builder
from llvmlite.ir import Type as IRType
from llvmlite.ir import Value
from numba.core.base import BaseContext as Target
from numba.core.types import CPointer, Float, Type
from numba.core.typing.context import BaseContext as Typing
from numba.core.typing.templates import Signature

Values: TypeAlias = Sequence[Value]
Codegen: TypeAlias = Callable[[Target, Builder, Signature, Values], Value]
Definition: TypeAlias = tuple[Signature, Codegen]

__all__ = [
    "Builder",
    "CPointer",
    "Codegen",
    "Definition",
    "Float",
    "IRType",
    "Signature",
    "Target",
    "Type",
    "Typing",
    "Value",
    "Values",
]
