"""A master takes a sub-account's key its right to trade futures, and gives it back; nobody else does."""

from __future__ import annotations

import pytest

from sandbox.binance.errors import VenueError
from sandbox.binance.permissions import KeyPermissions
from sandbox.binance.signing import Credential
from sandbox.binance.sub_account_keys import SubAccountKeys
from sandbox.settings import AccountSettings, Settings, SettingsError

BOSS = Credential("boss", "boss-key", "s")
SUB = Credential("sub", "sub-key", "s", email="sub@desk.example", master="boss")
OTHER = Credential("other", "other-key", "s")


@pytest.fixture
def keys() -> SubAccountKeys:
    return SubAccountKeys([BOSS, SUB, OTHER])


def test_a_key_that_is_off_is_refused_on_every_futures_path_and_nowhere_else(keys: SubAccountKeys) -> None:
    keys.switch(BOSS, SUB.email, SUB.api_key, futures=False)
    for path in ("/fapi/v1/order", "/fapi/v3/positionRisk", "/fapi/v1/listenKey", "order.place"):
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
