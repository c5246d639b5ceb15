"""What outlives a process: checkpoints of simulations, and probe data on disk."""
