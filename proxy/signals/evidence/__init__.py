"""The parts of the anomaly score: what counts as evidence, and how unlikely it is for this account."""
