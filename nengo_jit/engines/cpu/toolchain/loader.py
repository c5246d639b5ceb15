"""Blocks of machine code that work wherever they are put, and putting them into memory."""

from __future__ import annotations

import ctypes
import json
import mmap
import platform
import sys
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any

from nengo_jit.regions import REGIONS, SYMBOL, pointer

# Elsewhere LLVM puts code into memory.
IS_LINKED_HERE = sys.platform == "linux" and platform.machine() == "x86_64"
_memory: list[mmap.mmap] = []  # that code is in, for as long as the process lives


@dataclass
class Image:
    """Machine code that works at any address that is a multiple of 64.

    Attributes
    ----------
    code : bytearray
        Instructions, constants, and a table of addresses.
    entry : int
        Where in the code the function begins.
    imports : dict of (str, int)
        Functions of the C library, or of Python's, and `nengo_jit.regions.SYMBOL`: where in the
        code the address of each is to be written.
    moved : list of int
        Where in the code the address of the code itself is to be added.
    """

    code: bytearray = field(default_factory=bytearray)
    entry: int = 0
    imports: dict[str, int] = field(default_factory=dict)
    moved: list[int] = field(default_factory=list)

    def to_bytes(self) -> bytes:
        """The image as the content of a file."""
        described = asdict(self)
        del described["code"]
        return json.dumps(described).encode() + b"\n" + bytes(self.code)

    @classmethod
    def from_bytes(cls, content: bytes) -> Image:
        """The image that `to_bytes` made a file's content of."""
        described, _, code = content.partition(b"\n")
        return cls(bytearray(code), **json.loads(described))


def load_image(content: bytes) -> int:
    """Put an image into memory of its own, fill in what depends on the address, and seal it.

    Parameters
    ----------
    content : bytes
        What `Image.to_bytes` returned.

    Returns
    -------
    int
        Address of the function.

    Raises
    ------
    OSError
        If the system does not allow it, or the C library lacks a function.
    """
    image = Image.from_bytes(content)
    memory = mmap.mmap(-1, len(image.code), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory[:] = bytes(image.code)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    for name, place in image.imports.items():
        _pointer(start + place).value = _address_of(name)
    for place in image.moved:
        _pointer(start + place).value += start
    status = _c_library().mprotect(
        ctypes.c_void_p(start), ctypes.c_size_t(len(memory)), mmap.PROT_READ | mmap.PROT_EXEC
    )
    if status != 0:
        raise OSError("The system does not let this process run machine code from its memory")
    _memory.append(memory)
    return start + image.entry


def _address_of(name: str) -> int:
    """Address of what an image imports."""
    if name == SYMBOL:
        return pointer(REGIONS.shared)
    return in_c_library(name)


def _pointer(address: int) -> Any:
    return ctypes.c_uint64.from_address(address)


@cache
def _c_library() -> Any:
    return ctypes.CDLL(None)  # all that the Python interpreter was linked with


def in_c_library(name: str) -> int:
    """Address of a function of the C library; OSError if there is none of that name."""
    for path in (None, "libm.so.6"):  # all that the interpreter was linked with, then glibc's
        library = ctypes.CDLL(path)
        if hasattr(library, name):
            return int(ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0)
    raise OSError(f"The C library has no function {name!r}")
