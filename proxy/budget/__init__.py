"""The venue's request budget: how much of it is used, how much is kept for the kill. Pure but for the clock given."""
