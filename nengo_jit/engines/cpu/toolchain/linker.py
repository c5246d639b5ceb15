"""Link an object file into a position-independent image: one block of code and constants.

LLVM's object files have sections, and a list of relocations: offsets of values that depend on the
addresses of sections and of functions of the C library. Relocations between sections are resolved
here. The others go through a table of addresses at the end of the block, which the loader fills in.
So loading is fast and does not need LLVM, which takes 50 MB.

Supports ELF files for x86-64, see the "System V Application Binary Interface, AMD64 Architecture
Processor Supplement", section 4.4 for the relocations.
"""

from __future__ import annotations

import struct
from io import BytesIO
from typing import Any

from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import Relocation, RelocationSection
from elftools.elf.sections import Symbol

from nengo_jit.engines.cpu.toolchain.loader import Image

# Types of relocations
ABSOLUTE = {1}  # R_X86_64_64
RELATIVE = {2, 4}  # R_X86_64_PC32, R_X86_64_PLT32
THROUGH_TABLE = {9, 41, 42}  # R_X86_64_GOTPCREL, R_X86_64_GOTPCRELX, R_X86_64_REX_GOTPCRELX
JUMP = b"\xff\x25"  # jmp *offset(%rip): to the address that is stored there
POINTER = 8  # bytes

Tables = dict[tuple[str, str, int | None], int]  # offsets of table entries and of stubs


def link(object_file: bytes, symbol: str) -> Image:
    """Link an object file.

    Parameters
    ----------
    object_file : bytes
        An ELF file for x86-64.
    symbol : str
        Name of the function that the image exports.

    Raises
    ------
    NotImplementedError
        If the file has an unsupported kind of relocation.
    """
    elf = ELFFile(BytesIO(object_file))
    image, offsets = Image(), {}
    for number, section in enumerate(elf.iter_sections()):
        is_needed = section["sh_flags"] & SH_FLAGS.SHF_ALLOC and section.name != ".eh_frame"
        if is_needed and section["sh_size"]:
            offsets[number] = _append(image.code, section.data(), section["sh_addralign"])
    symbols: Any = elf.get_section_by_name(".symtab")
    (entry,) = symbols.get_symbol_by_name(symbol)
    image.entry = offsets[entry["st_shndx"]] + entry["st_value"]
    tables: Tables = {}
    for section in elf.iter_sections():
        if isinstance(section, RelocationSection) and section["sh_info"] in offsets:
            for relocation in section.iter_relocations():
                offset = offsets[section["sh_info"]] + relocation["r_offset"]
                target = symbols.get_symbol(relocation["r_info_sym"])
                _relocate(image, relocation, offset, target, offsets, tables)
    return image


def _append(code: bytearray, data: bytes, alignment: int = POINTER) -> int:
    """Append data to code; returns its offset."""
    code.extend(bytes(-len(code) % max(alignment, 1)))
    code.extend(data)
    return len(code) - len(data)


def _relocate(
    image: Image,
    relocation: Relocation,
    offset: int,
    symbol: Symbol,
    offsets: dict[int, int],
    tables: Tables,
) -> None:
    """Resolve a relocation, or add it to the table of addresses."""
    kind, addend = relocation["r_info_type"], relocation["r_addend"]
    is_own = symbol["st_shndx"] in offsets
    target = offsets[symbol["st_shndx"]] + symbol["st_value"] if is_own else None
    if kind in ABSOLUTE and target is not None:
        struct.pack_into("<q", image.code, offset, target + addend)
        image.moved.append(offset)
        return
    if kind in THROUGH_TABLE:
        target = _slot(image, symbol.name, target, tables)
    elif kind not in RELATIVE:
        raise NotImplementedError(f"Relocation of type {kind} for {symbol.name!r} is not supported")
    elif target is None:
        target = _stub(image, symbol.name, tables)
    struct.pack_into("<i", image.code, offset, target + addend - offset)


def _slot(image: Image, name: str, target: int | None, tables: Tables) -> int:
    """Offset of the table entry with the address of a symbol, the image's own or an import."""
    key = ("slot", name, target)
    if key not in tables:
        tables[key] = _append(image.code, struct.pack("<q", target or 0))
        if target is None:
            image.imports[name] = tables[key]
        else:
            image.moved.append(tables[key])
    return tables[key]


def _stub(image: Image, name: str, tables: Tables) -> int:
    """Offset of code that jumps to an import."""
    key = ("stub", name, None)
    if key not in tables:
        slot = _slot(image, name, None, tables)
        start = _append(image.code, JUMP + bytes(4))
        struct.pack_into("<i", image.code, start + 2, slot - (start + 6))
        tables[key] = start
    return tables[key]
