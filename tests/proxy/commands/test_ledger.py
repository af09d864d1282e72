"""`perpguard ledger counterfactual` as one types it, on archives the real engine decided and marks as they are kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from proxy.audit.place import archive_place
from proxy.cli import main
from proxy.ledger.marks import Funding, MarkBook, marks_path
from proxy.ledger.refusals import INTENTS_MAX, Refusals
from proxy.policy.reading import parse_policy
from rules.snapshot import Market, Snapshot
from tests.proxy.audit.conftest import POLICY, START, Desk

MINUTE = timedelta(minutes=1)
VENUE = "binanceusdm"
EIGHT_HOURS = timedelta(hours=8)

Run = Callable[..., tuple[int, Any, str]]


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def run(tmp_path: Path, desk: Desk, capsys: pytest.CaptureFixture[str]) -> Run:
    """Asks of ``records`` and of a mark a minute, which begins at ``START`` and whose last price stands."""

    def command(*arguments: str, records: list[Any], marks: Sequence[float] = (60_000,)) -> tuple[int, Any, str]:
        desk.write(archive_place(tmp_path), [*desk.documents(), *records])
        keep_marks(tmp_path, marks)
        code = main(["--data-dir", str(tmp_path), "ledger", "counterfactual", *arguments])
        said = capsys.readouterr()
        return code, json.loads(said.out) if "--json" in arguments and said.out else said.out, said.err

    return command


def keep_marks(data_dir: Path, prices: Sequence[float], rate: str = "0.0001") -> None:
    book = MarkBook.open(marks_path(data_dir))
    for place in range(500):
        price = Decimal(str(prices[min(place, len(prices) - 1)]))
        book.keep_marks(VENUE, [Market(symbol="BTCUSDT", mark_price=price, as_of=START + place * MINUTE)])
    book.keep_fundings(VENUE, "BTCUSDT", [Funding(START + EIGHT_HOURS, Decimal(rate))])
    book.close()


def rising() -> list[float]:
    """60000 at the decision, 61000 five minutes and 62000 an hour later."""
    return [60_000, *[61_000] * 9, *[62_000] * 100]


def test_a_rule_that_kept_a_bot_from_a_rise_has_cost_and_the_fee_is_taken(run: Run, desk: Desk) -> None:
    code, report, _ = run("--json", records=[desk.decision(1, "3", "beta")], marks=rising())
    fee = Decimal("0.0005") * 3 * 60_000
    found = report["refused"]["max_order_value"]
    assert code == 0
    assert (found["intents"], found["times"]) == (1, 1)
    assert Decimal(found["horizons"]["5m"]["result"]) == 3_000 - fee
    assert Decimal(found["horizons"]["1h"]["result"]) == 6_000 - fee
    # The long pays 0.01 % of 3 BTC at 62000.
    assert Decimal(found["horizons"]["funding"]["result"]) == 6_000 - fee - Decimal("18.6")
    assert report["fees"] == {"taker": "0.0005", "maker": "0.0002"}


def test_the_fees_are_the_readers_to_assume(run: Run, desk: Desk) -> None:
    report = run("--json", "--taker-fee", "0", records=[desk.decision(1, "3")], marks=rising())[1]
    assert Decimal(report["total"]["horizons"]["5m"]["result"]) == 3_000


def test_people_read_saved_and_cost(run: Run, desk: Desk) -> None:
    records = [desk.decision(1, "3", "beta"), desk.decision(2, "4", "beta")]
    code, out, _ = run(records=records, marks=rising())
    assert code == 0
    assert "cost 6790.00 (2 filled)" in out
    assert "nobody knows what the bot would have done next" in out


def test_a_fall_is_saved(run: Run, desk: Desk) -> None:
    out = run(records=[desk.decision(1, "3", "beta")], marks=[60_000, 59_000])[1]
    assert "saved 3090.00 (1 filled)" in out


def test_every_order_is_under_the_rule_its_bot_was_told_and_the_rows_add_up(run: Run, desk: Desk) -> None:
    desk.policy = parse_policy(POLICY + '[bot.beta.order_types]\nenforcement = "enforce"\ntypes = ["LIMIT"]\n')
    # Both rules object to the second; the first of them has it.
    records = [desk.decision(1, "3", "alpha"), desk.decision(2, "3", "beta"), desk.decision(3, "1", "beta")]
    report = run("--json", records=records, marks=rising())[1]
    assert {rule: each["intents"] for rule, each in report["refused"].items()} == {
        "max_order_value": 1,
        "order_types": 2,
    }
    for horizon in ("5m", "1h", "funding"):
        parts = sum(Decimal(each["horizons"][horizon]["result"]) for each in report["refused"].values())
        assert parts == Decimal(report["total"]["horizons"][horizon]["result"])
    report = run("--json", "--rule", "order_types", records=[], marks=rising())[1]
    assert list(report["refused"]) == ["order_types"]


def test_a_rule_in_report_mode_is_counted_apart(run: Run, desk: Desk) -> None:
    desk.policy = parse_policy(POLICY.replace('"enforce"', '"report"'))
    report = run("--json", records=[desk.decision(1, "3"), desk.decision(2, "3")], marks=rising())[1]
    assert report["refused"] == {}
    assert report["total"]["intents"] == 0
    # Each was sent, so each counts: these are no retries.
    assert report["reported"]["max_order_value"]["intents"] == 2
    out = run(records=[], marks=rising())[1]
    assert "reported by; enforced, it would have" in out


def test_a_window_and_a_bot_are_asked_for(run: Run, desk: Desk) -> None:
    records = [desk.decision(1, "3", "alpha"), desk.decision(200, "4", "beta")]
    for arguments, intents in (
        ((), 2),
        (("--since", "2026-11-24T09:01"), 1),
        (("--until", "2026-11-24T09:01"), 1),
        (("--bot", "beta"), 1),
        (("--since", "1s"), 0),
    ):
        assert run("--json", *arguments, records=records)[1]["total"]["intents"] == intents
        records = []  # They are in the archive now.
    assert "nothing was refused or reported" in run("--since", "1s", records=[])[1]


# What is not known


def test_what_is_not_known_is_said_and_counts_for_nothing(run: Run, desk: Desk) -> None:
    late = desk.decision(1, "3") | {"at": "2026-11-24T20:00:00Z"}
    report = run("--json", records=[late])[1]
    found = report["total"]["horizons"]
    assert found["5m"] == {"result": "0", "filled": 0, "not_filled": 0, "unknown": 1, "not_yet": 0}
    assert report["unknown"] == {"the mark at the horizon is not known": 2, "no funding time is known": 1}
    assert "- (1 unknown)" in run(records=[])[1]


def test_an_order_judged_without_a_mark_is_taken_at_the_one_that_was_kept(run: Run, desk: Desk) -> None:
    record = desk.decision(1, "3")
    record["snapshot"]["markets"] = {}
    report = run("--json", "--taker-fee", "0", records=[record], marks=rising())[1]
    assert Decimal(report["total"]["horizons"]["5m"]["result"]) == 3_000


def test_a_horizon_still_to_come_is_not_yet(run: Run, desk: Desk) -> None:
    tomorrow = datetime.now(START.tzinfo) + timedelta(days=1)
    record = desk.decision(1, "3") | {"at": tomorrow.isoformat()}
    found = run("--json", records=[record])[1]["total"]["horizons"]
    assert (found["5m"]["not_yet"], found["1h"]["not_yet"]) == (1, 1)


def announcing(desk: Desk, at: datetime) -> None:
    """Snapshots whose market announces its next funding."""
    plain_picture = desk.snapshot

    def snapshot(now: datetime, bot: str) -> Snapshot:
        picture = plain_picture(now, bot)
        markets = {name: replace(each, next_funding_at=at) for name, each in picture.markets.items()}
        return replace(picture, markets=markets)

    desk.snapshot = snapshot  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("announced", "listed", "known"),
    [
        (EIGHT_HOURS, True, "filled"),
        (EIGHT_HOURS - timedelta(seconds=119), True, "filled"),  # The venue's list may put it a little later.
        (EIGHT_HOURS - timedelta(hours=4), False, "unknown"),  # That stamp is not in the list: its rate is not known.
        (timedelta(hours=26), True, "filled"),  # No interval is that long: the first one listed since.
        (-MINUTE, True, "filled"),  # An announcement that had passed: the first one listed since.
    ],
)
def test_the_stamp_is_the_one_announced_then(
    run: Run, desk: Desk, announced: timedelta, listed: bool, known: str
) -> None:
    announcing(desk, START + announced)
    report = run("--json", records=[desk.decision(1, "3")])[1]
    assert report["total"]["horizons"]["funding"][known] == 1
    assert ("the funding rate is not known" in report["unknown"]) is not listed


# Repeats


def test_a_bot_that_retries_means_one_order(run: Run, desk: Desk) -> None:
    records = [desk.decision(60 * number, "3", client_id=f"c{number}") for number in range(1, 101)]
    report = run("--json", records=records)[1]
    assert (report["total"]["intents"], report["total"]["times"]) == (1, 100)


def test_the_same_order_after_more_than_a_minute_is_another(run: Run, desk: Desk) -> None:
    report = run("--json", records=[desk.decision(1, "3"), desk.decision(62, "3")])[1]
    assert (report["total"]["intents"], report["total"]["times"]) == (2, 2)


def test_another_size_bot_or_price_is_another_intent(run: Run, desk: Desk) -> None:
    records = [desk.decision(1, "3"), desk.decision(2, "3", "beta"), desk.decision(3, "4"), desk.decision(4, "3.0")]
    report = run("--json", records=records)[1]
    assert (report["total"]["intents"], report["total"]["times"]) == (3, 4)


def test_an_order_sent_after_all_was_only_late(run: Run, desk: Desk) -> None:
    refused = [desk.decision(number, "3") for number in (1, 2)]
    desk.policy = parse_policy(POLICY.replace("100000", "1000000"))
    report = run("--json", records=[*refused, desk.decision(30, "3")])[1]
    assert report["total"]["intents"] == 0
    assert report["left_out"] == {"sent after all within a minute": 2}
    assert run("--json", "--rule", "max_leverage", records=[])[1]["left_out"] == {}


def test_intents_that_wait_for_their_repeats_are_bounded(desk: Desk) -> None:
    refusals, record = Refusals(), desk.decision(1, "3")
    records = (record | {"bot": f"bot-{number}"} for number in range(INTENTS_MAX + 5))
    given = refusals.read(records)
    assert next(given).bot == "bot-0"  # Before the source has ended.
    assert sum(1 for _ in given) == INTENTS_MAX + 4


TRIMMED = (
    POLICY
    + """
