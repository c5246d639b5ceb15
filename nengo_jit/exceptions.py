"""Add context to exceptions, whose type and message stay the same.

nengo-jit raises the exception types of :mod:`nengo.exceptions` and passes exceptions of user code
through, so that ``except`` clauses written for nengo keep working.
"""


def add_context(error: BaseException, context: str) -> None:
    """Attach a note to an exception: what the program was doing when it was raised.

    Python prints the note below the exception's message (PEP 678).

    Parameters
    ----------
    error : BaseException
        The exception.
    context : str
        A sentence that names the object concerned.
    """
    error.add_note(context)
