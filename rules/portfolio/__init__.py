"""Rules about what all positions together may become: one file, one frozen dataclass, one check."""
