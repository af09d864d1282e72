"""Settings of the account and its symbols: parameters to commands. Names are checked by the caller.

Source: binance-connector-python's USD-M client, trade and account docstrings (November 2026).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from proxy.venues.binance.orders import read_position_side
from proxy.venues.binance.spelling import MARGIN_TYPES
from proxy.venues.binance.values import read_bool, read_int, read_positive, read_symbol, read_word
from proxy.venues.binance.wire import Parameters
from rules.model import (
    AdjustIsolatedMargin,
    ArmDeadMan,
    SetLeverage,
    SetMarginMode,
    SetMultiAssetMode,
    SetPositionMode,
)

# Binance lists 125 as the highest leverage; the symbol's own bracket decides, this only bounds the number.
_LEVERAGE_MAX: Final = 1000
_COUNTDOWN_MAX_MS: Final = 10**10

_MARGIN_MODES: Final = {word: mode for mode, word in MARGIN_TYPES.items()}
_ADD, _TAKE = "1", "2"


def read_leverage(asked: Parameters) -> SetLeverage:
    """The venue's leverage of one symbol."""
    leverage = read_int(asked.require("leverage"), "leverage", low=1, high=_LEVERAGE_MAX)
    return SetLeverage(symbol=read_symbol(asked.require("symbol")), leverage=Decimal(leverage))


def read_margin_type(asked: Parameters) -> SetMarginMode:
    """Cross or isolated margin of one symbol."""
    margin_type = read_word(asked.require("marginType"), "marginType", frozenset(_MARGIN_MODES))
    return SetMarginMode(symbol=read_symbol(asked.require("symbol")), margin_mode=_MARGIN_MODES[margin_type])


def read_position_mode(asked: Parameters) -> SetPositionMode:
    """One-way or hedge mode of the account."""
    return SetPositionMode(hedged=read_bool(asked.require("dualSidePosition"), "dualSidePosition"))


def read_multi_asset_mode(asked: Parameters) -> SetMultiAssetMode:
    """Single-asset or multi-assets margin of the account."""
    return SetMultiAssetMode(enabled=read_bool(asked.require("multiAssetsMargin"), "multiAssetsMargin"))


def read_position_margin(asked: Parameters) -> AdjustIsolatedMargin:
    """Margin added to (type 1) or taken from (type 2) an isolated position."""
    direction = read_word(asked.require("type"), "type", frozenset({_ADD, _TAKE}))
    amount = read_positive(asked.require("amount"), "amount")
    return AdjustIsolatedMargin(
        symbol=read_symbol(asked.require("symbol")),
        position_side=read_position_side(asked),
        # Arithmetic would round to the context's 28 digits; a sign does not.
        amount=amount if direction == _ADD else amount.copy_negate(),
    )


def read_dead_man(asked: Parameters) -> ArmDeadMan:
    """The venue's own countdown to cancelling a symbol's orders; 0 disarms it."""
    countdown = read_int(asked.require("countdownTime"), "countdownTime", low=0, high=_COUNTDOWN_MAX_MS)
    return ArmDeadMan(symbol=read_symbol(asked.require("symbol")), countdown_ms=countdown)
