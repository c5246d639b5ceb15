"""The cache of machine code: on disk, so that nothing is compiled twice on a machine.

A kernel is filed under the `fingerprint` of all that its code depends on: its function and what
that calls, the type of the numbers, the compiler and the processor. So an entry never goes stale,
and entries can be deleted at any time. They are kept in folders, see
`nengo_jit.engines.cpu.toolchain.cache`; what is not there is compiled by other processes, see
`nengo_jit.engines.cpu.toolchain.workers`.

On x86-64 Linux, code is put into memory as it is (see `linker.py`); elsewhere LLVM does it.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib.resources
import logging
import os
import sys
import threading
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import version
from time import monotonic
from typing import Any

import numpy as np

from nengo_jit.engines.cpu.language import primitives
from nengo_jit.engines.cpu.language.kernel import Routine
from nengo_jit.engines.cpu.language.primitives import Address
from nengo_jit.engines.cpu.toolchain.cache.entry import UnsafeError
from nengo_jit.engines.cpu.toolchain.cache.folder import Folder
from nengo_jit.engines.cpu.toolchain.cache.places import own_folder, shared_folder, size_limit
from nengo_jit.engines.cpu.toolchain.fingerprint import fingerprint
from nengo_jit.engines.cpu.toolchain.jobs import AWAITED, LATER, LIKELY, Job, called, job_for
from nengo_jit.engines.cpu.toolchain.loader import IS_LINKED_HERE, load_image
from nengo_jit.engines.cpu.toolchain.target import description, target_machine
from nengo_jit.engines.cpu.toolchain.workers import PAUSE, CompilerError, Workers

logger = logging.getLogger(__name__)

# modules that machine code depends on, beside those that its functions come from
COMPILER = (
    "engines/cpu/toolchain/llvm/accessors",
    "engines/cpu/toolchain/llvm/checks",
    "engines/cpu/toolchain/compiler",
    "engines/cpu/toolchain/loader",
    "engines/cpu/toolchain/llvm/intrinsics",
    "engines/cpu/toolchain/llvm/simd",
    "engines/cpu/toolchain/linker",
    "engines/cpu/language/primitives",
    "engines/cpu/toolchain/llvm/elementary",
    "engines/cpu/toolchain/target",
    "engines/cpu/toolchain/translation",
    "engines/cpu/toolchain/wrapper",
    "regions",
)
Needed = dict[str, tuple[Routine, np.dtype]]  # kernels by the names of their entries
_engines: list[Any] = []  # what owns the memory that LLVM puts code into


def address_of(kernel: Routine, dtype: np.dtype) -> Address:
    """Address of a kernel's machine code for numbers of a type; compiles it if need be.

    Raises
    ------
    CompilerError
        If it cannot be compiled.
    """
    name = name_of(kernel, np.dtype(dtype))
    if name not in KERNELS.addresses:
        KERNELS.load([(kernel, dtype)])
    return Address(KERNELS.addresses[name])


def load_kernels(kernels: Iterable[tuple[Routine, np.dtype]], progress: Any = None) -> None:
    """Get kernels ready: from the disk or, the first time on a machine, by compiling them.

    Parameters
    ----------
    kernels : iterable of tuple of Routine and numpy.dtype
        What is needed, each with the type of its numbers.
    progress : nengo.utils.progress.Progress, optional
        Is told of each kernel that is ready.

    Raises
    ------
    CompilerError
        If one cannot be compiled.
    """
    KERNELS.load(kernels, progress)
    KERNELS.go_on()


def begin_to_load(kernels: Iterable[tuple[Routine, np.dtype]], turn: int = LIKELY) -> None:
    """Have kernels compiled that are not on the disk, while this process does something else.

    Parameters
    ----------
    kernels
        See `load_kernels`.
    turn : int
        See `nengo_jit.engines.cpu.toolchain.jobs.Job`.
    """
    KERNELS.begin(kernels, turn)


def are_ready(kernels: Iterable[tuple[Routine, np.dtype]]) -> bool:
    """Whether kernels are in memory, without waiting for them.

    Those that are not on the disk, either, are compiled after all that `load_kernels` waits for,
    while this process does something else.

    Parameters
    ----------
    kernels
        See `load_kernels`.
    """
    return KERNELS.has(kernels)


def are_kept(kernels: Iterable[tuple[Routine, np.dtype]]) -> bool:
    """Whether later processes will find kernels on the disk.

    Parameters
    ----------
    kernels
        See `load_kernels`.
    """
    folders = list(_readable())
    return all(
        any(_read(folder, name) is not None for folder in folders) for name in _named(kernels)
    )


@cache
def name_of(kernel: Routine, dtype: np.dtype) -> str:
    """What a kernel's machine code for numbers of a type is filed under."""
    options = _fastmath(kernel), *map(_options, called(kernel.code))
    key = fingerprint(kernel.code, repr(kernel.signature), options, dtype, *_compiler())
    return f"{kernel.name}-{key}"


