"""The bots' REST door in one process: real store, judge, vault and parser; a scripted exchange at the upstream seam."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import httpx

from proxy.budget.meter import Meter
from proxy.clock import milliseconds
from proxy.gate.counting import Counting
from proxy.gate.egress import Egress, VenueBudget
from proxy.gate.identity import Identities
from proxy.gate.judge import Judge
from proxy.gate.latch import Latch
from proxy.gate.rest import PREFIX
from proxy.gate.upstream import OutboundRequest, Turnstile, UpstreamReply
from proxy.gate.views import Views
from proxy.gate.wiring import VenueSide, doors_to
from proxy.vault.keys import GuardKey, Secret
from proxy.vault.vault import Vault
from proxy.venues.binance.signing import sign
from rules.kill.settings import KILL_DEFAULT, KillSettings
from rules.rule import Rule
from tests.proxy.gate.conftest import Desk
from tests.rules.builders import NOW
from tests.support.through_the_door import ThroughTheDoor

VENUE: Final = "binanceusdm"
HOSTS: Final = dict.fromkeys(("fapi", "api", "sapi", "dapi"), "https://venue.test")


class ScriptedVenue:
    """An exchange that answers what it is told to, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.answer: Callable[[str, str, dict[str, str]], Any] = lambda method, path, asked: {}
        self.status = 200

    async def send(self, request: OutboundRequest, fence: Turnstile | None) -> UpstreamReply:
        if fence is not None:
            fence()
        url = urlsplit(request.url)
        asked = dict(parse_qsl(request.body or url.query))
        for name in ("signature", "timestamp", "recvWindow"):
            asked.pop(name, None)
        self.asked.append((request.method, url.path, asked))
        answer = self.answer(request.method, url.path, asked)
        body = answer if isinstance(answer, bytes) else json.dumps(answer, separators=(",", ":")).encode()
        return UpstreamReply(status=self.status, headers={}, body=body)


class House:
    """One gate in front of a scripted venue, and bots with guard keys for the account ``demo``."""

    def __init__(
        self,
        desk: Desk,
        directory: Path,
        *rules: Rule,
        bots: tuple[str, ...] = ("ada", "bob"),
        kill_settings: KillSettings = KILL_DEFAULT,
        latch: Latch | None = None,
    ) -> None:
        self.venue = ScriptedVenue()
        vault = Vault.create(directory / "vault" / "vault.json", Secret("correct horse battery"), work_factor=2**14)
        vault.add_exchange_key(
            account="demo", venue=VENUE, api_key="B" * 64, api_secret=Secret("exchange-secret"), now=NOW
        )
        self.keys = {bot: vault.issue(bot=bot, account="demo", label=bot, now=NOW) for bot in bots}
        policy = desk.under(*rules, kill_settings=kill_settings)
        judge = Judge(
            store=desk.store, fence=desk.fence, journal=desk.journal, policy=policy, now=lambda: NOW, latch=latch
        )
        # In the middle of the venue's windows, where its counters are believed. There time stands still.
        meter = Meter(lambda: NOW + timedelta(seconds=5), steady_s=lambda: 0.0)
        venue = VenueSide(
            upstream=self.venue,
            hosts=HOSTS,
            stream_host="",
            now=lambda: NOW,
            budget=VenueBudget(meter, Egress(meter, {}), desk.store, VENUE),
        )
        door = doors_to(
            venue,
            desk=desk.name,
            store=desk.store,
            judge=judge,
            identities=Identities(vault, VENUE),
            views=Views(lambda: policy, desk.store, VENUE),
            now=lambda: NOW,
            counting=Counting(),
        ).rest
        self.client = httpx.AsyncClient(transport=ThroughTheDoor(door), base_url="http://gate.test")

    async def send(self, bot: str, method: str, path: str, **parameters: Any) -> httpx.Response:
        """A signed request of a bot: parameters in the body of a POST or PUT, else in the query."""
        form = _signed(self.keys[bot], parameters)
        headers = {"X-MBX-APIKEY": self.keys[bot].key}
        if method in ("POST", "PUT"):
            headers["content-type"] = "application/x-www-form-urlencoded"
            return await self.client.request(method, PREFIX + path, content=form, headers=headers)
        return await self.client.request(method, f"{PREFIX}{path}?{form}", headers=headers)


def _signed(key: GuardKey, parameters: Mapping[str, Any]) -> str:
    form = str(httpx.QueryParams({**parameters, "timestamp": milliseconds(NOW)}))
    return f"{form}&signature={sign(form, key.secret.reveal())}"
