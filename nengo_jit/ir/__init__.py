"""The parts of a model: signals, operators, and the memory of signals."""
