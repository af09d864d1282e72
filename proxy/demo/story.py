"""``perpguard demo``: a bot trades, is refused four ways, the button is pressed, the book ends flat. All of it real."""

from __future__ import annotations

import json
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import ccxt
from rich.console import Console
from rich.markup import escape

from proxy.practice.client import connect
from proxy.practice.ending import ends_in_order
from proxy.practice.world import BOT, World, WorldFailed
from proxy.terminal import show_json, spelled_out

COUNTED_TIMEOUT_S: Final = 20.0
KILL_TIMEOUT_S: Final = 45.0
GATE_PORT: Final = 8080
CONTROL_PORT: Final = 8081
POLICY: Final = Path(__file__).resolve().parents[2] / "configs" / "policies" / "demo.toml"


@dataclass(slots=True)
class Told:
    """What happened, for the JSON at the end."""

    sent: int = 0
    blocked: list[dict[str, Any]] = field(default_factory=list)
    kill: dict[str, Any] = field(default_factory=dict)
    audit: dict[str, Any] = field(default_factory=dict)

    def holds(self) -> bool:
        """Whether the whole story is true."""
        wanted = {"max_order_value", "max_leverage", "reduce_only_exits", "correlated_exposure"}
        return (
            wanted <= {each["rule"] for each in self.blocked}
            and self.sent > 0
            and self.kill.get("flat") is True
            and self.kill.get("read_backs") == 3
            and self.audit.get("chain_ok") is True
            and self.audit.get("replay_agrees") is True
        )


def run(*, once: bool, as_json: bool) -> int:
    """Tell the story; 0 only if all of it is true. Told to stop (SIGTERM, SIGHUP, Ctrl-C), it leaves nothing behind."""
    ends_in_order()
    console = Console(stderr=as_json, highlight=False)
    try:
        with tempfile.TemporaryDirectory(prefix="perpguard-demo-") as directory:
            ports = (0, 0) if once else (GATE_PORT, CONTROL_PORT)
            world = World(Path(directory), POLICY, gate_port=ports[0], control_port=ports[1])
            return _tell(world, console, once=once, as_json=as_json)
    except WorldFailed as failure:
        console.print(f"[red]demo failed:[/red] {escape(spelled_out(str(failure)))}")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        return 128 + signal.SIGINT


def _tell(world: World, console: Console, *, once: bool, as_json: bool) -> int:
    told = Told()
    console.rule("perpguard demo")
    console.print("starting the practice exchange, the embedded store, the warden and the gates ...")
    with world:
        console.print(
            f"exchange {world.places.exchange}\ngate     {world.places.gate}\nconsole  {world.places.console}"
        )
        Story(world, console, told).play()
        if once:
            world.stop_guard()  # The replay must need nothing but the archive.
        _audit(world, console, told)
        holds = told.holds()
        if as_json:
            story = {"orders_sent": told.sent, "orders_blocked": told.blocked, "kill": told.kill, "audit": told.audit}
            show_json(story)
        if not once and holds:
            _stay_up(world, console)
    return 0 if holds else 1


