"""Cache entries: whatever happens to one is noticed."""

import numpy as np
import pytest

from nengo_jit.engines.cpu.toolchain.cache import entry
from nengo_jit.engines.cpu.toolchain.cache.entry import UnsafeError, maker_of, pack, unpack

CONTENT = bytes(range(256)) * 20
MAKER = {"site": "/somewhere", "versions": {"numba": "1.2"}}
DATA = pack("name-0", CONTENT, MAKER)


def test_an_entry_is_what_was_packed():
    assert unpack("name-0", DATA) == CONTENT
    assert maker_of(DATA[: entry.DESCRIBED]) == MAKER
    assert unpack("empty", pack("empty", b"", {})) == b""


@pytest.mark.parametrize("place", [*range(64), *np.linspace(64, len(DATA) - 1, 140, dtype=int)])
def test_one_bit_is_noticed(place):
    for bit in range(8):
        damaged = bytearray(DATA)
        damaged[place] ^= 1 << bit
        with pytest.raises(UnsafeError):
            unpack("name-0", bytes(damaged))


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        DATA[:10],
        DATA[: entry.HEAD.size],
        DATA[: entry.HEAD.size + 1],
        DATA[: len(DATA) // 2],
        DATA[:-1],
        DATA + b"\0",
        bytes(len(DATA)),
        DATA[: len(DATA) // 2] + bytes(len(DATA) - len(DATA) // 2),
        CONTENT,
    ],
)
def test_what_is_not_the_whole_entry_is_noticed(damaged):
    with pytest.raises(UnsafeError):
        unpack("name-0", damaged)


def test_another_kernels_entry_is_noticed():
    with pytest.raises(UnsafeError, match="another kernel"):
        unpack("name-1", DATA)


def test_another_format_is_noticed(monkeypatch):
    monkeypatch.setattr(entry, "MAGIC", b"nengo_jit code 2")
    with pytest.raises(UnsafeError, match="format"):
        unpack("name-0", DATA)
    with pytest.raises(UnsafeError, match="format"):
        maker_of(DATA)


@pytest.mark.parametrize("start", [b"", b"machine code" * 20, DATA[:100], bytes(500)])
def test_what_has_no_maker_is_noticed(start):
    with pytest.raises(UnsafeError):
        maker_of(start)
