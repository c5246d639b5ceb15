"""The functions of NumPy and SciPy that tapes may call, see `foreign`.

They only compute: they have no state, draw no random numbers, change no argument, call no function
that they are given, and return values with a type and a shape that do not depend on numbers.
"""

from __future__ import annotations

import sys
from types import BuiltinFunctionType
from typing import Any

import numpy as np

OF_ARRAYS = {
    *("all", "allclose", "amax", "amin", "angle", "any", "argmax", "argmin", "argpartition"),
    *("argsort", "around", "array_equal", "average", "bartlett", "blackman", "block"),
    *("choose", "clip", "conj", "convolve", "corrcoef", "correlate", "count_nonzero", "cov"),
    *("cross", "cumprod", "cumsum", "diagonal", "diff", "digitize", "divmod", "dot", "ediff1d"),
    *("einsum", "fix", "float_power", "frexp", "full_like", "gradient", "hamming", "hanning"),
    *("i0", "imag", "inner", "interp", "isclose", "kaiser", "kron", "lexsort", "linspace"),
    *("matmul", "max", "mean", "median", "min", "modf", "nan_to_num", "nanargmax"),
    *("nanargmin", "nanmax", "nanmean", "nanmedian", "nanmin", "nanprod", "nanstd", "nansum"),
    *("nanvar", "outer", "pad", "partition", "percentile", "polyval", "prod", "ptp"),
    *("quantile", "real", "repeat", "resize", "rot90", "round", "searchsorted", "select"),
    *("sinc", "sort", "std", "sum", "take", "take_along_axis", "tensordot", "tile", "trace"),
    *("transpose", "trapezoid", "trapz", "tril", "triu", "unwrap", "vander", "var", "vdot"),
}
OF_ALGEBRA = {
    *("cholesky", "cond", "cross", "det", "eigh", "eigvalsh", "inv", "matmul", "matrix_norm"),
    *("matrix_power", "matrix_rank", "multi_dot", "norm", "outer", "pinv", "qr", "slogdet"),
    *("solve", "svd", "svdvals", "trace", "vecdot", "vector_norm"),
}
OF_TRANSFORMS = {
    *("fft", "fft2", "fftfreq", "fftn", "fftshift", "hfft", "ifft", "ifft2", "ifftn"),
    *("ifftshift", "ihfft", "irfft", "irfft2", "irfftn", "rfft", "rfft2", "rfftfreq"),
    *("rfftn",),
}
METHODS = {
    *("all", "any", "argmax", "argmin", "argpartition", "argsort", "astype", "clip", "conj"),
    *("conjugate", "cross", "cumprod", "cumsum", "diagonal", "dot", "max", "mean", "min", "prod"),
    *("ptp", "round", "std", "sum", "trace", "transpose", "var"),
}
OF_UFUNCS = ("accumulate", "outer", "reduce")


def _named(module: Any, names: set[str]) -> set[object]:
    return {getattr(module, name) for name in names if hasattr(module, name)}


CALLED = _named(np, OF_ARRAYS) | _named(np.linalg, OF_ALGEBRA) | _named(np.fft, OF_TRANSFORMS)


def may_be_called(function: Any) -> bool:
    """Whether a tape may call a function."""
    if isinstance(function, np.ufunc):  # but not one that calls a function in Python
        modules = np, sys.modules.get("scipy.special")
        return any(getattr(each, function.__name__, None) is function for each in modules)
    if type(function) is BuiltinFunctionType and isinstance(function.__self__, np.ufunc):
        return function.__name__ in OF_UFUNCS
    try:
        return function in CALLED
    except TypeError:
        return False
