"""Make one block of code and constants of an object file, which works wherever it is put.

Object files of LLVM come in sections, with a list of places ("relocations") that depend on where
the sections and the functions of the C library lie. All that depends on the sections alone is
settled here; the rest goes through a table of addresses at the end of the block, which whoever
loads it fills in. So loading needs neither LLVM, which takes 50 MB, nor time.

Knows ELF files for x86-64, see the "System V Application Binary Interface, AMD64 Architecture
Processor Supplement", section 4.4 for the relocations.
"""

from __future__ import annotations

import struct
from io import BytesIO
from typing import Any

from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection

from nengo_jit.engines.cpu.toolchain.loader import Image

# Types of relocations
ABSOLUTE = {1}  # R_X86_64_64
RELATIVE = {2, 4}  # R_X86_64_PC32, R_X86_64_PLT32
THROUGH_TABLE = {9, 41, 42}  # R_X86_64_GOTPCREL, R_X86_64_GOTPCRELX, R_X86_64_REX_GOTPCRELX
JUMP = b"\xff\x25"  # jmp *offset(%rip), to the address that is found there
POINTER = 8  # bytes


def link(object_file: bytes, symbol: str) -> Image:
    """Make an image of an object file.

    Parameters
    ----------
    object_file : bytes
        In the format ELF, for x86-64.
    symbol : str
        Name of the function that is called from outside.

    Raises
    ------
    NotImplementedError
        If the file needs a kind of relocation that is not known.
    """
    elf = ELFFile(BytesIO(object_file))
    image, places = Image(), {}
    for number, section in enumerate(elf.iter_sections()):
        is_needed = section["sh_flags"] & SH_FLAGS.SHF_ALLOC and section.name != ".eh_frame"
        if is_needed and section["sh_size"]:
            places[number] = _append(image.code, section.data(), section["sh_addralign"])
    symbols: Any = elf.get_section_by_name(".symtab")
    (entry,) = symbols.get_symbol_by_name(symbol)
    image.entry = places[entry["st_shndx"]] + entry["st_value"]
    tables: dict[Any, int] = {}
    for section in elf.iter_sections():
        if isinstance(section, RelocationSection) and section["sh_info"] in places:
            for relocation in section.iter_relocations():
                place = places[section["sh_info"]] + relocation["r_offset"]
                target = symbols.get_symbol(relocation["r_info_sym"])
                _relocate(image, relocation, place, target, places, tables)
    return image


def _append(code: bytearray, data: bytes, alignment: int = POINTER) -> int:
    """Append data to code; returns where it begins."""
    code.extend(bytes(-len(code) % max(alignment, 1)))
    code.extend(data)
    return len(code) - len(data)


def _relocate(
    image: Image, relocation: Any, place: int, symbol: Any, places: Any, tables: dict[Any, int]
) -> None:
    kind, addend = relocation["r_info_type"], relocation["r_addend"]
    is_own = symbol["st_shndx"] in places
    target = places[symbol["st_shndx"]] + symbol["st_value"] if is_own else None
    if kind in ABSOLUTE and target is not None:
        struct.pack_into("<q", image.code, place, target + addend)
        image.moved.append(place)
        return
    if kind in THROUGH_TABLE:
        target = _slot(image, symbol.name, target, tables)
    elif kind not in RELATIVE:
        raise NotImplementedError(f"Relocation of type {kind} for {symbol.name!r}")
    elif target is None:
        target = _stub(image, symbol.name, tables)
    struct.pack_into("<i", image.code, place, target + addend - place)


def _slot(image: Image, name: str, target: int | None, tables: dict[Any, int]) -> int:
    """Where the address of a symbol stands, be it one of the image's own or an import."""
    key = ("slot", name, target)
    if key not in tables:
        tables[key] = _append(image.code, struct.pack("<q", target or 0))
        if target is None:
            image.imports[name] = tables[key]
        else:
            image.moved.append(tables[key])
    return tables[key]


def _stub(image: Image, name: str, tables: dict[Any, int]) -> int:
    """Code that jumps to an import."""
    key = ("stub", name)
    if key not in tables:
        slot = _slot(image, name, None, tables)
        start = _append(image.code, JUMP + bytes(4))
        struct.pack_into("<i", image.code, start + 2, slot - (start + 6))
        tables[key] = start
    return tables[key]
