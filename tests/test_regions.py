"""Which memory kernels may touch: a table that follows arrays as they come and go."""

import ctypes
import gc
from threading import RLock, Thread

import numpy as np
import pytest
from nengo.exceptions import SimulationError

from nengo_jit.regions import ADDRESS, KERNEL, N_BYTES, READERS, TABLE, Regions, pointer


def known(regions):
    """What kernels see: pairs of start and furthest end."""
    address = int(regions.shared[TABLE])
    n = ctypes.c_int64.from_address(address).value
    numbers = list((ctypes.c_int64 * (2 * n)).from_address(address + 8)) if n else []
    return list(zip(numbers[:n], numbers[n:]))


def span(array):
    return pointer(array), pointer(array) + array.nbytes


def test_views_stand_for_the_whole_array():
    regions, array = Regions(), np.zeros((4, 6))
    regions.add(array[1:, ::-2])
    regions.add(array.ravel())
    assert known(regions) == [span(array)]


def test_only_a_part_of_an_array():
    regions, array = Regions(), np.zeros(10)
    regions.add(array, array[2:5])
    regions.add(array[3:])
    assert known(regions) == [span(array[2:5])]


def test_arrays_are_sorted_and_forgotten_when_they_are_freed():
    regions, arrays = Regions(), [np.zeros(n) for n in range(1, 30)]
    for array in arrays:
        regions.add(array)
    assert known(regions) == sorted(map(span, arrays))
    del array, arrays[::2]
    gc.collect()
    assert known(regions) == sorted(map(span, arrays))


def test_an_array_within_another_ones_memory_does_not_hide_it():
    regions, memory = Regions(), bytearray(100)
    whole, part = np.frombuffer(memory, np.uint8), np.frombuffer(memory, np.uint8, 10, 20)
    for array in (whole, part):
        regions.add(array)
    assert known(regions) == [span(whole), (span(part)[0], span(whole)[1])]
    del whole, array
    assert known(regions) == [span(part)]


def test_tables_live_for_as_long_as_somebody_reads_them():
    regions = Regions()
    first = int(regions.shared[TABLE])
    regions.shared[READERS] = 1
    kept = [np.zeros(3) for _ in range(20)]
    for array in kept:
        regions.add(array)
    assert any(pointer(table) == first for table in regions._tables)
    regions.shared[READERS] = 0
    regions.add(np.zeros(1))
    assert len(regions._tables) <= 3


def test_threads_may_come_and_go():
    regions = Regions()

    def work(seed):
        rng = np.random.RandomState(seed)
        arrays = []
        for _ in range(300):
            arrays.append(np.zeros(rng.randint(1, 50)))
            regions.add(arrays[-1])
            if len(arrays) > 5:
                del arrays[rng.randint(len(arrays))]
        kept.extend(arrays)

    kept = []
    threads = [Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    regions.add(np.zeros(1))
    gc.collect()
    regions.add(kept[0])
    assert known(regions) == sorted(map(span, kept))


def test_nothing_stays_locked_if_forgetting_is_interrupted():
    class Lock:
        """A lock of which the call that acquires it is interrupted when it is about to return."""

        def __init__(self):
            self.lock = RLock()
            self._is_owned, self.release = self.lock._is_owned, self.lock.release

        def acquire(self, blocking):
            self.lock.acquire(blocking)
            raise KeyboardInterrupt

    regions, array, lock = Regions(), np.zeros(3), Lock()
    regions.add(array)
    regions._gone.append((0, None))
    regions._lock, free = lock, regions._lock
    with pytest.raises(KeyboardInterrupt):
        regions._settle()
    assert not lock.lock._is_owned()
    regions._lock = free
    regions._settle()
    assert known(regions) == [span(array)]


@pytest.mark.parametrize("address, text", [(0, "an element"), (0x40, "16 bytes at 0x40")])
def test_a_failure_is_raised_once(address, text):
    regions, name = Regions(), ctypes.create_string_buffer(b"copy")
    regions.raise_failure()
    regions.shared[[KERNEL, ADDRESS, N_BYTES]] = ctypes.addressof(name), address, 16
    with pytest.raises(SimulationError, match=f"`copy` asked for {text}"):
        regions.raise_failure()
    regions.raise_failure()


@pytest.mark.parametrize(
    "array",
    [
        np.zeros(3),
        np.zeros(3)[1:],
        np.zeros((2, 3))[::-1].T,
        np.array(2.0),
        np.empty(0),
        np.frombuffer(bytes(16), np.int64),
    ],
)
def test_the_address_of_an_array_is_the_one_that_numpy_states(array):
    assert pointer(array) == array.__array_interface__["data"][0]


@pytest.mark.parametrize("value", [np.float64(1), 2.0, [3.0], None])
def test_only_arrays_have_an_address(value):
    with pytest.raises(TypeError, match="only arrays have an address"):
        pointer(value)
