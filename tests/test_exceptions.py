"""Sentences attached to errors."""

import traceback

import pytest

from nengo_jit.exceptions import add_context


def test_contexts_become_notes_in_order():
    error = ValueError("too large")
    add_context(error, "First.")
    add_context(error, "Second.")
    assert error.__notes__ == ["First.", "Second."]


def test_context_is_printed_below_the_message():
    error = ValueError("too large")
    add_context(error, "This happened in the test.")
    printed = "".join(traceback.format_exception_only(type(error), error))
    assert printed == "ValueError: too large\nThis happened in the test.\n"


@pytest.mark.parametrize("error_type", [ValueError, KeyboardInterrupt])
def test_type_message_and_arguments_stay_as_they_are(error_type):
    error = error_type("too large", 3)
    add_context(error, "This happened in the test.")
    assert type(error) is error_type
    assert error.args == ("too large", 3)
    assert str(error) == "('too large', 3)"
