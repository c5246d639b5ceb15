"""nengo's cache of decoders, with separate keys for ours.

Our decoders differ from nengo's in the last bits. With keys of their own, neither affects the
other's results. A cache that the user gives to a model is used with nengo's keys.
"""

from __future__ import annotations

import hashlib

from nengo.cache import DecoderCache, NoDecoderCache, get_default_decoder_cache


class SaltedCache(DecoderCache):
    """A decoder cache in nengo's folder, with keys of its own.

    Parameters
    ----------
    salt : str
        Becomes part of each key: names what the last bits of decoders depend on.
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
