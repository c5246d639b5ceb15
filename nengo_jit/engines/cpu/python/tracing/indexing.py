"""Subscripts of traced arrays, lists and tuples: select elements and assign to them."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, TypeGuard

import numpy as np

from nengo_jit.engines.cpu.python.instructions import Opcode
from nengo_jit.engines.cpu.python.tracing.casting import cast, same_kind
from nengo_jit.engines.cpu.python.tracing.conversions import (
    as_array,
    check_nesting,
    is_constant,
    known,
    known_array,
    registers_of,
)
from nengo_jit.engines.cpu.python.tracing.foreign import Foreign, call_numpy
from nengo_jit.engines.cpu.python.tracing.rows import (
    element,
    element_at,
    look_up,
    row_at,
    set_row,
    shared_rows,
)
from nengo_jit.engines.cpu.python.tracing.selections import (
    Chosen,
    Indices,
    Selection,
    positions_of,
    put,
)
from nengo_jit.engines.cpu.python.tracing.tracer import Tracer
from nengo_jit.engines.cpu.python.tracing.values import (
    INTEGERS,
    Array,
    LiveArray,
    Number,
    Row,
    Unsupported,
    Value,
    described,
    is_known,
    is_scalar,
    type_of,
)


def get_item(tracer: Tracer, value: Value, key: Value) -> Value:
    """``value[key]``."""
    if isinstance(value, Foreign):
        return call_numpy(tracer, operator.getitem, (value, key), {})
    try:
        return _get_item(tracer, value, key)
    except Unsupported:
        if not isinstance(value, Array) or not has_array(key):
            raise
        with suppress(Unsupported):  # a copy, since a part of the key is an array
            return call_numpy(tracer, operator.getitem, (value, key), {})
        raise


def has_array(key: Value) -> bool:
    """Whether a part of a key is an array, so that NumPy copies what it selects."""
    return any(isinstance(part, (Array, list)) for part in _parts(key))


def _parts(key: Value) -> list[Value]:
    return list(key) if isinstance(key, tuple) else [key]


def _get_item(tracer: Tracer, value: Value, key: Value) -> Value:
    """Select elements without calling NumPy."""
    key = _of_rows(key)
    if isinstance(key, Number):
        return look_up(tracer, value, key)
    if isinstance(value, Array):
        if isinstance(key, tuple) and len(key) == len(value.shape) and _are_integers(key):
            return element_at(tracer, value, key)
        chosen = chosen_by(tracer, value, key)
        if chosen is not None:
            return Selection(chosen, Array(value.registers.copy(), value.dtype))
        if is_single_index(key):
            row = row_at(tracer, value, key.registers.item())
            return Array(row[None], value.dtype)  # a copy, unlike a row by a number
        registers = known(value.registers.__getitem__, index_of(tracer, key))
        if isinstance(registers, np.ndarray):
            return value.of(registers)
        return element(tracer, value, registers)
    if isinstance(value, (list, tuple, str, range)) and is_known(key):
        return known(value.__getitem__, key)
    raise Unsupported(f"selects from {described(value)}")


def is_condition(key: Value) -> TypeGuard[Array]:
    """Whether a key is an array of booleans that are not known."""
    return isinstance(key, Array) and key.dtype == np.bool_ and not is_constant(key)


def chosen_by(tracer: Tracer, array: Array, key: Value) -> Chosen | None:
    """The elements of an array that a key chooses by a computed condition; None if it has none.

    Raises
    ------
    Unsupported
        If the key has other parts than whole axes, or the condition does not fit.
    """
    parts = _parts(key)
    if not any(is_condition(part) or isinstance(part, Indices) for part in parts):
        return None
    shape = array.registers.shape
    condition, axis = _condition_of(parts, len(shape))
    n_axes = condition.registers.ndim
    rest = shape[axis + n_axes :]
    if not n_axes or shape[axis : axis + n_axes] != condition.registers.shape:
        raise Unsupported("selects from an array by a condition of another shape")
    if math.prod(shape) == 0:
        raise Unsupported("selects from an empty array")
    flags = condition.registers.reshape(*condition.registers.shape, *(1 for _ in rest))
    whole = np.broadcast_to(flags, shape)
    return Chosen(shape, axis, n_axes, whole, whole.tobytes())


def _condition_of(parts: list[Value], n_dimensions: int) -> tuple[Array, int]:
    """The condition in a key, and the first axis that it is for."""
    if all(isinstance(part, Indices) for part in parts):
        indices = [part for part in parts if isinstance(part, Indices)]
        condition = indices[0].condition
        are_all = [part.axis for part in indices] == [*range(condition.registers.ndim)]
        if are_all and all(part.condition is condition for part in indices):
            return condition, 0
    places = [i for i, part in enumerate(parts) if not _is_whole(part)]
    if len(places) != 1:
        raise Unsupported("selects by a computed condition and other indices")
    (place,) = places
    chosen, before = parts[place], parts[:place]
    if isinstance(chosen, Indices):
        if chosen.condition.registers.ndim != 1:
            raise Unsupported("selects by indices that it computes")
        chosen = chosen.condition
    assert isinstance(chosen, Array)
    n_slices = sum(isinstance(part, slice) for part in parts)
    n_hidden = n_dimensions - n_slices - chosen.registers.ndim  # axes that `...` stands for
    has_ellipsis = any(part is ... for part in before)
    return chosen, len(before) - has_ellipsis + (n_hidden if has_ellipsis else 0)


def _is_whole(part: Value) -> bool:
    return part is ... or _is_all(part)


def _is_all(part: Value) -> bool:
    return isinstance(part, slice) and part == slice(None)


def is_single_index(key: Value) -> TypeGuard[Array]:
    """Whether a key is an array of one integer that is not known."""
    if not isinstance(key, Array) or is_constant(key):
        return False
    return key.dtype == np.int64 and key.registers.shape == (1,)


def index_of(tracer: Tracer, key: Value) -> Any:
    """Convert a key to an index for NumPy.

    Raises
    ------
    Unsupported
        If the key is not known.
    """
    if isinstance(key, tuple):
        return tuple(index_of(tracer, each) for each in key)
    if isinstance(key, list):
        return [index_of(tracer, each) for each in key]
    if isinstance(key, Array):
        return known_array(tracer, key)
    if isinstance(key, Number):
        raise Unsupported("selects along several dimensions by an index that it computes")
    if isinstance(key, slice) and any(
        isinstance(each, Number) for each in (key.start, key.stop, key.step)
    ):
        raise Unsupported("selects a slice with bounds that it computes")
    if not is_known(key):
        raise Unsupported(f"selects by {described(key)}")
    return key


def _of_rows(key: Value) -> Value:
    """A key without the parts that select everything, if the first part is a computed index."""
    if isinstance(key, tuple) and key and isinstance(key[0], Number) and all(map(_is_all, key[1:])):
        return key[0]
    return key


def _are_integers(key: tuple[Value, ...]) -> bool:
    return all(is_scalar(part) and type_of(part) in INTEGERS for part in key)


def set_item(tracer: Tracer, target: Value, key: Value, value: Value) -> None:
    """``target[key] = value``."""
    if isinstance(target, list) and is_known(key):
        if isinstance(key, slice):
            raise Unsupported("assigns to a slice of a list")
        known(target.__setitem__, key, value)
        if isinstance(value, (list, tuple)):
            check_nesting(target)
        return
    if not isinstance(target, Array):
        raise Unsupported(f"assigns to an element of {described(target)}")
    key = _of_rows(key)
    check_writeable(tracer, target, is_row=isinstance(key, Number) or is_single_index(key))
    try:
        _set_item(tracer, target, key, value)
    except Unsupported:
        if isinstance(value, (Selection, Foreign)) or _is_plain(key):
            raise
        with suppress(Unsupported):
            change_by(tracer, target, operator.setitem, (key, value))
            return
        raise


def check_writeable(tracer: Tracer, target: Array, is_row: bool = False) -> None:
    """Check that a function may change an array.

    Raises
    ------
    Unsupported
        If it must not, or if a view of the array is a copy on the tape.
    """
    is_loaded = not isinstance(target, LiveArray) or target.is_loaded
    if not target.writeable or (is_loaded and not target.registers.flags.writeable):
        raise Unsupported("assigns to an array that is read-only, or not contiguous")
    if not is_row and shared_rows(tracer, target):
        raise Unsupported("assigns to an array of which it has selected a row")


def _is_plain(key: Value) -> bool:
    """Whether all parts of a key are known."""
    return all(is_known(part) for part in _parts(key))


def change_by(
    tracer: Tracer, array: Array, function: Callable[..., object], args: tuple[Value, ...]
) -> None:
    """Call a function of NumPy's that changes an array, its first argument."""
    check_writeable(tracer, array)
    result = call_numpy(tracer, Changed(function), (array, *args), {})
    assert isinstance(result, Array)
    array.registers[...] = result.registers


