"""Orders over a socket, paced: due at their moments, and timed from them."""

from __future__ import annotations

import time
from decimal import Decimal

from bench.path.orders import Key, Terms
from bench.path.sockets import placed_over_a_socket
from tests.support.stalling_door import stalling_door

TERMS = Terms("BTCUSDT", Decimal(80_000), Decimal("0.1"), Decimal("0.002"))
REPLY = b'\x81\x0e{"status":200}'
GREETING = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"
STALL_S = 0.5


def test_a_stall_is_charged_to_every_order_that_was_due_meanwhile_and_the_pace_is_made_up_for() -> None:
    orders, every_s = 60, 1 / 40
    with stalling_door(REPLY, at=20, stall_s=STALL_S, greeting=GREETING) as gate:
        began = time.perf_counter()
        micros = placed_over_a_socket(gate, [Key("key", "secret")], TERMS, orders, every_s)
        took_s = time.perf_counter() - began
    assert len(micros) == orders
    assert sum(each > 100_000 for each in micros) >= 14
    assert max(micros) > STALL_S * 0.9e6
    # The last is due after 59/40 s; a pause before each order would add the stall.
    assert orders / 40 - 0.1 < took_s < orders / 40 + STALL_S * 0.8
