"""Kernels index arrays by members of an enum, whatever the version of Numba."""

from enum import IntEnum

import numpy as np
from numba import njit

import nengo_jit.engines.cpu.toolchain.llvm.members as members


class Place(IntEnum):
    FIRST = 0
    LAST = 2


def moved(array):
    array[Place.LAST] = array[Place.FIRST] + 1
    return array[Place.LAST]


def test_members_are_indices():
    assert members.__doc__
    array = np.array([4, 5, 6])
    assert njit(moved)(array) == 5
    assert array.tolist() == [4, 5, 5]
