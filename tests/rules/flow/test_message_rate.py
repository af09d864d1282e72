"""A token a message, and fewer for a bot that behaves like nothing in its history."""

from decimal import Decimal

import pytest

from rules.flow.message_rate import MessageRate
from tests.rules.builders import a_buy, an_account

RATE = MessageRate(per_second=Decimal(20), burst=Decimal(40), tighten=Decimal("0.9"))


def breach(balance, anomaly=0.0, rule=RATE):
    world = an_account().with_tokens(rule.scope, balance).behaving(anomaly)
    return rule.check(a_buy("BTCUSDT", "1"), world.snapshot)


def test_one_token_is_enough():
    assert breach("1") is None


def test_a_hair_below_one_token_is_not():
    found = breach("0.999999")
    assert (found.code, found.limit) == ("MESSAGE_RATE_ABOVE_LIMIT", "20/s burst 40")
    assert found.advice == "cancels and reduce-only exits are not limited"


@pytest.mark.parametrize(("anomaly", "kept"), [(0.0, "0"), (0.5, "18"), (1.0, "36")])
def test_a_strange_bot_leaves_more_in_the_bucket(anomaly, kept):
    assert breach(str(Decimal(kept) + 1), anomaly) is None
    assert breach(str(Decimal(kept) + 1 - Decimal("0.000001")), anomaly).code == "MESSAGE_RATE_ABOVE_LIMIT"


def test_the_reason_names_the_anomaly():
    assert "anomaly score 0.50" in breach("0", 0.5).message
    assert "anomaly" not in breach("0").message


def test_a_full_bucket_always_grants_one_message():
    rule = MessageRate(per_second=Decimal(1), burst=Decimal(5), tighten=Decimal(1))
    assert breach("5", 1.0, rule) is None


def test_a_bucket_the_store_did_not_name_is_not_judged():
    assert RATE.check(a_buy("BTCUSDT", "1"), an_account().snapshot) is None


def test_every_level_has_a_bucket_of_its_own():
    rule = MessageRate(per_second=Decimal(1), burst=Decimal(1), level="bot:demo-bot")
    assert rule.scope == "message_rate@bot:demo-bot"
    assert breach("0", rule=RATE) is not None
    assert rule.check(a_buy("BTCUSDT", "1"), an_account().with_tokens(RATE.scope, "0").snapshot) is None


@pytest.mark.parametrize(
    "settings",
    [
        {"per_second": Decimal(0), "burst": Decimal(1)},
        {"per_second": Decimal(1), "burst": Decimal("0.5")},
        {"per_second": Decimal(1), "burst": Decimal(1), "tighten": Decimal("1.1")},
        {"per_second": Decimal(1), "burst": Decimal(1), "tighten": Decimal("-0.1")},
    ],
)
def test_a_bucket_that_could_never_work_is_no_rule(settings):
    with pytest.raises(ValueError, match="message_rate needs"):
        MessageRate(**settings)
