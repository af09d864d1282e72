"""Signed commands: what a phone's shortcut, a chat bot or a webhook sends when a person cannot reach the console.

The signature is the credential, so the way here may be anybody's: a bridge that carries the command can neither make
one nor change one. Only what stops can be commanded. Public keys of people stand in the settings; nothing that the
guard holds could forge a command, which a shared secret could.
"""

from __future__ import annotations

import base64
import json
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from proxy.disk import make_directory, replace_file
from proxy.person_keys import public_key

log = logging.getLogger("perpguard.kill")

FIELDS: Final = ("command", "desk", "scope", "by", "reason", "at", "nonce")
SIGNED: Final = (*FIELDS, "signature")

WINDOW: Final = timedelta(seconds=120)
"""How far a command's time may be from the guard's: a chat may be slow, and phones' clocks are seconds off."""

NONCES_MAX: Final = 1_000
"""Commands remembered at once; more within one window are refused, and the button is one press away."""

_PREFIX: Final = b"perpguard-command-v1\n"
_NONCE: Final = re.compile(r"[A-Za-z0-9_-]{16,64}")


class Command(StrEnum):
    """All that can be commanded. There is no way back by this door."""

    KILL = "kill"
    REDUCE = "reduce"


class CommandRefused(Exception):
    """``code`` says why, once for all; the text is for a person."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedCommand:
    """A command whose signature was right and which had not been seen before."""

    command: Command
    scope: str
    by: str
    reason: str


class CommandDesk:
    """Checks commands for one desk. ``keys`` are public keys by person; without any, every command is refused."""

    def __init__(self, *, desk: str, keys: Mapping[str, str], path: Path, now: Callable[[], datetime]) -> None:
        """Raises ``ValueError`` for a key that is none. ``path`` is where nonces are kept over a restart."""
        self._desk = desk
        self._keys = {name: public_key(text) for name, text in keys.items()}
        # Names nobody has are checked against a key that nobody has: the time it takes says nothing.
        self._nobody = Ed25519PrivateKey.generate().public_key()
        self._path = path
        self._now = now
        self._seen = _remembered(path)

    def accept(self, fields: Mapping[str, str]) -> SignedCommand:
        """The command, once. Raises ``CommandRefused``."""
        key = self._keys.get(fields["by"])
        try:
            (key or self._nobody).verify(_signature(fields["signature"]), signed_bytes(fields))
        except InvalidSignature:
            key = None
        if key is None:
            raise CommandRefused("BAD_SIGNATURE", "no person whose key is in the settings has signed this")
        if fields["desk"] != self._desk:
            raise CommandRefused("OTHER_DESK", "the command is for another desk")
        if fields["command"] not in list(Command):
            raise CommandRefused("UNKNOWN_COMMAND", "only kill and reduce can be commanded")
        if _NONCE.fullmatch(fields["nonce"]) is None:
            raise CommandRefused("NONCE", "a nonce is 16 to 64 of A-Z a-z 0-9 _ -")
        self._use(fields["nonce"], _moment(fields["at"]))
        return SignedCommand(
            command=Command(fields["command"]), scope=fields["scope"], by=fields["by"], reason=fields["reason"]
        )

    def _use(self, nonce: str, at: datetime) -> None:
        """Remember the nonce for as long as its command could be sent again."""
        now = self._now()
        if abs(now - at) > WINDOW:
            raise CommandRefused("STALE_COMMAND", f"the command's time is more than {WINDOW.seconds} s from now")
        self._seen = {each: until for each, until in self._seen.items() if until >= now}
        if nonce in self._seen:
            raise CommandRefused("REPLAYED", "this command has been carried out already")
        if len(self._seen) >= NONCES_MAX:
            raise CommandRefused("TOO_MANY_COMMANDS", "too many commands within one window")
        self._seen[nonce] = at + 2 * WINDOW
        try:
            make_directory(self._path.parent)
            replace_file(
                self._path, json.dumps({each: until.isoformat() for each, until in self._seen.items()}).encode()
            )
        except OSError as trouble:
            # Done twice after a restart a kill harms nobody; not done for a full disk it may.
            log.error("the nonces of commands cannot be kept: %s", trouble.strerror)


def signed_bytes(fields: Mapping[str, str]) -> bytes:
    """What is signed: the prefix, then canonical JSON: these fields, sorted, without blanks, all ASCII."""
    named = {name: fields[name] for name in FIELDS}
    return _PREFIX + json.dumps(named, sort_keys=True, separators=(",", ":")).encode()


def signed(fields: Mapping[str, str], key: Ed25519PrivateKey) -> dict[str, str]:
    """The command with its signature, as it is sent."""
    return {**fields, "signature": base64.b64encode(key.sign(signed_bytes(fields))).decode()}


def _signature(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:  # Not base64, or not even ASCII.
        return b""


def _moment(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is not None:
            return at
    except ValueError:
        pass  # Told below, with the words of one that only lacks its offset.
    raise CommandRefused("AT", "at is a moment with its offset, such as 2026-12-31T09:00:00Z")


def _remembered(path: Path) -> dict[str, datetime]:
    """Nonces of before. A file that cannot be read is told; commands are fresh for two minutes only."""
    try:
        return {str(nonce): datetime.fromisoformat(until) for nonce, until in json.loads(path.read_bytes()).items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError, TypeError) as trouble:
        log.error("the nonces of earlier commands cannot be read: %s", type(trouble).__name__)
        return {}
