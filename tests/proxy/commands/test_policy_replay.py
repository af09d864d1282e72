"""`perpguard policy replay` as one types it, on archives of decisions that the real engine made."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from proxy.audit.place import archive_place
from proxy.cli import main
from proxy.policy.reading import parse_policy
from tests.proxy.audit.conftest import POLICY, Desk

NOTHING = '[policy]\nname = "new"\nowner = "risk@example.org"\n'
RATE = '[desk.message_rate]\nenforcement = "enforce"\nper_second = 5\nburst = 20\n'

Run = Callable[..., tuple[int, Any, str]]


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def run(tmp_path: Path, desk: Desk, capsys: pytest.CaptureFixture[str]) -> Run:
    """Replays under a policy; ``records`` go into the archive first. The exit code, the answer and the complaints."""

    def command(policy: str, *arguments: str, records: list[Any] | None = None) -> tuple[int, Any, str]:
        archive = archive_place(tmp_path)
        if not archive.database.exists():
            desk.write(archive, desk.day() if records is None else records)
        (tmp_path / "new.toml").write_text(policy)
        code = main(["--data-dir", str(tmp_path), "policy", "replay", str(tmp_path / "new.toml"), *arguments])
        said = capsys.readouterr()
        return code, json.loads(said.out) if "--json" in arguments and said.out else said.out, said.err

    return command


def limited_to(value: int, enforcement: str = "enforce") -> str:
    return NOTHING + f'[desk.max_order_value]\nenforcement = "{enforcement}"\nlimit = {value}\n'


def under(desk: Desk, text: str, *records: dict[str, Any]) -> list[dict[str, Any]]:
    """Records as if ``text`` had been the policy in force; they must be decided so by the caller's own choice."""
    version = parse_policy(text).version
    document = desk.document(f"policy:{version}", version, {"text": text})
    decided = [record | {"policy_version": version} for record in records]
    return [*desk.documents(), document, *decided]


def test_a_policy_that_changes_nothing_flips_nothing(run: Run) -> None:
    code, report, _ = run(POLICY + "# in other words", "--json")
    assert (code, report["same"], report["decisions"], report["replayed"]) == (0, True, 8, 8)
    assert (report["changes"], report["flips"]) == ([], [])
    assert "had one been refused, or let pass, later positions would differ" in report["not_known"]


def test_a_tighter_policy_refuses_what_passed_and_says_what_that_was_worth(run: Run) -> None:
    code, report, _ = run(limited_to(50_000), "--json")
    four = {"orders": 4, "notional": "240000", "unvalued": 0}  # 1 BTC at 60000, four times.
    assert code == 1
    assert report["changes"] == [{"change": "refused"} | four]
    because = {"change": "refused", "rule": "max_order_value", "code": "ORDER_VALUE_ABOVE_LIMIT"}
    assert report["by_rule"] == [because | four]
    assert report["by_bot"] == [{"change": "refused", "bot": "alpha"} | four]
    assert report["by_symbol"] == [{"change": "refused", "symbol": "BTCUSDT"} | four]
    first = report["flips"][0]
    assert (first["id"], first["bot"], first["notional"]) == ("d-2", "alpha", "60000")
    assert first["command"] == "BUY 1 BTCUSDT MARKET"


def test_a_looser_policy_lets_pass_what_was_refused_and_names_the_rule_that_had_refused_it(run: Run) -> None:
    code, report, _ = run(limited_to(200_000), "--json")
    assert code == 1
    assert report["by_rule"] == [
        {
            "change": "allowed",
            "rule": "max_order_value",
            "code": "ORDER_VALUE_ABOVE_LIMIT",
            "orders": 4,
            "notional": "720000",
            "unvalued": 0,
        }
    ]
    assert report["flips"][0]["bot"] == "beta"


def test_people_read_the_same(run: Run) -> None:
    code, out, _ = run(limited_to(50_000))
    assert code == 1
    assert "allowed then, refused now: 4 orders, notional 240000.00" in out
    assert "refused then, allowed now: none" in out
    assert "8 decisions: 8 replayed, 0 without a rule that might refuse them, 0 not replayed" in out
    assert out.count("BUY 1 BTCUSDT MARKET") == 4
    assert "not known: each order is judged on the state that really was" in out


def test_a_rule_in_report_mode_flips_nothing_and_is_counted_apart(run: Run) -> None:
    code, report, _ = run(
        POLICY.replace("100000", "100000\n[bot.alpha.max_order_value]\nenforcement = 'report'\nlimit = 9"), "--json"
    )
    assert (code, report["changes"]) == (0, [])
    assert report["reported"] == [
        {"rule": "max_order_value", "code": "ORDER_VALUE_ABOVE_LIMIT", "orders": 4, "notional": "240000", "unvalued": 0}
    ]


