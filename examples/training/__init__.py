"""Examples of training, each a script."""
