"""Evict cache entries: first those of packages that are gone, then the least recently used."""

from __future__ import annotations

import contextlib
import os
import re
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from pathlib import Path

from nengo_jit.engines.cpu.toolchain.cache import trust
from nengo_jit.engines.cpu.toolchain.cache.entry import DESCRIBED, Maker, UnsafeError, maker_of

ENTRY = re.compile(r".+-[0-9a-f]{32}(\.unfinished)?")  # names of our files
PACKAGES = ("nengo-jit", "numba", "llvmlite")


def maker() -> Maker:
    """Maker of entries in this process: versions of packages, and where they are installed."""
    found: dict[str, Distribution] = {}
    for name in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = distribution(name)
    site = str(found["numba"].locate_file("")) if "numba" in found else ""
    return {"site": site, "versions": {name: each.version for name, each in found.items()}}


def is_installed(made_by: Maker) -> bool:
    """Whether the packages that made an entry are still installed, as far as we know.

    Parameters
    ----------
    made_by : dict of (str, object)
        From `maker`, in that process.
    """
    versions = _versions(str(made_by.get("site", "")))
    made = made_by.get("versions")
    if not isinstance(made, dict) or "numba" not in versions:
        return False
    return all(versions.get(name, version) == version for name, version in made.items())


@cache
def _versions(site: str) -> dict[str, str]:
    """Versions of the packages that are installed in a folder."""
    return {each.name: each.version for each in distributions(path=[site])} if site else {}


def make_room(folder: Path, n_bytes: int, limit: int) -> bool:
    """Remove entries until there is room for another one; returns whether there is.

    Parameters
    ----------
    folder : Path
        Folder of the entries. Other files are left alone.
    n_bytes : int
        Size of the new entry.
    limit : int
        Maximum size of all entries (bytes).
    """
    found = []
    for each in os.scandir(folder):
        with contextlib.suppress(OSError):
            if ENTRY.fullmatch(each.name) and each.is_file(follow_symlinks=False):
                status = each.stat(follow_symlinks=False)
                found.append((status.st_mtime_ns, status.st_size, each.path))
    excess = sum(size for _, size, _ in found) + n_bytes - limit
    if excess > 0:
        ordered = sorted((_is_current(path), used, size, path) for used, size, path in found)
        for _, _, size, path in ordered:
            if excess > 0:
                with contextlib.suppress(OSError):
                    os.unlink(path)
                    excess -= size
    return excess <= 0


def _is_current(path: str) -> bool:
    """Whether the packages that made an entry are still installed."""
    try:
        with open(os.open(path, trust.SAFELY), "rb") as file:
            return is_installed(maker_of(file.read(DESCRIBED)))
    except (OSError, UnsafeError):
        return False
