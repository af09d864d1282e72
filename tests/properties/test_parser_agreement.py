"""Nobody can argue with the guard's parser: what it accepts, three other readings read too, to the byte.

The readings (first wins, last wins, query wins) stand for whatever is behind the venue's door. What they read
differently is refused, and what goes upstream they read alike again. ``PERPGUARD_PROOF`` multiplies the requests of the
long form: a million in ``make proof``.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Mapping

import pytest

from proxy.venues.binance.malformed import MalformedRequest
from proxy.venues.binance.requests import VenueRequest, read_request
from proxy.venues.binance.signing import read_timing, signed_payload, verify
from proxy.venues.binance.wire import Parameters, read_parameters
from tests.support.readings import all_three, first_wins, last_wins, query_wins
from tests.support.sent_as_judged import as_sent, check_upstream
from tests.support.troubled_requests import FORM, SECRET, Troubled, troubled_request

PROOF = min(100, max(1, int(os.environ.get("PERPGUARD_PROOF", "1"))))
LOT = 10_000


def guard_reads(request: Troubled) -> tuple[Parameters, VenueRequest] | None:
    """As the gate's door does it; ``None`` when it is refused."""
    try:
        parameters = read_parameters(request.query, request.body, request.content_type)
        if not verify(request.query, request.body, SECRET):
            return None
        read_timing(parameters)
        return parameters, read_request(request.route, parameters)
    except MalformedRequest:
        return None


def without_blanks(reading: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """To all who are asked here, an option that is sent empty is not set."""
    return {name: value for name, value in reading.items() if value}


def check_one(request: Troubled) -> str:
    """Everything that is claimed, of one request; what became of it."""
    agreed, read = all_three(request.query, request.body, request.content_type), guard_reads(request)
    if agreed is None:
        assert read is None, f"the readings differ and the guard accepts: {request}"
        return "disagreed"
    if read is None:
        return "refused"
    parameters, asked = read
    assert as_sent(parameters) == without_blanks(agreed), request
    assert len({name.lower() for name in parameters.values}) == len(parameters.values), request
    payload = signed_payload(request.query, request.body)
    assert all_three(payload if request.query else b"", payload if request.body else b"", request.content_type) == {
        name: value for name, value in agreed.items() if name != b"signature"
    }, request
    check_upstream(asked, parameters)
    return "accepted"


def check_lot(seed: int) -> Counter[str]:
    luck = random.Random(seed)
    return Counter(check_one(troubled_request(luck)) for _ in range(LOT))


@pytest.mark.parametrize("seed", [20261128, 20261129], ids=str)
def test_what_three_readings_read_differently_is_refused(seed):
    became = check_lot(seed)
    # Neither the requests nor the guard have become so tame, or so strict, that nothing is said.
    assert became["accepted"] > LOT * 0.15
    assert became["disagreed"] > LOT * 0.2
    assert became["refused"] > LOT * 0.1


@pytest.mark.full
def test_proof_of_a_million_requests():
    became: Counter[str] = Counter()
    for lot in range(PROOF):
        became += check_lot(30_000_000 + lot)
    print(f"{became.total()} requests: {dict(became)}")
    assert became["accepted"] > LOT * PROOF * 0.15


@pytest.mark.parametrize(
    ("query", "body", "content_type"),
    [
        (b"a=1&a=2", b"", ""),
        (b"a=1", b"a=2", FORM),
        (b"a=1;b=2", b"", ""),
        (b"a=1#b", b"", ""),
        (b"a=1%00", b"", ""),
        (b"a=%201", b"", ""),
        (b"", b"a=1", "text/plain"),
        (b"a=1&a=1&a=2", b"", ""),
    ],
    ids=["repeated", "in both", "semicolon", "fragment", "NUL", "space", "no form", "repeated alike"],
)
def test_the_readings_are_three_and_do_differ(query, body, content_type):
    assert all_three(query, body, content_type) is None


def test_the_readings_agree_on_a_plain_request():
    plain = b"symbol=BTCUSDT&side=BUY&newClientOrderId=a%3Ab+c&signature=00"
    expected = {b"symbol": b"BTCUSDT", b"side": b"BUY", b"newClientOrderId": b"a:b c", b"signature": b"00"}
    assert first_wins(plain, b"", "") == last_wins(plain, b"", "") == query_wins(plain, b"", "") == expected
