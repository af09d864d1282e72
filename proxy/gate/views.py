"""What a bot reads of an account it shares: its own orders, its own fills, its own part of every position.

Where ``own_share`` is enforced the venue's answer is cut down to that, raw row by raw row, so that what is not ours to
change stays as the venue wrote it. Balances and margin belong to the whole account and are shown whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import msgspec

from proxy.decoding import decoder
from proxy.store.gate_store import GateStore
from proxy.store.owners import order_field, trade_field
from proxy.store.trouble import StoreUnavailable
from proxy.venues.binance.client_ids import inward
from proxy.venues.binance.requests import VenueRequest
from proxy.venues.binance.values import plain
from rules.account import Account, Share
from rules.decision import Enforcement
from rules.model import LegKey, PositionSide
from rules.policy import Policy
from rules.position.own_share import OwnShare

Row = dict[str, msgspec.Raw]

_ORDER_LISTS: Final = frozenset(
    f"/fapi/v1/{name}"
    for name in ("openOrders", "allOrders", "openAlgoOrders", "allAlgoOrders", "orderAmendment", "forceOrders")
)
_SINGLE_ORDERS: Final = frozenset(f"/fapi/v1/{name}" for name in ("order", "openOrder", "algoOrder"))
_POSITIONS: Final = frozenset(f"/fapi/v{version}/positionRisk" for version in (1, 2, 3))
_ACCOUNTS: Final = frozenset(f"/fapi/v{version}/account" for version in (1, 2, 3))
_TRADES, _INCOME = "/fapi/v1/userTrades", "/fapi/v1/income"
_WHOLE_HISTORIES: Final = frozenset(
    f"/fapi/v1/{name}" for kind in ("income", "order", "trade") for name in (f"{kind}/asyn", f"{kind}/asyn/id")
)
"""Files of everybody's history, which cannot be cut down."""

# As the venue rounds money; its own mark is known only as a quotient.
_MONEY_STEP: Final = Decimal("1e-8")

_ROWS: Final = decoder(list[msgspec.Raw])
_ROW: Final = decoder(Row)
_STRING: Final = decoder(str)


_NOT_UNDERSTOOD: Final = (msgspec.MsgspecError, ValueError, KeyError, ArithmeticError, RecursionError)
"""What reading another row than Binance documents ends in."""


class NotShown(Exception):
    """The bot's part of an answer cannot be told now: the store is away, or the venue's answer is not understood."""


class _Order(msgspec.Struct, frozen=True):
    symbol: str = ""
    orderId: int | str = ""  # noqa: N815 - the venue's spelling
    clientOrderId: str = ""  # noqa: N815
    clientAlgoId: str = ""  # noqa: N815


class _Trade(msgspec.Struct, frozen=True):
    symbol: str = ""
    orderId: int | str = ""  # noqa: N815
    tradeId: int | str = ""  # noqa: N815


_ORDER: Final = decoder(_Order)
_TRADE: Final = decoder(_Trade)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Whose view it is. ``tag`` is what the venue's ids of its orders begin with."""

    account: str
    bot: str
    tag: str


