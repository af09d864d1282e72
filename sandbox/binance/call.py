"""One request on its way to a handler, and the number formats every reply shares."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from sandbox.binance.limits import RateLimits
from sandbox.binance.listen_keys import ListenKeys
from sandbox.binance.params import Params
from sandbox.binance.permissions import KeyPermissions
from sandbox.binance.signing import Credential
from sandbox.binance.sub_account_keys import SubAccountKeys
from sandbox.engine.account import Account
from sandbox.engine.exchange import Exchange
from sandbox.engine.market import Market

# What leaves the door is JSON in the venue's shape; inside the engine nothing is a dict of strings.
Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Call:
    """A public request: the exchange, the parameters, and the wall clock in milliseconds."""

    exchange: Exchange
    limits: RateLimits
    params: Params
    now_ms: int

    def market(self, name: str = "symbol") -> Market:
        """The market named by a mandatory parameter."""
        return self.exchange.market(self.params.required(name))

    def markets(self) -> list[Market]:
        """The market named by `symbol`, or all of them."""
        symbol = self.params.text("symbol")
        return [self.exchange.market(symbol)] if symbol else list(self.exchange.markets.values())

    def limit(self, default: int, most: int) -> int:
        """The `limit` parameter, between 1 and `most`."""
        asked = self.params.integer("limit")
        return default if asked is None else max(1, min(most, asked))


@dataclass(frozen=True, slots=True)
class AccountCall(Call):
    """A request of a known account."""

    account: Account
    listen_keys: ListenKeys
    permissions: KeyPermissions
    credential: Credential
    sub_keys: SubAccountKeys


def plain(number: Decimal) -> str:
    """A decimal without exponent and without trailing zeros."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def money(number: Decimal) -> str:
    """Quote currency with eight decimals."""
    return format(number.quantize(Decimal("1e-8")), "f")


def on_tick(market: Market, price: Decimal) -> str:
    """A price with as many decimals as the symbol's tick."""
    return format(price.quantize(market.instrument.tick), "f")


def on_step(market: Market, quantity: Decimal) -> str:
    """A quantity with as many decimals as the symbol's lot step."""
    return format(quantity.quantize(market.instrument.lot_step), "f")
