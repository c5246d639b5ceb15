"""Functions of numbers of half precision, as tables of all 65,536 results.

NumPy's results depend on the processor, in their last bits: it has code for some, and rounds
results of single precision on others. A table that NumPy itself fills has the same bits as NumPy on
each. Machine code refers to a table by the name of a symbol; the table is made when the first code
that refers to it is loaded.
"""

from __future__ import annotations

from functools import cache

import numpy as np

N_NUMBERS = 1 << 16
PREFIX = "numpy_half_"
FUNCTIONS = ("exp", "expm1", "log1p", "tanh")


def symbol_of(name: str) -> str:
    """Return the symbol of the table of a function of NumPy."""
    return PREFIX + name


@cache
def table_of(symbol: str) -> np.ndarray:
    """Return the table behind a symbol: the results for numbers with the bits 0, 1, 2 ..."""
    numbers = np.arange(N_NUMBERS, dtype=np.uint16).view(np.float16)
    with np.errstate(all="ignore"):
        table: np.ndarray = getattr(np, symbol.removeprefix(PREFIX))(numbers)
    return table
