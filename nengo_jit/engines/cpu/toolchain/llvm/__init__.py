"""What the primitives of kernels are in LLVM's language, for Numba."""
