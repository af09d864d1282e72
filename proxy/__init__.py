"""Touches. Everything that meets a socket, a file, a clock or a venue lives here; what it decides, `rules` decides."""
