"""Say where an error happened, without changing what it is.

nengo-jit raises the exception types of :mod:`nengo.exceptions`, and lets those of user code
pass through unchanged, so that ``except`` clauses written for nengo keep working.
"""


def add_context(error: BaseException, context: str) -> None:
    """Attach to ``error`` a sentence that says what was being done when it was raised.

    The sentence is printed below the error's own message (PEP 678).

    Parameters
    ----------
    error : BaseException
        The exception on its way out; its type and message stay as they are.
    context : str
        One sentence that names the object concerned.
    """
    error.add_note(context)
