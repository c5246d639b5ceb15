"""Python functions on the device: what the tracer of the CPU engine has found them to compute."""
