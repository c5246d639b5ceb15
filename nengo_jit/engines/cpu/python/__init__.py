"""Python functions in programs: calling them, tracing them and executing their tapes."""
