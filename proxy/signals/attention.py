"""Which symbols matter: what is held or rests, and what was ordered in the last day. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Final

SEEN_MAX: Final = 200
UNLISTED_MAX: Final = 10_000
"""While it is not known what the venue lists, nobody's symbol may push out another's."""

SEEN_S: Final = 86_400.0


class Attention:
    """Remembers the symbols of decisions, refused and passed alike, for a day and within a bound.

    ``listed`` are the venue's own symbols, none while they are not known: what a bot invents counts for nothing.
    """

    def __init__(self, listed: Callable[[], Collection[str]] = lambda: ()) -> None:
        self._listed = listed
        self._seen: dict[str, float] = {}

    def saw(self, symbol: str, at: float) -> None:
        """A decision at ``at`` (seconds since 1970) named ``symbol``. Beyond the bound the longest unseen goes."""
        listed = self._listed()
        self._seen[symbol] = max(at, self._seen.get(symbol, at))
        if listed and len(self._seen) > SEEN_MAX:
            self._seen = {each: seen for each, seen in self._seen.items() if each in listed}
        if len(self._seen) > (SEEN_MAX if listed else UNLISTED_MAX):
            del self._seen[min(self._seen, key=lambda each: self._seen[each])]

    def symbols(self, at: float, held: Iterable[str]) -> tuple[str, ...]:
        """Those ``held`` first, in their order, then the last day's, newest first."""
        self._seen = {symbol: seen for symbol, seen in self._seen.items() if seen > at - SEEN_S}
        listed = self._listed()
        known = [symbol for symbol in self._seen if symbol in listed] if listed else list(self._seen)
        recent = sorted(known, key=lambda symbol: (-self._seen[symbol], symbol))[:SEEN_MAX]
        return tuple(dict.fromkeys((*held, *recent)))
