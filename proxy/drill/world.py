"""A guard of the drill's own before a practice exchange with copies of the live books, on loopback, in a folder that
goes.

Nothing of the live guard's settings reaches it: ``World`` leaves out every variable of its environment that could name
a live exchange, a store or a data directory.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import ccxt
import httpx

from proxy.clock import utc_now
from proxy.drill.book import CopiedBook
from proxy.practice.client import connect
from proxy.practice.world import World, WorldFailed
from proxy.vault.keys import GuardKey, Secret
from proxy.vault.vault import Vault
from proxy.venues.binance.venue import VENUE
from rules.account import OpenOrder, Position
from rules.model import MarginMode

BOT: Final = "drill"
_LEVERAGE_DEFAULT: Final = Decimal(20)


class DrillWorld(World):
    """Starts everything; when it is entered, the copied books stand and the load may begin."""

    def __init__(self, data_dir: Path, policy: Path, books: Mapping[str, CopiedBook], *, gate_workers: int) -> None:
        super().__init__(data_dir, policy, gate_workers=gate_workers, scenario="flat")
        self._books = books
        self._keys = {name: (f"drill-{secrets.token_hex(12)}", Secret(secrets.token_hex(32))) for name in books}
        self.bot_keys: dict[str, GuardKey] = {}
        self.not_copied: list[str] = []
        self.positions_not_copied = 0

    @property
    def exchange_settings(self) -> str:
        """Every account with a copied book, and the contracts in these."""
        symbols = {each.instrument.symbol: each for book in self._books.values() for each in book.symbols}
        tables = ['seed = 7\nscenario = "flat"\norder_limit = 0\nweight_limit = 0\n']
        for name, book in self._books.items():
            key, secret = self._keys[name]
            set_aside = sum((leg.isolated_margin or Decimal(0) for leg in book.account.positions), Decimal(0))
            tables.append(
                f'[[account]]\nname = "{name}"\napi_key = "{key}"\napi_secret = "{secret.reveal()}"\n'
                f'balance = "{max(book.wallet, set_aside):f}"\n'
            )
        for symbol in symbols.values():
            rows = "".join(f'{name} = "{value}"\n' for name, value in symbol.table().items())
            tables.append(f"[[instrument]]\n{rows}")
        return "".join(tables)

    def start_exchange(self) -> str:
        """Start it, and copy the books to it."""
        url = super().start_exchange()
        assert urlsplit(url).hostname in ("127.0.0.1", "::1"), url  # noqa: S101 - a drill sends to nobody else
        for name, book in self._books.items():
            self._copy(url, name, book)
        return url

    def fill_vault(self, vault: Vault) -> None:
        """The keys of every account, and one of the drill's bot for each."""
        now = utc_now()
        for account, (key, secret) in self._keys.items():
            vault.add_exchange_key(account=account, venue=VENUE, api_key=key, api_secret=secret, now=now)
            self.bot_keys[account] = vault.issue(bot=BOT, account=account, label="drill", now=now)

    def _copy(self, url: str, name: str, book: CopiedBook) -> None:
        """Mode, positions, orders. What the exchange does not take is said in the report, not worked around."""
        client = connect(url, *self._keys[name])
        if book.account.hedged:
            client.fapiPrivatePostPositionSideDual({"dualSidePosition": "true"})
        for leg in book.account.positions:
            self._put(url, name, leg)
        for order in book.account.open_orders:
            try:
                _place(client, order, hedged=book.account.hedged)
            except ccxt.BaseError as refused:
                self.not_copied.append(f"{order.symbol} {order.order_type.value} of {name}: {str(refused)[:120]}")

    def _put(self, url: str, name: str, leg: Position) -> None:
        body = {
            "account": name,
            "symbol": leg.symbol,
            "position_side": leg.position_side.value,
            "quantity": f"{leg.quantity:f}",
            "price": f"{leg.entry_price:f}",
            "leverage": int(leg.leverage or _LEVERAGE_DEFAULT),
            "margin_mode": leg.margin_mode.value,
        }
        if leg.margin_mode is MarginMode.ISOLATED and leg.isolated_margin:
            body["isolated_margin"] = f"{leg.isolated_margin:f}"
        reply = httpx.post(f"{url.rstrip('/')}/sandbox/position", json=body, trust_env=False, timeout=10)
        if reply.status_code != httpx.codes.OK:
            self.positions_not_copied += 1
            self.not_copied.append(f"{leg.symbol} position of {name}: {reply.text[:120]}")

    def sandbox(self, method: str, path: str) -> Any:
        """One call of the practice exchange's control door."""
        reply = httpx.request(method, f"{self.places.exchange.rstrip('/')}/sandbox{path}", trust_env=False, timeout=10)
        if reply.status_code != httpx.codes.OK:
            raise WorldFailed(f"the practice exchange answered {reply.status_code} to {path}")
        return reply.json()


def _place(client: Any, order: OpenOrder, *, hedged: bool) -> None:
    terms: dict[str, str] = {"symbol": order.symbol, "side": order.side.value, "type": order.order_type.value}
    if hedged:
        terms["positionSide"] = order.position_side.value
    if order.leaves_quantity is not None and not order.close_position:
        terms["quantity"] = f"{order.leaves_quantity:f}"
    if order.price:
        terms |= {"price": f"{order.price:f}", "timeInForce": "GTC"}
    if order.close_position:
        terms["closePosition"] = "true"
    elif order.reduce_only and not hedged:
        terms["reduceOnly"] = "true"
    if not order.order_type.is_conditional:
        client.fapiPrivatePostOrder(terms)
        return
    if order.trigger_price:
        terms["triggerPrice"] = f"{order.trigger_price:f}"
    client.fapiPrivatePostAlgoOrder({"algoType": "CONDITIONAL", **terms})
