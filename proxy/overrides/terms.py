"""What an override is asked for, read once and strictly from the texts a person sends. It grants nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from proxy.people.names import reason_objections
from proxy.venues.binance.malformed import MalformedRequest
from proxy.venues.binance.values import FRACTION_DIGITS_MAX, INTEGER_DIGITS_MAX, read_positive
from rules.model import Side

LASTS_S_MAX: Final = 3600
"""An override is for an order that is about to be sent. RTS 6 art. 15(6) wants it temporary and exceptional: what must
hold for longer than an hour is another policy, and goes the way of policies."""

TICKET_LENGTH_MAX: Final = 64

TERMS: Final = ("bot", "symbol", "side", "rule", "quantity_max", "expires", "ticket", "reason")
"""The names of the texts, as the API and the command line send them."""

_PLAIN: Final = re.compile(r"[0-9.]+")
"""A person writes no exponent."""

_DURATION: Final = re.compile(r"([1-9][0-9]{0,4})([smh])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600}


class TermsRefused(Exception):
    """The texts are no terms; every reason at once, none of which repeats a text."""

    def __init__(self, reasons: tuple[str, ...]) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = reasons


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """One order of ``bot``: ``symbol``, ``side``, at most ``quantity_max`` base units, past the rule ``rule_id``.

    ``lasts_s`` counts from the approval. ``ticket`` is the desk's own number, ``reason`` is for whoever approves.
    """

    bot: str
    symbol: str
    side: Side
    rule_id: str
    quantity_max: Decimal
    lasts_s: int
    ticket: str
    reason: str

    def __str__(self) -> str:
        return (
            f"one {self.side.value} of at most {self.quantity_max:f} {self.symbol} by {self.bot} past {self.rule_id},"
            f" ticket {self.ticket}"
        )


def read_terms(texts: Mapping[str, str]) -> Terms:
    """The terms that ``texts`` (all of ``TERMS``) spell. Raises ``TermsRefused``."""
    reasons: list[str] = []
    side = _side(texts["side"])
    if side is None:
        reasons.append("the side is BUY or SELL")
    quantity = _quantity(texts["quantity_max"])
    if quantity is None:
        reasons.append(
            f"the largest quantity is a number above zero, of at most {INTEGER_DIGITS_MAX} digits"
            f" before the point and {FRACTION_DIGITS_MAX} behind it"
        )
    lasts_s = _seconds(texts["expires"])
    if lasts_s is None:
        reasons.append("it expires after a time such as 90s, 10m or 1h, at most 1h")
    ticket, reason = texts["ticket"].strip(), texts["reason"].strip()
    if not 1 <= len(ticket) <= TICKET_LENGTH_MAX:
        reasons.append(f"a ticket has 1 to {TICKET_LENGTH_MAX} characters")
    reasons += reason_objections(reason)
    if side is None or quantity is None or lasts_s is None or reasons:
        raise TermsRefused(tuple(reasons))
    return Terms(
        bot=texts["bot"],
        symbol=texts["symbol"],
        side=side,
        rule_id=texts["rule"],
        quantity_max=quantity,
        lasts_s=lasts_s,
        ticket=ticket,
        reason=reason,
    )


def _side(text: str) -> Side | None:
    return next((side for side in Side if side.value == text), None)


def _quantity(text: str) -> Decimal | None:
    if _PLAIN.fullmatch(text) is None:
        return None
    try:
        return read_positive(text, "quantity_max")
    except MalformedRequest:
        return None


def _seconds(text: str) -> int | None:
    match = _DURATION.fullmatch(text)
    if match is None:
        return None
    seconds = int(match[1]) * _SECONDS[match[2]]
    return seconds if seconds <= LASTS_S_MAX else None
