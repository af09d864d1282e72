"""Rules about what one position may become: one file, one frozen dataclass, one check."""
