"""The CPU engine: kernels that Numba compiled once, run by a small machine over tables."""
