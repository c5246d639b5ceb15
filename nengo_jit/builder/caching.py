"""nengo's cache of decoders, with separate keys for ours.

Our decoders differ from nengo's in the last bits. With keys of their own, neither affects the
other's results. A cache that the user gives to a model is used with nengo's keys.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

from nengo.cache import DecoderCache, NoDecoderCache, get_default_decoder_cache


class SaltedCache(DecoderCache):
    """A decoder cache in nengo's folder, with keys of its own.

    The index of a cache that has been used for long takes a tenth of a second to read and write.
    So it is read when the first decoders are looked up, and written only if decoders were added.

    Parameters
    ----------
    salt : str
        Becomes part of each key: names what the last bits of decoders depend on.
    readonly, cache_dir
        See `nengo.cache.DecoderCache`.

    Attributes
    ----------
    seconds : float
        Time that the last build spent on the index, and on removing old files.
    """

    def __init__(self, salt: str, readonly: bool = False, cache_dir: str | None = None):
        super().__init__(readonly=readonly, cache_dir=cache_dir)
        self._salt = salt.encode()
        self._is_open = False
        self.seconds = 0.0

    def __enter__(self) -> SaltedCache:
        self._in_context, self._is_open = True, False
        self.seconds = 0.0
        return self

    def __exit__(self, *exception: object) -> None:
        if self._has_additions:
            with self._timed():
                super().__exit__(*exception)
        self._close_fd()
        self._in_context = False

    def wrap_solver(self, solver_fn: Callable[..., Any]) -> Callable[..., Any]:
        """Return a solver that looks decoders up first."""
        if self._in_context and not self._is_open:
            with self._timed():
                super().__enter__()
            self._is_open = True
        return super().wrap_solver(solver_fn)

    def shrink(self, limit: int | str | None = None) -> None:
        """Remove the files that have not been used for longest, until the cache is small enough.

        While a network is built, nothing is done if no decoders were added.

        Parameters
        ----------
        limit : int or str, optional
            Size in bytes, or a text such as "100 MB"; by default that of nengo's settings.
        """
        if self._has_additions or not self._in_context:
            with self._timed():
                super().shrink(limit)

    @property
    def _has_additions(self) -> bool:
        return bool(getattr(self._index, "_updates", None))

    @contextmanager
    def _timed(self) -> Iterator[None]:
        began = perf_counter()
        yield
        self.seconds += perf_counter() - began

    def _get_cache_key(self, *arguments: object) -> str:
        key = super()._get_cache_key(*arguments)
        return hashlib.sha1(self._salt + b"\0" + key.encode()).hexdigest()


def decoder_cache(salt: str) -> DecoderCache | NoDecoderCache:
    """Return the cache that nengo's settings choose, with keys of its own.

    Parameters
    ----------
    salt : str
        See `SaltedCache`.
    """
    chosen = get_default_decoder_cache()
    if type(chosen) is not DecoderCache:
        return chosen
    return SaltedCache(salt, chosen.readonly, chosen.cache_dir)


def seconds_of(cache: DecoderCache | NoDecoderCache) -> float:
    """Time that the last build spent on the files of a cache; 0 if it is not of our class."""
    return cache.seconds if isinstance(cache, SaltedCache) else 0.0
