"""Instructions of Python's bytecode, by the table of handlers."""

import numpy as np
import pytest

from nengo_jit.engines.cpu.python.tracing import Unsupported, trace
from nengo_jit.engines.cpu.python.tracing.bytecode import frame


def add(a, b):
    return a + b


def test_an_instruction_without_a_handler_is_named():
    with pytest.raises(Unsupported, match="uses the instruction BUILD_SET"):
        trace(lambda: add({add}, 1))


def test_arguments_that_are_not_supported_are_refused_without_names_of_ours():
    numbers = np.arange(3.0)
    for step, name in (
        (lambda: round(numbers[0], 2), "round"),
        (lambda: numbers.item(0, 0), "item"),
    ):
        with pytest.raises(Unsupported) as refused:
            trace(step)
        assert str(refused.value) == f"calls `{name}` with arguments that are not supported"


def test_instructions_are_executed_by_the_table(monkeypatch):
    executed = []
    handler = frame.HANDLERS["BINARY_OP"]

    def recording(active, instruction):
        executed.append((active.code.co_name, instruction.argrepr))
        return handler(active, instruction)

    monkeypatch.setitem(frame.HANDLERS, "BINARY_OP", recording)
    trace(lambda: add(1, 2))
    assert executed == [("add", "+")]


def test_handlers_do_not_execute_what_ends_a_function():
    assert not {*frame.RETURNS, "YIELD_VALUE"} & frame.HANDLERS.keys()
