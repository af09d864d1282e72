"""Names and values of a request, and the commands they become."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from urllib.parse import urlencode

from proxy.venues.binance.malformed import MalformedRequest
from proxy.venues.binance.requests import VenueRequest, read_request
from proxy.venues.binance.routes import ROUTES, Kind
from proxy.venues.binance.signing import signed_payload
from proxy.venues.binance.wire import Parameters, read_parameters
from tests.fuzz.seeds import captured_requests
from tests.fuzz.target import Refused, Target
from tests.support.readings import all_three
from tests.support.sent_as_judged import FORM, as_sent, check_upstream

_UNESCAPED = set(range(0x21, 0x7F)) - set(b"#&;=")
_READ = [route for route in ROUTES if route.kind is not Kind.DENY]


def _parts(data: bytes) -> tuple[bytes, bytes, str]:
    """Three lines: content type, query, and a body that may have any number of them. One line is a query."""
    kind, *rest = data.split(b"\n", 2)
    if not rest:
        return kind, b"", ""
    return rest[0], rest[1] if len(rest) > 1 else b"", kind.decode("ascii", "replace")


def _read_parameters(data: bytes) -> Parameters:
    try:
        return read_parameters(*_parts(data))
    except MalformedRequest:
        raise Refused from None


def _check_parameters(data: bytes, parameters: Parameters) -> None:
    query, body, content_type = _parts(data)
    assert not (query and body)
    plain_type = content_type.lower().replace(" ", "")
    assert not body or plain_type in (FORM, f"{FORM};charset=utf-8")
    names = []
    for pair in (query or body).split(b"&") if query or body else ():
        name, equals, value = pair.partition(b"=")
        assert equals and name.isalnum() and len(name) <= 64
        assert set(value) <= _UNESCAPED
        names.append(name)
    assert len(set(names)) == len(names) <= 64
    for value in parameters.values.values():
        assert not any(unicodedata.category(each) in ("Cc", "Cs") for each in value)
        assert value and value == value.strip() and "\ufeff" not in value
    agreed = all_three(query, body, content_type)
    assert agreed is not None
    assert {name: value for name, value in agreed.items() if value} == as_sent(parameters)
    pairs = (query or body).split(b"&")
    assert signed_payload(query, body) == b"&".join(pair for pair in pairs if not pair.startswith(b"signature="))
    again = read_parameters(urlencode(parameters.values).encode(), b"", "")
    assert again == parameters


def _parameter_seeds() -> Iterator[bytes]:
    for _, _, query, body in captured_requests():
        yield b"%s\n%s\n%s" % (FORM.encode() if body else b"", query, body)
    yield b"symbol=%E5%B8%81%E5%AE%89USDT&empty="
    yield f"{FORM}; charset=utf-8\n\na=%2B+%26".encode()


def _read_request(data: bytes) -> tuple[Parameters, VenueRequest]:
    """The first byte picks the route, the rest are its parameters."""
    route = _READ[data[0] % len(_READ)] if data else _READ[0]
    try:
        parameters = read_parameters(data[1:], b"", "")
        return parameters, read_request(route, parameters)
    except MalformedRequest:
        raise Refused from None


def _check_request(data: bytes, read: tuple[Parameters, VenueRequest]) -> None:
    parameters, request = read
    assert bool(request.commands) != (request.route.kind in _WITHOUT_COMMANDS)
    if request.route.kind is not Kind.LEASE:
        check_upstream(request, parameters)


_WITHOUT_COMMANDS = (Kind.PUBLIC_READ, Kind.READ, Kind.STREAM_KEY, Kind.ORDER_TEST)


def _request_seeds() -> Iterator[bytes]:
    by_target = {(route.method, route.path): place for place, route in enumerate(_READ)}
    for method, path, query, body in captured_requests():
        if (method, path) in by_target:
            yield bytes([by_target[method, path]]) + (query or body)


PARAMETERS = Target(
    name="parameters", read=_read_parameters, check=_check_parameters, seeds=_parameter_seeds, bytes_max=4096
)
REQUESTS = Target(name="requests", read=_read_request, check=_check_request, seeds=_request_seeds, bytes_max=4096)
