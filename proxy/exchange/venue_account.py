"""The guard's own hands on one exchange account, through ccxt. What a kill does with one is in ``way_out``.

ccxt's per-endpoint calls are used, not its unified ones: those derive a position's side from its notional, so a mark
price of 0 makes a position without a side (``parse_position_risk``, ccxt 4.5.90). So symbols are the venue's own ids,
every number stays exact, and nothing has to be loaded before a position can be closed. It decides nothing.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from aiohttp import TraceConfig

from proxy.exchange.calls import Calls, together
from proxy.exchange.market_payloads import markets_of
from proxy.exchange.market_reads import MarketReads
from proxy.exchange.payloads import (
    FundingRow,
    PastOrder,
    PlacedOrder,
    SymbolConfig,
    TransferRow,
    flag,
    funding_row,
    instrument_of,
    key_permissions,
    leg_times,
    open_orders_of,
    order_times,
    parsed,
    past_order,
    placed_conditional,
    placed_order,
    plain_order,
    positions_of,
    symbol_configs,
    tier,
    transfer_row,
    wallets_of,
)
from proxy.exchange.row import Row
from proxy.exchange.statement_reads import StatementReads
from proxy.exchange.survey import Survey
from proxy.exchange.troubles import VenueRefused
from proxy.settings import Settings
from proxy.vault.keys import ExchangeKey, Secret
from proxy.vault.permissions import KeyPermissions
from proxy.venues.binance.usage import read_limits
from proxy.venues.binance.venue import VENUE
from rules.account import Account, OpenOrder
from rules.instrument import Instrument
from rules.snapshot import Market

FUNDINGS_MAX: Final = 1_000
"""Rows of income the venue gives in one answer."""

_NO_SUCH_ORDER: Final = -2013
_NOTHING_TO_CANCEL: Final = -2011


class VenueAccount:
    """One account at one venue, with a connection pool of its own. Build it inside a running event loop.

    ``spot_url`` is where the venue keeps what is not of its futures, such as a key's rights; ``base_url`` by default.
    ``other_urls`` are more addresses of the same venue, for who knows how to turn to them. ``addresses`` are the source
    addresses it goes out by: the first, and another when the venue bans that. ``trace`` makes what watches the requests
    of one of those, and ``again_s`` is how soon who was told of a ban may ask again where that keeps it.
    """

    def __init__(
        self,
        *,
        name: str,
        venue: str,
        api_key: str,
        secret: Secret,
        base_url: str,
        spot_url: str | None = None,
        timeout: float = 5.0,
        other_urls: Sequence[str] = (),
        addresses: Sequence[str] = ("",),
        trace: Callable[[str], TraceConfig] | None = None,
        again_s: float = math.inf,
    ) -> None:
        if venue != VENUE:
            raise ValueError(f"no hands for venue {venue!r}; known: {VENUE}")
        self.name = name
        self.venue = venue
        self.calls = Calls(
            api_key=api_key,
            secret=secret,
            base_url=base_url,
            spot_url=spot_url,
            timeout=timeout,
            other_urls=other_urls,
            addresses=addresses,
            trace=trace,
            again_s=again_s,
        )
        self._venue = self.calls.client
        self._read = self.calls.read
        self.public = MarketReads(self._venue, self._read)
        self.statement = StatementReads(self._venue, self._read)

    @classmethod
    def of(
        cls,
        key: ExchangeKey,
        settings: Settings,
        *,
        addresses: Sequence[str] | None = None,
        other_urls: Sequence[str] = (),
        trace: Callable[[str], TraceConfig] | None = None,
        again_s: float = math.inf,
    ) -> VenueAccount:
        """The account that a key of the vault opens, where the settings have its venue. It goes out by the account's
        usual address unless others are named. ``KeyError`` for a venue that the settings do not know."""
        return cls(
            name=key.account,
            venue=key.venue,
            api_key=key.api_key,
            secret=key.api_secret,
            base_url=settings.venue_urls[key.venue],
            spot_url=settings.hosts(key.venue)["sapi"],
            other_urls=other_urls,
            addresses=(settings.egress.get(key.account, ""),) if addresses is None else addresses,
            trace=trace,
            again_s=again_s,
        )

    async def aclose(self) -> None:
        """Close the connections. Call it once, at the end."""
        await self.calls.aclose()

    def adjust_clock(self, offset_ms: int) -> None:
        """The venue's time less this host's: from now on requests are stamped with the venue's."""
        self.calls.adjust_clock(offset_ms)

    async def server_time(self) -> datetime:
        """The venue's clock."""
        answer = await self._read(self._venue.fapiPublicGetTime)
        return parsed(lambda: datetime.fromtimestamp(int(answer["serverTime"]) / 1000, UTC))

    async def instruments(self) -> dict[str, Instrument]:
        """Every contract the venue lists, with its margin tiers. One that cannot be understood is left out."""
        listing, brackets = await together(
            self._read(self._venue.fapiPublicGetExchangeInfo), self._read(self._venue.fapiPrivateGetLeverageBracket)
        )
        tiers = parsed(lambda: {row["symbol"]: tuple(map(tier, row["brackets"])) for row in brackets})
        rows = parsed(lambda: tuple(listing["symbols"]))
        found = (instrument_of(row, tiers) for row in rows)
        return {instrument.symbol: instrument for instrument in found if instrument is not None}

    async def rate_limits(self) -> dict[str, int]:
        """The venue's limits, by ``proxy.budget.published.Limit``; weight 1."""
        listing = await self._read(self._venue.fapiPublicGetExchangeInfo)
        return parsed(lambda: read_limits(listing["rateLimits"]))

    async def survey(self, now: datetime) -> Survey:
        """The whole account, orders read before positions."""
        conditional, plain = await self._order_rows({})
        positions, modes, totals = await together(
            self._read(self._venue.fapiPrivateV3GetPositionRisk),
            self._read(self._venue.fapiPrivateGetAccountConfig),
            self._read(self._venue.fapiPrivateV3GetAccount),
        )
        return parsed(
            lambda: Survey(
                account=Account(
                    name=self.name,
                    version=0,
                    as_of=now,
                    margin_balance=Decimal(totals["totalMarginBalance"]),
                    available_balance=Decimal(totals["availableBalance"]),
                    hedged=flag(modes["dualSidePosition"]),
                    multi_assets=flag(modes["multiAssetsMargin"]),
                    positions=positions_of(positions),
                    open_orders=open_orders_of(plain, conditional),
                ),
                symbols=None,
                wallets=wallets_of(totals),
                unrealised=Decimal(totals["totalUnrealizedProfit"]),
                leg_ms=leg_times(positions),
                order_ms=order_times(plain, conditional),
            )
        )

    async def survey_symbols(self, symbols: frozenset[str], base: Account) -> Survey:
        """The orders and positions of ``symbols``, and the balance, read anew. Far cheaper than all.

        The account as a whole is no fresher for it: its age stays that of ``base``.
        """
        *states, totals = await together(
            *(self._symbol_rows(symbol) for symbol in sorted(symbols)), self._read(self._venue.fapiPrivateV3GetAccount)
        )
        return parsed(
            lambda: Survey(
                account=replace(
                    base,
                    margin_balance=Decimal(totals["totalMarginBalance"]),
                    available_balance=Decimal(totals["availableBalance"]),
                    positions=(
                        *(position for position in base.positions if position.symbol not in symbols),
                        *(position for state in states for position in positions_of(state.positions)),
                    ),
                    open_orders=(
                        *(order for order in base.open_orders if order.symbol not in symbols),
                        *(order for state in states for order in open_orders_of(state.plain, state.conditional)),
                    ),
                ),
                symbols=symbols,
                wallets=wallets_of(totals),
                unrealised=Decimal(totals["totalUnrealizedProfit"]),
                leg_ms={key: at for state in states for key, at in leg_times(state.positions).items()},
                order_ms={
                    key: at for state in states for key, at in order_times(state.plain, state.conditional).items()
                },
            )
        )

    async def markets(self, now: datetime) -> dict[str, Market]:
        """Mark prices of every symbol, with index price and funding where there are any; weight 10."""
        rows = await self._read(self._venue.fapiPublicGetPremiumIndex)
        return parsed(lambda: markets_of(rows, now))

    async def key_permissions(self) -> KeyPermissions:
        """What the venue lets this key do; ``VenueRefused`` where there is no such question (test networks)."""
        row = await self._read(self._venue.sapiGetAccountApiRestrictions)
        return parsed(lambda: key_permissions(row))

    async def past_orders(self, symbol: str) -> tuple[PastOrder, ...]:
        """The last 500 plain orders of a symbol, in whatever state; weight 5."""
        rows = await self._read(self._venue.fapiPrivateGetAllOrders, {"symbol": symbol, "limit": "500"})
        return parsed(lambda: tuple(map(past_order, rows)))

    async def fundings(self, since_ms: int) -> tuple[FundingRow, ...]:
        """At most ``FUNDINGS_MAX`` fundings from the venue's time ``since_ms`` on, oldest first; weight 30.

        From 0 on: those of the last seven days (Binance, "Get Income History", seen 2026-11).
        """
        since = {"startTime": str(since_ms)} if since_ms else {}
        asked = {"incomeType": "FUNDING_FEE", "limit": str(FUNDINGS_MAX), **since}
        rows = await self._read(self._venue.fapiPrivateGetIncome, asked)
        return parsed(lambda: tuple(map(funding_row, rows)))

    async def incomes(self, since_ms: int, kind: str = "") -> tuple[TransferRow, ...]:
        """At most ``FUNDINGS_MAX`` rows of income from the venue's time ``since_ms`` on, oldest first; weight 30.

        Of every type, or of the type ``kind``.
        """
        asked = {"limit": str(FUNDINGS_MAX), "startTime": str(since_ms)}
        if kind:
            asked["incomeType"] = kind
        rows = await self._read(self._venue.fapiPrivateGetIncome, asked)
        return parsed(lambda: tuple(map(transfer_row, rows)))

    async def symbol_configs(self) -> dict[str, SymbolConfig]:
        """Leverage and margin mode of every symbol; weight 5."""
        rows = await self._read(self._venue.fapiPrivateGetSymbolConfig)
        return parsed(lambda: symbol_configs(rows))

    async def plain_orders(self, symbol: str) -> tuple[OpenOrder, ...]:
        """The open plain orders of a symbol; weight 1."""
        rows = await self._read(self._venue.fapiPrivateGetOpenOrders, {"symbol": symbol})
        return parsed(lambda: tuple(map(plain_order, rows)))

    async def cancel_order(self, symbol: str, client_order_id: str, *, conditional: bool = False) -> None:
        """Cancel one order by the client's id. One that is gone already is as good; safe to do twice."""
        cancel = self._venue.fapiPrivateDeleteAlgoOrder if conditional else self._venue.fapiPrivateDeleteOrder
        named = {"clientAlgoId" if conditional else "origClientOrderId": client_order_id}
        try:
            await self._read(cancel, named if conditional else {"symbol": symbol, **named})
        except VenueRefused as refusal:
            if refusal.code != _NOTHING_TO_CANCEL:
                raise

    async def arm_timer(self, symbol: str, countdown_s: int) -> None:
        """Let the venue cancel the symbol's orders in ``countdown_s`` unless armed again; 0 disarms. Weight 10.

        Binance, "Auto-Cancel All Open Orders", seen 2026-11: one countdown a symbol, checked every 10 ms or so.
        """
        timer = {"symbol": symbol, "countdownTime": str(countdown_s * 1000)}
        await self._read(self._venue.fapiPrivatePostCountdownCancelAll, timer)  # Safe to do twice, like a read.

    async def cancel_conditional(self, symbol: str, client_order_id: str) -> None:
        """Cancel one conditional order by the client's id. One that is gone already is as good; safe to do twice."""
        try:
            await self._read(
                self._venue.fapiPrivateDeleteAlgoOrder, {"symbol": symbol, "clientAlgoId": client_order_id}
            )
        except VenueRefused as refusal:
            if refusal.code != _NOTHING_TO_CANCEL:
                raise

    @property
    def venue_ms(self) -> int:
        """The venue's clock as far as it is known, in milliseconds."""
        return self.calls.venue_ms

    async def order_by_client_id(self, symbol: str, client_order_id: str, conditional: bool) -> PlacedOrder | None:
        """One order by the client's id, in whatever state; at its end nothing of it is left to fill.

        ``None`` when the venue knows none, which for seconds after a time-out proves nothing.
        """
        if conditional:
            asked = {"clientAlgoId": client_order_id}
            return await self._order(self._venue.fapiPrivateGetAlgoOrder, asked, placed_conditional)
        asked = {"symbol": symbol, "origClientOrderId": client_order_id}
        return await self._order(self._venue.fapiPrivateGetOrder, asked, placed_order)

    async def order_by_id(self, symbol: str, order_id: str) -> PlacedOrder | None:
        """One plain order by the venue's id, in whatever state; ``None`` when the venue knows none."""
        return await self._order(self._venue.fapiPrivateGetOrder, {"symbol": symbol, "orderId": order_id}, placed_order)

    async def conditional_by_id(self, order_id: str) -> PlacedOrder | None:
        """One conditional order by the venue's id, in whatever state; ``None`` when the venue knows none; weight 1."""
        return await self._order(self._venue.fapiPrivateGetAlgoOrder, {"algoId": order_id}, placed_conditional)

    async def _order(
        self,
        call: Callable[[dict[str, str]], Awaitable[Any]],
        asked: dict[str, str],
        read: Callable[[Row], PlacedOrder],
    ) -> PlacedOrder | None:
        try:
            row = await self._read(call, asked)
        except VenueRefused as refusal:
            if refusal.code == _NO_SUCH_ORDER:
                return None
            raise
        return parsed(lambda: read(row))

    async def _symbol_rows(self, symbol: str) -> _SymbolRows:
        conditional, plain = await self._order_rows({"symbol": symbol})
        positions = await self._read(self._venue.fapiPrivateV3GetPositionRisk, {"symbol": symbol})
        return _SymbolRows(conditional=conditional, plain=plain, positions=positions)

    async def _order_rows(self, params: dict[str, str]) -> tuple[Any, Any]:
        # An order's way is conditional, plain, position. Read one after another in that direction, none slips through
        # between two reads; read at the same time, one that triggers just then is in neither answer.
        conditional = await self._read(self._venue.fapiPrivateGetOpenAlgoOrders, params)
        return conditional, await self._read(self._venue.fapiPrivateGetOpenOrders, params)


@dataclass(frozen=True, slots=True, kw_only=True)
class _SymbolRows:
    conditional: tuple[Row, ...]
    plain: tuple[Row, ...]
    positions: tuple[Row, ...]
