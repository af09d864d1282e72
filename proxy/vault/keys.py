"""The nouns of the vault: secrets that cannot be printed, exchange keys, guard keys.

This file knows neither files nor ciphers.
"""

import hashlib
import hmac
import re
import secrets
import string
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Never, NoReturn, SupportsIndex

from proxy.vault.errors import InvalidField
from proxy.vault.permissions import Enrolment

_NAME = re.compile(r"[A-Za-z0-9._-]{1,32}")
# The key travels in an HTTP header: visible ASCII only, so that no spelling of it can end the header line.
_API_KEY = re.compile(r"[!-~]{1,256}")
_EMAIL = re.compile(r"[!-?A-~]{1,128}@[!-?A-~]{1,128}")
# Room for a PEM-encoded RSA-4096 key, which some venues take in place of an HMAC secret.
_API_SECRET_LENGTH_MAX = 8192
# Binance's API keys and secrets are 64 of these; client libraries and secret scanners check for the shape.
_GUARD_ALPHABET = string.ascii_letters + string.digits
_GUARD_LENGTH = 64
_GUARD_SECRET = re.compile(rf"[A-Za-z0-9]{{{_GUARD_LENGTH}}}")


class Secret:
    """Text that shows as `***` everywhere; only `reveal()` gives it back. Unhashable: it has no business in a set."""

    __slots__ = ("__text",)

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):
            raise TypeError("a Secret wraps a str")
        self.__text = text

    def reveal(self) -> str:
        """The text itself. Call it inline, at the point of use, so that no local variable holds it."""
        return self.__text

    def __eq__(self, other: object) -> bool:
        # Defining equality without a hash makes the class unhashable, which is meant.
        if not isinstance(other, Secret):
            return NotImplemented
        # "surrogatepass" because an encoding error would carry the whole text along in the exception.
        return hmac.compare_digest(
            self.__text.encode("utf-8", "surrogatepass"), other.__text.encode("utf-8", "surrogatepass")
        )

    def __repr__(self) -> str:
        return "***"

    def __str__(self) -> str:
        return "***"

    def __format__(self, format_spec: str) -> str:
        return "***"

    def __copy__(self) -> "Secret":
        return self

    def __deepcopy__(self, memo: dict[int, Never]) -> "Secret":
        # `dataclasses.asdict` deep-copies; sharing the wrapper keeps the text wrapped there too.
        return self

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError("a Secret is never pickled")


class KeyState(Enum):
    """Whether a guard key is obeyed. Only ACTIVE is; ROTATED is final."""

    ACTIVE = "active"
    DISABLED = "disabled"
    ROTATED = "rotated"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class MasterKey:
    """The credential of the master account that ``email``, a sub-account, belongs to. The guard does one thing with
    it: take the sub-account's key its right to trade, when a kill has ended flat and the policy says so."""

    api_key: str
    api_secret: Secret
    email: str

    def __repr__(self) -> str:
        return f"MasterKey(api_key={last_four(self.api_key)!r})"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ExchangeKey:
    """The real credential of one account at one venue. ``enrolment`` is ``None`` in vaults older than the check."""

    account: str
    venue: str
    api_key: str
    api_secret: Secret
    created_at: datetime
    enrolment: Enrolment | None = None
    master: MasterKey | None = None

    def digest(self) -> str:
        """Tells the account from another one that is called the same elsewhere; says nothing of the key."""
        return hashlib.sha256(f"perpguard account\n{self.venue}\n{self.api_key}".encode()).hexdigest()[:32]

    def __repr__(self) -> str:
        return f"ExchangeKey(account={self.account!r}, venue={self.venue!r}, api_key={last_four(self.api_key)!r})"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class GuardKey:
    """What a bot holds instead of the exchange key: looks the same, opens nothing but this guard.

    The bot signs with ``secret`` (HMAC), unless ``public_key`` is set: then it signs with the Ed25519 private key that
    only it has, and ``secret`` never leaves the vault, where stream keys are derived from it.
    """

    key: str
    secret: Secret
    bot: str
    account: str
    label: str
    state: KeyState
    created_at: datetime
    changed_at: datetime | None = None  # None until the state first changes.
    public_key: str | None = None  # PEM. Vaults from before Ed25519 keys have no such field.

    def __repr__(self) -> str:
        return (
            f"GuardKey(key={last_four(self.key)!r}, bot={self.bot!r}, account={self.account!r}, "
            f"label={self.label!r}, state={self.state.name})"
        )