@dataclass(frozen=True)
class Changed:
    """A function that returns a changed copy of its first argument."""

    function: Callable[..., object]

    def __call__(self, array: np.ndarray, *args: object) -> np.ndarray:
        changed = array.copy()
        self.function(changed, *args)
        return changed


def _set_item(tracer: Tracer, target: Array, key: Value, value: Value) -> None:
    """Assign elements without calling NumPy."""
    if (
        isinstance(value, Row)
        and value.whole is target
        and isinstance(key, Number)
        and value.index == key.register
    ):
        return  # it has been changed in place
    chosen = chosen_by(tracer, target, key)
    if isinstance(value, Selection):
        _set_selection(tracer, target, chosen, value)
        return
    is_list = isinstance(value, (list, tuple))
    value = as_array(tracer, value)
    registers = registers_of(tracer, value)
    dtype = value.dtype if isinstance(value, Array) else type_of(value)
    if chosen is not None:
        registers = chosen.spread(cast(tracer, registers, dtype, target.dtype))
        target.registers[...] = tracer.elementwise(
            Opcode.SELECT, registers, target.registers, chosen.condition
        )
        return
    if isinstance(key, Number) or is_single_index(key):
        set_row(tracer, target, key, cast(tracer, registers, dtype, target.dtype))
        return
    index = index_of(tracer, key)
    registers = cast(tracer, registers, dtype, target.dtype)
    selected = np.ndim(known(target.registers.__getitem__, index))
    if registers.ndim > selected and (is_list or not selected):
        raise Unsupported("assigns an array, or nested lists, to a selection with fewer dimensions")
    known(target.registers.__setitem__, index, registers)