class KernelCache:
    """The machine code that this process has, and where it gets more from.

    Attributes
    ----------
    addresses : dict of (str, int)
        Where the code is that has been put into memory, by the names of entries.
    """

    def __init__(self) -> None:
        self.addresses: dict[str, int] = {}
        self._contents: dict[str, bytes] = {}  # of entries that are not in memory yet
        self._later: Needed = {}  # what nobody waits for
        self._hopeless: set[str] = set()  # what of that cannot be compiled
        self._next_look = 0.0
        self._workers: Workers | None = None
        self._lock = threading.RLock()

    def load(self, kernels: Iterable[tuple[Routine, np.dtype]], progress: Any = None) -> None:
        """Put kernels into memory; see `load_kernels`."""
        needed = _named(kernels)
        if progress is not None:
            progress.max_steps = max(len(needed), 1)
        with self._lock:
            missing = self._look_up(needed)
            for name in needed.keys() - missing.keys():
                self._put_into_memory(name, progress)
            if missing:
                self._compile(missing, progress)

    def begin(self, kernels: Iterable[tuple[Routine, np.dtype]], turn: int) -> None:
        """Have kernels compiled meanwhile; see `begin_to_load`."""
        with self._lock:
            missing = self._look_up(_named(kernels))
            if missing:
                with self._working() as workers:
                    workers.begin(_jobs(missing, turn))

    def has(self, kernels: Iterable[tuple[Routine, np.dtype]]) -> bool:
        """Whether kernels are in memory; see `are_ready`."""
        needed = _named(kernels)
        if needed.keys() <= self.addresses.keys():
            return True
        is_missing = not needed.keys().isdisjoint(self._later)  # unless it has come since
        if is_missing and monotonic() < self._next_look:
            return False
        if not self._lock.acquire(blocking=False):
            return False
        try:
            self._next_look = monotonic() + PAUSE
            self._take()
            missing = self._look_up(needed)
            for name in needed.keys() - missing.keys():
                self._put_into_memory(name)
            self._later |= missing
            return not missing
        finally:
            self._lock.release()

    def go_on(self) -> None:
        """Have compiled what nobody waits for."""
        with self._lock:
            later = self._look_up(self._later)
            self._later = {name: later[name] for name in later.keys() - self._hopeless}
            if self._later:
                with self._working() as workers:
                    workers.begin(_jobs(self._later, LATER))

    def _take(self) -> None:
        """Take what has been compiled of what nobody waits for."""
        if self._workers is None or not self._later:
            return
        try:
            for name, content in self._workers.take():
                self._contents[name] = content
                self._later.pop(name, None)
        except CompilerError as error:
            _warn(str(error))
            self._hopeless |= self._later.keys()
            self._later = {}

    def rest(self) -> None:
        """End what compiles for this process."""
        with self._lock:
            if self._workers is not None:
                self._workers.close()
                self._workers = None

    def _look_up(self, needed: Needed) -> Needed:
        """Read from the disk what is there; returns what is not."""
        missing = {}
        size_limit()  # which says if it is no number, whether or not anything is compiled
        own, folders = own_folder(), list(_readable())
        for name, (kernel, dtype) in needed.items():
            if name in self.addresses or name in self._contents:
                continue
            for folder in folders:
                content = _read(folder, name)
                if content is not None:
                    self._contents[name] = content
                    if folder == own:
                        folder.touch(name)
                    break
            else:
                missing[name] = kernel, dtype
        return missing

    def _compile(self, missing: Needed, progress: Any) -> None:
        logger.info("Compiling %s", ", ".join(missing))
        with self._working() as workers:
            workers.begin(_jobs(missing, AWAITED))
            for name, content in workers.finish(missing):
                self._contents[name] = content
                if name in missing:
                    self._put_into_memory(name, progress)

    def _put_into_memory(self, name: str, progress: Any = None) -> None:
        if name not in self.addresses:
            content = self._contents.pop(name)
            load = load_image if IS_LINKED_HERE else load_object
            self.addresses[name] = load(content)
        if progress is not None:
            progress.step()

    @contextlib.contextmanager
    def _working(self) -> Iterator[Workers]:
        """Context with processes that compile; they are ended if it is left by an error."""
        folder = _writable(own_folder())
        known = self._workers
        if known is not None and (known.folder, known.limit) != (folder, size_limit()):
            self.rest()
        if self._workers is None:
            self._workers = Workers(folder)
        try:
            yield self._workers
        except BaseException:
            self.rest()
            raise


