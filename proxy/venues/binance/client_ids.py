"""Client order ids of several bots on one account: the bot's own, and the one the venue is given. Pure and stateless.

The venue's id is the bot's tag and then its own id, so whose order it is can be read off the id alone, with the store
away, in a stream frame, years later in the audit. A UUID is too long for that and is packed.

Source: Binance takes ``^[\\.A-Z\\:/a-z0-9_-]{1,36}$`` for newClientOrderId and clientAlgoId (USD-M docs, 2026-11).
ccxt 4.5.90 and python-binance 1.0.37 make ids of 32 characters.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Final
from uuid import UUID

from proxy.venues.binance.malformed import MalformedRequest
from proxy.venues.binance.values import GUARD_ID_PREFIX

OWN_LENGTH_MAX: Final = 32
"""The longest id a bot may choose, a UUID aside: Binance's 36 characters less the tag."""

_ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_DIGITS: Final = {character: value for value, character in enumerate(_ALPHABET)}
_PLAIN, _PACKED = "g", "u"
_CODE_LENGTH: Final = 3
_TAG_LENGTH: Final = 1 + _CODE_LENGTH
_UUID_LENGTH: Final = 22  # 62**22 > 2**128 > 62**21
_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
# Where the venue says an id: REST answers, then ORDER_TRADE_UPDATE, TRADE_LITE and ALGO_UPDATE frames.
_ID_NAMES: Final = "clientOrderId|origClientOrderId|newClientOrderId|clientAlgoId|c|C|caid"


class TagsClash(Exception):
    """Two bots of one account have the same tag: their orders could not be told apart."""

    def __init__(self, account: str, first: str, second: str) -> None:
        super().__init__(
            f"bots {first} and {second} of account {account} would share one client id prefix; rename one of them"
        )
        self.account = account
        self.bots = (first, second)


@lru_cache(maxsize=4096)
def tag(account: str, bot: str) -> str:
    """What every id of this bot on this account begins with: ``g`` and three letters or digits."""
    digest = sha256(f"{account}\0{bot}".encode()).digest()
    return _PLAIN + _base62(int.from_bytes(digest) % 62**_CODE_LENGTH, _CODE_LENGTH)


def tags(account: str, bots: Iterable[str]) -> dict[str, str]:
    """Tag to bot, for the bots of one account. Raises ``TagsClash``.

    Whether the venue compares ids by case is not documented, so tags that differ by case alone clash too.
    """
    found: dict[str, str] = {}
    folded: dict[str, str] = {}
    for bot in sorted(set(bots)):
        code = tag(account, bot)
        first = folded.setdefault(code.lower(), bot)
        if first != bot:
            raise TagsClash(account, first, bot)
        found[code] = bot
    return found


def tags_of(account: str, traders: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Tag to bot, for the bots of one account among pairs of bot and account. Of two that clash one is there."""
    return {tag(account, bot): bot for bot, traded in traders if traded == account}


def outward(own_id: str, tag: str) -> str:
    """The id the venue is given for a bot's own.

    Raises ``MalformedRequest`` for one that does not fit (-4015), and for the name of a close the guard made (-1130).
    """
    if names_close(own_id, tag):
        raise MalformedRequest(-1130, f"GUARD RESERVED_CLIENT_ID: '{own_id}' names one of the guard's own orders")
    if _UUID.fullmatch(own_id):
        return _PACKED + tag[1:] + _base62(UUID(own_id).int, _UUID_LENGTH)
    if 0 < len(own_id) <= OWN_LENGTH_MAX:
        return tag + own_id
    raise MalformedRequest(
        -4015,
        f"GUARD CLIENT_ID_TOO_LONG: Client order id is not valid: at most {OWN_LENGTH_MAX} characters, or a UUID",
    )


def inward(upstream_id: str, tag: str) -> str | None:
    """The bot's own id, or ``None`` when the id is not of this bot."""
    marker, code, rest = upstream_id[:1], upstream_id[1:_TAG_LENGTH], upstream_id[_TAG_LENGTH:]
    if code != tag[1:] or not rest:
        return None
    if marker == _PLAIN:
        return rest
    return _unpacked(rest) if marker == _PACKED else None


def owner(upstream_id: str, tags: Mapping[str, str]) -> str:
    """Whose order it is, by its id: a bot of ``tags``, or empty for nobody's."""
    code = _PLAIN + upstream_id[1:_TAG_LENGTH]
    bot = tags.get(code)
    return bot if bot is not None and inward(upstream_id, code) is not None else ""


def is_guards(upstream_id: str) -> bool:
    """Whether the guard itself placed this order: on its own behalf, or, with a tag before it, on one bot's."""
    own = upstream_id[_TAG_LENGTH:] if upstream_id[:1] == _PLAIN else ""
    return upstream_id.startswith(GUARD_ID_PREFIX) or own.startswith(GUARD_ID_PREFIX)


def names_close(own_id: str, tag: str) -> bool:
    """Whether this is what a close that the guard made for this bot alone is called, on both sides of the guard.

    Without its tag it would look like a close made for the whole account, and could not be asked about.
    """
    return own_id.startswith(tag) and own_id[_TAG_LENGTH:].lower().startswith(GUARD_ID_PREFIX)


def restore(body: bytes, tag: str) -> bytes:
    """A reply or a stream frame with the bot's own ids in it. Everything else stays byte for byte.

    Only values of the names Binance uses for client ids are looked at, and only those with this bot's tag are changed;
    the guard's closes for the bot keep it (``names_close``).
    """
    if tag[1:].encode() not in body:
        return body
    return _tagged(tag).sub(_own_value, body)


def reworded(text: str, tag: str) -> str:
    """A message of the guard's with the bot's own ids in it."""
    return re.sub(
        rf"\b[{_PLAIN}{_PACKED}]{tag[1:]}[.A-Z:/a-z0-9_-]{{1,32}}", lambda found: _own_word(found[0], tag), text
    )


def _own_word(word: str, tag: str) -> str:
    return word if names_close(word, tag) else inward(word, tag) or word


@lru_cache(maxsize=4096)
def _tagged(tag: str) -> re.Pattern[bytes]:
    # An escaped quote cannot begin a name, so text inside a string is never taken for one. It is looked at behind the
    # quote: a pattern that begins with a plain character is found several times faster.
    names = rf'"(?<!\\")(?:{_ID_NAMES})"\s*:\s*"'
    pattern = rf'({names})([{_PLAIN}{_PACKED}]){re.escape(tag[1:])}([^"]{{1,64}})(?=")'
    return re.compile(pattern.encode())


def _own_value(found: re.Match[bytes]) -> bytes:
    name, marker, rest = found[1], found[2], found[3]
    if marker == _PLAIN.encode():
        return found[0] if rest.lower().startswith(GUARD_ID_PREFIX.encode()) else name + rest
    own = _unpacked(rest.decode("utf-8", "replace"))
    return found[0] if own is None else name + own.encode()


def _unpacked(text: str) -> str | None:
    if len(text) != _UUID_LENGTH or any(character not in _DIGITS for character in text):
        return None
    number = 0
    for character in text:
        number = number * 62 + _DIGITS[character]
    return str(UUID(int=number)) if number < 2**128 else None


def _base62(number: int, length: int) -> str:
    text = ""
    for _ in range(length):
        number, digit = divmod(number, 62)
        text = _ALPHABET[digit] + text
    return text
