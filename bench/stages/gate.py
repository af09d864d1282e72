"""One gate's own code in this process: everything real but the store's answers and the exchange, played back."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from bench.failure import BenchFailed
from bench.stages.picture import SYMBOLS, VENUE
from proxy.audit.journal import Journal
from proxy.budget.meter import Meter
from proxy.clock import milliseconds
from proxy.gate.counting import Counting
from proxy.gate.egress import Egress, VenueBudget
from proxy.gate.identity import Identities
from proxy.gate.judge import Judge
from proxy.gate.policy import policy_of
from proxy.gate.upstream import OutboundRequest, Turnstile, UpstreamReply
from proxy.gate.views import Views
from proxy.gate.wiring import VenueSide, doors_to
from proxy.policy.reading import load_policy
from proxy.store.codec import load
from proxy.store.fence import Fence
from proxy.store.gate_store import GateStore
from proxy.store.view import HoldRequest, View
from proxy.vault.keys import GuardKey, Secret
from proxy.vault.vault import Vault
from proxy.venues.binance.requests import read_request
from proxy.venues.binance.routes import find_route
from proxy.venues.binance.signing import sign
from proxy.venues.binance.wire import read_parameters
from rules.snapshot import Snapshot


class RecordedStore(GateStore):
    """A gate's store that remembers the last answer to each call and, once told to, gives that in its place.

    ``under_way`` others' holds are in every answer, and ``tried`` earlier entries of the bot are known; with each order
    the oldest of both goes and a new one comes.
    """

    answers: dict[str, bytes] | None = None
    under_way = 0
    tried = 0
    _heard: dict[str, bytes]
    _number = 0
    _window_us = 0

    def play_back(self) -> None:
        """From now on nothing is asked."""
        self.answers = dict(self._heard)

    async def _hold(self, request: HoldRequest) -> View:
        self._window_us = request.attempts_window_s * 1_000_000
        return await super()._hold(request)

    async def _call(self, name: str, keys: list[str], arguments: list[Any], *, heed_breaker: bool = True) -> Any:
        if self.answers is None:
            answer = await super()._call(name, keys, arguments, heed_breaker=heed_breaker)
            self.__dict__.setdefault("_heard", {})[name] = json.dumps(answer).encode()
            return answer
        # Read anew each time, as off a wire: equal texts, never the same ones.
        if name not in self.answers:
            raise BenchFailed(f"{name} was not recorded: {arguments}"[:3000])
        answer = load(self.answers[name])
        if name == "hold":
            self._number += 1
            answer[6] = self._others_holds(answer[6])
            mark, at_us = arguments[10], int(answer[11])
            answer[9] = self._earlier_entries(at_us, answer[9][1], mark)
            answer[11] = str(at_us + self._number + self._window_us)
        return answer

    def _others_holds(self, recorded: list[str]) -> list[str]:
        rest = recorded[1].split("|", 1)[1]
        numbers = range(self._number, self._number + self.under_way)
        return [text for number in numbers for text in (f"h{number}", f"{number}|{rest}")]

    def _earlier_entries(self, at_us: int, recorded: list[str], mark: str) -> list[Any]:
        """On all symbols and sides in turn: so many of one would be the execution throttle's matter. Only the newest
        where the gate knows the one before."""
        rest = recorded[0].split("|", 2)[2]
        lines = []
        for number in range(self._number, self._number + self.tried):
            side, symbol = ("BUY", "SELL")[number % 2], SYMBOLS[number % 3]
            line = f"{at_us + number}|h{number}|{rest}"
            lines.append(line.replace("BUY", side).replace("ETHUSDT", symbol))
        follows = len(lines) > 1 and lines[-2].startswith(mark or "-")
        return [1, lines[-1:]] if follows else [0, lines]


class Acceptance:
    """An exchange that takes every order at once."""

    async def send(self, request: OutboundRequest, fence: Turnstile | None) -> UpstreamReply:
        """See ``Upstream.send``."""
        if fence is not None:
            pass_through(fence)
        name = request.body.partition("newClientOrderId=")[2].partition("&")[0]
        body = (
            b'{"orderId":8389765500999,"symbol":"ETHUSDT","status":"NEW","clientOrderId":"%s","price":"2292.26",'
            b'"avgPrice":"0.00","origQty":"0.150","executedQty":"0.000","cumQuote":"0.00000","timeInForce":"GTC",'
            b'"type":"LIMIT","reduceOnly":false,"closePosition":false,"side":"BUY","positionSide":"BOTH",'
            b'"stopPrice":"0.00","workingType":"CONTRACT_PRICE","priceProtect":false,"origType":"LIMIT",'
            b'"priceMatch":"NONE","selfTradePreventionMode":"EXPIRE_MAKER","goodTillDate":0,"updateTime":1772452800000}'
        ) % name.encode()
        headers = {"content-type": "application/json", "x-mbx-used-weight-1m": "7", "x-mbx-order-count-10s": "3"}
        return UpstreamReply(status=200, headers=headers, body=body)

    async def aclose(self) -> None:
        """Nothing is open."""


def pass_through(fence: Turnstile) -> None:
    """What every client does between its last await and the first byte, and after the last."""
    fence()()


class Gate:
    """The order path of one gate, and a bot that signs what it sends."""

    def __init__(self, directory: Path, url: str, policy: Path, picture: Snapshot) -> None:
        assert picture.account is not None
        account, now = picture.account.name, picture.now
        self._now = now
        vault = Vault.create(directory / "vault.json", Secret("a passphrase for a bench"), work_factor=2**14)
        vault.add_exchange_key(account=account, venue=VENUE, api_key="R" * 64, api_secret=Secret("S" * 64), now=now)
        self._key: GuardKey = vault.issue(bot=picture.bot, account=account, label="bench", now=now)
        self._identities = Identities(vault, VENUE)
        self.store = RecordedStore(url, "desk", policy_of=policy_of, timeout_s=5.0)
        self._journal = Journal(directory)
        self._counting = Counting()
        in_force = load_policy(policy)
        judge = Judge(
            store=self.store,
            fence=Fence.initialise(directory),
            journal=self._journal,
            policy=in_force,
            now=lambda: now,
            counting=self._counting,
        )
        meter = Meter(lambda: now)
        venue = VenueSide(
            upstream=Acceptance(),
            hosts={"fapi": "https://exchange.example"},
            stream_host="",
            now=lambda: now,
            budget=VenueBudget(meter, Egress(meter, {}), self.store, VENUE),
        )
        self._orders = doors_to(
            venue,
            desk="desk",
            store=self.store,
            judge=judge,
            identities=self._identities,
            views=Views(lambda: in_force, self.store, VENUE),
            now=lambda: now,
            counting=self._counting,
        ).orders
        self._number = 0
        self._route = find_route("POST", "/fapi/v1/order")

    def request(self) -> bytes:
        """The signed query of a new order: a few hundred more of a position, another size each time."""
        self._number += 1
        number = self._number
        sent = {
            "symbol": "ETHUSDT",
            "side": "BUY",
            "type": "LIMIT",
            "timeInForce": "GTC",
            "quantity": f"{0.099 + min(number, 2 + number % 47) / 1000:.3f}",
            "price": "2292.26",
            "newClientOrderId": f"x-bench-{number:012d}",
            "recvWindow": "5000",
            "timestamp": str(milliseconds(self._now) + number % 500),
        }
        payload = urlencode(sent)
        return f"{payload}&signature={sign(payload, self._key.secret.reveal())}".encode()

    async def carry(self, query: bytes) -> int:
        """What the door does with one order, to its settlement; the answer's status."""
        assert self._route is not None
        parameters = read_parameters(query, b"", "")
        identity = self._identities.identify(
            self._route, self._key.key, query, b"", parameters, milliseconds(self._now)
        )
        answer = await self._orders.carry(read_request(self._route, parameters), identity)
        if unsettled := self._orders.unsettled:
            await asyncio.wait(unsettled)  # Behind the answer in a gate, and of its work all the same.
        if answer.status != 200:
            raise BenchFailed(answer.body.decode())
        return answer.status

    async def aclose(self) -> None:
        """Let go of the store and the journal."""
        await self.store.aclose()
        self._journal.close()