class Views:
    """The views of one gate process: what the policy isolates, and what the store knows about whose is what."""

    def __init__(self, policy: Callable[[], Policy], store: GateStore, venue: str) -> None:
        self._policy = policy
        self._store = store
        self._venue = venue

    @property
    def keeps_timers(self) -> bool:
        """Whether the guard keeps the venue's dead-man timers armed itself: a symbol has one, and it is not a bot's."""
        return self._policy().kill.dead_man.enabled

    def isolates(self, account: str, bot: str) -> bool:
        """Whether this bot is kept to its own part of the account."""
        rules = self._policy().rules_for(account=account, bot=bot, symbol=None)
        return any(isinstance(rule, OwnShare) and rule.enforcement is Enforcement.ENFORCE for rule in rules)

    def withholds(self, request: VenueRequest) -> bool:
        """Whether this read cannot be cut down to one bot's part."""
        return request.route.path in _WHOLE_HISTORIES

    async def show(self, request: VenueRequest, body: bytes, reader: Reader) -> bytes | None:
        """The reader's part of the venue's answer; ``None`` for an order of somebody else. Raises ``NotShown``."""
        path = request.route.path
        try:
            if path in _ORDER_LISTS:
                return await self._own_orders(_ROWS.decode(body), reader)
            if path in _SINGLE_ORDERS:
                return body if await self._own_orders([msgspec.Raw(body)], reader) != b"[]" else None
            if path in _POSITIONS:
                symbol = next((value for name, value in request.reads if name == "symbol"), None)
                return own_positions(body, await self._share_book(reader), only=symbol)
            if path in _ACCOUNTS:
                return own_account(body, await self._share_book(reader))
            if path == _TRADES:
                return await self._own_rows(body, reader, lambda row: order_field(row.symbol, str(row.orderId)))
            if path == _INCOME:
                return await self._own_rows(body, reader, lambda row: trade_field(row.symbol, str(row.tradeId)))
        except (*_NOT_UNDERSTOOD, StoreUnavailable) as trouble:
            raise NotShown(type(trouble).__name__) from trouble
        return body

    async def shared_account(self, account: str) -> Account | None:
        """The account with everybody's shares, as fresh as it can be had: of the store, or as last known."""
        try:
            return (await self._store.look(account)).account
        except StoreUnavailable:
            return self._store.last_known(account, self._venue).account

    async def _share_book(self, reader: Reader) -> ShareBook:
        account = await self.shared_account(reader.account)
        if account is None:
            raise NotShown("the account is not known yet")
        shares = {(each.symbol, each.position_side): each for each in account.shares if each.bot == reader.bot}
        listed = {leg.symbol for leg in account.positions}
        # The venue's row says at what mark it is valued; only a share without a row needs the guard's own.
        unlisted = any(each.quantity != 0 and each.symbol not in listed for each in shares.values())
        markets = await self._store.markets(self._venue) if unlisted else {}
        return ShareBook(shares=shares, marks={symbol: market.mark_price for symbol, market in markets.items()})

    async def _own_orders(self, rows: Sequence[msgspec.Raw], reader: Reader) -> bytes:
        """The orders with the reader's tag, and the plain ones that its conditional orders turned into."""
        orders = [_ORDER.decode(row) for row in rows]
        tagged = [inward(order.clientAlgoId or order.clientOrderId, reader.tag) is not None for order in orders]
        fields = [order_field(order.symbol, str(order.orderId)) for order in orders]
        try:
            unnamed = [field for field, known in zip(fields, tagged, strict=True) if not known]
            owners = await self._store.owners(reader.account, unnamed)
        except StoreUnavailable:
            owners = {}  # The tag is enough for all but what the venue named itself.
        return _array(
            row
            for row, field, known in zip(rows, fields, tagged, strict=True)
            if known or owners.get(field) == reader.bot
        )

    async def _own_rows(self, body: bytes, reader: Reader, field: Callable[[_Trade], str]) -> bytes:
        rows = _ROWS.decode(body)
        fields = [field(_TRADE.decode(row)) for row in rows]
        owners = await self._store.owners(reader.account, fields)
        return _array(row for row, name in zip(rows, fields, strict=True) if owners.get(name) == reader.bot)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareBook:
    """One bot's shares by leg, and the marks they are worth."""

    shares: Mapping[LegKey, Share]
    marks: Mapping[str, Decimal]

    def quantity_and_entry(self, leg: LegKey) -> tuple[Decimal, Decimal]:
        """The signed quantity and the average entry price; zeros without a share."""
        share = self.shares.get(leg)
        return (share.quantity, share.entry_price) if share is not None and share.quantity else (Decimal(0), Decimal(0))


