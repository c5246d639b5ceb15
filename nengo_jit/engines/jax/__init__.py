"""The JAX engine: a plan becomes one pure function, which XLA compiles for an accelerator."""

try:
    import jax as _jax  # noqa: F401  # only to see that it is there
except ImportError as error:
    raise ImportError('it needs JAX: pip install "nengo-jit[jax]"') from error
