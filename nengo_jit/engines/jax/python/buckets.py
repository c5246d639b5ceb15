"""Buckets of operators that run by equal programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from nengo_jit.engines.jax.blocks import Region
from nengo_jit.engines.jax.bucket import Argument, Bucket, Constants, Leaf, Read, Write
from nengo_jit.engines.jax.columns import Column, column_of
from nengo_jit.engines.jax.python.traced import Taped
from nengo_jit.ir.base import Operator


def buckets_of_tapes(taped: Mapping[Operator, Taped], constants: Constants) -> Iterator[Bucket]:
    """Divide operators with programs into buckets.

    Parameters
    ----------
    taped : mapping of (Operator, Taped)
        Operators that do not depend on each other.
    constants : Constants
        Gets the arrays that the buckets refer to.
    """
    found: dict[object, list[Operator]] = {}
    for operator, each in taped.items():
        kinds = tuple(isinstance(place, Region) for place in each.places)
        found.setdefault((each.program, kinds), []).append(operator)
    for members in found.values():
        yield _bucket(members, [taped[each] for each in members], constants)


def _bucket(members: Sequence[Operator], tapes: Sequence[Taped], constants: Constants) -> Bucket:
    program, is_mapped = tapes[0].program, len(members) > 1

    def leaf(arrays: Sequence[np.ndarray]) -> Leaf:
        return Leaf(constants.add(np.stack(arrays) if is_mapped else arrays[0]), is_mapped)

    def column(regions: Sequence[Region]) -> Column:
        shape = regions[0].elements.shape
        return column_of(regions, (len(regions), *shape) if is_mapped else shape)

    arguments: list[Argument] = [leaf([each.constants for each in tapes])]
    columns: dict[int, Column] = {}
    for number, places in enumerate(zip(*(each.places for each in tapes))):
        regions = [each for each in places if isinstance(each, Region)]
        if regions:
            columns[number] = column(regions)
            arguments.append(Read(columns[number], is_mapped))
        else:
            arguments.append(leaf([each for each in places if isinstance(each, np.ndarray)]))
    written = [columns[number] for number in program.written]
    written.append(column([each.flag for each in tapes]))
    results = tuple(Write(each, False) for each in written)
    return Bucket(tuple(members), program, tuple(arguments), results, is_mapped)
