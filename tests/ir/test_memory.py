"""Memory that is held stays where it is: what would move it raises."""

import array
import ctypes
import mmap

import numpy as np
import pytest

from nengo_jit.ir.memory import hold


def an_array():
    owner = np.zeros(10)
    return owner, owner, lambda: owner.resize(10**6, refcheck=False), ValueError


def an_array_of_a_view():
    owner = np.zeros(10)
    return owner, owner[2:8:2], lambda: owner.resize(10**6, refcheck=False), ValueError


def a_bytearray():
    owner = bytearray(80)
    return owner, np.ndarray(10, buffer=owner), lambda: owner.extend(bytes(10**6)), BufferError


def an_array_of_python():
    owner = array.array("d", range(10))
    return owner, np.ndarray(10, buffer=owner)[::2], lambda: owner.append(1.0), BufferError


def a_memory_map():
    owner = mmap.mmap(-1, 4096)
    return owner, np.ndarray(10, buffer=owner), owner.close, BufferError


def a_memoryview():
    owner = bytearray(80)
    view = np.frombuffer(owner)

    def move():
        view.base.release()  # of which there is no harm as such
        owner.extend(bytes(10**6))

    return owner, view, move, BufferError


def a_memoryview_of_an_array():
    owner = np.zeros(10)
    view = np.frombuffer(memoryview(owner))
    return owner, view, lambda: owner.resize(10**6, refcheck=False), ValueError


@pytest.mark.parametrize(
    "make",
    [
        an_array,
        an_array_of_a_view,
        a_bytearray,
        an_array_of_python,
        a_memory_map,
        a_memoryview,
        a_memoryview_of_an_array,
    ],
)
def test_what_is_held_cannot_be_moved(make):
    _, array, move, error = make()
    place = array.__array_interface__["data"][0]
    held = hold(array)
    with pytest.raises(error):
        move()
    assert array.__array_interface__["data"][0] == place
    del array
    held.clear()
    move()


def test_read_only_bytes_are_held():
    owner = bytes(80)
    assert hold(np.ndarray(10, buffer=owner)) is not None


def test_memory_of_unknown_owners_cannot_be_held():
    buffer = (ctypes.c_double * 10)()
    assert hold(np.frombuffer(buffer)) is None
    assert hold(np.ctypeslib.as_array(buffer)[::2]) is None
    values = np.frombuffer(bytearray(80))
    values.base.release()
    assert hold(values) is None
