"""Definitions of the primitives in LLVM IR, for Numba."""
