"""What goes to the venue is percent-encoded as the library does it, whatever stands in a value."""

from __future__ import annotations

from urllib.parse import urlencode

from hypothesis import example, given
from hypothesis import strategies as st

from proxy.venues.binance.encode import build
from proxy.venues.binance.route import Access
from proxy.venues.binance.routes import find_route

ORDER = find_route("POST", "/fapi/v1/order")
values = st.text("BTCUSDT019._-~", max_size=8) | st.text(st.characters(exclude_categories=["Cs"]), max_size=6)


@given(st.lists(st.tuples(st.sampled_from(["symbol", "price", "a b"]), values), max_size=5).map(tuple))
@example((("symbol", "BTCUSDT&side=SELL"),))
@example((("symbol", "BTCUSDT=1"), ("price", "50000.1")))
def test_a_value_never_becomes_a_parameter(parameters: tuple[tuple[str, str], ...]) -> None:
    assert ORDER is not None and ORDER.access is Access.SIGNED
    sent = build(ORDER, parameters, secret="S", timestamp_ms=7).body
    assert sent.startswith(urlencode((*parameters, ("recvWindow", "5000"), ("timestamp", "7"))) + "&signature=")
