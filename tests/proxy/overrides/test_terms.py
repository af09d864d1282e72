"""What an override is asked for is read in one way, or not at all, with every reason."""

from __future__ import annotations

from decimal import Decimal

import pytest

from proxy.overrides.terms import LASTS_S_MAX, TERMS, TermsRefused, read_terms
from rules.model import Side
from tests.proxy.overrides.builders import TEXTS, terms


def test_the_texts_are_read() -> None:
    assert set(TEXTS) == set(TERMS)
    assert read_terms(TEXTS) == terms()
    other = read_terms(TEXTS | {"side": "SELL", "quantity_max": "0.00001", "ticket": " T-1 ", "rule": "custom:x"})
    assert other == terms(side=Side.SELL, quantity_max=Decimal("0.00001"), ticket="T-1", rule_id="custom:x")


@pytest.mark.parametrize(
    ("text", "seconds"), [("1s", 1), ("90s", 90), ("10m", 600), ("60m", LASTS_S_MAX), ("1h", 3600)]
)
def test_how_long_it_lasts(text: str, seconds: int) -> None:
    assert read_terms(TEXTS | {"expires": text}).lasts_s == seconds


@pytest.mark.parametrize("text", ["", "0s", "61m", "3601s", "2h", "10", "10 m", "-1m", "1.5m", "1d", "１0m", "10m\n"])
def test_how_long_nothing_lasts(text: str) -> None:
    with pytest.raises(TermsRefused, match="expires after a time such as 90s, 10m or 1h, at most 1h"):
        read_terms(TEXTS | {"expires": text})


@pytest.mark.parametrize("text", ["", "0", "-1", "+1", "1_0", "NaN", "1e99", "1" * 13, "0." + "1" * 19, "２", " 2"])
def test_what_is_no_quantity(text: str) -> None:
    with pytest.raises(TermsRefused, match="a number above zero"):
        read_terms(TEXTS | {"quantity_max": text})


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("side", "buy", "the side is BUY or SELL"),
        ("side", "", "the side is BUY or SELL"),
        ("ticket", "  ", "a ticket has 1 to 64 characters"),
        ("ticket", "T" * 65, "a ticket has 1 to 64 characters"),
        ("reason", "  short  ", "the reason is shorter than 8 characters"),
    ],
)
def test_what_else_must_be_said(name: str, text: str, reason: str) -> None:
    with pytest.raises(TermsRefused) as refused:
        read_terms(TEXTS | {name: text})
    assert refused.value.reasons == (reason,)
    read_terms(TEXTS | {"ticket": "T" * 64, "reason": "8 chars."})


def test_every_reason_is_given_and_no_text_is_repeated() -> None:
    with pytest.raises(TermsRefused) as refused:
        read_terms(dict.fromkeys(TERMS, "canary"))
    assert len(refused.value.reasons) == 4  # "canary" is a ticket, a bot, a symbol and a rule.
    assert "canary" not in str(refused.value)
