"""An exchange key is taken only when it could do no more than trade from here, or when a person accepts the rest."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from proxy.exchange.payloads import key_permissions, parsed
from proxy.exchange.troubles import VenueUnavailable
from proxy.vault.contents import Contents, decode, encode
from proxy.vault.keys import ExchangeKey, Secret
from proxy.vault.permissions import Enrolment, KeyPermissions, KeyRefused, Risk, admit
from proxy.vault.vault import Vault
from tests.rules.builders import NOW

SAFE = KeyPermissions(reading=True, futures=True, withdrawals=False, transfers=False, ip_restricted=True)
# Binance, "Get API Key Permission (USER_DATA)", GET /sapi/v1/account/apiRestrictions, reduced to what is read.
ANSWER = {
    "ipRestrict": True,
    "createTime": 1698645219000,
    "enableReading": True,
    "enableFutures": True,
    "enableWithdrawals": False,
    "enableInternalTransfer": False,
    "permitsUniversalTransfer": False,
}


def test_a_key_that_only_trades_from_here_is_taken() -> None:
    admit(SAFE, ())


def test_every_dangerous_right_is_named_and_needs_its_own_acceptance() -> None:
    for withdrawals, transfers, ip_restricted in product((True, False), repeat=3):
        key = replace(SAFE, withdrawals=withdrawals, transfers=transfers, ip_restricted=ip_restricted)
        for taken in ((), (Risk.WITHDRAWALS,), (Risk.NO_IP_RESTRICTION,), tuple(Risk)):
            dangers = {risk for risk in key.risks if risk not in taken}
            if not dangers:
                admit(key, taken)
                continue
            with pytest.raises(KeyRefused) as refusal:
                admit(key, taken)
            assert {risk for risk in Risk if f"--accept-{risk}" in str(refusal.value)} == dangers


def test_the_risk_is_said_in_plain_words() -> None:
    with pytest.raises(KeyRefused, match="can empty the account"):
        admit(replace(SAFE, withdrawals=True), ())
    with pytest.raises(KeyRefused, match="can trade from anywhere"):
        admit(replace(SAFE, ip_restricted=False), ())


@pytest.mark.parametrize(("right", "words"), [("reading", "not allowed reading"), ("futures", "futures trading")])
def test_a_key_of_no_use_is_refused_whatever_is_accepted(right: str, words: str) -> None:
    with pytest.raises(KeyRefused, match=words):
        admit(replace(SAFE, **{right: False}), tuple(Risk))


@pytest.mark.parametrize("right", ["enableInternalTransfer", "permitsUniversalTransfer"])
def test_the_venues_two_ways_to_transfer_are_one_risk(right: str) -> None:
    assert key_permissions(ANSWER) == SAFE
    assert key_permissions(ANSWER | {right: True}).risks == (Risk.WITHDRAWALS,)


@pytest.mark.parametrize("right", [name for name in ANSWER if name != "createTime"])
def test_a_right_the_venue_does_not_name_is_no_answer(right: str) -> None:
    with pytest.raises(VenueUnavailable, match=right):
        parsed(lambda: key_permissions({name: value for name, value in ANSWER.items() if name != right}))


def test_a_vault_from_before_the_check_opens_and_a_newer_one_keeps_what_was_accepted(vault: Vault) -> None:
    key = ExchangeKey(account="a", venue="v", api_key="k", api_secret=Secret("s"), created_at=NOW)
    older = encode(Contents().with_exchange_key(key)).replace(b',"enrolment":null', b"")
    assert b"enrolment" not in older
    reopened = decode(older)
    assert reopened is not None and reopened.exchange_keys["a"].enrolment is None
    taken = Enrolment(checked_at=NOW, accepted=(Risk.WITHDRAWALS,))
    vault.enrol("main", taken)
    again = decode(encode(vault._contents))
    assert again is not None and again.exchange_keys["main"].enrolment == taken
