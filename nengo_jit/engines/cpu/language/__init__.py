"""What kernels are written in: names, types of columns, and what the compiler makes of them."""
