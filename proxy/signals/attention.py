"""Which symbols matter: what is held or rests, and what was ordered in the last day. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

SEEN_MAX: Final = 200
SEEN_S: Final = 86_400.0


class Attention:
    """Remembers the symbols of decisions, refused and passed alike, for a day and within a bound."""

    def __init__(self) -> None:
        self._seen: dict[str, float] = {}

    def saw(self, symbol: str, at: float) -> None:
        """A decision at ``at`` (seconds since 1970) named ``symbol``. Beyond the bound the longest unseen goes."""
        self._seen[symbol] = max(at, self._seen.get(symbol, at))
        if len(self._seen) > SEEN_MAX:
            del self._seen[min(self._seen, key=lambda each: self._seen[each])]

    def symbols(self, at: float, held: Iterable[str]) -> tuple[str, ...]:
        """Those ``held`` first, then the last day's, newest first."""
        self._seen = {symbol: seen for symbol, seen in self._seen.items() if seen > at - SEEN_S}
        recent = sorted(self._seen, key=lambda symbol: (-self._seen[symbol], symbol))
        return tuple(dict.fromkeys((*sorted(held), *recent)))
