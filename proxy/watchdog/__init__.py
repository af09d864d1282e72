"""The dead man's switch: what proves that the guard lives, and the process that flattens when nothing does."""