def test_entries_that_would_be_sized_down_are_told_with_what_is_added(run: Run) -> None:
    code, report, _ = run(POLICY + '[bot.beta.resize]\nmode = "trim"\n', "--json")
    assert code == 1
    assert report["changes"] == [
        {"change": "allowed", "orders": 4, "notional": str(4 * Decimal("1.666") * 60000), "unvalued": 0}
    ]


def test_an_order_sent_at_another_size_is_no_other_verdict(run: Run, desk: Desk) -> None:
    trimming = POLICY + '[bot.beta.resize]\nmode = "trim"\n'
    desk.policy = parse_policy(trimming)
    records = under(desk, trimming, desk.decision(1, "3", "beta"))
    code, report, _ = run(trimming.replace("100000", "60000"), "--json", records=records)
    assert code == 1
    assert report["changes"] == [
        {"change": "resized", "orders": 1, "notional": str(Decimal("-0.666") * 60000), "unvalued": 0}
    ]
    assert report["flips"][0]["code"] == "ORDER_VALUE_ABOVE_LIMIT"


@pytest.mark.parametrize(
    ("arguments", "decisions"),
    [
        (("--since", "2026-11-24T09:00:05"), 4),
        (("--until", "2026-11-24T09:00:05"), 4),
        (("--since", "2026-11-24T09:00:03", "--until", "2026-11-24T09:00:05"), 2),
        (("--bot", "alpha"), 4),
        (("--bot", "alpha", "--since", "2026-11-24T09:00:05"), 2),
        (("--bot", "nobody"), 0),
        (("--since", "1s"), 0),
    ],
)
def test_a_window_is_replayed(run: Run, arguments: tuple[str, ...], decisions: int) -> None:
    assert run(POLICY, "--json", *arguments)[1]["decisions"] == decisions


def test_the_list_is_bounded_and_the_sums_are_whole(run: Run) -> None:
    report = run(limited_to(50_000), "--json", "--limit", "1")[1]
    assert (len(report["flips"]), report["changes"][0]["orders"]) == (1, 4)


# What cannot be replayed


@pytest.mark.parametrize(
    ("missing", "reason"),
    [(1, "its account document is not in the archive"), (2, "its instruments document is not in the archive")],
)
def test_a_decision_without_its_documents_is_said_not_to_be_replayed(
    run: Run, desk: Desk, missing: int, reason: str
) -> None:
    documents = desk.documents()
    del documents[missing]
    code, report, _ = run(POLICY, "--json", records=[*documents, desk.decision(1)])
    assert (code, report["same"], report["decisions"], report["replayed"]) == (1, False, 1, 0)
    assert report["not_replayed"] == {reason: 1}


def test_a_record_nobody_can_read_is_counted(run: Run, desk: Desk) -> None:
    record = desk.decision(1)
    record["snapshot"] = record["snapshot"] | {"markets": 5}
    report = run(POLICY, "--json", records=[*desk.documents(), record])[1]
    assert report["not_replayed"] == {"the record cannot be read back (ValidationError)": 1}


def test_the_policy_of_that_time_is_needed_only_by_rules_that_ask_what_it_recorded(run: Run, desk: Desk) -> None:
    records = [*desk.documents()[1:], desk.decision(1)]
    assert run(POLICY, "--json", records=records)[1]["replayed"] == 1
    report = run(POLICY + RATE, "--json")[1]
    assert (report["replayed"], report["in_part"]) == (0, 1)


def test_a_bucket_that_was_not_kept_leaves_passes_in_doubt_and_refusals_certain(run: Run) -> None:
    code, report, _ = run(limited_to(100_000) + RATE, "--json")
    assert (code, report["same"], report["replayed"], report["in_part"]) == (1, False, 4, 4)
    assert report["left_out"] == [
        {"rule": "message_rate (desk)", "reason": "no bucket of this rate was kept then", "passes": 4}
    ]
    report = run(limited_to(200_000) + RATE, "--json")[1]
    assert all(flip["in_part"] for flip in report["flips"])
    assert (report["in_part"], len(report["flips"])) == (8, 4)


def test_a_bucket_of_the_same_rate_is_judged_whatever_its_enforcement_is(run: Run, desk: Desk) -> None:
    then = POLICY + RATE
    dry = desk.decision(2)
    dry["snapshot"]["tokens"] = {"message_rate@desk": "0"}
    records = under(desk, then, dry)
    report = run(then, "--json", records=records)[1]
    assert (report["in_part"], report["changes"][0]["change"]) == (0, "refused")
    assert report["by_rule"][0]["rule"] == "message_rate"
    report = run(POLICY + RATE.replace('"enforce"', '"report"'), "--json")[1]
    assert (report["in_part"], report["changes"], report["reported"][0]["rule"]) == (0, [], "message_rate")
    report = run(POLICY + RATE.replace("20", "21"), "--json")[1]
    assert (report["in_part"], report["changes"]) == (1, [])


def test_a_rule_left_out_in_report_mode_puts_no_pass_in_doubt(run: Run) -> None:
    code, report, _ = run(POLICY + RATE.replace('"enforce"', '"report"'), "--json")
    assert (code, report["same"], report["in_part"], report["left_out"][0]["passes"]) == (0, True, 0, 4)


