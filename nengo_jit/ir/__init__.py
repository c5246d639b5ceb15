"""What a model is made of: signals, operators, and the memory that signals get."""
