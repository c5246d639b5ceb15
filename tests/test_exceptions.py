"""Sentences attached to errors."""

import sys
import traceback

import pytest

from nengo_jit.exceptions import add_context

needs_notes = pytest.mark.skipif(sys.version_info < (3, 11), reason="exceptions have no notes")


class WithoutNotesError(Exception):
    """An exception as they were in Python 3.10."""

    @property
    def add_note(self):
        raise AttributeError("add_note")


@needs_notes
def test_context_becomes_a_note():
    error = ValueError("too large")
    add_context(error, "This happened in the test.")
    assert error.__notes__ == ["This happened in the test."]


@needs_notes
def test_contexts_accumulate_in_order():
    error = ValueError("too large")
    add_context(error, "First.")
    add_context(error, "Second.")
    assert error.__notes__ == ["First.", "Second."]


@needs_notes
def test_context_is_printed_below_the_message():
    error = ValueError("too large")
    add_context(error, "This happened in the test.")
    printed = "".join(traceback.format_exception_only(type(error), error))
    assert printed == "ValueError: too large\nThis happened in the test.\n"


@needs_notes
def test_nothing_is_logged_where_there_are_notes(caplog):
    add_context(ValueError("too large"), "This happened in the test.")
    assert not caplog.records


def test_context_is_logged_where_there_are_no_notes(caplog):
    add_context(WithoutNotesError("too large"), "This happened in the test.")
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert record.name == "nengo_jit.exceptions"
    assert record.getMessage() == ("WithoutNotesError: too large (This happened in the test.)")


@pytest.mark.parametrize("error_type", [ValueError, WithoutNotesError, KeyboardInterrupt])
def test_type_message_and_arguments_stay_as_they_are(error_type):
    error = error_type("too large", 3)
    add_context(error, "This happened in the test.")
    assert type(error) is error_type
    assert error.args == ("too large", 3)
    assert str(error) == "('too large', 3)"