def random_text() -> str:
    """64 random letters and digits (381 bits): a guard key, or a guard secret."""
    return "".join(secrets.choice(_GUARD_ALPHABET) for _ in range(_GUARD_LENGTH))


def checked_watchdog_secret(secret: Secret) -> Secret:
    """The secret itself, or InvalidField: anything but what ``random_text`` makes was cut or mixed up on its way."""
    if _GUARD_SECRET.fullmatch(secret.reveal()) is None:
        raise InvalidField("watchdog_secret", f"{_GUARD_LENGTH} letters and digits")
    return secret


def stream_key(guard_key: GuardKey) -> str:
    """The ``listenKey`` of a guard key: 64 letters and digits, as Binance's are.

    Derived, so that every gate that has the vault knows it without asking anybody, and nobody without the secret can
    tell it. SHA-512 under a label of its own: no signature that a bot makes with the same secret is ever a stream key.
    """
    digest = hmac.digest(guard_key.secret.reveal().encode(), f"stream key {guard_key.key}".encode(), hashlib.sha512)
    number, characters = int.from_bytes(digest), []
    for _ in range(_GUARD_LENGTH):  # 62**64 is below 2**512, so every character is decided by the digest.
        number, place = divmod(number, len(_GUARD_ALPHABET))
        characters.append(_GUARD_ALPHABET[place])
    return "".join(characters)


def new_guard_key(*, bot: str, account: str, label: str, now: datetime, public_key: str | None = None) -> GuardKey:
    """An ACTIVE guard key with a fresh random key and secret."""
    return GuardKey(
        key=random_text(),
        secret=Secret(random_text()),
        bot=checked_name("bot", bot),
        account=checked_name("account", account),
        label=checked_name("label", label),
        state=KeyState.ACTIVE,
        created_at=utc(now),
        public_key=public_key,
    )


def new_exchange_key(*, account: str, venue: str, api_key: str, api_secret: Secret, now: datetime) -> ExchangeKey:
    """An exchange key whose every field has been checked."""
    if _API_KEY.fullmatch(api_key) is None:
        raise InvalidField("api_key", "1 to 256 visible ASCII characters")
    if not _is_credential(api_secret):
        # A pasted blank or line end would otherwise show up much later, as the venue's "invalid signature".
        raise InvalidField("api_secret", f"1 to {_API_SECRET_LENGTH_MAX} ASCII characters without blanks around them")
    return ExchangeKey(
        account=checked_name("account", account),
        venue=checked_name("venue", venue),
        api_key=api_key,
        api_secret=api_secret,
        created_at=utc(now),
    )


def new_master_key(*, api_key: str, api_secret: Secret, email: str) -> MasterKey:
    """A master key whose every field has been checked."""
    if _API_KEY.fullmatch(api_key) is None:
        raise InvalidField("api_key", "1 to 256 visible ASCII characters")
    if not _is_credential(api_secret):
        raise InvalidField("api_secret", f"1 to {_API_SECRET_LENGTH_MAX} ASCII characters without blanks around them")
    if _EMAIL.fullmatch(email) is None:
        raise InvalidField("email", "the sub-account's, as its master sees it")
    return MasterKey(api_key=api_key, api_secret=api_secret, email=email)


def checked_name(field: str, name: str) -> str:
    """The name itself, or InvalidField."""
    if _NAME.fullmatch(name) is None:
        raise InvalidField(field, "1 to 32 of A-Z a-z 0-9 . _ -")
    return name


def utc(now: datetime) -> datetime:
    """The same instant in UTC; a naive time is a bug in the caller."""
    if now.tzinfo is None:
        raise ValueError("the vault takes aware datetimes only")
    return now.astimezone(UTC)


def last_four(key: str) -> str:
    """Enough of a key to recognise it in a log; nothing of one too short to spare four characters."""
    return f"…{key[-4:]}" if len(key) >= 16 else "…"


def shortened(key: str) -> str:
    """First six and last four characters, as exchanges show keys in their own consoles."""
    return f"{key[:6]}…{key[-4:]}" if len(key) >= 16 else last_four(key)


def _is_credential(secret: Secret) -> bool:
    return (
        0 < len(secret.reveal()) <= _API_SECRET_LENGTH_MAX
        and secret.reveal().isascii()
        and "\0" not in secret.reveal()
        and secret.reveal() == secret.reveal().strip()
    )
