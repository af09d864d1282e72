"""Rules about what the market data must be: one file, one frozen dataclass, one check."""
