"""The private parts of ``proxy.signals.barrier``: bars to hours, hours to volatility, volatility to probabilities."""
