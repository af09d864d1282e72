"""Decides. Pure functions over frozen values; standard library only; no clock, socket, log or random source."""
