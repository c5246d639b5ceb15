"""Members of a batch take turns on the CPU engine."""

from __future__ import annotations

import numpy as np

from nengo_jit.engines.base import Engine
from nengo_jit.engines.cpu.kernels.inputs import GivenRows
from nengo_jit.engines.cpu.language.mt19937 import Stream
from nengo_jit.engines.cpu.program.components import Task
from nengo_jit.engines.cpu.program.exposure import Exposure
from nengo_jit.engines.cpu.program.lowering import Lowering, Private
from nengo_jit.engines.cpu.program.programs import Programs
from nengo_jit.engines.cpu.python.callbacks import Callback
from nengo_jit.engines.cpu.python.tapes_in_use import Tracing
from nengo_jit.engines.cpu.recorder import KernelRecording
from nengo_jit.engines.recorder import Clock
from nengo_jit.engines.turns import Output
from nengo_jit.ir.neurons import SimNeurons
from nengo_jit.ir.python import SimPyFunc


class CpuTurns(Engine):
    """The part of the CPU engine that runs members of a batch, see `TakesTurns`."""

    callbacks: list[Callback]
    _clock: Clock
    _exposure: Exposure
    _given: dict[Output, GivenRows]
    _lowering: Lowering
    _programs: Programs
    _recorders: KernelRecording
    _tracing: Tracing

    def give(self, output: Output, rows: np.ndarray | None, first: int) -> None:
        if output not in self._given:
            if rows is None:
                return
            self._given[output] = GivenRows()
            self._exposure.add(output.signal.base)
        self._given[output].give(rows, first)
        self._tracing.mute(output.function, rows is not None)

    def _with_given(self, levels: list[list[Task]]) -> list[list[Task]]:
        """Return the tasks of a step, with those that output rows after those that compute them."""
        levels = [*levels]
        for output, rows in self._given.items():
            place = 1  # after what saves memory
            for number, level in enumerate(levels):
                if any(task.operator is output.writer for task in level if task.operator):
                    place = number + 1
            row = rows.row(self.signals[output.signal], self._clock)
            levels.insert(place, [Task(None, row)])
        return levels

    @property
    def takes_turns(self) -> bool:
        generators = self.generators.values()
        return all(isinstance(each, Stream) for each in generators) and all(
            type(each.operator) in (SimPyFunc, SimNeurons) or each.is_pure
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
