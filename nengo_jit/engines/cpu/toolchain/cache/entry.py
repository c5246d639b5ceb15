"""The format of a cache entry: machine code, with all that is needed to tell that it is whole.

A file begins with the format's name and number, a digest, and the length of what follows: one line
of JSON, with the entry's name and what made it, then the content.
"""

from __future__ import annotations

import hashlib
import json
import struct
from typing import Any

MAGIC = b"nengo_jit code 1"  # with the number of the format
DIGEST_SIZE = 32  # bytes
HEAD = struct.Struct(f"<{len(MAGIC)}s{DIGEST_SIZE}sQ")
DESCRIBED = 4096  # bytes within which the line of JSON ends


class UnsafeError(Exception):
    """What the cache holds is not what it should be, or somebody else may have written it."""


def pack(name: str, content: bytes, maker: dict[str, Any]) -> bytes:
    """An entry, as the content of a file.

    Parameters
    ----------
    name : str
        What the entry is filed under.
    content : bytes
        The machine code.
    maker : dict of (str, Any)
        What made it, in JSON's types; see `nengo_jit.engines.cpu.toolchain.cache.eviction`.
    """
    body = json.dumps({"name": name, "maker": maker}).encode() + b"\n" + content
    return HEAD.pack(MAGIC, _digest(body), len(body)) + body


def unpack(name: str, data: bytes) -> bytes:
    """The content of an entry.

    Parameters
    ----------
    name : str
        What the entry is filed under.
    data : bytes
        What `pack` returned, if nothing has happened to it.

    Raises
    ------
    UnsafeError
        If it is damaged, of another format, or another entry.
    """
    if len(data) < HEAD.size:
        raise UnsafeError("it is too short")
    magic, digest, length = HEAD.unpack_from(data)
    body = data[HEAD.size :]
    if magic != MAGIC:
        raise UnsafeError("it is of another format")
    if length != len(body) or digest != _digest(body):
        raise UnsafeError("it is damaged")
    described, _, content = body.partition(b"\n")
    if json.loads(described)["name"] != name:
        raise UnsafeError("it is another kernel's")
    return content


def maker_of(start: bytes) -> dict[str, Any]:
    """What made an entry, from the first `DESCRIBED` bytes of its file, which are not checked.

    Parameters
    ----------
    start : bytes
        How the file begins.

    Raises
    ------
    UnsafeError
        If that cannot be told.
    """
    try:
        magic, _, _ = HEAD.unpack_from(start)
        maker = json.loads(start[HEAD.size :].partition(b"\n")[0])["maker"]
    except (struct.error, ValueError, LookupError, TypeError) as error:
        raise UnsafeError("it is damaged") from error
    if magic != MAGIC or not isinstance(maker, dict):
        raise UnsafeError("it is of another format")
    return maker


def _digest(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=DIGEST_SIZE).digest()
