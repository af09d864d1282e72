"""Whatever a bot sends: a clear refusal in the exchange's own format, no 5xx, nothing at the exchange, no hold left."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlencode, urlsplit

import pytest

from proxy.vault.keys import Secret
from tests.support.bot_sockets import TradingSocket, a_trading_socket
from tests.support.policies import a_policy
from tests.support.practice_client import FORM, Bot, fresh_id
from tests.support.raw_http import Answer, exchange, request
from tests.support.worlds import LiveWorld, until

PREFIX = "/binanceusdm"
ORDER = f"{PREFIX}/fapi/v1/order"
DEADLINE_S = 5.0
"""The gate's own bound on a request that does not come to its end."""

IN_FRAMES = re.compile(r"[A-Za-z0-9._:/+=-]*")
"""What values in frames may be of, so that no two orders are signed alike."""

Payload = Callable[[Bot], bytes]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveWorld]:
    options = {"gate_workers": 2, "bots": ("bot", "rotated", "disabled")}
    with LiveWorld(tmp_path_factory.mktemp("bad") / "data", a_policy(), balance=100_000, **options) as running:
        assert running.command("keys", "rotate", running.guard_keys["rotated"].key).returncode == 0
        assert running.command("keys", "disable", running.guard_keys["disabled"].key).returncode == 0
        yield running


