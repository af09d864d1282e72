"""Rules about how often, and in which trading state, a bot may act: one file, one frozen dataclass, one check."""
