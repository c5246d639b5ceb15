"""Load machine code into memory.

On x86-64 Linux, position-independent images are loaded here, without LLVM (`linker.py` makes
them). Elsewhere LLVM loads object files.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import platform
import sys
from dataclasses import asdict, dataclass, field
from functools import cache

from nengo_jit.engines.cpu.language.primitives import Address
from nengo_jit.engines.cpu.toolchain import half_tables
from nengo_jit.engines.cpu.toolchain.target import target_machine
from nengo_jit.engines.cpu.toolchain.wrapper import ENTRY
from nengo_jit.regions import REGIONS, SYMBOL, pointer

IS_LINKED_HERE = sys.platform == "linux" and platform.machine() == "x86_64"
# Code stays in memory for as long as the process lives.
_images: list[mmap.mmap] = []
_engines: list[object] = []  # LLVM's execution engines, which own the memory of object files


@dataclass
class Image:
    """Position-independent machine code, to be loaded at a multiple of 64.

    Attributes
    ----------
    code : bytearray
        Instructions, constants, and a table of addresses.
    entry : int
        Offset of the function.
    imports : dict of (str, int)
        Functions of the C library or of Python's C interface, `nengo_jit.regions.SYMBOL`, and the
        tables in `half_tables.py`: the offset at which the address of each is to be stored.
    moved : list of int
        Offsets at which the address of the code itself is to be added.
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
        """Inverse of `to_bytes`."""
        described, _, code = content.partition(b"\n")
        return cls(bytearray(code), **json.loads(described))


def load_image(content: bytes) -> Address:
    """Copy an image to memory of its own, relocate it, and make the memory executable.

    Parameters
    ----------
    content : bytes
        From `Image.to_bytes`.

    Returns
    -------
    Address
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
        _pointer(start + place).value = address_of_symbol(name)
    for place in image.moved:
        _pointer(start + place).value += start
    status = _c_library().mprotect(
        ctypes.c_void_p(start), ctypes.c_size_t(len(memory)), mmap.PROT_READ | mmap.PROT_EXEC
    )
    if status != 0:
        raise OSError(
            "The system does not allow this process to execute machine code that it has loaded"
        )
    _images.append(memory)
    return Address(start + image.entry)


def load_object(content: bytes) -> Address:
    """Let LLVM load an object file into memory; returns the address of the function."""
    import llvmlite.binding as llvm  # takes long

    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target_machine())
    engine.add_object_file(llvm.ObjectFileRef.from_data(content))
    engine.finalize_object()
    _engines.append(engine)
    return Address(int(engine.get_function_address(ENTRY)))


def address_of_symbol(name: str) -> int:
    """Address of a symbol that an image imports."""
    if name == SYMBOL:
        return pointer(REGIONS.shared)
    if name.startswith(half_tables.PREFIX):
        return pointer(half_tables.table_of(name))
    return in_c_library(name)


def _pointer(address: int) -> ctypes.c_uint64:
    return ctypes.c_uint64.from_address(address)


@cache
def _c_library() -> ctypes.CDLL:
    return ctypes.CDLL(None)  # all libraries that the Python interpreter is linked with


def in_c_library(name: str) -> int:
    """Address of a function of the C library; OSError if there is none of that name."""
    for path in (None, "libm.so.6"):  # the interpreter's libraries, then glibc's
        library = ctypes.CDLL(path)
        if hasattr(library, name):
            return int(ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0)
    raise OSError(f"The C library has no function {name!r}")
