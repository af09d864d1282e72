"""Addresses as they are written and asked for. Standard library only."""

from __future__ import annotations

from typing import Final

_EVERY_ADDRESS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - read here, not bound


def in_brackets(host: str) -> str:
    """A host as it stands in URLs and in ``Host``: IPv6 addresses, which have colons of their own, in brackets."""
    return f"[{host}]" if ":" in host else host


def asked_at(host: str, port: int) -> str:
    """Host and port by which this machine asks what listens on ``host``: nobody can go to every address at once."""
    return f"{in_brackets(_EVERY_ADDRESS.get(host, host))}:{port}"
