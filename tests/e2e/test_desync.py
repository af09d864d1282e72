"""What two servers could read differently, sent raw to a real gate with a second order hidden in it.

The exchange's own log is the witness: an order is in it only if a reader that takes nothing odd, ``http_reference``,
found it in the bytes that were sent. A wiretap between gate and exchange sees what leaves.
"""

from __future__ import annotations

import os
import random
import re
import socket
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from urllib.parse import urlencode, urlsplit

import pytest

from tests.support.byte_mutations import mutated
from tests.support.desync import CONTROLS, FLOODS, HOSTILE, UPGRADE, Orders
from tests.support.http_reference import accepted
from tests.support.policies import a_policy
from tests.support.practice_client import fresh_id
from tests.support.wiretap import Wiretap
from tests.support.worlds import LiveWorld

ORDER = b"/binanceusdm/fapi/v1/order"
CLOSED_WITHIN_S = 4.0
"""Below the gate's deadline for a request: what is ambiguous is refused, not left waiting."""

UNSIGNED = 120
"""As much of an order's form as has its name in it, and nothing that might be spelled in another way."""

PROOF = min(100, max(1, int(os.environ.get("PERPGUARD_PROOF", "1"))))
SENDERS = 8


class TappedWorld(LiveWorld):
    """A world whose guard reaches its exchange through a wiretap."""

    def start_exchange(self) -> str:
        self.tap = self._stack.enter_context(Wiretap(super().start_exchange()))
        return self.tap.url


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TappedWorld]:
    with TappedWorld(tmp_path_factory.mktemp("desync") / "data", a_policy()) as running:
        yield running


