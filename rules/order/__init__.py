"""Rules about what one order may look like: one file, one frozen dataclass, one check."""
