"""The command ``nengo-jit``, also as ``python -m nengo_jit``."""

from nengo_jit.cli import main

if __name__ == "__main__":
    main()