class Story:
    """The bot's day."""

    def __init__(self, world: World, console: Console, told: Told) -> None:
        self._console = console
        self._world = world
        self._told = told
        self._bot = connect(world.places.gate, world.guard_key.key, world.guard_key.secret)

    def play(self) -> None:
        """From the first order to flat."""
        bot = self._bot
        bot.load_markets()
        self._console.rule("a bot trades through the guard (plain ccxt, another base URL)")
        self._say("leverage 3", lambda: bot.set_leverage(3, "BTC/USDT:USDT"))
        self._sends("buy 0.12 BTC at market", "BTC/USDT:USDT", "market", "buy", 0.12)
        mark = float(bot.fetch_ticker("BTC/USDT:USDT")["last"])
        self._sends(
            "protective stop 5 % below",
            "BTC/USDT:USDT",
            "market",
            "sell",
            0.12,
            params={"stopLossPrice": round(mark * 0.95), "reduceOnly": True},
        )
        self._sends("buy 4 ETH at market", "ETH/USDT:USDT", "market", "buy", 4)
        self._sends("a resting bid for 0.01 BTC", "BTC/USDT:USDT", "limit", "buy", 0.01, price=round(mark * 0.9))
        self._refusals()
        self._press()

    def _refusals(self) -> None:
        self._console.rule("the guard says no, in the exchange's own words, with the size that would pass")
        self._refused("a fat finger: buy 5 BTC", "BTC/USDT:USDT", "buy", 5)
        self._refused("too much leverage: buy 110 SOL", "SOL/USDT:USDT", "buy", 110)
        self._refused("an exit without reduce-only: sell 0.05 BTC", "BTC/USDT:USDT", "sell", 0.05)
        stacked = self._refused("a third long that stacks correlation: buy 75 SOL", "SOL/USDT:USDT", "buy", 75)
        allowed = float(stacked["headroom"] or 0)
        # Prices move between two orders: a hair less than the headroom, in whole lots.
        self._sends(
            f"just under its headroom: buy {allowed * 0.97:.0f} SOL",
            "SOL/USDT:USDT",
            "market",
            "buy",
            int(allowed * 0.97),
        )
        self._sends("the exit again, reduce-only", "BTC/USDT:USDT", "market", "sell", 0.05, params={"reduceOnly": True})

    def _press(self) -> None:
        self._console.rule("the button")
        direct = connect(self._world.places.exchange, self._world.exchange_key, self._world.exchange_secret)
        before = _book(direct)
        self._console.print(f"before: {before}")
        pressed = self._world.ask(
            "POST", "/control/kill", {"scope": "desk", "reason": "demo: the button is pressed", "by": "demo"}
        )
        self._console.print(f"blocked after {pressed['blocked_ms']} ms")
        self._must_be_denied()
        progress = self._until_done()
        account = progress["accounts"][0]
        after = _book(direct)
        self._told.kill = {
            "blocked_ms": pressed["blocked_ms"],
            "cancelled": account["cancelled"],
            "flat_ms": progress["flat_ms"],
            "read_backs": len(account["read_backs"]),
            "flat": bool(progress["flat"]) and after == EMPTY,
        }
        self._console.print(f"after, asked at the exchange by another client: {after}")

    def _until_done(self) -> dict[str, Any]:
        deadline = time.monotonic() + KILL_TIMEOUT_S
        while time.monotonic() < deadline:
            progress: Any = self._world.ask("GET", "/control/kill")["kill"]
            if progress is not None and not progress["running"]:
                found: dict[str, Any] = progress
                return found
            time.sleep(0.1)
        raise WorldFailed(f"the kill did not end in {KILL_TIMEOUT_S} s")

    def _must_be_denied(self) -> None:
        try:
            self._bot.create_order("BTC/USDT:USDT", "market", "buy", 0.001)
        except ccxt.PermissionDenied as refused:
            self._console.print(f"  [green]refused[/green] buy 0.001 BTC: {escape(spelled_out(str(refused)))[:160]}")
            return
        raise WorldFailed("an order passed after the button was pressed")

    def _sends(self, words: str, *order: Any, **more: Any) -> None:
        self._say(words, lambda: self._bot.create_order(*order, **more))
        self._told.sent += 1
        self._until_counted(words)

    def _until_counted(self, words: str) -> None:
        """Until the guard has heard of the order from the exchange: for a moment more it counts as held and as filled,
        and on a busy machine the next order might be refused for that."""
        deadline = time.monotonic() + COUNTED_TIMEOUT_S
        while any(account["holds"] for account in self._world.ask("GET", "/api/desk")["accounts"]):
            if time.monotonic() > deadline:
                raise WorldFailed(f"{words}: not heard of from the exchange in {COUNTED_TIMEOUT_S} s")
            time.sleep(0.05)

    def _say(self, words: str, act: Callable[[], Any]) -> None:
        try:
            act()
        except ccxt.BaseError as error:
            raise WorldFailed(f"{words}: {error}") from error
        self._console.print(f"  [green]passed [/green] {words}")

    def _refused(self, words: str, symbol: str, side: str, quantity: float) -> dict[str, Any]:
        try:
            self._bot.create_order(symbol, "market", side, quantity)
        except ccxt.InvalidOrder as refused:
            headers = {name.lower(): value for name, value in (self._bot.last_response_headers or {}).items()}
            breach = {
                "rule": headers.get("x-guard-rule"),
                "code": headers.get("x-guard-code"),
                "headroom": headers.get("x-guard-headroom"),
            }
            self._told.blocked.append(breach)
            self._console.print(f"  [red]refused[/red] {words}\n          {escape(spelled_out(str(refused)))}")
            return breach
        raise WorldFailed(f"{words}: passed, but the policy must refuse it")


EMPTY: Final = {"orders": 0, "conditional": 0, "positions": 0}


def _book(direct: Any) -> dict[str, int]:
    """What an independent client sees straight at the exchange."""
    return {
        "orders": len(direct.fapiPrivateGetOpenOrders()),
        "conditional": len(direct.fapiPrivateGetOpenAlgoOrders()),
        "positions": sum(1 for row in direct.fapiPrivateV3GetPositionRisk() if float(row["positionAmt"]) != 0),
    }


def _audit(world: World, console: Console, told: Told) -> None:
    console.rule("what the audit remembers")
    blocked = world.command("audit", "--blocked", "--bot", BOT)
    console.print(escape(blocked.stdout))
    verified = world.command("audit", "verify", "--json")
    export = world.data_dir / "export.jsonl"
    world.command("audit", "export", "--output", str(export))
    replayed = world.command("audit", "replay", "--from", str(export), "--json")
    listed = json.loads(world.command("audit", "--blocked", "--json").stdout or "[]")
    codes = {row["code"] for row in listed}
    told.audit = {
        "records": json.loads(verified.stdout or "{}").get("records"),
        "chain_ok": verified.returncode == 0,
        "replay_agrees": replayed.returncode == 0,
        "blocked_listed": {each["code"] for each in told.blocked} <= codes,
    }
    console.print(f"chain verified: {told.audit['chain_ok']}   replay agrees: {told.audit['replay_agrees']}")


def _stay_up(world: World, console: Console) -> None:
    console.rule("still running: Ctrl-C ends it")
    console.print(f"console  {world.places.console}\nsign in  {world.way_in}", soft_wrap=True)
    console.print(
        f"gate     {world.places.gate}\nkey      {world.guard_key.key}\nsecret   {world.guard_key.secret.reveal()}"
    )
    console.print("the desk is stopped; re-arm it on the console")
    try:
        while True:
            time.sleep(1)
    except KeyboardInterrupt:
        sys.stderr.write("\n")
