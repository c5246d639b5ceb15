"""The language of kernels: primitives, columns, rows, and random numbers."""
