"""From a kernel to machine code in memory: compiler, linker, loader, cache."""
