"""How a request that cannot be read in exactly one way is refused. Of what the client sent it repeats names only."""

from __future__ import annotations

_EXCERPT_MAX = 32
_KEPT = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._@!/%")


class MalformedRequest(Exception):
    """A request the grammar does not accept. ``code`` and ``msg`` are in Binance's terms."""

    def __init__(self, code: int, msg: str) -> None:
        super().__init__(msg)
        self.code = code
        self.msg = msg


def excerpt(text: str) -> str:
    """A bounded printable-ASCII excerpt, fit for a message, a log and a page."""
    kept = "".join(character if character in _KEPT else "?" for character in text)
    return kept if len(kept) <= _EXCERPT_MAX else kept[:_EXCERPT_MAX] + "..."


def illegal(what: str) -> MalformedRequest:
    """Bytes outside the grammar."""
    return MalformedRequest(-1100, f"GUARD MALFORMED: {what}")


def too_many(what: str) -> MalformedRequest:
    """More than the bounds allow, or the same name twice (Binance uses -1101 for both)."""
    return MalformedRequest(-1101, f"GUARD MALFORMED: {what}")


def missing(name: str) -> MalformedRequest:
    """A mandatory parameter is absent or empty."""
    return MalformedRequest(-1102, f"GUARD MALFORMED: mandatory parameter '{name}' was not sent or was empty")


def unknown_parameter(name: str, where: str) -> MalformedRequest:
    """A name the venue does not document there. It would ignore it, and the bot would never know."""
    return MalformedRequest(
        -1104, f"GUARD UNKNOWN_PARAMETER: '{excerpt(name)}' is not a parameter of {where}; Binance would ignore it"
    )


def not_wanted(name: str, why: str) -> MalformedRequest:
    """A documented parameter that does not go with the others. Binance answers -1106 as well."""
    return MalformedRequest(-1106, f"GUARD MALFORMED: parameter '{name}' sent when not required: {why}")


def invalid(name: str, expected: str) -> MalformedRequest:
    """A value outside its grammar."""
    return MalformedRequest(-1130, f"GUARD MALFORMED: parameter '{excerpt(name)}' is not {expected}")
