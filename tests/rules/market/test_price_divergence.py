"""Mark, last and index price belong together."""

from decimal import Decimal

import pytest

from rules.market.price_divergence import PriceDivergence
from tests.rules.builders import a_buy, a_sell, an_account, judged

LAST = PriceDivergence(last_max=Decimal("0.01"))
INDEX = PriceDivergence(index_max=Decimal("0.01"))
BOTH = PriceDivergence(last_max=Decimal("0.01"), index_max=Decimal("0.005"))
ENTRY = a_buy("BTCUSDT", "1")


def priced(**prices):
    return an_account().marked("BTCUSDT", "50000", **prices)


def breach(rule, world, command=ENTRY):
    return rule.check(command, world.snapshot)


@pytest.mark.parametrize(("rule", "name"), [(LAST, "last"), (INDEX, "index")], ids=["last", "index"])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("order", [a_buy, a_sell], ids=["buy", "sell"])
def test_the_limit_itself_is_allowed_and_a_tick_more_is_not(rule, name, sign, order):
    at_limit, beyond = Decimal(50000) + sign * 500, Decimal(50000) + sign * Decimal("500.1")
    command = order("BTCUSDT", "1")
    assert breach(rule, priced(**{f"{name}_price": at_limit}), command) is None
    found = breach(rule, priced(**{f"{name}_price": beyond}), command)
    assert found.code == f"{name.upper()}_PRICE_DIVERGED"
    assert (found.observed, found.limit) == ("1.0002 %", "1 %")
    assert found.message == f"BTCUSDT mark 50000 and {name} {beyond} have come apart"
    assert found.advice == "reduce-only orders and cancels pass"


def test_each_has_its_own_limit():
    assert breach(BOTH, priced(last_price="50500", index_price="50250")) is None
    assert breach(BOTH, priced(last_price="50500", index_price="50250.1")).code == "INDEX_PRICE_DIVERGED"
    assert breach(BOTH, priced(last_price="50500.1", index_price="50250")).code == "LAST_PRICE_DIVERGED"


@pytest.mark.parametrize(
    ("rule", "world", "what"),
    [
        (LAST, priced(index_price="50000"), "the last price of BTCUSDT"),
        (INDEX, priced(last_price="50000"), "the index price of BTCUSDT"),
        (BOTH, priced(last_price="50000"), "the index price of BTCUSDT"),
        (LAST, an_account().unmarked("BTCUSDT"), "the mark price of BTCUSDT"),
    ],
)
def test_a_price_that_is_needed_and_not_known_refuses(rule, world, what):
    found = breach(rule, world)
    assert (found.code, found.message) == ("FACTS_UNKNOWN", f"{what} is not known now")


def test_a_price_that_is_not_needed_is_not_missed():
    assert breach(LAST, priced(last_price="50000")) is None
    assert breach(INDEX, priced(index_price="50000")) is None


def test_an_index_of_nothing_has_come_apart():
    assert breach(INDEX, priced(index_price="0")).observed == "100 %"


def test_other_symbols_are_not_the_matter():
    world = priced(last_price="90000").marked("ETHUSDT", "2500", last_price="2500")
    assert breach(LAST, world, a_buy("ETHUSDT", "1")) is None


def test_the_distances_are_recorded():
    measures = LAST.measure(ENTRY, priced(last_price="50500", index_price="49999").snapshot)
    assert [(each.name, each.value, each.unit) for each in measures] == [
        ("last_divergence", "1 %", "of the mark"),
        ("index_divergence", "0.002 %", "of the mark"),
    ]
    assert LAST.measure(ENTRY, priced(index_price="50000").snapshot)[0].name == "index_divergence"
    assert LAST.measure(ENTRY, an_account().unmarked("BTCUSDT").snapshot) == ()
    assert {each.rule_id for each in measures} == {"price_divergence"}


def test_size_is_not_the_matter():
    assert judged(ENTRY, priced(last_price="90000"), LAST).breaches[0].headroom is None


def test_a_limit_without_a_number_is_no_limit():
    with pytest.raises(ValueError, match=r"^price_divergence needs last_max or index_max$"):
        PriceDivergence()
