"""Format of a cache entry: machine code, with a digest by which damage is noticed.

A file begins with the name and number of the format, a digest, and the length of the rest: one line
of JSON, with the entry's name and its maker, then the content.
"""

from __future__ import annotations

import hashlib
import json
import struct

MAGIC = b"nengo_jit code 1"  # with the number of the format
DIGEST_SIZE = 32  # bytes
HEAD = struct.Struct(f"<{len(MAGIC)}s{DIGEST_SIZE}sQ")
DESCRIBED = 4096  # bytes of a file that contain the line of JSON


Maker = dict[str, object]  # in JSON's types


class UnsafeError(Exception):
    """An entry is damaged, or an untrusted user may have written it."""


def pack(name: str, content: bytes, maker: Maker) -> bytes:
    """Pack an entry into the content of a file.

    Parameters
    ----------
    name : str
        Name of the entry.
    content : bytes
        The machine code.
    maker : dict of (str, object)
        The packages that made it, see `nengo_jit.engines.cpu.toolchain.cache.eviction.maker`.
    """
    body = json.dumps({"name": name, "maker": maker}).encode() + b"\n" + content
    return HEAD.pack(MAGIC, _digest(body), len(body)) + body


def unpack(name: str, data: bytes) -> bytes:
    """Unpack the content of an entry.

    Parameters
    ----------
    name : str
        Name of the entry.
    data : bytes
        From `pack`.

    Raises
    ------
    UnsafeError
        If the data are damaged, of another format, or of another entry.
    """
    if len(data) < HEAD.size:
        raise UnsafeError("it is too short")
    magic, digest, length = HEAD.unpack_from(data)
    body = data[HEAD.size :]
    if magic != MAGIC:
        raise UnsafeError("it has another format")
    if length != len(body) or digest != _digest(body):
        raise UnsafeError("it is damaged")
    described, _, content = body.partition(b"\n")
    if json.loads(described)["name"] != name:
        raise UnsafeError("it belongs to another kernel")
    return content


def maker_of(start: bytes) -> Maker:
    """Maker of an entry; the digest is not checked.

    Parameters
    ----------
    start : bytes
        The first `DESCRIBED` bytes of its file.

    Raises
    ------
    UnsafeError
        If they cannot be parsed.
    """
    try:
        magic, _, _ = HEAD.unpack_from(start)
        maker = json.loads(start[HEAD.size :].partition(b"\n")[0])["maker"]
    except (struct.error, ValueError, LookupError, TypeError) as error:
        raise UnsafeError("it is damaged") from error
    if magic != MAGIC or not isinstance(maker, dict):
        raise UnsafeError("it has another format")
    return maker


def _digest(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=DIGEST_SIZE).digest()
