"""The venue's settings of an account as last told: by a reading, or by the stream, which overtakes readings. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from proxy.exchange.payloads import SymbolConfig
from proxy.recent import Recent
from rules.account import SymbolSettings
from rules.model import MarginMode

SYMBOLS_MAX: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One symbol's settings before and after a reading."""

    symbol: str
    before: SymbolConfig
    after: SymbolConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsView:
    """Every symbol's settings in few words: the most common ones, and the symbols that have others. No ``usual``
    ones before the first reading."""

    usual: SymbolSettings | None = None
    apart: tuple[SymbolSettings, ...] = ()


class KnownSettings:
    """Remembers what is set, so that only changes are news. ``hedged`` is ``None`` until the account was read.

    ``view`` is another object whenever something it says has changed, and only then.
    """

    def __init__(self) -> None:
        self.hedged: bool | None = None
        self.view = SettingsView()
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
        if any(self._configs.get(symbol) != config for symbol, config in fresh.items()):
            self._configs |= fresh
            self.view = _view(self._configs)
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
        if after == before:
            return False
        self._configs[symbol] = after
        self.view = _view(self._configs)
        return True

    def _told_since(self, symbol: str, began: float) -> bool:
        told_at = self._told_at.get(symbol)
        return told_at is not None and told_at >= began


def _view(configs: Mapping[str, SymbolConfig]) -> SettingsView:
    counts = Counter((config.margin_mode, config.leverage) for config in configs.values())
    usual = max(counts, key=lambda each: (counts[each], each))
    return SettingsView(
        usual=SymbolSettings(symbol="", margin_mode=usual[0], leverage=usual[1]),
        apart=tuple(
            SymbolSettings(symbol=symbol, margin_mode=config.margin_mode, leverage=config.leverage)
            for symbol, config in sorted(configs.items())
            if (config.margin_mode, config.leverage) != usual
        ),
    )
