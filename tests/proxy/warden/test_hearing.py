"""What was ordered before a restart is measured after it, and a record is of its own moment."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from redis.exceptions import OutOfMemoryError

from proxy.audit.place import archive_place
from proxy.audit.told import Glimpse, load_told
from proxy.ledger.books.judging import judged_orders
from proxy.signals.attention import SEEN_S, Attention
from proxy.signals.order_stream import OrderStream
from proxy.signals.watch import AnomalyWatch
from proxy.warden.hearing import HEARD_MAX, Hearing, remember_symbols
from proxy.warden.pieces.desk import DeskPieces
from rules.order.max_order_value import MaxOrderValue
from tests.proxy.audit.conftest import Desk
from tests.proxy.signals.test_order_stream import a_record
from tests.rules.builders import NOW, a_buy

ROOT = Path(__file__).resolve().parents[3]


async def remembered(data_dir: Path, account: str, now: datetime) -> tuple[str, ...]:
    attention = Attention()
    pieces: Any = {account: SimpleNamespace(keeper=SimpleNamespace(venue="binanceusdm"))}
    venues: Any = {"binanceusdm": SimpleNamespace(conditions=SimpleNamespace(attention=attention))}
    nobody: Any = None
    desk = DeskPieces(
        venues=venues,
        accounts=pieces,
        kill=nobody,
        pursuit=nobody,
        certificates=nobody,
        stops=nobody,
        rearming=nobody,
        line=nobody,
        sentinels=nobody,
        overrides=nobody,
        watch=nobody,
        heart=nobody,
        leases=nobody,
        scoreboard=nobody,
    )
    await remember_symbols(data_dir, desk, now)
    return attention.symbols(now.timestamp(), held=())


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    desk = Desk()
    desk.write(archive_place(tmp_path), desk.day())
    return tmp_path


async def test_the_symbols_of_the_last_day_are_remembered(data_dir: Path):
    assert await remembered(data_dir, "main", Desk.start + timedelta(hours=23)) == ("BTCUSDT",)


async def test_what_was_ordered_longer_ago_or_on_another_account_is_not(data_dir: Path):
    assert await remembered(data_dir, "main", Desk.start + timedelta(hours=25)) == ()
    assert await remembered(data_dir, "other", Desk.start + timedelta(hours=1)) == ()


async def test_an_archive_that_cannot_be_read_is_said_and_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    assert await remembered(tmp_path, "main", datetime(2026, 11, 24, tzinfo=UTC)) == ()
    assert "the symbols of the last day cannot be looked up" in caplog.text


async def test_a_damaged_archive_is_said_and_stops_nothing(data_dir: Path, caplog: pytest.LogCaptureFixture):
    connection = sqlite3.connect(archive_place(data_dir).database)
    connection.execute("DROP TABLE judgements")
    connection.commit()
    connection.close()
    assert await remembered(data_dir, "main", Desk.start + timedelta(hours=1)) == ()
    assert "the symbols of the last day cannot be looked up" in caplog.text


class Deaf:
    """Everything that hears records, but for the symbols that matter."""

    def __init__(self) -> None:
        self.attention = Attention()
        self.conditions = self
        self.venue = "binanceusdm"
        self.keeper = self.outside = self.record = self.ledger = self.venue_timers = self.clock = self
        self.asked_the_time = 0
        self.on_their_way: list[str] = []
        self.expected: list[str | None] = []

    def hear(self, record: Any) -> None:
        """Nothing."""

    def expect(self, request: str, symbol: str | None) -> None:
        self.expected.append(symbol)

    def intended(self, symbol: str) -> None:
        self.on_their_way.append(symbol)

    async def see(self, records: Any) -> None:
        """Nothing."""

    def hear_outcome(self, record: Any) -> None:
        """Nothing."""

    def happened(self, request: str, *, changed: bool) -> None:
        """Nothing."""

    def soon(self) -> None:
        self.asked_the_time += 1


def a_desk(deaf: Any, watch: Any) -> DeskPieces:
    return DeskPieces(
        venues={"binanceusdm": deaf},
        accounts={"main": deaf},
        kill=deaf,
        pursuit=deaf,
        certificates=deaf,
        stops=deaf,
        rearming=deaf,
        line=deaf,
        sentinels=deaf,
        overrides=deaf,
        watch=watch,
        heart=deaf,
        leases=deaf,
        scoreboard=deaf,
    )


async def told(record: dict[str, Any]) -> Deaf:
    """What became of a record that was heard."""
    deaf = Deaf()
    await Hearing(a_desk(deaf, deaf)).hear([{"id": "1", "account": "main", **record}])
    return deaf


@pytest.mark.parametrize(
    ("code", "window_ms", "asked"),
    [(-1021, 5_000, 1), (-1021, 4_900, 1), (-1021, 1_500, 0), (-1021, 1, 0), (-1021, None, 0), (-2019, 5_000, 0)],
    ids=[
        "all of it",
        "nearly all of it",
        "what was left",
        "a bot that waits no longer",
        "of an earlier version",
        "something else",
    ],
)
async def test_a_time_stamp_refused_within_a_short_window_is_no_word_about_the_clock(
    code: int, window_ms: int | None, asked: int
):
    outcome = {"kind": "outcome", "result": "REJECTED", "venue_code": code, "recv_window_ms": window_ms}
    assert (await told(outcome)).asked_the_time == asked


@pytest.mark.parametrize(
    ("commands", "expected"),
    [
        ([{"type": "SetPositionMode", "hedged": True}], [None]),
        ([{"type": "PlaceOrder", "symbol": "BTCUSDT"}], ["BTCUSDT"]),
        ([{"type": "SetMultiAssetMode", "multi_assets": True}], []),
        ([None], []),
        ("none", []),
    ],
    ids=["position mode", "order", "of which the stream tells", "nothing", "no list"],
)
async def test_the_whole_account_is_looked_at_after_its_position_mode_was_set(
    commands: Any, expected: list[str | None]
):
    record = {"kind": "decision", "at": "2026-11-29T10:00:00+00:00", "commands": commands}
    assert (await told(record)).expected == expected


async def heard(at: object) -> Attention:
    """The attention after a decision of ``at`` was heard."""
    return (await told({"kind": "decision", "at": at, "commands": [{"symbol": "BTCUSDT"}]})).attention


@pytest.mark.parametrize(
    ("commands", "verdicts", "on_their_way"),
    [
        (["PlaceOrder", "PlaceOrder"], ["ALLOW", "DENY"], ["S0"]),
        (["AmendOrder", "CancelOrder"], ["ALLOW", "ALLOW"], ["S0"]),
        (["PlaceOrder"], None, []),
        ([None], ["ALLOW"], []),
    ],
)
async def test_an_order_that_was_let_through_is_on_its_way(
    commands: list[str | None], verdicts: list[str] | None, on_their_way: list[str]
) -> None:
    record = {
        "kind": "decision",
        "at": datetime.now(UTC).isoformat(),
        "commands": [name and {"type": name, "symbol": f"S{place}"} for place, name in enumerate(commands)],
        "decisions": verdicts and [{"verdict": verdict} for verdict in verdicts],
    }
    assert (await told(record)).on_their_way == on_their_way


async def test_a_symbol_was_ordered_when_its_record_says_and_not_when_a_backlog_is_read():
    then = datetime.now(UTC) - timedelta(hours=23)
    attention = await heard(then.isoformat())
    assert attention.symbols(then.timestamp() + SEEN_S - 1, held=()) == ("BTCUSDT",)
    assert attention.symbols(then.timestamp() + SEEN_S + 1, held=()) == ()


@pytest.mark.parametrize(
    "at",
    [None, "yesterday", 5, (datetime.now(UTC) + timedelta(days=400)).isoformat()],
    ids=["none", "words", "number", "to come"],
)
async def test_a_record_without_a_moment_or_of_one_to_come_is_of_now(at: object):
    attention = await heard(at)
    assert attention.symbols(time.time() + SEEN_S - 5, held=()) == ("BTCUSDT",)
    assert attention.symbols(time.time() + SEEN_S + 5, held=()) == ()


class FullStore:
    """Takes no writes while it is full, as a store without memory."""

    def __init__(self) -> None:
        self.full = False
        self.scores: dict[str, float] = {}

    async def publish_scores(self, scores: Any, baselines: Any) -> None:
        if self.full:
            raise OutOfMemoryError("OOM command not allowed when used memory > 'maxmemory'")
        self.scores |= {level: score.value for level, score in scores.items()}

    async def publish_usual(self, usual: Any) -> None:
        """Nothing."""


def a_batch() -> list[Any]:
    """A quiet bot's: an order every twenty seconds, each refused."""
    rules = [MaxOrderValue(limit=Decimal(1))]
    return [
        a_record(
            a_buy("BTCUSDT", "1"),
            rules=rules,
            bot="demo-bot",
            decision_id=f"d{number}",
            at=NOW + timedelta(seconds=20 * number),
        )
        for number in range(6)
    ]


