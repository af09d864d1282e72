"""Encrypted exchange keys and the guard keys handed to bots. The exchange secret is held here and nowhere else."""
