"""What guard and watchdog say to each other, and the seal that nobody without their secret can make or use twice.

A watchdog calls with a fresh nonce; the guard's answer repeats it, so an answer recorded earlier proves nothing. The
answer carries a challenge that the next call repeats, so a call recorded earlier does not stand for a living watchdog.
No clock is trusted on either side. Beats in the store, which nobody asked for, count by their growing number.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeVar

import msgspec

from proxy.decoding import build
from proxy.store.codec import dump, load, plain
from proxy.vault.keys import Secret
from rules.kill.settings import Flatten, KillSettings, OnGoodbye

T = TypeVar("T")

SEALED_MAX: Final = 2_000
"""Characters of anything sealed; more is not looked at."""


class SealBroken(Exception):
    """Not sealed with our secret, or not for this use."""


class Duty(StrEnum):
    """What a watchdog is at."""

    WAITING = "waiting"
    WATCHING = "watching"
    STANDING_DOWN = "standing down"
    FLATTENING = "flattening"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The part of the policy in force that a watchdog lives by."""

    silent_s: int
    on_goodbye: OnGoodbye
    flatten: Flatten

    @classmethod
    def of(cls, policy: KillSettings) -> Terms:
        """The terms of a policy: its ``[kill.watchdog]``, and how it wants positions closed."""
        watchdog = policy.watchdog
        return cls(silent_s=watchdog.silent_s, on_goodbye=watchdog.on_goodbye, flatten=policy.flatten)


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """One sign of life. ``boot_us`` is when this warden began, ``number`` grows with every beat of it.

    ``still`` names the warden's loops that do not turn: with any of them the beat proves nothing. ``leaving`` says
    that the guard is being stopped on purpose.
    """

    boot_us: int
    number: int
    terms: Terms
    still: tuple[str, ...] = ()
    leaving: bool = False

    @property
    def order(self) -> tuple[int, int]:
        """Later beats are greater."""
        return self.boot_us, self.number


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A watchdog's question. ``challenge`` is the guard's last, empty at first; ``host`` is where the watchdog runs.

    ``acted`` names its last act, until the guard has said that it took note of it; empty when there is none to tell.
    ``acted_ago_s`` is how long ago that was.
    """

    name: str
    host: str
    nonce: str
    challenge: str
    duty: Duty
    acted: str = ""
    acted_ago_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The guard's answer to the call of this ``nonce``. ``obeyed`` repeats the act that it has taken note of."""

    nonce: str
    challenge: str
    beat: Beat
    obeyed: str = ""


def seal(secret: Secret, value: Call | Answer | Beat) -> str:
    """``value`` as text that only a holder of the secret can have made."""
    body = dump(plain(value)).decode()
    return f"{_digest(secret, type(value), body)}.{body}"


def unseal(secret: Secret, kind: type[T], text: str) -> T:
    """What was sealed. Raises ``SealBroken``, without a word of what was in it."""
    digest, _, body = text.partition(".")
    if len(text) > SEALED_MAX or not digest.isascii():
        raise SealBroken
    if not hmac.compare_digest(digest, _digest(secret, kind, body)):
        raise SealBroken
    try:
        return build(load(body.encode()), kind)
    except (msgspec.DecodeError, msgspec.ValidationError, ValueError, TypeError):
        raise SealBroken from None  # Sealed by another version.


def _digest(secret: Secret, kind: type[Any], body: str) -> str:
    # The kind is part of what is sealed: a beat in the store is no answer to anybody's call.
    sealed = f"perpguard watchdog {kind.__name__}\n{body}".encode("utf-8", "surrogatepass")
    return hmac.new(secret.reveal().encode(), sealed, hashlib.sha256).hexdigest()
