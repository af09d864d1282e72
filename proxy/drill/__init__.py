"""Rehearsals of the kill: the same machine, against the practice exchange or without a send on the live account."""