def own_positions(body: bytes, book: ShareBook, *, only: str | None = None) -> bytes:
    """The rows of positionRisk with the bot's share in them.

    Where bots net each other out the venue has no row: one is made, so that no bot takes itself for flat. ``only`` is
    the symbol that was asked for.
    """
    rows = [_ROW.decode(row) for row in _ROWS.decode(body)]
    made = [_made_risk_row(share, book) for share in _unlisted(rows, book) if only in (None, share.symbol)]
    return msgspec.json.encode([_with_share(row, book) for row in (*rows, *made)])


def own_account(body: bytes, book: ShareBook) -> bytes:
    """An account answer with the bot's share in its positions; balances and margin stay the whole account's.

    Rows are made as for positionRisk: the third version of the call lists no leg without a position either.
    """
    account = _ROW.decode(body)
    rows = [_ROW.decode(row) for row in _ROWS.decode(account["positions"])]
    made = [_made_account_row(share) for share in _unlisted(rows, book)]
    positions = [_with_share(row, book) for row in (*rows, *made)]
    return msgspec.json.encode(account | {"positions": msgspec.Raw(msgspec.json.encode(positions))})


def _unlisted(rows: Iterable[Row], book: ShareBook) -> list[Share]:
    """The bot's shares of legs that the venue does not list."""
    listed = {_leg(row) for row in rows}
    return [share for leg, share in book.shares.items() if share.quantity and leg not in listed]


def _with_share(row: Row, book: ShareBook) -> Row:
    leg = _leg(row)
    quantity, entry = book.quantity_and_entry(leg)
    mark = _mark(row, book.marks.get(leg[0]), entry)
    changed = {
        "positionAmt": quantity,
        "entryPrice": entry,
        "notional": (quantity * mark).quantize(_MONEY_STEP),
        "unRealizedProfit": (quantity * (mark - entry)).quantize(_MONEY_STEP),
        "unrealizedProfit": (quantity * (mark - entry)).quantize(_MONEY_STEP),
    }
    return row | {name: _text(value) for name, value in changed.items() if name in row}


def _mark(row: Row, known: Decimal | None, entry: Decimal) -> Decimal:
    """The mark the venue values this row at; the guard's own, or what was paid, where the row does not say."""
    if "markPrice" in row:
        return Decimal(_string(row["markPrice"]))
    amount, notional = Decimal(_string(row["positionAmt"])), Decimal(_string(row["notional"]))
    if amount:
        return notional / amount
    return entry if known is None else known


def _made_risk_row(share: Share, book: ShareBook) -> Row:
    mark = book.marks.get(share.symbol, share.entry_price)
    names = ("positionAmt", "entryPrice", "unRealizedProfit", "notional", "liquidationPrice")
    return _flat_row(share, names) | {"markPrice": _text(mark)}


def _made_account_row(share: Share) -> Row:
    """A leg as ``/fapi/v3/account`` lists it, with the venue's 0 for when it last changed."""
    margins = ("isolatedMargin", "isolatedWallet", "initialMargin", "maintMargin")
    names = ("positionAmt", "unrealizedProfit", "notional", *margins)
    return _flat_row(share, names) | {"updateTime": msgspec.Raw(b"0")}


def _flat_row(share: Share, names: Iterable[str]) -> Row:
    """The leg as the whole account has it: nothing."""
    return {
        "symbol": _quoted(share.symbol),
        "positionSide": _quoted(share.position_side),
        **{name: _text(Decimal(0)) for name in names},
    }


def _leg(row: Row) -> LegKey:
    return _string(row["symbol"]), PositionSide(_string(row["positionSide"]))


def _string(raw: msgspec.Raw) -> str:
    return _STRING.decode(raw)


def _text(value: Decimal) -> msgspec.Raw:
    return _quoted(plain(value))


def _quoted(text: str) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(text))


def _array(rows: Iterable[msgspec.Raw] | Sequence[msgspec.Raw]) -> bytes:
    return b"[" + b",".join(bytes(row) for row in rows) + b"]"
