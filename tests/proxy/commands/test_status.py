"""``perpguard status``: what keeps somebody from trading is said, and in the exit code."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from proxy.cli import main
from proxy.client import asking as control_client
from proxy.console.desk_views import ArchiveView, DeskView, FeedView
from proxy.console.examples import DESK
from tests.proxy.console.desk_double import a_bot, a_desk, an_account

FEED = FeedView(state="OFF", why="", age_s=None, adopted=None, gaps_healed=0)

Status = Callable[[DeskView], tuple[int, list[str]]]


@pytest.fixture
def status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Status:
    """The exit code and the hindrances that the command tells of a desk."""

    def call(desk: DeskView) -> tuple[int, list[str]]:
        told = json.loads(json.dumps(msgspec.to_builtins(desk, enc_hook=str)))
        monkeypatch.setattr(control_client, "ask", lambda *_: told)
        code = main(["--data-dir", str(tmp_path), "status", "--json"])
        answer = json.loads(capsys.readouterr().out)
        assert answer["trading"] is not bool(answer["hindrances"])
        return code, answer["hindrances"]

    return call


def a_trading_desk(*, prices_age_s: float | None = 1.0, **account: Any) -> DeskView:
    told = {"state": "ACTIVE", "kill_running": False, "known_age_s": 3.0, "feed": FEED} | account
    desk = a_desk(state="ACTIVE", store_ok=True, markets_age_s=prices_age_s, accounts=(an_account(**told),))
    return replace(desk, bots=(a_bot(state="ACTIVE", key_state="active", stopped_for=""),))


@pytest.mark.parametrize(("prices_age_s", "known_age_s"), [(1.0, 3.0), (10.0, 45.0), (-10.0, -45.0)])
def test_a_desk_that_trades_has_no_hindrance(status: Status, prices_age_s: float, known_age_s: float) -> None:
    assert status(a_trading_desk(prices_age_s=prices_age_s, known_age_s=known_age_s)) == (0, [])


@pytest.mark.parametrize(
    ("prices_age_s", "said"),
    [
        (10.6, "prices are 11 s old: entries are refused"),
        (900.0, "prices are 900 s old: entries are refused"),
        (-11.0, "prices are -11 s old: entries are refused"),
        (None, "no prices have been read yet: entries are refused"),
    ],
)
def test_prices_on_which_no_entry_passes_are_a_hindrance(status: Status, prices_age_s: float | None, said: str) -> None:
    assert status(a_trading_desk(prices_age_s=prices_age_s)) == (1, [said])


def test_a_desk_that_another_guard_has_is_said_first(status: Status) -> None:
    code, said = status(replace(a_trading_desk(prices_age_s=None, known_age_s=None), taken_by="there:/data"))
    assert code == 1
    assert said[0] == "this desk of the store is another guard's, at there:/data: entries are refused (DESK_TAKEN)"


@pytest.mark.parametrize(
    ("known_age_s", "said"),
    [
        (46.0, "account main was last known 46 s ago: entries are refused"),
        (900.0, "account main was last known 900 s ago: entries are refused"),
        (None, "account main has not been surveyed yet"),
    ],
)
def test_an_account_not_vouched_for_is_a_hindrance(status: Status, known_age_s: float | None, said: str) -> None:
    assert status(a_trading_desk(known_age_s=known_age_s)) == (1, [said])


def test_a_stale_feed_is_said_once(status: Status) -> None:
    feed = replace(FEED, state="STALE", why="closed")
    assert status(a_trading_desk(known_age_s=900.0, feed=feed)) == (1, ["the feed of account main is stale: closed"])


def test_a_desk_without_accounts_is_hindered_by_no_price(status: Status) -> None:
    assert status(replace(a_trading_desk(prices_age_s=None), accounts=(), bots=())) == (0, [])


@pytest.mark.parametrize(
    ("archive", "said"),
    [
        (ArchiveView(opened=False), "the audit's archive does not open: entries are refused: it is being opened"),
        (
            ArchiveView(opened=False, trouble="the seal is gone"),
            "the audit's archive does not open: entries are refused: the seal is gone",
        ),
        (
            ArchiveView(opened=True, trouble="the disk is full"),
            "the audit's archive takes no records, and when too many wait entries are refused: the disk is full",
        ),
    ],
)
def test_the_archive_is_named_before_what_it_keeps_from_being_read(
    status: Status, archive: ArchiveView, said: str
) -> None:
    code, hindrances = status(replace(a_trading_desk(prices_age_s=None, known_age_s=None), archive=archive))
    assert (code, hindrances[0]) == (1, said)


def test_a_warden_of_the_version_before_is_shown_for_what_it_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """After an upgrade, until the guard is restarted: who has the desk and which account was drilled are not told."""
    told = json.loads(json.dumps(msgspec.to_builtins(replace(DESK, accounts=(), bots=()), enc_hook=str)))
    del told["taken_by"], told["drill"]["account"]
    monkeypatch.setattr(control_client, "ask", lambda *_: told)
    assert main(["--data-dir", str(tmp_path), "status"]) == 0
    assert "days ago, passed" in capsys.readouterr().out


def test_conditional_orders_are_told_beside_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = a_trading_desk(open_orders=0, conditional_orders=2)
    monkeypatch.setattr(
        control_client, "ask", lambda *_: json.loads(json.dumps(msgspec.to_builtins(desk, enc_hook=str)))
    )
    assert main(["--data-dir", str(tmp_path), "status"]) == 0
    assert " 0 orders and 2 conditional, " in capsys.readouterr().out


def test_an_account_that_somebody_trades_past_the_guard_is_a_hindrance(status: Status) -> None:
    said = "account main is traded past the guard after a stop: somebody else has a key to it"
    assert status(a_trading_desk(external_trader=True)) == (1, [said])
