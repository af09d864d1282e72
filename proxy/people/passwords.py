"""Passwords: argon2id, and the same work for a name nobody has."""

from __future__ import annotations

import unicodedata
from functools import cached_property
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from proxy.people.names import bare

PASSWORD_LENGTH_MIN: Final = 12
PASSWORD_LENGTH_MAX: Final = 256


class PasswordRefused(Exception):
    """It cannot be a password here; the text says why."""


class Passwords:
    """Hashes under one set of parameters; those of argon2-cffi, RFC 9106's second choice, unless a test says less.

    Each call takes a core for tens of milliseconds and tens of megabytes: never on the event loop.
    """

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = PasswordHasher() if hasher is None else hasher

    @cached_property
    def _nobodys(self) -> str:
        return self._hasher.hash("nobody has this password")

    def hash(self, password: str, name: str) -> str:
        """A new password's hash. Raises ``PasswordRefused``."""
        if not PASSWORD_LENGTH_MIN <= len(password) <= PASSWORD_LENGTH_MAX:
            raise PasswordRefused(f"a password has {PASSWORD_LENGTH_MIN} to {PASSWORD_LENGTH_MAX} characters")
        if len(set(password)) < PASSWORD_LENGTH_MIN // 2 or bare(password) == bare(name):
            raise PasswordRefused("that password is easily guessed")
        return self._hasher.hash(_composed(password))

    def verify(self, kept: str, password: str) -> bool:
        """Whether this is the password. Without a kept hash it costs as much and is never right."""
        try:
            right = self._hasher.verify(kept or self._nobodys, _composed(password))
        except (VerificationError, InvalidHashError):
            return False
        return right and bool(kept)

    def outdated(self, kept: str) -> bool:
        """Whether a hash was made under other parameters than those of now."""
        return self._hasher.check_needs_rehash(kept)

    def again(self, password: str) -> str:
        """The hash, under the parameters of now, of a password that was right."""
        return self._hasher.hash(_composed(password))


def _composed(password: str) -> str:
    """Keyboards and systems spell one accent in several ways."""
    return unicodedata.normalize("NFKC", password)
