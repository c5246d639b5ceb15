"""Batches on the device: one call computes a step of all members."""
