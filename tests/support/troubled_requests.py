"""Signed requests with every kind of trouble, made from a seed: what a bot, or who took its key, may send the guard.

Each begins as a valid request, is troubled none to three times, and is then signed as the guard checks it: the key is
right, so that nothing but the reading stands between the trouble and the venue.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote_plus

from proxy.venues.binance.route import Route
from proxy.venues.binance.routes import find_route
from proxy.venues.binance.signing import sign, signed_payload

SECRET = "guard-secret"
FORM = "application/x-www-form-urlencoded"

Pairs = list[tuple[bytes, bytes]]

ORDER = (
    "symbol=BTCUSDT side=BUY type=LIMIT quantity=0.01 price=50000 timeInForce=GTC newClientOrderId=x-1:a/b "
    "reduceOnly=True positionSide=LONG"
)
MARKET = "symbol=ETHUSDT side=SELL type=MARKET quantity=1e-05 reduceOnly=true newOrderRespType=RESULT"
STOP = "algoType=CONDITIONAL symbol=BTCUSDT side=SELL type=STOP_MARKET triggerPrice=45000.50 closePosition=true"
BATCH = '[{"symbol":"BTCUSDT","side":"BUY","type":"LIMIT","quantity":"0.1","price":49000,"timeInForce":"GTC"}]'
REQUESTS: tuple[tuple[str, str, str], ...] = (
    ("POST", "/fapi/v1/order", ORDER),
    ("POST", "/fapi/v1/order", MARKET),
    ("POST", "/fapi/v1/algoOrder", STOP),
    ("POST", "/fapi/v1/batchOrders", f"batchOrders={BATCH}"),
    ("PUT", "/fapi/v1/order", "symbol=BTCUSDT side=BUY quantity=0.02 price=50001 orderId=42"),
    ("DELETE", "/fapi/v1/order", "symbol=BTCUSDT origClientOrderId=x-1"),
    ("DELETE", "/fapi/v1/batchOrders", "symbol=BTCUSDT orderIdList=[1,2] origClientOrderIdList="),
    ("DELETE", "/fapi/v1/allOpenOrders", "symbol=BTCUSDT"),
    ("DELETE", "/fapi/v1/allOpenOrders", "symbol=币安人生USDT"),
    ("POST", "/fapi/v1/leverage", "symbol=BTCUSDT leverage=5"),
    ("POST", "/fapi/v1/positionMargin", "symbol=BTCUSDT amount=10.5 type=2 positionSide=LONG"),
    ("POST", "/fapi/v1/countdownCancelAll", "symbol=BTCUSDT countdownTime=60000"),
)
OTHERS = (b"99", b"", b"SELL", b"ETHUSDT", b"0", b"MARKET", b"x-2", b"true", b"99999999999999999999", b"1e9", b"-1")
"""Values for a second pair of the same name, or in place of the first."""

ODD_BYTES = (
    b"%00", b"\0", b"%0a", b"\xff", b"%ff", b"%C0%AF", b"\xc0\xaf", b"%EF%BB%BF", b"\xef\xbb\xbf", b"%26", b"%3D", b"&",
    b"=", b";", b"%3B", b"#", b"%23", b"+", b"%20", b" ", b"%2B", b"%", b"%4", b"%zz", b"%u0041", b"%25", b"%41", b"a",
    b"\xd9\xa1", b"%D9%A1", b"%EF%BC%91", b"%E2%80%8B", b"_", b"1", b"e5", b".", b",", b"9" * 40, b"\r\n", b"[", b"]",
    b"?", b"%C2%A0", b"%F0%9F%92%A9", b"%ED%A0%80",
)  # fmt: skip
CONTENT_TYPES = (
    "", FORM.upper(), f"{FORM}; charset=UTF-8", f"{FORM};charset=utf-8", f"{FORM}; charset=utf-16", f"{FORM}; charset",
    f"{FORM}; boundary=x", f"{FORM};", f" {FORM}", f"{FORM}, text/plain", "application/json", "text/plain",
    "multipart/form-data; boundary=x", f"{FORM}; charset=utf-8; charset=latin-1", f"{FORM}\x00",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Troubled:
    """One request as it reaches the guard's door, its headers but for the content type aside."""

    route: Route
    query: bytes
    body: bytes
    content_type: str


def troubled_request(luck: random.Random) -> Troubled:
    """The next request of this seed."""
    method, path, listed = luck.choice(REQUESTS)
    route = find_route(method, path)
    assert route is not None
    named = [part.partition("=") for part in listed.split()]
    named += [("timestamp", "=", "1795332044643"), ("recvWindow", "=", "10000")]
    pairs: Pairs = [(name.encode(), _spelled(value, luck)) for name, _, value in named if luck.random() > 0.01]
    if luck.random() < 0.5:
        luck.shuffle(pairs)
    in_body = method in ("POST", "PUT") and luck.random() < 0.7
    request = _Request(*(([], pairs) if in_body else (pairs, [])), FORM if in_body or luck.random() < 0.5 else "")
    for _ in range(luck.choice((0, 1, 1, 1, 2, 3))):
        luck.choice(TROUBLES)(request, luck)
    query, body = (b"&".join(b"=".join(pair) for pair in part) for part in (request.query, request.body))
    query, body = _signed(query, body, luck)
    return Troubled(route, query, body, request.content_type)


