"""The cache of machine code: entries in folders, checked before anything of them is run."""
