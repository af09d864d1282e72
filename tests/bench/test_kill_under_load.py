"""The bench of the button under load: load that is none is told apart, and so is a crowd that nobody let in."""

from __future__ import annotations

import socket
import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bench.flood import Flood
from bench.hostile import Hostile
from bench.kill_under_load import BenchFailed, Round, _check, _read_log, report
from bench.slow_attacks import BenchFailed as NotMet
from bench.slow_attacks import _meet
from bench.wire import EXPIRING_ORDER
from proxy.vault.keys import Secret
from tests.support.worlds import until


def test_orders_that_nobody_answers_count_as_failed() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # And does not listen.
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/binanceusdm"
        with Flood(url, "key", Secret("secret"), EXPIRING_ORDER, 500.0) as flood:
            until(lambda: flood.counts["failed"], "it tries")
            rates = flood.rates_over(0.3)
    assert (rates["accepted"], rates["refused"]) == (0, 0) and rates["failed"] > 0
    with pytest.raises(BenchFailed, match="0 accepted, 0 refused"):
        _check(rates, "500 orders/s, 0 hostile")


@pytest.mark.parametrize(
    ("rates", "enough"),
    [
        ({"accepted": 490.0, "refused": 10.0, "failed": 0.0}, True),
        ({"accepted": 300.0, "refused": 200.0, "failed": 0.0}, False),
        ({"accepted": 300.0, "refused": 0.0, "failed": 200.0}, False),
        ({"accepted": 0.0, "refused": 0.0, "failed": 0.0}, False),
    ],
    ids=["trade", "refused", "failed", "nothing"],
)
def test_a_load_of_which_little_gets_through_is_none(rates: dict[str, float], enough: bool) -> None:
    if enough:
        _check(rates, "a load")
    else:
        with pytest.raises(BenchFailed, match="too few orders got through under a load"):
            _check(rates, "a load")


def test_the_report_has_accepted_and_refused_apart() -> None:
    told = Round("load", rate=480.4, refused_rate=12.2, held=5, warden_ms=[1.0], idle_ms=[1.0], blocked_ms=[2.0])
    told.told_ms = [1.0]
    lines = report([told]).splitlines()
    assert "| load | 480 | 12 | 5 |" in lines[2]
    assert lines[0].count("|") == lines[1].count("|") == lines[2].count("|")


def test_a_crowd_that_is_never_let_in_does_not_stand_at_the_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.slow_attacks._MEET_S", 0.5)
    with (
        socket.create_server(("127.0.0.1", 0), backlog=64) as nobody,
        Hostile(f"http://127.0.0.1:{nobody.getsockname()[1]}/binanceusdm", 20) as crowd,
    ):
        until(lambda: crowd.held == 20, "the kernel has let them in")
        assert not crowd.stands()
        with pytest.raises(NotMet, match="answered or cut off 0 of 20"):
            _meet(crowd)
        for _ in range(3):
            nobody.accept()[0].close()
        until(crowd.stands, "some have been met")


def test_the_exchange_is_asked_past_any_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as exchange, socket.create_server(("127.0.0.1", 0)) as other:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{other.getsockname()[1]}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        places = SimpleNamespace(exchange=f"http://127.0.0.1:{exchange.getsockname()[1]}")
        world: Any = SimpleNamespace(places=places)

        def answer() -> None:
            asked, _ = exchange.accept()
            asked.recv(65_536)
            body = b'{"entries": [{"method": "DELETE", "path": "/", "time_ns": 7, "params": {}}]}'
            asked.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            asked.close()

        threading.Thread(target=answer, daemon=True).start()
        result = Round("none")
        _read_log(cast(Any, world), result, 0, 0)
        assert result.first_cancel_ms == pytest.approx(7e-6)
        other.setblocking(False)
        with pytest.raises(BlockingIOError):
            other.accept()
