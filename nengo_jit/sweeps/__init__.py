"""Sweeps: one model, run with many seeds and parameters, on all cores or on a cluster."""
