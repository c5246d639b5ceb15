"""nengo's cache of decoders, with entries of our own in it.

What we solve for differs from nengo's in the last bits. So that neither changes what the other
computes, ours is filed under keys that nengo never asks for. A cache that the user gives a model
is used as nengo uses it.
"""

from __future__ import annotations

import hashlib

from nengo.cache import DecoderCache, NoDecoderCache, get_default_decoder_cache


class SaltedCache(DecoderCache):
    """A decoder cache in the same folder as nengo's, under keys of its own.

    Parameters
    ----------
    salt : str
        What tells its keys from others: whatever the last bits depend on.
    readonly, cache_dir
        See `nengo.cache.DecoderCache`.
    """

    def __init__(self, salt: str, readonly: bool = False, cache_dir: str | None = None):
        super().__init__(readonly=readonly, cache_dir=cache_dir)
        self._salt = salt.encode()

    def _get_cache_key(self, *arguments: object) -> str:
        key = super()._get_cache_key(*arguments)
        return hashlib.sha1(self._salt + b"\0" + key.encode()).hexdigest()


def decoder_cache(salt: str) -> DecoderCache | NoDecoderCache:
    """The cache that nengo's settings ask for, with keys of its own.

    Parameters
    ----------
    salt : str
        See `SaltedCache`.
    """
    chosen = get_default_decoder_cache()
    if type(chosen) is not DecoderCache:
        return chosen
    return SaltedCache(salt, chosen.readonly, chosen.cache_dir)
