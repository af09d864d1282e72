"""What events and readings say was changed of an account as a whole: its settings, its margin, its money. Pure.

Each change is named with what a command of the guard would have to be to have brought it about, and with the time at
which it came, or since which it may have come: a reading shows what is, however long ago the one before it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from proxy.accounts.findings import Activity
from proxy.accounts.forwarded import Explanation, setting
from proxy.accounts.known_settings import KnownSettings, SettingsView
from proxy.exchange.events import AccountEvent, ConfigEvent
from proxy.exchange.payloads import SymbolConfig
from rules.model import MarginMode

_MARGIN_TYPE_CHANGE: Final = "MARGIN_TYPE_CHANGE"
_MARGIN_TRANSFER: Final = "MARGIN_TRANSFER"
# Money that leaves the account. What comes in (DEPOSIT) endangers nobody.
_WITHDRAWALS: Final = frozenset({"WITHDRAW", "ASSET_TRANSFER"})


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountChange:
    """Something is other than before. ``since`` is when it changed, or the earliest moment it can have."""

    activity: Activity
    subject: str
    detail: str
    explanation: Explanation
    since: float


class AccountChanges:
    """Those of one account. Times are the caller's seconds."""

    def __init__(self) -> None:
        self._settings = KnownSettings()
        # Since when the last readings may be old. The first ones are adopted, whenever they were.
        self._mode_read = self._settings_read = float("-inf")

    @property
    def settings(self) -> SettingsView:
        """What the venue has set for the account's symbols, as last read or told."""
        return self._settings.view

    def mode(self, hedged: bool, at: float) -> Iterator[AccountChange]:
        """The position mode was read; the first reading is adopted."""
        before, since = self._settings.hedged, self._mode_read
        self._settings.hedged, self._mode_read = hedged, at
        if before not in (None, hedged):
            detail = "hedge mode now" if hedged else "one-way mode now"
            yield _change(Activity.POSITION_MODE, "", detail, setting("position_mode", hedged), since)

    def configured(self, configs: Mapping[str, SymbolConfig], began: float) -> Iterator[AccountChange]:
        """The venue's settings by symbol, read from ``began`` on. The first reading is adopted."""
        since, self._settings_read = self._settings_read, began
        for change in self._settings.read(configs, began):
            if change.after.leverage != change.before.leverage:
                yield _leverage(change.symbol, change.after.leverage, since)
            if change.after.margin_mode is not change.before.margin_mode:
                yield _margin_mode(change.symbol, change.after.margin_mode, since)

    def told(self, event: AccountEvent | ConfigEvent, at: float, since: float) -> Iterator[AccountChange]:
        """The private stream tells of this at ``at``; it happened at ``since``."""
        if isinstance(event, AccountEvent):
            yield from self._account(event, at, since)
        else:
            yield from self._config(event, at, since)

    def _account(self, event: AccountEvent, at: float, since: float) -> Iterator[AccountChange]:
        if event.reason == _MARGIN_TYPE_CHANGE:
            for leg in event.positions:
                if self._settings.told(leg.symbol, at, margin_mode=leg.margin_mode):
                    yield _margin_mode(leg.symbol, leg.margin_mode, since)
        elif event.reason == _MARGIN_TRANSFER:
            symbol = event.positions[0].symbol if event.positions else ""
            detail = "margin of an isolated position changed"
            yield _change(Activity.MARGIN, symbol, detail, setting("margin", symbol), since)
        elif event.reason in _WITHDRAWALS:
            moved = ", ".join(f"{-balance.change:f} {balance.asset}" for balance in event.balances)
            yield _change(Activity.WITHDRAWAL, "", f"{moved} left the account", ("withdrawal",), since)

    def _config(self, event: ConfigEvent, at: float, since: float) -> Iterator[AccountChange]:
        symbol, leverage = event.symbol, event.leverage
        if symbol is not None and leverage is not None and self._settings.told(symbol, at, leverage=leverage):
            yield _leverage(symbol, leverage, since)
        if event.multi_assets is not None:
            detail = "multi-assets margin on" if event.multi_assets else "multi-assets margin off"
            yield _change(Activity.ASSET_MODE, "", detail, setting("asset_mode", event.multi_assets), since)


def _leverage(symbol: str, leverage: Decimal, since: float) -> AccountChange:
    explanation = setting("leverage", symbol, leverage)
    return _change(Activity.LEVERAGE, symbol, f"leverage is {leverage:f} now", explanation, since)


def _margin_mode(symbol: str, mode: MarginMode, since: float) -> AccountChange:
    return _change(
        Activity.MARGIN_MODE, symbol, f"margin mode is {mode} now", setting("margin_mode", symbol, mode), since
    )


def _change(activity: Activity, subject: str, detail: str, explanation: Explanation, since: float) -> AccountChange:
    return AccountChange(activity=activity, subject=subject, detail=detail, explanation=explanation, since=since)
