"""Who signed a REST request, with which kind of key, and whether it was carried out before."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from tests.proxy.gate.conftest import Desk
from tests.support.gates import NOW_MS, Exchange, Gate, Keys, an_exchange

ORDER = f"symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.1&timestamp={NOW_MS}"
FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys.in_directory(tmp_path / "vault")


@pytest.fixture
async def exchange() -> AsyncIterator[Exchange]:
    async with an_exchange() as answering:
        yield answering


@pytest.fixture
async def gate(desk: Desk, keys: Keys, exchange: Exchange) -> AsyncIterator[Gate]:
    opened = Gate(desk, keys, exchange)
    yield opened
    await opened.aclose()


async def post(gate: Gate, kind: str, query: str, body: str = "") -> httpx.Response:
    key = getattr(gate.keys, kind)
    headers = {"X-MBX-APIKEY": key.key} | (FORM if body else {})
    return await gate._client.post(f"/fapi/v1/order{query and '?'}{query}", content=body.encode(), headers=headers)


def spelled(keys: Keys, kind: str) -> str:
    return quote(keys.signature(getattr(keys, kind), ORDER), safe="")


@pytest.mark.parametrize("kind", ["hmac", "ed25519"])
@pytest.mark.parametrize("where", ["query", "body"])
async def test_an_order_signed_with_either_kind_of_key_goes_out(
    gate: Gate, keys: Keys, exchange: Exchange, kind: str, where: str
) -> None:
    sent = f"{ORDER}&signature={spelled(keys, kind)}"
    answer = await post(gate, kind, sent) if where == "query" else await post(gate, kind, "", sent)
    assert answer.status_code == 200, answer.text
    assert len(exchange.asked) == 1


@pytest.mark.parametrize("kind", ["hmac", "ed25519"])
async def test_the_kind_of_the_key_decides(gate: Gate, keys: Keys, exchange: Exchange, kind: str) -> None:
    other = {"hmac": "ed25519", "ed25519": "hmac"}[kind]
    for signature in (spelled(keys, other), "0" * 64, "AAAA", "", "%F0%9F"):
        answer = await post(gate, kind, f"{ORDER}&signature={signature}")
        assert answer.json()["code"] in (-1022, -1100), answer.text
    assert (await post(gate, kind, ORDER.replace("0.1", "0.2") + f"&signature={spelled(keys, kind)}")).json()[
        "code"
    ] == -1022
    assert exchange.asked == []


@pytest.mark.parametrize("kind", ["hmac", "ed25519"])
async def test_a_request_is_the_same_however_its_signature_is_spelled_and_placed(
    gate: Gate, keys: Keys, exchange: Exchange, kind: str
) -> None:
    """A recorded order, sent again with the signature moved or re-spelled, would otherwise be a second order."""
    signature = keys.signature(getattr(keys, kind), ORDER)
    usual = quote(signature, safe="")
    assert (await post(gate, kind, f"{ORDER}&signature={usual}")).status_code == 200
    other_spelling = signature.upper() if kind == "hmac" else f"%{ord(signature[0]):02x}{quote(signature[1:], safe='')}"
    for query, body in (
        (f"{ORDER}&signature={other_spelling}", ""),
        (f"signature={usual}&{ORDER}", ""),
        ("", f"{ORDER}&signature={usual}"),
    ):
        assert "REPLAYED" in (await post(gate, kind, query, body)).text
    assert len(exchange.asked) == 1
