"""Members of a batch take turns on the CPU engine."""

from __future__ import annotations

import numpy as np

from nengo_jit.engines.base import Engine
from nengo_jit.engines.cpu.language.mt19937 import Stream
from nengo_jit.engines.cpu.program.lowering import Lowering, Private
from nengo_jit.engines.cpu.program.programs import Programs
from nengo_jit.engines.cpu.python.callbacks import Callback, Tracing
from nengo_jit.engines.cpu.recorder import KernelRecording
from nengo_jit.ir.given import Given
from nengo_jit.ir.neurons import SimNeurons
from nengo_jit.ir.python import SimPyFunc


class CpuTurns(Engine):
    """The part of the CPU engine that runs members of a batch, see `TakesTurns`."""

    callbacks: list[Callback]
    _lowering: Lowering
    _programs: Programs
    _recorders: KernelRecording
    _tracing: Tracing

    def give(self, operator: Given, rows: np.ndarray | None, first: int) -> None:
        if operator in self._lowering.given:
            self._lowering.given[operator].give(rows, first)
        else:
            super().give(operator, rows, first)
        self._tracing.mute(operator.function, rows is not None)

    @property
    def takes_turns(self) -> bool:
        generators = self.generators.values()
        return all(isinstance(each, Stream) for each in generators) and all(
            type(each.operator) in (SimPyFunc, SimNeurons)
            or (type(each.operator) is not Given and each.is_pure)
            for each in self.callbacks
        )

    @property
    def is_thread_safe(self) -> bool:
        if not all(each.is_pure for each in self.callbacks):
            self._tracing.trace()  # more is known then
        return all(each.is_pure for each in self.callbacks)

    def private(self) -> tuple[Private, bool]:
        return self._lowering.private(), self._programs.has_begun

    def load_private(self, private: tuple[Private, bool]) -> None:
        copied, has_begun = private
        self._lowering.load(copied)
        self._programs.has_begun = has_begun and copied.lowering is self._lowering
        self._recorders.forget_room()
