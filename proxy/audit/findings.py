"""What a verification may find, and where."""

from __future__ import annotations

from enum import StrEnum


class Wrong(StrEnum):
    """What is wrong with an archive, in one word."""

    CHANGED = "changed"
    UNSIGNED = "unsigned"
    UNKNOWN_KEY = "unknown-key"
    GAP = "gap"
    FORK = "fork"
    REORDER = "reorder"
    TRUNCATION = "truncation"
    ROLLBACK = "rollback"
    UNREADABLE = "unreadable"


class Broken(Exception):
    """The archive is not as it was written. ``seq`` is the first record that is wrong, where one can be named."""

    def __init__(self, wrong: Wrong, problem: str, *, seq: int | None = None, chain: str | None = None) -> None:
        super().__init__(problem)
        self.wrong = wrong
        self.seq = seq
        self.chain = chain


def chain_name(chain: str) -> str:
    """A chain in words."""
    return f"the chain of {chain}" if chain else "the desk's chain"