def change(
    tracer: Tracer, array: Array, value: Value, casting: Literal["no", "same_kind"] = "same_kind"
) -> None:
    """Assign the result of an in-place operator, or of a function that gets ``out=array``."""
    set_item(tracer, array, ..., same_kind(array, value, casting))


def change_selection(tracer: Tracer, selection: Selection, value: Selection) -> None:
    """Assign the result of an in-place operator to a copy of selected elements."""
    if selection.whole is not None and value.whole is not None:
        kind = selection.whole.dtype
        whole = same_kind(selection.whole, value.whole)
        cast_whole = cast(tracer, whole.registers, whole.dtype, kind)
        selection.whole, selection.copied = Array(cast_whole, kind), None
        return
    before = selection.taken(tracer)
    copied = same_kind(before, value.taken(tracer))
    with tracer.at(positions_of(tracer, selection.chosen.condition)):
        registers = cast(tracer, copied.registers, copied.dtype, before.dtype)
    selection.whole, selection.copied = None, Array(registers, before.dtype)


def _set_selection(tracer: Tracer, target: Array, chosen: Chosen | None, value: Selection) -> None:
    """Assign to the elements where a condition holds, from elements where the same one holds."""
    if chosen is None or chosen != value.chosen:
        raise Unsupported("assigns elements that another condition selects")
    if value.whole is not None and target.dtype.kind == "f":
        registers = cast(tracer, value.whole.registers, value.whole.dtype, target.dtype)
        target.registers[...] = tracer.elementwise(
            Opcode.SELECT, registers, target.registers, chosen.condition
        )
        return
    copied, positions = value.taken(tracer), positions_of(tracer, chosen.condition)
    with tracer.at(positions):
        registers = cast(tracer, copied.registers, copied.dtype, target.dtype)
    target.registers[...] = put(tracer, target.registers, registers, positions)
