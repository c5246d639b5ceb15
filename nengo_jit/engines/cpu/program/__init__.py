"""From a plan to a program: fusion, lowering, who does what in which thread, and running it."""
