"""A master takes a sub-account's key its right to trade futures, and gives it back; nobody else does."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sandbox.binance.errors import VenueError
from sandbox.binance.permissions import KeyPermissions
from sandbox.binance.signing import Credential
from sandbox.binance.sub_account_keys import SubAccountKeys
from sandbox.settings import AccountSettings, Settings, SettingsError
from tests.sandbox.practice import PracticeServer, start, stop

BOSS = Credential("boss", "boss-key", "s")
SUB = Credential("sub", "sub-key", "s", email="sub@desk.example", master="boss")
OTHER = Credential("other", "other-key", "s")


@pytest.fixture
def keys() -> SubAccountKeys:
    return SubAccountKeys([BOSS, SUB, OTHER])


def test_a_key_that_is_off_is_refused_on_every_futures_path_and_nowhere_else(keys: SubAccountKeys) -> None:
    keys.switch(BOSS, SUB.email, SUB.api_key, futures=False)
    twap = "/sapi/v1/algo/futures/newOrderTwap"
    for path in ("/fapi/v1/order", "/fapi/v3/positionRisk", "/fapi/v1/listenKey", "order.place", twap):
        with pytest.raises(VenueError) as refused:
            keys.check(SUB, path)
        assert refused.value.code == -2015
    keys.check(SUB, "/sapi/v1/account/apiRestrictions")
    keys.check(OTHER, "/fapi/v1/order")
    keys.switch(BOSS, SUB.email, SUB.api_key, futures=True)
    keys.check(SUB, "/fapi/v1/order")


@pytest.mark.parametrize(
    ("caller", "email", "api_key"),
    [
        (OTHER, SUB.email, SUB.api_key),
        (SUB, SUB.email, SUB.api_key),
        (BOSS, "nobody@desk.example", SUB.api_key),
        (BOSS, SUB.email, OTHER.api_key),
        (BOSS, "", BOSS.api_key),
        (Credential("boss", "k", "s", permissions=KeyPermissions(ip_restricted=False)), SUB.email, SUB.api_key),
    ],
    ids=["not the master", "itself", "no such email", "another's key", "a master's own", "a key of every address"],
)
def test_nothing_else_switches_a_key(keys: SubAccountKeys, caller: Credential, email: str, api_key: str) -> None:
    with pytest.raises(VenueError):
        keys.switch(caller, email, api_key, futures=False)
    for credential in (BOSS, SUB, OTHER):
        keys.check(credential, "/fapi/v1/order")


@pytest.mark.parametrize(("email", "master"), [("a@b", ""), ("", "boss"), ("a@b", "nobody"), ("a@b", "sub")])
def test_a_sub_account_has_a_master_and_an_email(email: str, master: str) -> None:
    boss = AccountSettings("boss", "boss-key", "s")
    with pytest.raises(SettingsError, match="account"):
        Settings(accounts=(boss, AccountSettings("sub", "sub-key", "s", email=email, master=master)))


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[PracticeServer]:
    """A master, and a sub-account with a shared secret and a key pair."""
    (tmp_path / "sub.pem").write_bytes(OWN.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    config = tmp_path / "sandbox.toml"
    config.write_text(TWO_ACCOUNTS)
    options = ("--config", str(config), "--ed25519", f"sub:sub-own-key:{tmp_path / 'sub.pem'}")
    process, server = start("--scenario", "flat", "--speed", "0", *options, accounts=False)
    yield server
    server.control.close()
    stop(process)


OWN = Ed25519PrivateKey.generate()
TWO_ACCOUNTS = """
[[account]]
name = "boss"
api_key = "boss-key"
api_secret = "boss-secret"

[[account]]
name = "sub"
api_key = "sub-key"
api_secret = "sub-secret"
master = "boss"
email = "sub@desk.example"
"""
TWAP = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.05", "duration": 300}


def ask(venue: PracticeServer, api_key: str, method: str, path: str, **params: object) -> httpx.Response:
    text = urlencode({"timestamp": int(time.time() * 1000), **params})
    if api_key == "sub-own-key":
        signature = base64.b64encode(OWN.sign(text.encode())).decode()
    else:
        signature = hmac.new(api_key.replace("key", "secret").encode(), text.encode(), hashlib.sha256).hexdigest()
    url = f"{venue.url}{path}?{text}&{urlencode({'signature': signature})}"
    return httpx.request(method, url, headers={"X-MBX-APIKEY": api_key})


@pytest.mark.parametrize("api_key", ["sub-key", "sub-own-key"], ids=["shared secret", "key pair"])
def test_a_key_that_is_switched_off_trades_nothing_and_says_so_itself(venue: PracticeServer, api_key: str) -> None:
    def may_trade() -> bool:
        return bool(ask(venue, api_key, "GET", "/sapi/v1/account/apiRestrictions").json()["enableFutures"])

    assert may_trade()
    switch = {"email": "sub@desk.example", "subAccountApiKey": api_key}
    path = "/sapi/v1/sub-account/subAccountApiPermission"
    ask(venue, "boss-key", "POST", path, **switch, canFuturesTrade="false").raise_for_status()
    for refused in (
        ask(venue, api_key, "GET", "/fapi/v3/balance"),
        ask(venue, api_key, "POST", "/sapi/v1/algo/futures/newOrderTwap", **TWAP),
        ask(venue, api_key, "GET", "/sapi/v1/algo/futures/openOrders"),
    ):
        assert (refused.status_code, refused.json()["code"]) == (401, -2015)
    assert not may_trade()
    ask(venue, "boss-key", "POST", path, **switch, canFuturesTrade="true").raise_for_status()
    assert may_trade()
    assert ask(venue, api_key, "POST", "/sapi/v1/algo/futures/newOrderTwap", **TWAP).status_code == 200
