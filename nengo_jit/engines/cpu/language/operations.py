"""Elementwise operations that a primitive computes on arrays."""

from enum import IntEnum, auto


class Operation(IntEnum):
    """What `nengo_jit.engines.cpu.language.primitives.calculate` does with elements a, b and c.

    Numbers are float64, each result is rounded. Booleans are 1 and 0; anything else counts as true.
    """

    MOVE = 0
    ADD = auto()
    SUBTRACT = auto()
    MULTIPLY = auto()
    DIVIDE = auto()
    NEGATIVE = auto()
    ABSOLUTE = auto()
    SQRT = auto()
    FLOOR = auto()
    CEIL = auto()
    TRUNC = auto()
    RINT = auto()
    INTEGER = auto()  # a without a sign if it is zero; infinite if it may not be an exact integer
    LESS = auto()
    LESS_EQUAL = auto()
    EQUAL = auto()
    NOT_EQUAL = auto()
    AND = auto()
    OR = auto()
    NOT = auto()
    SELECT = auto()  # a if c else b
    SHORT = auto()  # a, rounded to single precision
    AT_LEAST = auto()  # b if a < b else a
    AT_MOST = auto()  # b if b < a else a
    LESS_MULTIPLY = auto()  # (a < b) * c; from here on, two operations, each rounded
    LESS_EQUAL_MULTIPLY = auto()
    SUBTRACT_MULTIPLY = auto()  # (a - b) * c
    MULTIPLY_MULTIPLY = auto()
    MULTIPLY_ADD = auto()  # a * b + c
    ADD_SELECT = auto()  # a + b if c else a
    SUBTRACT_SELECT = auto()  # a - b if c else a
    MULTIPLY_SELECT = auto()  # a * b if c else a
    AT_LEAST_AT_MOST = auto()  # a between b and c
    ADD_SHORT = auto()  # from here on, results are rounded to single precision
    SUBTRACT_SHORT = auto()
    MULTIPLY_SHORT = auto()
    DIVIDE_SHORT = auto()
    SQRT_SHORT = auto()
    LESS_MULTIPLY_SHORT = auto()
    LESS_EQUAL_MULTIPLY_SHORT = auto()
    SUBTRACT_MULTIPLY_SHORT = auto()
    MULTIPLY_MULTIPLY_SHORT = auto()
    MULTIPLY_ADD_SHORT = auto()
    ADD_SELECT_SHORT = auto()
    SUBTRACT_SELECT_SHORT = auto()
    MULTIPLY_SELECT_SHORT = auto()
    WIDEN = auto()  # a, which is float32
    NARROW = auto()  # a, rounded to float32, side by side