[bot.alpha.resize]
mode = "trim"

[bot.alpha.max_order_value]
enforcement = "report"
limit = 50000
"""
)


def test_an_order_sent_smaller_after_all_was_only_late_too(run: Run, desk: Desk) -> None:
    refused = desk.decision(1, "3")
    desk.policy = parse_policy(TRIMMED)
    report = run("--json", records=[refused, desk.decision(11, "3")])[1]
    assert report["left_out"] == {"sent after all within a minute": 1}
    assert (report["total"]["intents"], report["total"]["times"]) == (1, 1), "what was cut off alone"


# What was cut off, withheld or amended


def test_what_was_cut_off_an_order_counts_under_what_cut_it_off(run: Run, desk: Desk) -> None:
    desk.policy = parse_policy(POLICY + '[bot.alpha.resize]\nmode = "trim"\n')
    report = run("--json", "--taker-fee", "0", records=[desk.decision(1, "3")], marks=rising())[1]
    found = report["refused"]["max_order_value"]["horizons"]["5m"]
    assert Decimal(found["result"]) == (3 - Decimal("1.666")) * 1_000


def test_a_report_is_of_what_was_sent_and_not_of_what_was_cut_off_it(run: Run, desk: Desk) -> None:
    desk.policy = parse_policy(TRIMMED)
    report = run("--json", "--taker-fee", "0", records=[desk.decision(1, "3")], marks=rising())[1]
    results = {
        kind: {rule: Decimal(each["horizons"]["5m"]["result"]) for rule, each in report[kind].items()}
        for kind in ("refused", "reported")
    }
    assert results["refused"] == {"max_order_value": (3 - Decimal("1.666")) * 1_000}
    assert results["reported"] == {"max_order_value": Decimal("1.666") * 1_000}


def test_what_the_guard_withheld_counts_under_its_reason(run: Run, desk: Desk) -> None:
    record = desk.decision(1) | {"withheld": {"0": {"rule_id": "hold", "code": "NOT_RESERVED", "message": "x"}}}
    assert list(run("--json", records=[record])[1]["refused"]) == ["hold"]


def test_refused_amends_are_counted_and_not_valued(run: Run, desk: Desk) -> None:
    record = desk.decision(1, "3")
    record["commands"][0] = {"type": "AmendOrder", "symbol": "BTCUSDT", "side": "BUY", "quantity": "3", "price": "1"}
    report = run("--json", records=[record])[1]
    assert report["left_out"] == {"amends: what they would have changed is not followed": 1}
    assert report["total"]["intents"] == 0
    assert run("--json", "--rule", "max_leverage", records=[])[1]["left_out"] == {}
    assert run("--json", "--rule", "max_order_value", records=[])[1]["left_out"] == report["left_out"]


def test_passed_orders_exits_and_cancels_are_none_of_it(run: Run, desk: Desk) -> None:
    exit_ = desk.decision(2, "3")
    exit_["decisions"][0]["intent"] = "EXIT"
    assert run("--json", records=[desk.decision(1), exit_])[1]["total"]["intents"] == 0


def test_a_record_nobody_can_read_is_counted(run: Run, desk: Desk) -> None:
    record = desk.decision(1, "3")
    record["commands"][0] = {"type": "NoSuchCommand"}
    assert run("--json", records=[record])[1]["left_out"] == {"records that cannot be read back": 1}


def test_a_refusal_without_a_reason_is_no_record_to_go_by(run: Run, desk: Desk) -> None:
    record = desk.decision(1, "3")
    record["decisions"][0]["breaches"] = []
    assert run("--json", records=[record])[1]["left_out"] == {"records that cannot be read back": 1}


# One decision


def test_the_story_of_one_decision_says_what_its_order_would_have_made(
    run: Run, desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(records=[desk.decision(1, "3"), desk.decision(2, "1")], marks=rising())
    assert main(["--data-dir", str(tmp_path), "audit", "show", "d-1"]) == 0
    out = capsys.readouterr().out
    assert "BUY 3 BTCUSDT MARKET: made 2910.00" in out
    assert "at the next funding" in out
    assert main(["--data-dir", str(tmp_path), "audit", "show", "d-1", "--json"]) == 0
    (supposed,) = json.loads(capsys.readouterr().out)["counterfactual"]
    assert supposed["rule"] == "max_order_value"
    assert Decimal(supposed["outcomes"]["5m"]["result"]) == 2910
    main(["--data-dir", str(tmp_path), "audit", "show", "d-2"])
    assert "had it been sent" not in capsys.readouterr().out


def test_a_story_is_told_when_the_marks_cannot_be_read(
    run: Run, desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(records=[desk.decision(1, "3")])
    marks_path(tmp_path).write_bytes(b"no database")
    assert main(["--data-dir", str(tmp_path), "audit", "show", "d-1"]) == 0
    said = capsys.readouterr()
    assert "decided" in said.out
    assert "what refused orders would have come to is not known" in said.err


# Questions that cannot be asked


@pytest.mark.parametrize(
    "arguments",
    [
        ("--since", "soon"),
        ("--until", "soon"),
        ("--taker-fee", "nan"),
        ("--taker-fee", "free"),
        ("--maker-fee", "0.11"),
        ("--maker-fee=-0.11",),
    ],
)
def test_a_question_that_makes_no_sense_exits_with_two(run: Run, arguments: tuple[str, ...]) -> None:
    code, _, err = run(*arguments, records=[])
    assert code == 2
    assert err.startswith("perpguard ledger counterfactual: --")


def test_without_archive_or_marks_nothing_is_guessed(
    tmp_path: Path, desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    ask = ["--data-dir", str(tmp_path), "ledger", "counterfactual"]
    assert main(ask) == 2
    assert "there are no mark prices at" in capsys.readouterr().err
    keep_marks(tmp_path, [1])
    assert main(ask) == 2
    assert "there is no archive at" in capsys.readouterr().err
    desk.write(archive_place(tmp_path), [desk.decision(1, "3")])
    marks_path(tmp_path).write_bytes(b"no database")
    assert main(ask) == 2
    assert "marks.db" in capsys.readouterr().err
