"""Trees of arrays, numbers and strings, as a JSON text and a set of named arrays.

In the text, ``{"$array": "signals/0"}`` stands for the array of that name, ``{"$scalar": ...}`` for
a number with a type of NumPy's, kept as an array without dimensions, and ``{"$tuple": [...]}`` for
a tuple.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

ARRAY, SCALAR, TUPLE = "$array", "$scalar", "$tuple"


def flatten(tree: object) -> tuple[str, dict[str, np.ndarray]]:
    """Separate the structure of a tree from its arrays.

    Parameters
    ----------
    tree : object
        None, a bool, a number, a string, an array, or a list, a tuple or a dictionary of these. The
        keys of dictionaries must be strings.

    Returns
    -------
    str, dict of (str, numpy.ndarray)
        The structure as JSON, and the arrays by name. Names are paths in the tree.

    Raises
    ------
    TypeError
        If the tree contains anything else. The error names the place.
    """
    arrays: dict[str, np.ndarray] = {}
    return json.dumps(_flat(tree, "", arrays)), arrays


def rebuild(structure: str | bytes, arrays: Mapping[str, np.ndarray]) -> Any:
    """Return the tree from which `flatten` has made a structure and arrays.

    Raises
    ------
    ValueError
        If the structure is no JSON.
    KeyError
        If an array is missing.
    """

    def whole(found: dict[str, Any]) -> object:
        if found.keys() == {ARRAY}:
            return arrays[found[ARRAY]]
        if found.keys() == {SCALAR}:
            return arrays[found[SCALAR]][()]
        return tuple(found[TUPLE]) if found.keys() == {TUPLE} else found

    return json.loads(structure, object_hook=whole)


def _flat(value: Any, place: str, arrays: dict[str, np.ndarray]) -> object:
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, (np.ndarray, np.generic, complex)):
        array = np.asarray(value)
        if array.dtype.hasobject:
            raise TypeError(f"The array '{place}' contains Python objects, which cannot be saved")
        arrays[place] = array
        return {ARRAY if isinstance(value, np.ndarray) else SCALAR: place}
    if isinstance(value, (list, tuple)):
        items = [_flat(each, _below(place, n), arrays) for n, each in enumerate(value)]
        return {TUPLE: items} if isinstance(value, tuple) else items
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str) or key.startswith("$"):
                raise TypeError(f"{key!r} cannot be the key of a dictionary, in '{place}'")
        return {key: _flat(each, _below(place, key), arrays) for key, each in value.items()}
    raise TypeError(f"'{place}' is an object of {type(value)}, which cannot be saved")


def _below(place: str, key: object) -> str:
    """Place of an item; keys must not make two places the same."""
    name = str(key).replace("~", "~0").replace("/", "~1")
    return f"{place}/{name}" if place else name
