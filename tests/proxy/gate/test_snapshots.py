"""What a picture keeps of the warden's documents: what concerns the request, and nothing else."""

from __future__ import annotations

from decimal import Decimal

from proxy.gate.snapshots import _conditions_of
from rules.facts import Condition, Conditions
from tests.rules.builders import NOW

PAIRS = ("BTCUSDT:ETHUSDT", "BTCUSDT:SOLUSDT", "DOGEUSDT:ETHUSDT")


def test_correlations_and_their_bands_are_cut_to_the_symbols_of_the_picture():
    whole = Conditions(
        version=1,
        as_of=NOW,
        symbols={symbol: Condition(symbol=symbol, as_of=NOW) for symbol in ("BTCUSDT", "ETHUSDT", "SOLUSDT")},
        correlations=dict.fromkeys(PAIRS, Decimal("0.7")),
        correlation_bands=dict.fromkeys(PAIRS, (Decimal("0.4"), Decimal("0.9"))),
        correlations_as_of=NOW,
        correlations_method="a method",
    )
    cut = _conditions_of(whole, frozenset({"BTCUSDT"}), frozenset({"BTCUSDT", "ETHUSDT"}))
    assert set(cut.symbols) == {"BTCUSDT"}
    assert cut.correlations == {"BTCUSDT:ETHUSDT": Decimal("0.7")}
    assert cut.correlation_bands == {"BTCUSDT:ETHUSDT": (Decimal("0.4"), Decimal("0.9"))}
    assert (cut.correlations_as_of, cut.correlations_method) == (NOW, "a method")