KERNELS = KernelCache()


def _after_fork() -> None:
    """The processes that compile, and whoever holds the lock, are those of the parent."""
    KERNELS._lock = threading.RLock()
    _of_parents.append(KERNELS._workers)
    KERNELS._workers = None


_of_parents: list[Any] = []  # not to be ended when nobody refers to them any more
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
atexit.register(KERNELS.rest)


def _named(kernels: Iterable[tuple[Routine, np.dtype]]) -> Needed:
    return {name_of(kernel, np.dtype(dtype)): (kernel, dtype) for kernel, dtype in kernels}


def _jobs(missing: Needed, turn: int) -> Iterator[Job]:
    """What processes are told of kernels."""
    keys: dict[Any, str] = {}
    for name, (kernel, dtype) in missing.items():
        yield job_for(name, kernel.code, kernel.signature, dtype, _fastmath(kernel), turn, keys)


def _fastmath(kernel: Routine) -> tuple[str, ...]:
    """What LLVM may do with a kernel's arithmetic, by LLVM's names."""
    if kernel.exact:
        return ()
    flags = {"nsz": True, "contract": kernel.contract, "reassoc": kernel.reassociate}
    return tuple(sorted(name for name, is_allowed in flags.items() if is_allowed))


def _options(function: Any) -> str:
    """How a helper or a formula is compiled, as a text that is the same in every process."""
    # What is not a formula by itself yet, and may be later, is compiled like what calls it.
    contract = primitives.FORMULAS.get(function, True)
    options = {**primitives.HELPERS.get(function, {}), "contract": contract}
    return str([(name, _sorted(value)) for name, value in sorted(options.items())])


def _sorted(value: Any) -> Any:
    return sorted(value) if isinstance(value, (set, frozenset)) else value


@cache
def _compiler() -> tuple[str | bytes, ...]:
    """All that machine code depends on besides the kernel."""
    python = sys.implementation.cache_tag or sys.version
    return (python, version("numba"), version("llvmlite"), description(), *map(_source, COMPILER))


def _source(module: str) -> bytes:
    """What a module is made of: its source or, if it comes without, its bytecode."""
    folder = importlib.resources.files("nengo_jit")
    for ending in (".py", ".pyc"):
        file = folder.joinpath(module + ending)
        if file.is_file():
            return file.read_bytes()
    raise ImportError(
        f"nengo_jit is not installed completely: it needs {module}.py in {folder}, to know which "
        "machine code in its cache is up to date"
    )


def _readable() -> Iterator[Folder]:
    """Folders to look for machine code in, in this order, if only trusted users can write there."""
    for folder in filter(None, (shared_folder(), own_folder())):
        try:
            folder.check()
            yield folder
        except UnsafeError as reason:
            _warn(f"Machine code in {folder.path} is not used: {reason}")
        except OSError:
            continue


def _writable(folder: Folder | None) -> Folder | None:
    """The folder, if machine code can be kept there."""
    if folder is None:
        return None
    try:
        folder.make()
    except (OSError, UnsafeError) as reason:
        logger.info("Machine code is not kept for other processes: %s", reason)
        return None
    return folder


@cache
def _warn(message: str) -> None:
    """Log a warning, once in a process: folders and entries are looked at several times."""
    logger.warning(message)


def _read(folder: Folder, name: str) -> bytes | None:
    try:
        return folder.read(name)
    except UnsafeError as reason:
        _warn(f"Compiling a kernel again, since {reason}: {folder.path / name}")
    except FileNotFoundError:
        pass
    except OSError as error:
        _warn(f"Compiling a kernel again, since it cannot be read: {error}")
    return None


def load_object(content: bytes) -> int:
    """Let LLVM put an object file into memory."""
    import llvmlite.binding as llvm

    from nengo_jit.engines.cpu.toolchain.wrapper import ENTRY

    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target_machine())
    engine.add_object_file(llvm.ObjectFileRef.from_data(content))
    engine.finalize_object()
    _engines.append(engine)
    return int(engine.get_function_address(ENTRY))
