"""One forecast as it was stated, before anybody could know its outcome."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

Kind = Literal["probability", "quantile"]

TEXT_MAX: Final = 64
"""Characters of a signal's, a symbol's, a key's or a method's name."""

AHEAD_MAX_S: Final = 31 * 86_400
"""No signal looks further ahead than a month."""


class Subject(NamedTuple):
    """What one card is about."""

    signal: str
    symbol: str
    horizon_h: float


class Identity(NamedTuple):
    """Two statements of the same identity are the same forecast; the first one stands."""

    signal: str
    symbol: str
    horizon_h: float
    key: str
    as_of: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """A forecast of one signal. Times are unix seconds; ``until`` is when its outcome is known.

    ``symbol`` is empty for the account or the desk as a whole. ``key`` says what of the signal is meant: ``down:0.05``
    is a fall of 5 % from the last close within the horizon, ``tau:0.99`` the 99 % quantile. ``reference`` is what the
    climatology (the plain frequency of the past) would have stated, for the skill; ``None`` where there is none.

    Raises ``ValueError`` for what cannot be scored: a probability that is not between 0 and 1, a number that is not
    finite, a quantile whose key names no tau, an outcome known before the forecast or after more than a month, a text
    that is too long or not printable.
    """

    signal: str
    symbol: str
    horizon_h: float
    as_of: int
    until: int
    key: str
    kind: Kind
    value: float
    reference: float | None
    method: str

    def __post_init__(self) -> None:
        for text in (self.signal, self.symbol, self.key, self.method):
            if len(text) > TEXT_MAX or not text.isprintable():
                raise ValueError(f"a name of a forecast has at most {TEXT_MAX} characters, all of them printable")
        if not (math.isfinite(self.horizon_h) and self.horizon_h > 0):
            raise ValueError(f"{self.signal} {self.key}: a forecast looks ahead")
        if not self.as_of < self.until <= self.as_of + AHEAD_MAX_S:
            raise ValueError(f"{self.signal} {self.key}: its outcome is known after it was stated, within a month")
        numbers = [self.value] if self.reference is None else [self.value, self.reference]
        if not all(math.isfinite(number) for number in numbers):
            raise ValueError(f"{self.signal} {self.key}: a stated number is not finite")
        if self.kind == "probability" and not all(0 <= number <= 1 for number in numbers):
            raise ValueError(f"{self.signal} {self.key}: a probability lies between 0 and 1")
        if self.kind == "quantile":
            tau_of(self.key)

    @property
    def subject(self) -> Subject:
        """The card that this forecast goes to."""
        return Subject(self.signal, self.symbol, self.horizon_h)

    @property
    def identity(self) -> Identity:
        """What makes it this forecast and no other."""
        return Identity(self.signal, self.symbol, self.horizon_h, self.key, self.as_of)


def tau_of(key: str) -> float:
    """The tau in a quantile's key: the last part of ``tau:0.99`` or ``size:50000:tau:0.99``. Raises ``ValueError``."""
    name, found, text = key.rpartition("tau:")
    try:
        tau = float(text)
    except ValueError:
        tau = math.nan
    if not found or not 0 < tau < 1 or (name and not name.endswith(":")):
        raise ValueError(f"the key of a quantile ends in tau: and a number between 0 and 1, not {key!r}")
    return tau


def check_outcome(stated: Stated, outcome: float) -> None:
    """Raise ``ValueError`` for an outcome that this forecast cannot have."""
    if not math.isfinite(outcome) or (stated.kind == "probability" and outcome not in (0, 1)):
        raise ValueError(f"{stated.signal} {stated.key}: {outcome} is no outcome of a {stated.kind}")
