"""A quantity is floored to the step of its kind of order."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.rules.builders import an_instrument

LISTED = an_instrument("BTCUSDT", step_size=Decimal("0.001"), market_step_size=Decimal("0.01"))


@pytest.mark.parametrize(
    ("quantity", "priced", "at_market"),
    [("1.2345", "1.234", "1.23"), ("1.2399", "1.239", "1.23"), ("1.23", "1.23", "1.23"), ("0.009", "0.009", "0")],
)
def test_it_is_never_rounded_up(quantity, priced, at_market):
    assert LISTED.floor_quantity(Decimal(quantity), market=False) == Decimal(priced)
    assert LISTED.floor_quantity(Decimal(quantity), market=True) == Decimal(at_market)