def fields(**changed: str | None) -> list[tuple[str, str]]:
    """A valid limit order as pairs, some of them changed, ``None`` taking one away."""
    order: dict[str, str | None] = {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "quantity": "0.01",
        "price": "80000",
        "newClientOrderId": fresh_id("bad"),
        "recvWindow": "20000",
        "timestamp": str(time.time_ns() // 1_000_000),
    }
    return [(name, value) for name, value in (order | changed).items() if value is not None]


def signed(bot: Bot, form: str) -> bytes:
    return f"{form}&signature={bot.signature(form)}".encode()


def head(bot: Bot, **changed: str | None) -> list[tuple[str, str]]:
    """Host, key and content type, some of them changed (``_`` for ``-``), ``None`` taking one away."""
    headers: dict[str, str | None] = {
        "host": urlsplit(bot.base_url).netloc,
        "x-mbx-apikey": bot.key,
        "content-type": FORM["content-type"],
    } | {name.replace("_", "-"): value for name, value in changed.items()}
    return [(name, value) for name, value in headers.items() if value is not None]


def post(bot: Bot, form: bytes, target: str = ORDER, headers: list[tuple[str, str]] | None = None) -> bytes:
    return request("POST", target, head(bot) if headers is None else headers, form)


def order(**changed: str | None) -> Payload:
    """A well signed order with these fields."""
    return lambda bot: post(bot, signed(bot, urlencode(fields(**changed))))


def tail(more: str) -> Payload:
    """A well signed order with ``more`` behind it, as it stands."""
    return lambda bot: post(bot, signed(bot, urlencode(fields()) + more))


def to(target: str, method: str = "POST") -> Payload:
    """A well signed order to another target."""
    return lambda bot: request(method, target, head(bot), signed(bot, urlencode(fields())))


def with_headers(**changed: str | None) -> Payload:
    return lambda bot: post(bot, signed(bot, urlencode(fields())), headers=head(bot, **changed))


def with_pairs(*more: tuple[str, str]) -> Payload:
    return lambda bot: post(bot, signed(bot, urlencode(fields())), headers=[*head(bot), *more])


def batch(content: str) -> Payload:
    def build(bot: Bot) -> bytes:
        stamp = str(time.time_ns() // 1_000_000)
        form = urlencode({"batchOrders": content, "recvWindow": "20000", "timestamp": stamp})
        return post(bot, signed(bot, form), f"{PREFIX}/fapi/v1/batchOrders")

    return build


def batch_of(*changes: dict[str, str]) -> Payload:
    taken_away = {"recvWindow": None, "timestamp": None}
    return lambda bot: batch(json.dumps([dict(fields(**taken_away, **changed)) for changed in changes]))(bot)


def mixed_query_and_body(bot: Bot) -> bytes:
    query, body = "quantity=0.5", urlencode(fields(quantity=None))
    signature = bot.signature(query + body)
    return post(bot, f"{body}&signature={signature}".encode(), f"{ORDER}?{query}")


def get_with_body(bot: Bot) -> bytes:
    query = urlencode({"timestamp": str(time.time_ns() // 1_000_000), "recvWindow": "20000"})
    body = b"symbol=BTCUSDT"
    signature = bot.signature(query.encode() + body)
    return request("GET", f"{PREFIX}/fapi/v1/openOrders?{query}&signature={signature}", head(bot), body)


def signed_by_another(bot: Bot) -> bytes:
    stranger = Bot(bot.base_url, bot.key, Secret("x" * 64))
    return post(bot, signed(stranger, urlencode(fields())))


def twice_signed(bot: Bot) -> bytes:
    form = urlencode(fields())
    return post(bot, signed(bot, form) + f"&signature={bot.signature(form)}".encode())


def changed_after_signing(bot: Bot) -> bytes:
    return post(bot, signed(bot, urlencode(fields())).replace(b"quantity=0.01", b"quantity=0.02"))


def chunked(bot: Bot) -> bytes:
    body = signed(bot, urlencode(fields()))
    framed = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    return request("POST", ORDER, [*head(bot), ("transfer-encoding", "chunked")], framed)


def chunked_and_measured(bot: Bot) -> bytes:
    headers = [*head(bot), ("content-length", "4"), ("transfer-encoding", "chunked")]
    return request("POST", ORDER, headers, b"0\r\n\r\n" + post(bot, signed(bot, urlencode(fields()))))


def milliseconds_ago(milliseconds: int) -> Callable[[], str]:
    return lambda: str(time.time_ns() // 1_000_000 - milliseconds)


def stamped(stamp: Callable[[], str]) -> Payload:
    return lambda bot: order(timestamp=stamp())(bot)


NUMBERS = {
    "NaN": "NaN",
    "infinity": "Infinity",
    "a huge exponent": "1e1000000",
    "an exponent past the bound": "1e13",
    "an underscore": "1_000",
    "a sign": "+1",
    "negative": "-1",
    "zero": "0",
    "full-width digits": "０.０１",
    "Arabic digits": "٠.٠١",
    "hexadecimal": "0x10",
    "leading zero": "00.01",
    "no digit before the point": ".01",
    "too many digits": "1" * 40,
}

PATHS = {
    "a dot segment": "/fapi/v1/time/../order",
    "an encoded dot segment": "/fapi/v1/time/%2e%2e/order",
    "an encoded slash": "/fapi/v1/time/..%2forder",
    "an encoded question mark": "/fapi/v1/order%3fquantity=9",
    "a doubled slash": "//fapi/v1/order",
    "a trailing slash": "/fapi/v1/order/",
    "a path parameter": "/fapi/v1/order;x=1",
    "another case": "/FAPI/v1/order",
    "an encoded letter": "/fapi/v1/%6frder",
    "a URL as a path": "/http://127.0.0.1:9/steal",
    "a backslash": "/fapi\\v1\\order",
    "an unknown route": "/fapi/v1/nope",
    "a withdrawal": "/sapi/v1/capital/withdraw/apply",
    "a transfer": "/sapi/v1/asset/transfer",
    "a wrong version": "/fapi/v9/order",
}

# name -> (what is other than in a valid order, code): refused whichever door it comes through
FIELDS: dict[str, tuple[dict[str, str | None], int]] = {
    **{f"quantity is {name}": ({"quantity": text}, -1130) for name, text in NUMBERS.items()},
    "quantity is empty": ({"quantity": ""}, -1102),
    "quantity with space before it": ({"quantity": " 0.01"}, -1100),
    "quantity with a null byte": ({"quantity": "0.01\0"}, -1100),
    "a name in another case": ({"Quantity": "5"}, -1104),
    "an undocumented parameter": ({"leverage": "5"}, -1104),
    "no side": ({"side": None}, -1102),
    "a side nobody knows": ({"side": "LONG"}, -1130),
    "an unlisted symbol": ({"symbol": "ABCUSDT"}, -1121),
    "a symbol in lower case": ({"symbol": "btcusdt"}, -1121),
    "a symbol in full-width letters": ({"symbol": "ＢＴＣＵＳＤＴ"}, -1121),
    "a boolean nobody reads": ({"reduceOnly": "maybe"}, -1130),
    "a market order with a price": ({"type": "MARKET", "timeInForce": None}, -1106),
    "no time stamp": ({"timestamp": None}, -1102),
    "a window past the bound": ({"recvWindow": "60001"}, -1131),
}

# name -> (payload, status, code)
REFUSED: dict[str, tuple[Payload, int, int]] = {
    **{name: (order(**changed), 400, code) for name, (changed, code) in FIELDS.items()},
    **{f"path with {name}": (to(PREFIX + path), 403, -1002) for name, path in PATHS.items()},
    "a pair without a value": (tail("&reduceOnly"), 400, -1100),
    "a bad percent sign": (tail("&reduceOnly=%zz"), 400, -1100),
    "not UTF-8": (tail("&reduceOnly=%ff"), 400, -1100),
    "a semicolon": (tail("&reduceOnly=true;quantity=5"), 400, -1100),
    "a parameter twice": (tail("&quantity=5"), 400, -1101),
    "an encoded name": (tail("&%73ymbol=ETHUSDT"), 400, -1100),
    "a bracketed name": (tail("&symbol[]=ETHUSDT"), 400, -1100),
    "too many parameters": (tail("".join(f"&a{number}=1" for number in range(100))), 400, -1101),
    "a body past the bound": (tail("&reduceOnly=" + "1" * 70_000), 400, -1130),
    "query and body": (mixed_query_and_body, 400, -1100),
    "a read with a body": (get_with_body, 400, -1130),
    "signed by another": (signed_by_another, 400, -1022),
    "not signed": (lambda bot: post(bot, urlencode(fields()).encode()), 400, -1022),
    "signed twice": (twice_signed, 400, -1101),
    "changed after signing": (changed_after_signing, 400, -1022),
    "a stale time stamp": (stamped(milliseconds_ago(60_000)), 400, -1021),
    "a time stamp to come": (stamped(milliseconds_ago(-60_000)), 400, -1021),
    "a time stamp in microseconds": (stamped(lambda: str(time.time_ns() // 1_000)), 400, -1130),
    "JSON by its type": (with_headers(content_type="application/json"), 400, -1100),
    "another form by its type": (with_headers(content_type="multipart/form-data; boundary=x"), 400, -1100),
    "no content type": (with_headers(content_type=None), 400, -1100),
    "a content encoding": (with_headers(content_encoding="gzip"), 400, -1130),
    "no key": (with_headers(x_mbx_apikey=None), 401, -2014),
    "a key nobody has": (with_headers(x_mbx_apikey="k" * 64), 401, -2015),
    "a batch with nothing but a bad item": (batch_of({"quantity": "NaN"}), 400, -1130),
    "a batch of six": (batch_of(*[{}] * 6), 400, -1100),
    "a batch that is no JSON": (batch("[{'symbol': 'BTCUSDT'}]"), 400, -1100),
    "a batch with NaN": (batch('[{"symbol":"BTCUSDT","quantity":NaN}]'), 400, -1100),
    "a batch with a name twice": (batch('[{"symbol":"BTCUSDT","symbol":"ETHUSDT"}]'), 400, -1100),
    "a batch nested deep": (batch("[" * 2_000 + "]" * 2_000), 400, -1100),
    "a batch of nothing": (batch("[]"), 400, -1100),
    "a target in absolute form": (to(f"http://127.0.0.1:9{ORDER}"), 400, -1130),
    "a target that is an authority": (to("127.0.0.1:9", "CONNECT"), 400, -1130),
    "a method in lower case": (to(ORDER, "post"), 400, -1130),
    "a method that is none": (to(ORDER, "BREW"), 400, -1130),
    "another method": (to(ORDER, "PATCH"), 403, -1002),
    "two hosts": (with_pairs(("host", "evil.example")), 400, -1130),
    "no host": (with_headers(host=None), 400, -1130),
    "two keys": (with_pairs(("X-MBX-APIKEY", "k" * 64)), 400, -1130),
    "two lengths": (with_pairs(("content-length", "1"), ("content-length", "1")), 400, -1130),
    "a length that is no number": (with_pairs(("content-length", "1e3")), 400, -1130),
    "a negative length": (with_pairs(("content-length", "-1")), 400, -1130),
    "chunks": (chunked, 400, -1130),
    "chunks and a length": (chunked_and_measured, 400, -1130),
    "a flood of headers": (with_pairs(*((f"x-{number}", "1") for number in range(200))), 400, -1130),
    "a header past the bound": (with_pairs(("x-long", "1" * 20_000)), 400, -1130),
    "a space before the colon": (with_pairs(("x-odd ", "1")), 400, -1130),
    "a folded header": (with_pairs(("x-folded", "1\r\n 2")), 400, -1130),
    "a null byte in a header": (with_pairs(("x-null", "1\0")), 400, -1130),
    "a target past the bound": (to(f"{ORDER}?a=" + "1" * 20_000), 400, -1130),
    "no HTTP at all": (lambda bot: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, -1130),
    "another version": (lambda bot: post(bot, b"").replace(b"HTTP/1.1", b"HTTP/2.0"), 400, -1130),
}


def check_refused(answer: Answer, status: int, code: int) -> None:
    assert answer.status == status, answer
    content = answer.json()
    assert content["code"] == code, content
    assert content["msg"].isprintable()
    assert len(content["msg"]) <= 512


@pytest.fixture(autouse=True)
def nothing_arrives(world: LiveWorld) -> Iterator[None]:
    before = world.door.total()
    yield
    assert world.door.log()[before:] == [], "it reached the exchange"
    assert world.account()["holds"] == 0, "a hold was left behind"


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_refused_in_the_exchanges_format(world: LiveWorld, name: str) -> None:
    payload, status, code = REFUSED[name]
    check_refused(exchange(world.places.gate, payload(world.bot)), status, code)


def test_a_bad_item_of_a_batch_is_refused_in_its_place_and_takes_the_entries_with_it(world: LiveWorld) -> None:
    answer = exchange(world.places.gate, batch_of({}, {"quantity": "NaN"})(world.bot))
    assert (answer.status, [each["code"] for each in answer.json()]) == (200, [-2010, -1130]), answer


@pytest.mark.parametrize("name", FIELDS)
async def test_the_same_is_refused_in_a_frame(world: LiveWorld, name: str) -> None:
    changed, code = FIELDS[name]
    async with a_trading_socket(world.bot) as trading:
        answer = await trading.ask("order.place", **(dict(fields()) | changed))
    if all(IN_FRAMES.fullmatch(text or "") for text in changed.values()):
        by_rest = exchange(world.places.gate, order(**changed)(world.bot))
        assert (answer["status"], answer["error"]) == (400, by_rest.json())
    else:  # Refused for its characters, before what they mean.
        code = -1100
    assert (answer["status"], answer["error"]["code"]) == (400, code), answer


def frame(quantity: str, more: str = "", signed_as: str = "0.01") -> Callable[[TradingSocket], str]:
    """A signed frame whose quantity is written as it stands."""

    def build(trading: TradingSocket) -> str:
        order = dict(fields(recvWindow=None, timestamp=None, quantity=signed_as))
        written = json.dumps(trading.signed(order)).replace(f'"{signed_as}"', quantity)
        return f'{{"id":1,"method":"order.place","params":{written}{more}}}'

    return build


# name -> (frame, the id it is answered under, code)
FRAMES: dict[str, tuple[Callable[[TradingSocket], str], int | None, int]] = {
    "a number changed after signing": (frame("0.02"), 1, -1022),
    "a huge exponent": (frame("1e1000000", signed_as="1e1000000"), 1, -1130),
    "NaN": (frame("NaN"), None, -1100),
    "infinity": (frame("Infinity"), None, -1100),
    "an object": (frame('{"value":1}'), None, -1100),
    "an array": (frame("[1]"), None, -1100),
    "null": (frame("null"), 1, -1100),
    "a parameter twice": (frame('"0.01","quantity":"0.02"'), None, -1100),
    "a field twice": (frame('"0.01"', ',"id":2'), None, -1100),
    "an unknown field": (frame('"0.01"', ',"apiKey":"x"'), None, -1100),
    "two documents": (lambda trading: frame('"0.01"')(trading) * 2, None, -1100),
    "nothing": (lambda _: "", None, -1100),
}


@pytest.mark.parametrize("name", FRAMES)
async def test_a_frame_that_cannot_be_read_in_one_way_is_refused(world: LiveWorld, name: str) -> None:
    build, frame_id, code = FRAMES[name]
    async with a_trading_socket(world.bot) as trading:
        answer = await trading.tell(build(trading), frame_id)
    assert (answer["status"], answer["error"]["code"]) == (400, code), answer


@pytest.mark.parametrize(("name", "status", "code"), [("rotated", 401, -2015), ("disabled", 400, -2010)])
async def test_a_key_that_was_taken_away_opens_nothing(world: LiveWorld, name: str, status: int, code: int) -> None:
    async with a_trading_socket(world.bot_named(name)) as trading:
        answer = await trading.ask("order.place", **dict(fields()))
    assert (answer["status"], answer["error"]["code"]) == (status, code)


@pytest.mark.parametrize(("name", "status", "code"), [("rotated", 401, -2015), ("disabled", 400, -2010)])
def test_a_key_that_was_taken_away_is_refused(world: LiveWorld, name: str, status: int, code: int) -> None:
    check_refused(exchange(world.places.gate, order()(world.bot_named(name))), status, code)


@pytest.mark.parametrize("kept", [0, 1, 40])
def test_half_a_request_is_never_acted_upon(world: LiveWorld, kept: int) -> None:
    whole = order()(world.bot)
    length = len(whole) - kept if kept else whole.index(b"\r\n\r\n")
    answer = exchange(world.places.gate, whole[:length], half_close=True)
    assert answer.status in (0, 400), answer


def test_a_body_that_never_comes_is_not_waited_for(world: LiveWorld) -> None:
    place = urlsplit(world.places.gate)
    whole = order()(world.bot)
    began = time.monotonic()
    with socket.create_connection((place.hostname, place.port), timeout=60) as slow:
        slow.sendall(whole[:-40])
        assert slow.recv(1) == b"", "half an order was answered"
    assert DEADLINE_S - 1 < time.monotonic() - began < DEADLINE_S + 20


async def test_the_same_order_unspoilt_is_taken_so_the_refusals_above_mean_something(world: LiveWorld) -> None:
    assert exchange(world.places.gate, order()(world.bot)).status == 200
    assert exchange(world.places.gate, batch_of({}, {})(world.bot)).status == 200
    async with a_trading_socket(world.bot) as trading:
        assert (await trading.ask("order.place", **dict(fields())))["status"] == 200
        assert (await trading.tell(frame("0.01")(trading), 1))["status"] == 200
    assert len(world.direct.open_orders()) == 5
    world.bot.cancel_all("BTCUSDT").raise_for_status()
    until(lambda: world.account()["open_orders"] == world.account()["holds"] == 0, "the book is empty", 60)
    world.door.clear()
