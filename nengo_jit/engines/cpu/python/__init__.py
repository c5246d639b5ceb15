"""Python in programs: calling it, tracing it, and performing what was traced."""
