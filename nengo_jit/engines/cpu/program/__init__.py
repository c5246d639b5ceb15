"""From a plan to a program: fusion, lowering, division among threads, and running it."""
