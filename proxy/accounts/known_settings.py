"""The venue's settings of an account as last told: by a reading, or by the stream, which overtakes readings. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from proxy.accounts.payloads import SymbolConfig
from proxy.accounts.recent import Recent
from rules.model import MarginMode

SYMBOLS_MAX: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One symbol's settings before and after a reading."""

    symbol: str
    before: SymbolConfig
    after: SymbolConfig


class KnownSettings:
    """Remembers what is set, so that only changes are news. ``hedged`` is ``None`` until the account was read."""

    def __init__(self) -> None:
        self.hedged: bool | None = None
        self._configs: dict[str, SymbolConfig] = {}
        self._told_at: Recent[str, float] = Recent(SYMBOLS_MAX)

    def read(self, configs: Mapping[str, SymbolConfig], began: float) -> list[Change]:
        """What a reading that began then has changed. A symbol read for the first time is adopted.

        A symbol the stream has told of since is left out: the reading may be older than that.
        """
        fresh = {symbol: config for symbol, config in configs.items() if not self._told_since(symbol, began)}
        changes = [
            Change(symbol=symbol, before=before, after=config)
            for symbol, config in fresh.items()
            if (before := self._configs.get(symbol)) is not None and before != config
        ]
        self._configs |= fresh
        return changes

    def told(
        self, symbol: str, at: float, *, leverage: Decimal | None = None, margin_mode: MarginMode | None = None
    ) -> bool:
        """The stream tells of a setting. Whether it is news; before the first reading everything is."""
        self._told_at.put(symbol, at)
        before = self._configs.get(symbol)
        if before is None:
            return True
        after = replace(before, leverage=leverage or before.leverage, margin_mode=margin_mode or before.margin_mode)
        self._configs[symbol] = after
        return after != before

    def _told_since(self, symbol: str, began: float) -> bool:
        told_at = self._told_at.get(symbol)
        return told_at is not None and told_at >= began
