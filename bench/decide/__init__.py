"""How long a decision takes: ``python -m bench.decide``."""
