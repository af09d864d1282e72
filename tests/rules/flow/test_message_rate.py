"""A token a message, and fewer for a bot that behaves like nothing in its history."""

from dataclasses import replace
from decimal import Decimal

import pytest

from rules.flow.message_rate import Allowance, Cancels, MessageRate
from rules.model import Side
from tests.rules.builders import a_buy, an_account, an_amend

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
    assert breach("4.999999", 1.0, rule).code == "MESSAGE_RATE_ABOVE_LIMIT"


def test_a_bucket_that_is_never_tightened_keeps_nothing_back():
    rule = MessageRate(per_second=Decimal("0.5"), burst=Decimal(1), tighten=Decimal(0))
    assert breach("1", 1.0, rule) is None


def test_a_bucket_the_store_did_not_name_is_not_judged():
    assert RATE.check(a_buy("BTCUSDT", "1"), an_account().snapshot) is None


def test_every_level_has_a_bucket_of_its_own():
    rule = MessageRate(per_second=Decimal(1), burst=Decimal(1), level="bot:demo-bot")
    assert rule.scope == "message_rate@bot:demo-bot"
    assert breach("0", rule=RATE) is not None
    assert rule.check(a_buy("BTCUSDT", "1"), an_account().with_tokens(RATE.scope, "0").snapshot) is None


AMENDS = replace(RATE, amends_per_second=Decimal(5), amends_burst=Decimal(10))
AMEND = an_amend(Side.BUY, "BTCUSDT", "1", "49000", order_id="5")


def test_amends_are_messages_like_others_unless_they_have_a_bucket_of_their_own():
    empty = an_account().with_tokens(RATE.scope, "0").snapshot
    assert RATE.check(AMEND, empty).code == "MESSAGE_RATE_ABOVE_LIMIT"
    assert AMENDS.check(AMEND, empty) is None
    assert AMENDS.check(a_buy("BTCUSDT", "1"), empty).code == "MESSAGE_RATE_ABOVE_LIMIT"


def test_the_bucket_of_amends_is_judged_by_its_own_numbers():
    scope = "message_rate@desk:amends"
    assert AMENDS.allowance(AMEND) == Allowance(scope=scope, per_second=Decimal(5), burst=Decimal(10))
    assert AMENDS.allowance(a_buy("BTCUSDT", "1")) == RATE.allowance(AMEND)
    world = an_account().behaving(0.5)
    assert AMENDS.check(AMEND, world.with_tokens(scope, "5.5").snapshot) is None
    found = AMENDS.check(AMEND, world.with_tokens(scope, "5.499999").snapshot)
    assert found.message == "rate of amends above 5.00 per second, tightened by anomaly score 0.50"
    assert (found.observed, found.limit) == ("5.50", "5/s burst 10")
    assert AMENDS.check(a_buy("BTCUSDT", "1"), an_account().with_tokens(scope, "0").snapshot) is None


def test_the_message_of_other_messages_names_their_rate():
    assert breach("0").message == "message rate above 20.00 per second"


def test_cancels_are_free_unless_a_policy_says_that_they_count():
    assert (RATE.cancels, replace(RATE, cancels=Cancels.COUNTED).cancels) == ("free", "counted")


def test_a_bucket_of_amends_needs_both_its_numbers():
    assert replace(AMENDS, amends_burst=Decimal(1)).amends_burst == 1


@pytest.mark.parametrize(
    ("settings", "needs"),
    [
        ({"amends_per_second": Decimal(1)}, "amends_per_second and amends_burst together"),
        ({"amends_burst": Decimal(1)}, "amends_per_second and amends_burst together"),
        ({"amends_per_second": Decimal(0), "amends_burst": Decimal(1)}, "amends_per_second > 0"),
        ({"amends_per_second": Decimal(1), "amends_burst": Decimal("0.9")}, "amends_burst >= 1"),
    ],
)
def test_a_bucket_of_amends_that_could_never_work_is_no_rule(settings, needs):
    with pytest.raises(ValueError, match=f"^message_rate needs {needs}$"):
        MessageRate(per_second=Decimal(1), burst=Decimal(1), **settings)


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
    with pytest.raises(
        ValueError, match=r"^message_rate needs burst >= 1, per_second > 0 and tighten between 0 and 1$"
    ):
        MessageRate(**settings)
