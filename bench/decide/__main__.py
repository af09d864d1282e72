"""How long all rules together take over one order, on one core, for an account with 20 positions and 50 open orders.

``account.json`` is the picture, ``policy.toml`` every rule of the catalog with none objecting, ``empty.toml`` a policy
without rules. Every decision is on a snapshot of its own, as a gate assembles it: a new moment, a new order, nothing
of others under way or three new orders of theirs. Most orders find the account and its prices as the one before left
them; the first after a fill or a survey finds a new account, and new prices. All are measured, in turns. Nothing but
``decide`` is timed, in CPU time of its thread, so that a busy machine is not taken for a slow rule. Between them a
fixed loop is timed the same way: what it takes says how fast the machine was just then, so that readings can be
compared as ratios.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final

from bench.failure import BenchFailed
from bench.machine import machine
from proxy.policy.reading import load_policy
from proxy.store.codec import build_snapshot, load
from rules.account import HeldOrder, Hold, HoldStatus
from rules.catalog import CATALOG
from rules.decision import Verdict
from rules.engine import decide
from rules.model import OrderType, PlaceOrder, PositionSide, Side, TimeInForce
from rules.policy import Policy
from rules.snapshot import Snapshot

HERE: Final = Path(__file__).parent
DECISIONS: Final = 2000
ROUNDS: Final = 20
UNDER_WAY: Final = {0: "nothing under way", 3: "three under way"}
LOOP: Final = 3000


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 1 when not every rule was asked or one refused."""
    parser = argparse.ArgumentParser(prog="bench.decide", description="Time of one decision, all rules and none.")
    parser.add_argument("--decisions", type=int, default=DECISIONS, help=f"of each kind (default {DECISIONS})")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"turns each kind takes (default {ROUNDS})")
    args = parser.parse_args(arguments)
    picture = build_snapshot(load((HERE / "account.json").read_text(encoding="utf-8")))
    every, empty = load_policy(HERE / "policy.toml"), load_policy(HERE / "empty.toml")
    try:
        _all_there(every)
        rows = {
            f"{name}, account {state}, {UNDER_WAY[holds]}": (policy, state == "just changed", holds, list[float]())
            for name, policy in (("every rule", every), ("empty policy", empty))
            for state in ("unchanged", "just changed")
            for holds in UNDER_WAY
        }
        loops = []
        for _ in range(max(1, args.rounds)):
            for policy, changed, holds, micros in rows.values():
                loops.append(calibration())
                micros += measure(
                    picture, policy, max(1, args.decisions // max(1, args.rounds)), changed=changed, holds=holds
                )
    except BenchFailed as failure:
        print(f"bench.decide: {failure}", file=sys.stderr)
        return 1
    print(report({name: micros for name, (*_, micros) in rows.items()}, len(every.rules), loops))
    return 0


def measure(picture: Snapshot, policy: Policy, decisions: int, *, changed: bool, holds: int) -> list[float]:
    """Microseconds of so many decisions, each with so many orders of others under way.

    Raises ``BenchFailed`` when an order is refused or a rule fails.
    """
    pictures = [_at(picture, number, changed=changed, holds=holds) for number in range(decisions)]
    orders = [_order(picture, number) for number in range(decisions)]
    decide(_order(picture, 0), _at(picture, 0, changed=False, holds=holds), policy)
    micros = []
    gc.collect()
    gc.disable()
    try:
        for order, snapshot in zip(orders, pictures, strict=True):
            began = time.thread_time_ns()
            decision = decide(order, snapshot, policy)
            micros.append((time.thread_time_ns() - began) / 1000)
            if decision.verdict is not Verdict.ALLOW or decision.would_deny:
                raise BenchFailed(f"{order.symbol}: {[*decision.breaches, *decision.would_deny]}")
    finally:
        gc.enable()
    return micros


def calibration() -> float:
    """Microseconds of a fixed piece of pure Python."""
    began, total = time.thread_time_ns(), 0
    for number in range(LOOP):
        total += number * number
    return (time.thread_time_ns() - began) / 1000


def report(rows: dict[str, list[float]], rules: int, loops: list[float]) -> str:
    """A Markdown table, the machine and the date. ``loops`` are the times of the fixed loop between."""
    loop = statistics.median(loops)
    lines = ["| decision | decisions | p50 µs | p99 µs | p50, x loop |", "|---|---|---|---|---|"]
    for name, micros in rows.items():
        p50, p99 = statistics.median(micros), sorted(micros)[max(0, -(-len(micros) * 99 // 100) - 1)]
        lines.append(f"| {name} | {len(micros)} | {p50:.0f} | {p99:.0f} | {p50 / loop:.2f} |")
    lines += [
        "",
        f"CPU time; {rules} rules; the fixed loop of {LOOP} squares: {loop:.0f} µs; {machine()};"
        f" {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
    ]
    return "\n".join(lines)


def _all_there(policy: Policy) -> None:
    missing = sorted(CATALOG.keys() - {rule.rule_id for rule in policy.rules})
    if missing:
        raise BenchFailed(f"policy.toml lacks {', '.join(missing)}")


def _at(picture: Snapshot, number: int, *, changed: bool, holds: int) -> Snapshot:
    """The picture a moment later, so many orders of others under way; ``changed``: account and prices told anew."""
    account, markets = picture.account, dict(picture.markets)
    if account is not None and changed:
        account = replace(account, version=account.version + number)
        markets = {symbol: replace(market) for symbol, market in markets.items()}
    symbols = sorted(picture.instruments)
    return replace(
        picture,
        now=picture.now + timedelta(microseconds=number),
        account=account,
        instruments=dict(picture.instruments),
        markets=markets,
        holds=tuple(_hold(picture, symbols[(7 * number + 3 * place) % len(symbols)], place) for place in range(holds)),
    )


def _hold(picture: Snapshot, symbol: str, place: int) -> Hold:
    order = HeldOrder(
        symbol=symbol,
        side=_adding(picture, symbol),
        position_side=PositionSide.BOTH,
        quantity=_worth(picture, symbol, 200),
        price=picture.markets[symbol].mark_price,
        client_order_id=f"held{place}",
    )
    status = HoldStatus.PENDING if place % 2 else HoldStatus.ACCEPTED
    return Hold(hold_id=f"h{place}", bot="carry", sequence=place + 1, status=status, orders=(order,))


def _order(picture: Snapshot, number: int) -> PlaceOrder:
    """A limit order at the touch, worth a few hundred, on one symbol after another, that adds to the position."""
    symbol = sorted(picture.instruments)[number % len(picture.instruments)]
    market = picture.markets[symbol]
    side = _adding(picture, symbol)
    return PlaceOrder(
        symbol=symbol,
        side=side,
        order_type=OrderType.LIMIT,
        quantity=_worth(picture, symbol, 250 + number % 50),
        price=market.bid_price if side is Side.BUY else market.ask_price,
        time_in_force=TimeInForce.GTC,
        client_order_id=f"bench{number}",
    )


def _adding(picture: Snapshot, symbol: str) -> Side:
    positions = picture.account.positions if picture.account is not None else ()
    return next((Side.BUY if each.quantity > 0 else Side.SELL for each in positions if each.symbol == symbol), Side.BUY)


def _worth(picture: Snapshot, symbol: str, notional: int) -> Decimal:
    return picture.instruments[symbol].floor_quantity(notional / picture.markets[symbol].mark_price, market=False)


if __name__ == "__main__":
    sys.exit(main())