async def scored(times: int, store: FullStore) -> tuple[AnomalyWatch, Deaf]:
    """What is made of a batch that is told so often, because the archive does not take it."""
    deaf, watch = Deaf(), AnomalyWatch(cast("Any", store), lambda: [("demo-bot", "main")])
    hearing = Hearing(a_desk(deaf, watch))
    for _ in range(times):
        await hearing.hear([{**record, "account": "main"} for record in a_batch()])
    return watch, deaf


async def test_what_is_told_again_because_the_archive_is_full_is_held_against_nobody() -> None:
    once, _ = await scored(1, FullStore())
    often, deaf = await scored(60, FullStore())
    assert often.score("demo-bot") == once.score("demo-bot")
    assert len(deaf.expected) == len(a_batch())


async def test_a_store_that_takes_no_writes_keeps_no_record_from_the_archive_and_has_the_scores_later(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = FullStore()
    store.full = True
    once, _ = await scored(1, FullStore())
    watch, _ = await scored(60, store)
    assert watch.score("demo-bot") == once.score("demo-bot")
    assert "scores cannot be written to the store: OutOfMemoryError" in caplog.text
    store.full = False
    await watch.decay((NOW + timedelta(seconds=100)).timestamp())
    assert store.scores["bot:demo-bot"] == watch.score("demo-bot").value > 0


async def test_what_has_no_name_is_heard_every_time_and_no_more_are_remembered_than_come_again() -> None:
    deaf = Deaf()
    hearing = Hearing(a_desk(deaf, deaf))
    nameless = {"kind": "decision", "account": "main", "commands": [{"symbol": "BTCUSDT"}]}
    for _ in range(2):
        await hearing.hear([nameless])
    assert deaf.expected == ["BTCUSDT"] * 2
    for number in range(HEARD_MAX + 1):
        await hearing.hear([{**nameless, "id": str(number)}])
    await hearing.hear([{**nameless, "id": str(HEARD_MAX)}])
    assert len(deaf.expected) == 2 + HEARD_MAX + 1
    await hearing.hear([{**nameless, "id": "0"}])
    assert len(deaf.expected) == 2 + HEARD_MAX + 2


class Looked(dict[str, Any]):
    """A snapshot that knows which of its fields were looked at."""

    def __init__(self, content: dict[str, Any]) -> None:
        super().__init__(content)
        self.at: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.at.add(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self.at.add(name)
        return super().get(name, default)


def test_hearers_look_at_nothing_of_a_snapshot_but_what_is_told_ahead_of_the_archive() -> None:
    record = a_record(a_buy("BTCUSDT", "1"))
    record["snapshot"] = Looked(record["snapshot"])
    assert OrderStream().read(record) and judged_orders(record)
    assert record["snapshot"].at == Glimpse.__annotations__.keys()


def test_no_other_hearer_looks_at_a_snapshot() -> None:
    """Who does is to be named in the test above, and what he looks at in ``Glimpse``. The others read the archive."""
    readers = {
        str(path.relative_to(ROOT))
        for path in sorted((ROOT / "proxy").rglob("*.py"))
        if re.search(r"""\[["']snapshot["']\]|\.get\(["']snapshot["']""", path.read_text(encoding="utf-8"))
    }
    hearers = {"proxy/signals/order_stream.py", "proxy/ledger/books/judging.py"}
    offline = {"proxy/audit/pictures.py", "proxy/ledger/refusals.py", "proxy/commands/audit_pages.py"}
    assert readers == hearers | offline


@pytest.mark.parametrize(
    "content",
    [
        {"kind": "event", "id": "e", "detail": {"snapshot": {"holds": [1]}}},
        {"kind": "decision", "snapshot": "gone"},
        {"kind": "decision", "snapshot": None, "commands": [{"price": "1.10"}]},
        ["no record"],
        "text",
    ],
)
def test_what_has_no_snapshot_is_told_whole(content: Any) -> None:
    assert load_told(json.dumps(content)) == content


def test_what_is_told_ahead_is_the_record_but_for_most_of_its_snapshot() -> None:
    record = a_record(a_buy("BTCUSDT", "1"))
    told_ahead = load_told(json.dumps(record))
    picture = {name: each for name, each in record["snapshot"].items() if name in Glimpse.__annotations__}
    assert told_ahead == {**record, "snapshot": picture}
    assert len(picture) < len(record["snapshot"])


def test_what_is_no_json_is_told_to_nobody() -> None:
    for text in ("", "{", '{"snapshot": {"now": }}'):
        with pytest.raises(msgspec.DecodeError):
            load_told(text)
