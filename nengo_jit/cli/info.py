"""``nengo-jit info``: what is installed, and where things are."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

import typer

PACKAGES = (
    "nengo-jit",
    "nengo",
    "numpy",
    "numba",
    "jax",
    "scipy",
    "matplotlib",
    "plotly",
    "zarr",
    "xarray",
    "distributed",
    "typer",
    "rich",
)


def info() -> None:
    """Show versions, cores, the cache of machine code, and engines."""
    from nengo_jit.engines import known_engines
    from nengo_jit.engines.cpu.toolchain.cache.locations import own_folder
    from nengo_jit.parallel import n_cores

    folder = own_folder()
    files = [each for each in folder.path.rglob("*") if each.is_file()] if folder else []
    megabytes = sum(each.stat().st_size for each in files) / 1e6
    where = folder.path if folder else "none: the home folder is unknown"
    first, *others = known_engines()
    lines = {
        "Python": f"{platform.python_version()}  {sys.executable}",
        **{name: _version(name) for name in PACKAGES},
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "cores": n_cores(),
        "cache": f"{where}  {len(files)} files, {megabytes:.1f} MB",
        "engines": ", ".join([f"{first} (the default)", *others]),
    }
    for name, text in lines.items():
        typer.echo(f"{name:11} {text}")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