@dataclass(slots=True)
class _Request:
    query: Pairs
    body: Pairs
    content_type: str

    def somewhere(self, luck: random.Random) -> Pairs:
        """Where the pairs are; sometimes the other half."""
        full, other = (self.query, self.body) if self.query else (self.body, self.query)
        return other if luck.random() < 0.2 else full


def _spelled(value: str, luck: random.Random) -> bytes:
    """Clients escape all they may, or nothing (ccxt's batchOrders)."""
    return quote_plus(value).encode() if luck.random() < 0.5 else value.encode()


def _repeat(request: _Request, luck: random.Random) -> None:
    pairs = request.query or request.body
    name, value = luck.choice(pairs)
    twin = (name, luck.choice((value, *OTHERS)))
    place = request.somewhere(luck)
    place.insert(luck.randint(0, len(place)), twin)


def _replace(request: _Request, luck: random.Random) -> None:
    pairs = request.query or request.body
    place = luck.randrange(len(pairs))
    pairs[place] = (pairs[place][0], luck.choice(OTHERS))


def _recase(request: _Request, luck: random.Random) -> None:
    name, value = luck.choice(request.query or request.body)
    pairs = request.query or request.body
    pairs.append((name.swapcase() if luck.random() < 0.5 else name.lower(), luck.choice((value, *OTHERS))))


def _odd_byte(request: _Request, luck: random.Random) -> None:
    pairs = request.query or request.body
    place = luck.randrange(len(pairs))
    name, value = pairs[place]
    if luck.random() < 0.2:
        pairs[place] = (_into(name, luck), value)
    else:
        pairs[place] = (name, _into(value, luck))


def _into(text: bytes, luck: random.Random) -> bytes:
    place = luck.choice((0, len(text), luck.randint(0, len(text))))
    return text[:place] + luck.choice(ODD_BYTES) + text[place:]


def _escape(request: _Request, luck: random.Random) -> None:
    """The same bytes, each escaped: legal in a value, and a second spelling of a name."""
    pairs = request.query or request.body
    place = luck.randrange(len(pairs))
    name, value = pairs[place]
    escaped = b"".join(b"%%%02X" % byte for byte in (name if luck.random() < 0.2 else value)[:40])
    pairs[place] = (name, escaped) if luck.random() < 0.8 else (escaped, value)


def _move_across(request: _Request, luck: random.Random) -> None:
    full, other = (request.query, request.body) if request.query else (request.body, request.query)
    moved = full.pop(luck.randrange(len(full))) if len(full) > 1 else full[0]
    other.append(moved)


def _retype(request: _Request, luck: random.Random) -> None:
    request.content_type = luck.choice(CONTENT_TYPES)


def _json_body(request: _Request, luck: random.Random) -> None:
    request.body = [(b'{"symbol":"BTCUSDT","quantity":"1","quantity":"9","side', b'":"SELL"}')]
    request.content_type = luck.choice((FORM, "application/json"))


def _rejson(request: _Request, luck: random.Random) -> None:
    """JSON inside a parameter: names twice, numbers no two parsers read alike."""
    pairs = request.query or request.body
    entry = luck.choice(
        (
            '[{"symbol":"BTCUSDT","side":"BUY","type":"MARKET","quantity":"1","quantity":"9"}]',
            '[{"symbol":"BTCUSDT","side":"BUY","type":"MARKET","quantity":NaN}]',
            '[{"symbol":"BTCUSDT","side":"BUY","type":"MARKET","quantity":1e400}]',
            '[{"symbol":"BTCUSDT","side":"BUY","type":"MARKET","quantity":1.0,}]',
            '[{"symbol":"BTCUSDT","side":"BUY","type":"MARKET","quant\\u0069ty":2,"quantity":1}]',
            '[{"symbol":"\\ud800","side":"BUY","type":"MARKET","quantity":1}]',
            '[{"symbol":"BTCUSDT","side":"BUY","type":"MARKET","quantity":1}] ',
            "[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]",
        )
    )
    pairs[:] = [pair for pair in pairs if pair[0] != b"batchOrders"]
    pairs.append((b"batchOrders", _spelled(entry, luck)))


def _stray(request: _Request, luck: random.Random) -> None:
    place = request.query or request.body
    stray = luck.choice(((b"", b""), (b"", b"1"), (b"x", b"1"), (b"signature2", b"a"), (b"__proto__", b"1")))
    place.insert(luck.randint(0, len(place)), stray)


TROUBLES: tuple[Callable[[_Request, random.Random], None], ...] = (
    _repeat, _repeat, _replace, _recase, _odd_byte, _odd_byte, _odd_byte, _escape, _move_across, _retype, _json_body,
    _rejson, _stray,
)  # fmt: skip


def _signed(query: bytes, body: bytes, luck: random.Random) -> tuple[bytes, bytes]:
    """With the right signature at the end, at the start, in the middle, twice, or nowhere."""
    good = b"signature=" + sign(signed_payload(query, body).decode("latin-1"), SECRET).encode()
    if not (query + body).isascii():  # `sign` takes text; these bytes are refused before any signature is looked at.
        good = b"signature=" + b"0" * 64
    copies = luck.choice((1,) * 18 + (0, 2))
    for _ in range(copies):
        pairs = (body or query).split(b"&")
        place = luck.choice((len(pairs), len(pairs), 0, len(pairs) // 2))
        pairs.insert(place, good)
        query, body = (query, b"&".join(pairs)) if body else (b"&".join(pairs), body)
    return query, body
