"""Engines for models, as simulators make them."""

from nengo_jit.engines import Backend, backend_class
from nengo_jit.options import Options


def compiled(model, backend="cpu", **options):
    """An engine for a model, to be reset before its first run.

    Parameters
    ----------
    model : Model
        What to run.
    backend : str or type
        Name of the engine, or its backend.
    **options
        What the user has chosen.
    """
    if not (isinstance(backend, type) and issubclass(backend, Backend)):
        backend = backend_class(backend)
    made = backend(Options(**options))
    return made.compile(made.plan(model))
