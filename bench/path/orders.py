"""Signed orders, built before the clock starts: what is measured is the way of an order, not its making."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import count
from typing import Final

QUANTITIES: Final = 3
PRICES: Final = 1_500
"""Prices a tick apart that orders go through, so that no bot sends the same order twice within seconds."""

_NUMBERS: Final = count(1)


@dataclass(frozen=True, slots=True)
class Key:
    """Whose order it is. The secret is as long-lived as the run."""

    key: str
    secret: str

    def __repr__(self) -> str:
        return "Key()"


@dataclass(frozen=True, slots=True)
class Terms:
    """What is ordered: BUY LIMIT IOC below the market, where it expires at once. ``top`` is the highest price."""

    symbol: str
    top: Decimal
    tick: Decimal
    lot: Decimal


def signed_orders(terms: Terms, keys: Sequence[Key], host: str, prefix: str, number: int) -> list[bytes]:
    """So many requests, the keys taking turns. They are fresh now and for the twenty seconds of their window."""
    heads = [_head(key, host, prefix) for key in keys]
    signers = [hmac.new(key.secret.encode(), digestmod=hashlib.sha256) for key in keys]
    built = []
    for place in range(number):
        order = next(_NUMBERS)
        form = (
            f"symbol={terms.symbol}&side=BUY&type=LIMIT&timeInForce=IOC"
            f"&quantity={terms.lot * (1 + order % QUANTITIES)}&price={terms.top - terms.tick * (order % PRICES)}"
            f"&newClientOrderId=b-{time.time_ns():x}-{order}&recvWindow=20000&timestamp={time.time_ns() // 1_000_000}"
        ).encode()
        signer = signers[place % len(keys)].copy()
        signer.update(form)
        body = form + b"&signature=" + signer.hexdigest().encode()
        built.append(b"%s%d\r\n\r\n%s" % (heads[place % len(keys)], len(body), body))
    return built


def _head(key: Key, host: str, prefix: str) -> bytes:
    return (
        f"POST {prefix}/fapi/v1/order HTTP/1.1\r\nHost: {host}\r\nX-MBX-APIKEY: {key.key}\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: "
    ).encode("ascii")