class Pair:
    """Two orders nobody has seen before, and what became of them."""

    def __init__(self, world: LiveWorld) -> None:
        self.ids = (fresh_id("out"), fresh_id("in"))
        self.upstream = tuple(world.upstream_id(own_id) for own_id in self.ids)
        outer, inner = (self._form(world, own_id) for own_id in self.ids)
        host = urlsplit(world.places.gate).netloc.encode()
        self.orders = Orders(host, world.bot.key.encode(), ORDER, outer, inner)

    @staticmethod
    def _form(world: LiveWorld, own_id: str) -> bytes:
        form = urlencode(
            {
                "newClientOrderId": own_id,
                "symbol": "BTCUSDT",
                "side": "BUY",
                "type": "LIMIT",
                "timeInForce": "IOC",
                "quantity": "0.002",
                "price": "81000",
                "recvWindow": "60000",
                "timestamp": str(time.time_ns() // 1_000_000),
            }
        )
        return f"{form}&signature={world.bot.signature(form)}".encode()

    def meant(self, stream: bytes) -> set[str]:
        """Of the two, those that the reference reads as a request of their own."""
        whole = [each.body for each in accepted(stream) if each.method == b"POST" and each.target == ORDER]
        forms = zip((self.orders.outer, self.orders.inner), self.upstream, strict=True)
        return {upstream for form, upstream in forms if any(body.startswith(form[:UNSIGNED]) for body in whole)}


def executed(world: LiveWorld) -> Counter[str]:
    """Orders by the id the exchange knows them by."""
    return Counter(entry["params"].get("newClientOrderId", "") for entry in world.door.log())


def at_rest(world: LiveWorld) -> Counter[str]:
    """``executed``, once nothing more arrives: orders of bots that have hung up are still carried to their end."""
    seen, before = executed(world), None
    while seen != before:
        time.sleep(0.3)
        seen, before = executed(world), seen
    return seen


def say(world: LiveWorld, payload: bytes, answers: int | None = None, *, half_close: bool = False) -> list[int]:
    """Statuses of what is answered to ``payload``, until the gate closes or there are as many as ``answers``."""
    place = urlsplit(world.places.gate)
    received = b""
    with socket.create_connection((place.hostname, place.port), timeout=CLOSED_WITHIN_S) as connection:
        try:
            connection.sendall(payload)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
            while answers is None or len(_statuses(received)) < answers:
                part = connection.recv(65_536)
                if not part:
                    break
                received += part
        except (ConnectionResetError, BrokenPipeError):
            pass  # It closed on bytes it did not want to read.
        except TimeoutError:
            raise AssertionError(f"left open, after {received!r}") from None
    return _statuses(received)


def _statuses(received: bytes) -> list[int]:
    found = [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", received)]
    return [status for status in found if status != 100]


@pytest.mark.parametrize("name", [*HOSTILE, *FLOODS])
def test_what_is_ambiguous_is_refused_and_nothing_of_it_is_executed(world: TappedWorld, name: str) -> None:
    pair = Pair(world)
    payload = (HOSTILE | FLOODS)[name](pair.orders)
    assert name in FLOODS or pair.meant(payload) == set(), "the payload itself is wrong"
    assert say(world, payload) in ([400], []), name
    assert not executed(world).keys() & set(pair.upstream)


@pytest.mark.parametrize("name", CONTROLS)
def test_what_only_looks_odd_is_read_as_it_stands(world: TappedWorld, name: str) -> None:
    pair = Pair(world)
    build, outer, inner = CONTROLS[name]
    payload = build(pair.orders)
    meant = {upstream for upstream, counts in zip(pair.upstream, (outer, inner), strict=True) if counts}
    assert pair.meant(payload) == meant, "the payload itself is wrong"
    statuses = say(world, payload, len(accepted(payload)))
    assert statuses.count(200) >= len(meant), statuses
    assert executed(world).keys() & set(pair.upstream) == meant


def test_an_upgrade_to_http_2_is_not_taken_up(world: TappedWorld) -> None:
    pair = Pair(world)
    payload = UPGRADE(pair.orders)
    assert 101 not in say(world, payload, half_close=True)
    assert executed(world).keys() & set(pair.upstream) <= pair.meant(payload)


def attack(world: TappedWorld, count: int, seed: int) -> None:
    """Send so many mutations, and compare what was executed with what the reference reads in them."""
    chance = random.Random(seed)
    builders = list(HOSTILE.values()) + [build for build, _, _ in CONTROLS.values()] * 4
    meant: set[str] = set()
    ours: set[str] = set()

    def one(numbers: Sequence[int]) -> None:
        for number in numbers:
            pair, own = Pair(world), random.Random(number)
            payload = own.choice(builders)(pair.orders)[:20_000]
            payload = mutated(payload, own.choice(builders)(pair.orders)[:20_000], own)
            meant.update(pair.meant(payload))
            ours.update(pair.upstream)
            say(world, payload, half_close=True)

    numbers = [chance.getrandbits(48) for _ in range(count)]
    with ThreadPoolExecutor(SENDERS) as senders:
        list(senders.map(one, [numbers[start::SENDERS] for start in range(SENDERS)]))
    seen = {name: times for name, times in at_rest(world).items() if name in ours}
    assert set(seen) - meant == set(), f"executed, and not in what was sent; seed {seed}"
    assert set(seen.values()) <= {1}, f"executed more than once; seed {seed}"
    assert len(seen) >= count // 50, "the mutations leave hardly an order whole, so this shows nothing"


def test_no_mutation_makes_an_order_of_what_is_none(world: TappedWorld) -> None:
    attack(world, 300, seed=1)


@pytest.mark.full
def test_nor_does_any_of_thousands_proof(world: TappedWorld) -> None:
    """Ten thousand from a ``PERPGUARD_PROOF`` of 5 on; another ``PERPGUARD_SEED`` makes others."""
    attack(world, min(10_000, 2_000 * PROOF), seed=int(os.environ.get("PERPGUARD_SEED", "2")))


NAMES = (
    *("X_MBX_APIKEY", "X-MBX_APIKEY", "X-MBX-APIKEY2", "XMBXAPIKEY", "Connection", "Keep-Alive", "Proxy-Connection"),
    *("TE", "Trailer", "Upgrade", "HTTP2-Settings", "Via", "Forwarded", "X-Forwarded-For", "X-Forwarded-Host"),
    *("X-Forwarded-Proto", "X-Real-IP", "X-Original-URL", "X-Rewrite-URL", "X-HTTP-Method", "X-Method-Override"),
    *("X-HTTP-Method-Override", "Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie", "Accept-Encoding"),
    *("Accept", "User-Agent", "Referer", "Range", "If-Match", "If-None-Match", "Cache-Control", "Pragma", "Origin"),
    *("X-Guard-Decision", "X-Guard-Override", "Transfer_Encoding", "Content_Length", "Content-Location", "Date"),
)
VALUES = ("X-MBX-APIKEY", "close, X-MBX-APIKEY", "h2c", "evil-9c1d", "http://evil.example/")
OURS = {b"host", b"x-mbx-apikey", b"content-type", b"content-length", b"accept", b"accept-encoding", b"connection"}
OURS |= {b"user-agent"}


def test_of_two_hundred_hostile_headers_the_exchange_sees_none(world: TappedWorld) -> None:
    hostile = [f"{name}: {value}".encode() for name, value in product(NAMES, VALUES)]
    assert len(hostile) >= 200
    world.tap.forget()
    sent = []
    for start in range(0, len(hostile), 10):
        pair = Pair(world)
        sent.append(pair.upstream[0])
        say(world, pair.orders.plain(pair.orders.outer, *hostile[start : start + 10]), 1)
    assert executed(world).keys() & set(sent), "none of them went through, so this shows nothing"
    heads = re.findall(rb"POST /fapi/v1/order HTTP/1\.1\r\n(.*?)\r\n\r\n", world.tap.sent(), re.DOTALL)
    assert len(heads) >= 5
    for head in heads:
        fields = [line.partition(b":") for line in head.split(b"\r\n")]
        names = Counter(name.lower() for name, _, _ in fields)
        assert set(names) <= OURS
        assert set(names.values()) == {1}
        assert b"evil" not in head
        assert world.bot.key.encode() not in head
        assert [value.strip() for name, _, value in fields if name.lower() == b"x-mbx-apikey"] == [
            world.exchange_key.encode()
        ]


METHODS = (
    "GET",
    "PUT",
    "DELETE",
    "PATCH",
    "HEAD",
    "OPTIONS",
    "TRACE",
    "get",
    "post",
    "Post",
    "LINK",
    "PROPFIND",
    "QUERY",
)
PATHS = (
    *("/fapi/v1/order/", "//fapi/v1/order", "/fapi/v1//order", "/fapi/v1/./order", "/fapi/v1/time/../order"),
    *("/fapi/v1/order;x", "/fapi/v1/order.json", "/fapi/v1/order%20", "/fapi/v1/%6frder", "/fapi/v1%2forder"),
    *("/fapi/v1/order%00", "/fapi/v1/order%0d%0aX: 1", "/fapi/v1/order%3fa=b", "/fapi\\v1\\order", "/FAPI/V1/ORDER"),
    *("/fapi/v1/order#x", "/fapi/v1/ord%c0%afer", "/fapi/v1/order%23", "/%2e%2e/binanceusdm/fapi/v1/order"),
    *("/fapi/v1/order/..", "/fapi/v1/order/.", "/fapi/v1/order%2f", "/fapi/v1/order&a=b", "/fapi/v2/order"),
)


@pytest.mark.parametrize("method", METHODS)
def test_no_other_method_places_the_order(world: TappedWorld, method: str) -> None:
    pair = Pair(world)
    first = pair.orders.line(method=method.encode())
    statuses = say(world, pair.orders.plain(pair.orders.outer, b"Connection: close", first=first))
    assert not executed(world).keys() & set(pair.upstream)
    assert all(400 <= status < 500 for status in statuses), statuses


@pytest.mark.parametrize("path", PATHS)
def test_no_other_path_places_the_order(world: TappedWorld, path: str) -> None:
    pair = Pair(world)
    first = pair.orders.line(path=b"/binanceusdm" + path.encode())
    statuses = say(world, pair.orders.plain(pair.orders.outer, b"Connection: close", first=first))
    assert not executed(world).keys() & set(pair.upstream)
    assert all(400 <= status < 500 for status in statuses), statuses


def test_afterwards_the_gate_is_as_good_as_new(world: TappedWorld) -> None:
    pair = Pair(world)
    assert say(world, pair.orders.plain(pair.orders.outer, b"Connection: close")) == [200]
    assert set(at_rest(world).values()) == {1}
    assert world.account()["holds"] == 0
