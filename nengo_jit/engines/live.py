"""The live memory of a simulation, for users."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import nengo.builder.signal as reference
from numpy.typing import ArrayLike

from nengo_jit.engines.base import Engine
from nengo_jit.ir.signal import Signal


class LiveSignals(Mapping[Signal, Any]):
    """Live arrays by signal, to read and write at any time from any thread.

    For ``isinstance``, it is a ``SignalDict`` of nengo.

    Parameters
    ----------
    engine : Engine
        Owns the memory, and records which arrays have been handed out.
    catch_up : callable
        Lets the engine run deferred operators.
    """

    def __init__(self, engine: Engine, catch_up: Callable[[], None]):
        self._engine, self._catch_up = engine, catch_up

    def _hand_out(self, signal: Signal) -> Any:
        self._catch_up()
        return self._engine.hand_out(signal)

    @property  # type: ignore[misc]  # mypy allows no property here; `isinstance` does
    def __class__(self) -> type:
        return reference.SignalDict

    def __getitem__(self, signal: Signal) -> Any:
        """Live array of a signal (a SciPy matrix, if sparse); KeyError if it has none."""
        return self._hand_out(signal)

    def __setitem__(self, signal: Signal, value: ArrayLike) -> None:
        """Write to the memory of a signal; ValueError if it is read-only."""
        self._hand_out(signal)
        self._engine.signals[signal] = value

    def __contains__(self, signal: object) -> bool:
        return signal in self._engine.signals

    def __iter__(self) -> Iterator[Signal]:
        return iter(self._engine.signals)

    def __len__(self) -> int:
        return len(self._engine.signals)

    def __str__(self) -> str:
        self._catch_up()
        return str(self._engine.signals)

    def copy(self) -> dict[Signal, Any]:
        """A dictionary of the live arrays."""
        return dict(self)

    def init(self, signal: Signal) -> None:
        """Allocate memory for a signal that no operator uses; SignalError if it has memory."""
        self._engine.signals.init(signal)

    def reset(self, signal: Signal) -> None:
        """Restore the initial value of a signal, unless it is read-only."""
        self._hand_out(signal)
        self._engine.signals.reset(signal)