def test_a_rule_left_out_of_another_bots_orders_puts_nothing_in_doubt(run: Run) -> None:
    report = run(POLICY + RATE.replace("[desk.", "[bot.nobody."), "--json")[1]
    assert (report["same"], report["left_out"]) == (True, [])
    report = run(POLICY + RATE.replace("[desk.", "[symbol.BTCUSDT."), "--json")[1]
    assert report["in_part"] == 4
    report = run(POLICY + RATE.replace("[desk.", "[account.main."), "--json")[1]
    assert report["in_part"] == 4


def duplicates(window_s: int) -> str:
    return f'[desk.duplicate_order]\nenforcement = "enforce"\nwindow_s = {window_s}\n'


def test_a_rule_that_looks_further_back_than_was_recorded_is_left_out(run: Run, desk: Desk) -> None:
    then = POLICY + duplicates(10)
    records = under(desk, then, desk.decision(2))
    assert run(POLICY + duplicates(10), "--json", records=records)[1]["replayed"] == 1
    report = run(POLICY + duplicates(11), "--json")[1]
    assert (report["replayed"], report["in_part"]) == (0, 1)
    assert report["left_out"][0]["reason"] == "looks 12 s back at the bot's attempts, 11 s were recorded"


def test_facts_that_a_guard_of_that_time_did_not_record_refuse_nothing(run: Run, desk: Desk) -> None:
    record = desk.decision(2)
    for fact in ("conditions", "record", "scores", "attempts"):
        del record["snapshot"][fact]
    new = POLICY + '[desk.daily_loss]\nenforcement = "enforce"\nlimit_equity = 0.05\n'
    code, report, _ = run(new, "--json", records=[*desk.documents(), record])
    assert (code, report["changes"], report["in_part"]) == (1, [], 1)
    assert report["left_out"] == [
        {"rule": "daily_loss (desk)", "reason": "needs facts that were not recorded then", "passes": 1}
    ]


def test_facts_that_the_guard_did_not_know_then_refuse_as_they_would_have(run: Run, desk: Desk) -> None:
    new = POLICY + '[desk.daily_loss]\nenforcement = "enforce"\nlimit_equity = 0.05\n'
    report = run(new, "--json", records=[*desk.documents(), desk.decision(2)])[1]
    assert report["by_rule"][0]["code"] == "FACTS_UNKNOWN"
    assert report["in_part"] == 0


def test_what_the_guard_could_not_send_is_sent_under_no_policy(run: Run, desk: Desk) -> None:
    record = desk.decision(2) | {"withheld": {"0": {"rule_id": "hold", "code": "NOT_RESERVED", "message": "x"}}}
    code, report, _ = run(limited_to(50_000), "--json", records=[*desk.documents(), record])
    assert (code, report["changes"], report["replayed"]) == (0, [], 1)


def test_an_order_without_a_price_or_a_mark_has_no_known_value(run: Run, desk: Desk) -> None:
    desk.snapshot = lambda now, bot: replace(Desk().snapshot(now, bot), markets={})  # type: ignore[method-assign]
    records = [*desk.documents(), desk.decision(2)]
    record = records[-1]["decisions"][0]
    assert record["verdict"] == "DENY"  # Fresh prices are needed by a gate: make it one that passed.
    record |= {"verdict": "ALLOW", "breaches": []}
    report = run(POLICY, "--json", records=records)[1]
    assert report["changes"] == [{"change": "refused", "orders": 1, "notional": "0", "unvalued": 1}]


# Questions that make no sense


@pytest.mark.parametrize(
    ("policy", "arguments", "complaint"),
    [
        (POLICY, ("--since", "soon"), "perpguard policy replay: --since 'soon' is neither"),
        (POLICY, ("--until", "soon"), "perpguard policy replay: --until 'soon' is neither"),
        (POLICY, ("--limit", "-1"), "perpguard policy replay: --limit is between 0 and"),
        ("", (), "new.toml"),
    ],
)
def test_a_question_that_cannot_be_asked_exits_with_two(
    run: Run, policy: str, arguments: tuple[str, ...], complaint: str
) -> None:
    code, _, err = run(policy, *arguments)
    assert code == 2
    assert complaint in err


def test_no_archive_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "new.toml").write_text(POLICY)
    assert main(["--data-dir", str(tmp_path), "policy", "replay", str(tmp_path / "new.toml")]) == 2
    assert "there is no archive at" in capsys.readouterr().err


def test_what_bots_named_things_steers_no_terminal(run: Run, desk: Desk) -> None:
    evil = "\x1b[2J[bold red]x[/]\r\n\u202e"
    record = desk.decision(2, bot=evil)
    _, out, _ = run(limited_to(50_000), records=[*desk.documents(), record])
    assert "[bold red]" in out
    assert not [each for each in out if each != "\n" and not each.isprintable()]
