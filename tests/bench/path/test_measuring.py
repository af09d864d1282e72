"""What counts as the cost of orders: not the connecting, and not what was refused."""

from __future__ import annotations

import socket
import threading
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bench.path import __main__ as whole
from bench.path import stages
from bench.path.generator import Result
from bench.path.measuring import BenchFailed, Mode, Reading, Way, generator
from bench.path.orders import Key, Terms

TERMS = Terms("BTCUSDT", Decimal(80_000), Decimal("0.1"), Decimal("0.002"))
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
ONE = Mode("one at a time", 1, 1.0)
KEYS = [Key(name, "secret") for name in "abc"]


def test_the_clock_begins_when_all_connections_stand_and_before_the_first_order() -> None:
    seen: list[tuple[int, int]] = []
    connected, asked = [0], [0]

    def serve(connection: socket.socket) -> None:
        with connection:
            while connection.recv(65_536):
                asked[0] += 1
                connection.sendall(ANSWER)

    def accept(door: socket.socket) -> None:
        for _ in KEYS:
            connection, _ = door.accept()
            connected[0] += 1
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as door, generator(TERMS) as load:
        threading.Thread(target=accept, args=(door,), daemon=True).start()
        way = Way("fake", ("127.0.0.1", door.getsockname()[1]), "127.0.0.1", KEYS)
        said = load.run(way, ONE, 6, lambda: seen.append((connected[0], asked[0])))
    assert seen == [(len(KEYS), 0)]
    assert said.orders == len(said.micros) == asked[0] == 6


def test_what_cannot_be_connected_to_is_told_and_the_next_job_is_done() -> None:
    with socket.socket() as nobody, generator(TERMS) as load:
        nobody.bind(("127.0.0.1", 0))
        way = Way("nobody", nobody.getsockname(), "127.0.0.1", KEYS)
        for _ in range(2):
            with pytest.raises(BenchFailed, match="nobody, one at a time: ConnectionRefusedError"):
                load.run(way, ONE, 1)


class HalfRefused:
    """A load of whose orders the guard refuses every second one; ``whole`` jobs pass before that."""

    def __init__(self, whole: int = 0) -> None:
        self._whole = whole

    def run(self, way: Way, mode: Mode, orders: int) -> Result:
        self._whole -= 1
        if self._whole >= 0:
            return Result([1_000.0] * orders, 1.0)
        return Result([1_000.0] * (orders // 2), 1.0, {"400 refused": orders // 2})


@pytest.mark.parametrize(("whole_jobs", "named"), [(0, "one at a time"), (1, "POST at 40/s")], ids=["stages", "slowly"])
def test_refusals_end_the_measuring_of_the_guard_alone(
    monkeypatch: pytest.MonkeyPatch, whole_jobs: int, named: str
) -> None:
    told = iter([{"total": (0.0, 0.0)}, {"total": (0.2, 100.0)}])
    monkeypatch.setattr(stages, "_read", lambda world: next(told))
    monkeypatch.setattr(stages, "TELL_EVERY_S", 0)
    monkeypatch.setattr(whole, "placed_over_a_socket", lambda *paced: [5_000.0])
    world: Any = SimpleNamespace(places=SimpleNamespace(gate=""), keys=[], terms=None)
    way = Way("guard", ("", 1), "", [], readings={ONE.name: Reading(orders=100)})
    with pytest.raises(BenchFailed, match=rf"guard, {named}: \d+ of \d+ refused: {{'400 refused'"):
        whole._of_the_guard_alone(cast(Any, HalfRefused(whole_jobs)), world, way, ONE)


def test_a_stages_mean_is_of_those_that_came_to_it() -> None:
    before = {"total": (1.0, 10.0), "send": (0.5, 10.0), "lost": (0.1, 3.0)}
    after = {"total": (3.0, 110.0), "send": (1.0, 60.0), "lost": (0.1, 3.0), "new": (0.4, 40.0)}
    means = stages._means_us(before, after)
    assert means == pytest.approx({"total": 20_000, "send": 10_000, "new": 10_000})
