"""How long a kill takes: 10 accounts with 20 positions and 50 orders each, at 50 ms a round trip.

The practice exchange answers every request 50 ms late, which is what a round trip costs. A third of the orders are
conditional. All accounts are pressed at once, by one process, as a warden would. Blocked, exposed, flat and verified
are the kill's own times; whether it is flat is asked of the exchange afterwards.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx

from bench.machine import machine
from proxy.exchange.venue_account import VenueAccount
from proxy.kill.hands import VenueHands
from proxy.kill.job import kill
from proxy.kill.press import Press
from proxy.kill.report import AccountReport, KillReport
from proxy.practice.ending import ends_in_order
from proxy.store.fence import DESK
from proxy.vault.keys import Secret
from rules.kill.events import Phase

ACCOUNTS: Final = 10
POSITIONS: Final = 20
ORDERS: Final = 50
LATENCY_MS: Final = 50

_ROOT: Final = Path(__file__).resolve().parents[1]
_SECRET: Final = "s" * 64
_AT_ONCE: Final = 20
# An account may take 300 orders in ten seconds; filling is not what is measured.
_LIMITS: Final = ["--weight-limit", "0", "--order-limit", "0", "--scenario", "flat"]


class NotFlat(Exception):
    """The kill's word and the exchange's are not the same: then its times mean nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """What each account has: positions of ``quantity``, half of them long, half short, and orders."""

    positions: int = POSITIONS
    orders: int = ORDERS
    quantity: str = "20"

    @property
    def symbols(self) -> list[str]:
        """One for each position; the practice exchange calls them so."""
        return [f"X{number:02}USDT" for number in range(1, self.positions + 1)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 1 when an account is not flat."""
    parser = argparse.ArgumentParser(prog="bench.kill", description="Time to blocked, flat and verified.")
    parser.add_argument("--accounts", type=int, default=ACCOUNTS, help=f"killed side by side (default {ACCOUNTS})")
    parser.add_argument("--latency-ms", type=int, default=LATENCY_MS, help=f"of every answer (default {LATENCY_MS})")
    parser.add_argument("--quantity", default="20", help="of each position, at a price of 100 (default 20)")
    parser.add_argument("--positions", type=int, default=POSITIONS, help=f"of each account (default {POSITIONS})")
    parser.add_argument("--orders", type=int, default=ORDERS, help=f"of each account (default {ORDERS})")
    args = parser.parse_args(arguments)
    book = Book(positions=args.positions, orders=args.orders, quantity=args.quantity)
    try:
        report = asyncio.run(measure(args.accounts, args.latency_ms, book))
    except NotFlat as trouble:
        print(f"bench.kill: {trouble}", file=sys.stderr)
        return 1
    print(table(report, args.latency_ms, book))
    return 0 if report.phase is Phase.FLAT else 1


async def measure(accounts: int, latency_ms: int, book: Book) -> KillReport:
    """One press of everything, each account with such a book.

    Raises ``NotFlat`` where the kill says that all is flat and the exchange does not.
    """
    names = [f"a{number:02}" for number in range(1, accounts + 1)]
    async with _exchange(names, book.positions) as url:
        await asyncio.gather(*(_fill(url, name, book) for name in names))
        async with httpx.AsyncClient(base_url=url, trust_env=False) as control:
            (await control.post("/sandbox/faults", json={"latency_ms": latency_ms})).raise_for_status()
        hands = [VenueHands(_account(url, name)) for name in names]
        try:
            with tempfile.TemporaryDirectory(prefix="perpguard-bench-") as directory:
                press = Press(scope=DESK, by="bench", reason="how long does it take")
                report = await kill(Path(directory), press, hands)
        finally:
            for each in hands:
                await each.aclose()
        if report.phase is Phase.FLAT:
            left = [each for name in names for each in await _left(url, name)]
            if left:
                raise NotFlat(f"the kill says FLAT, the exchange has {', '.join(left)}")
        return report


def table(report: KillReport, latency_ms: int, book: Book) -> str:
    """A Markdown table, the machine and the date."""
    lines = [
        f"| {len(report.accounts)} x {book.positions} positions, {book.orders} orders, {latency_ms} ms"
        " | median | slowest |",
        "|---|---|---|",
        _row("entries blocked", [report.blocked_ms]),
        _row("no position left", [each.exposed_ms for each in report.accounts]),
        _row("first calm reading", [each.flat_ms for each in report.accounts]),
        _row("flat, verified", [each.verified_ms for each in report.accounts]),
    ]
    unlike = [
        f"{each.account}: {each.phase.value}, {each.why or each.left}" for each in report.accounts if not each.flat
    ]
    cancelled, closed = _sum(report.accounts, "cancelled"), sum(len(each.closed) for each in report.accounts)
    counted = f"{cancelled} orders cancelled, {closed} positions closed"
    return "\n".join((*lines, *unlike, "", f"{counted}; {machine()}; {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"))


def _row(name: str, milliseconds: Sequence[float | None]) -> str:
    known = [each for each in milliseconds if each is not None]
    if not known:
        return f"| {name} | - | - |"
    return f"| {name} | {statistics.median(known):.0f} ms | {max(known):.0f} ms |"


def _sum(reports: Sequence[AccountReport], name: str) -> int:
    return sum(getattr(report, name) for report in reports)


def _account(url: str, name: str) -> VenueAccount:
    return VenueAccount(
        name=name, venue="binanceusdm", api_key=name.ljust(64, "k"), secret=Secret(_SECRET), base_url=url
    )


async def _fill(url: str, name: str, book: Book) -> None:
    """A position in every symbol, long and short in turn, two plain orders in most and a stop in the rest."""
    account = _account(url, name)
    client, once = account.calls.client, account.calls.once
    gate = asyncio.Semaphore(_AT_ONCE)

    async def send(call: Any, **params: str) -> None:
        async with gate:
            await once(call, params)

    entries = [
        {"symbol": symbol, "side": "BUY" if number % 2 else "SELL", "type": "MARKET", "quantity": book.quantity}
        for number, symbol in enumerate(book.symbols)
    ]
    orders = [{"symbol": book.symbols[number % book.positions], "side": "BUY"} for number in range(book.orders)]
    plain = [{"type": "LIMIT", "timeInForce": "GTC", "quantity": "1", "price": "95"} for _ in range(book.orders)]
    stop = {"algoType": "CONDITIONAL", "type": "STOP_MARKET", "quantity": "1", "triggerPrice": "120"}
    try:
        await asyncio.gather(*(send(client.fapiPrivatePostOrder, **entry) for entry in entries))
        conditional = range(0, book.orders, 3)
        await asyncio.gather(
            *(send(client.fapiPrivatePostAlgoOrder, **orders[number], **stop) for number in conditional),
            *(
                send(client.fapiPrivatePostOrder, **orders[number], **plain[number])
                for number in range(book.orders)
                if number not in conditional
            ),
        )
    finally:
        await account.aclose()


async def _left(url: str, name: str) -> list[str]:
    """What the exchange itself still has of an account, in words, asked by a client that had no part in the kill."""
    account = _account(url, name)
    client, once = account.calls.client, account.calls.once
    try:
        rows = await once(client.fapiPrivateV3GetPositionRisk, {})
        found = {
            "positions": sum(1 for row in rows if float(row["positionAmt"])),
            "orders": len(await once(client.fapiPrivateGetOpenOrders, {})),
            "conditional orders": len(await once(client.fapiPrivateGetOpenAlgoOrders, {})),
        }
    finally:
        await account.aclose()
    return [f"{number} {what} of {name}" for what, number in found.items() if number]


@contextlib.asynccontextmanager
async def _exchange(names: Sequence[str], symbols: int) -> AsyncIterator[str]:
    customers = [part for name in names for part in ("--account", f"{name}:{name.ljust(64, 'k')}:{_SECRET}:1000000")]
    command = [sys.executable, "-m", "sandbox", "--port", "0", "--extra-symbols", str(symbols), *_LIMITS, *customers]
    process = await asyncio.create_subprocess_exec(*command, cwd=_ROOT, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            line = await process.stdout.readline()
        yield line.decode().split()[-1]
    finally:
        process.terminate()
        await process.wait()


if __name__ == "__main__":
    ends_in_order()
    sys.exit(main())
