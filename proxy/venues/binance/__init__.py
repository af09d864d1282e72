"""Binance USD-M futures over REST: bytes to commands and back. Knows no socket, clock, log or account."""
