"""The command line's voice: what a venue, a bot or a file named never drives the terminal of whoever reads it."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import msgspec
import pytest

from proxy.cli import _parser, main
from proxy.client.token import control_token
from proxy.commands import kill as kill_commands
from proxy.commands import signed_command as signing
from proxy.commands.arguments import Arguments
from proxy.commands.exit_codes import NOT_STARTED, USAGE_ERROR
from proxy.commands.kill_told import Telling
from proxy.console.examples import DESK
from proxy.drill.shelf import AccountDrill, DrillReport, keep_drill
from proxy.settings import Settings
from proxy.terminal import complain, remark, safe, say, show_json
from proxy.vault.keys import Secret
from proxy.vault.opening import vault_path
from proxy.vault.vault import Vault

ESCAPE, SPELLED = "\x1b[2J\x9b", r"\x1b[2J\x9b"
RAW = {"\x1b", "\x9b"}


def test_safe_text_spells_out_what_a_terminal_obeys() -> None:
    assert safe("a\x1b[31m\r\n\x9b\u2028\u202eb\u200b") == r"a\x1b[31m\r\n\x9b\u2028\u202eb\u200b"
    assert safe("Zürich 東京") == "Zürich 東京"
    assert len(safe("x" * 10_000)) < 500


def test_a_line_is_one_line_and_whole(capsys: pytest.CaptureFixture[str]) -> None:
    say("a\x1b[2J\nb", "x" * 10_000)
    assert capsys.readouterr() == (f"a\\x1b[2J\\nb\n{'x' * 10_000}\n", "")


def test_what_is_wrong_goes_to_standard_error_with_the_command_s_name(capsys: pytest.CaptureFixture[str]) -> None:
    complain("status", "no\x1bsuch", "nor this\x9b")
    remark("by the way\r")
    assert capsys.readouterr() == ("", "perpguard status: no\\x1bsuch\nnor this\\x9b\nby the way\\r\n")


def test_json_comes_back_as_it_was_and_drives_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    told = {"bot": "Zürich \x1b\x7f\x9b\u2028"}
    show_json(told)
    shown = capsys.readouterr().out
    assert json.loads(shown) == told and shown.rstrip("\n").isascii() and shown.rstrip("\n").isprintable()


def test_a_command_can_be_given_other_places_to_speak_to(capsys: pytest.CaptureFixture[str]) -> None:
    place = io.StringIO()
    say("a\x1b", to=place)
    remark("b\x1b", to=place)
    show_json({"c": 1}, to=place)
    assert (place.getvalue(), capsys.readouterr()) == ('a\\x1b\nb\\x1b\n{"c": 1}\n', ("", ""))


def command(data_dir: Path, *words: str) -> int:
    return main(["--data-dir", str(data_dir), *words])


def nothing_raw(capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """What was printed, which a terminal takes as letters alone."""
    out, err = capsys.readouterr()
    assert not RAW & {*out, *err}
    return out, err


@contextmanager
def warden(data_dir: Path, monkeypatch: pytest.MonkeyPatch, status: int, answer: Any) -> Iterator[None]:
    """A control door that answers every request alike."""

    class Door(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815 - the library's name

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    server = HTTPServer(("127.0.0.1", 0), Door)
    monkeypatch.setenv("PERPGUARD_CONTROL_PORT", str(server.server_port))
    control_token(Settings(data_dir=data_dir))
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


ASKING = (
    ("status", 2),
    ("leases", 1),
    ("reduce --by Ann --reason drill", 1),
    ("signals", 1),
    ("rearm --status", 1),
    ("rearm --scope desk --name Ann --reason drill --typed desk", 1),
    ("override list", 1),
    ("override withdraw x --name Ann", 1),
    ("alerts list", 1),
    ("alerts acknowledge x --name Ann", 1),
    ("alerts channels test --name Ann", 1),
    ("policy pending", 1),
    ("policy approve 0123456789abcdef --name Ann --reason drill", 1),
)


@pytest.mark.parametrize(("words", "code"), ASKING, ids=[words for words, _ in ASKING])
def test_a_refusal_is_spelled_out(
    words: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with warden(tmp_path, monkeypatch, 409, {"detail": f"no {ESCAPE}such"}):
        assert command(tmp_path, *words.split()) == code
    out, err = nothing_raw(capsys)
    assert (out, f"no {SPELLED}such" in err) == ("", True)


def test_where_no_bot_holds_a_lease_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with warden(tmp_path, monkeypatch, 200, {"leases": ()}):
        assert command(tmp_path, "leases") == 0
    assert capsys.readouterr().out == "no bot holds a lease\n"


LEASE = {"bot": ESCAPE, "account": "main", "ttl_s": 30.0, "left_s": 10.0, "step": ""}
SCOPE = {"scope": ESCAPE, "stage": "STOPPED", "by": "", "checks": (), "held_back": ()}
ALERT = {
    "id": "x",
    "severity": "WARNING",
    "raised_at": "x",
    "count": 1,
    "acknowledged_by": "",
    "closed_at": "",
    "title": ESCAPE,
}
OVERRIDE = dict.fromkeys(("id", "state", "until", "side", "quantity_max", "symbol", "bot", "rule", "ticket"), ESCAPE)
OVERRIDE |= dict.fromkeys(("requested_by", "approved_by", "reason"), ESCAPE)
PROPOSAL = {
    "policy_version": "x",
    "policy_name": ESCAPE,
    "by": "Ann",
    "reason": "",
    "due": "",
    "loosened": (ESCAPE,),
    "other_changes": (),
    "stale": False,
}
ANOMALY = {"level": "bot", "name": ESCAPE, "value": 0.4, "why": ""}
TOLD: tuple[tuple[str, Any], ...] = (
    ("status", msgspec.to_builtins(DESK, enc_hook=str) | {"policy_name": ESCAPE}),
    ("leases", {"leases": (LEASE,)}),
    ("reduce --by Ann --reason drill", {"scope": "desk", "reduced": (ESCAPE,)}),
    ("signals", {"forecasts": (), "anomalies": (ANOMALY,), "temperatures": ()}),
    ("rearm --status", {"scopes": (SCOPE,)}),
    ("override list", {"overrides": (OVERRIDE,)}),
    ("alerts list", {"open": (ALERT,), "past": (), "channels": ({"name": "pager", "trouble": ESCAPE},)}),
    ("policy pending", {"proposals": (PROPOSAL,)}),
)


@pytest.mark.parametrize("as_json", [False, True], ids=["words", "json"])
@pytest.mark.parametrize(("words", "told"), TOLD, ids=[words for words, _ in TOLD])
def test_what_others_named_is_spelled_out(
    words: str,
    told: Any,
    as_json: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with warden(tmp_path, monkeypatch, 200, told):
        command(tmp_path, *words.split(), *(["--json"] if as_json else []))
    out, _ = nothing_raw(capsys)
    assert (r"\u001b[2J\u009b" if as_json else SPELLED) in out


def keep_a_drill(data_dir: Path) -> None:
    numbers = dict.fromkeys(("blocked_ms", "cancelled_ms", "flat_ms", "verified_ms"), 1.0)
    texts = dict.fromkeys(("cost_estimate", "estimate_in_book", "cost"), "")
    account: Any = {"account": "main", "phase": "FLAT", "positions": 0, "orders": 0, "left": (ESCAPE,)}
    report: dict[str, Any] = dict.fromkeys(("rate_per_s", "rate_seen_per_s"), 1.0)
    report |= {"id": "20261127T000000000000", "at": datetime(2026, 11, 27, tzinfo=UTC), "kind": "dry", "by": "Ann"}
    report |= {"phase": "FLAT", "passed": True, "blocked_ms": 1.0, "sent": 0, "arrived_after_blocked": 0}
    keep_drill(data_dir, DrillReport(**report, accounts=(AccountDrill(**account, **numbers, **texts),)))


def keep_a_key(data_dir: Path) -> None:
    (data_dir / "vault").mkdir(mode=0o700)
    vault = Vault.create(vault_path(data_dir), Secret("correct horse battery"), work_factor=2**14)
    now = datetime(2026, 11, 27, tzinfo=UTC)
    vault.add_exchange_key(account="main", venue="binanceusdm", api_key="k" * 64, api_secret=Secret("s" * 64), now=now)


def write_orders(data_dir: Path) -> None:
    order = {"account": ESCAPE, "ts": 1, "type": "new", "symbol": "BTCUSDT", "side": "BUY"}
    (data_dir / "orders.jsonl").write_text(json.dumps(order) + "\n")


def nothing(data_dir: Path) -> None:
    """An empty data directory."""


ALONE: tuple[tuple[str, Callable[[Path], None], int], ...] = (
    ("drill show", keep_a_drill, 0),
    ("drill show --json", keep_a_drill, 0),
    (f"drill show {ESCAPE}", nothing, 1),
    (f"rules {ESCAPE}", nothing, 2),
    (f"coverage {ESCAPE}.toml", nothing, 2),
    (f"check {ESCAPE}.toml", nothing, 2),
    (f"policy diff {ESCAPE}.toml {ESCAPE}.toml", nothing, 2),
    (f"keys issue --bot {ESCAPE} --account main", keep_a_key, 2),
    (f"keys disable {ESCAPE}", keep_a_key, 2),
    (f"alerts channels remove {ESCAPE}", keep_a_key, 2),
    (f"people disable {ESCAPE}", nothing, 1),
    (f"certificate show {ESCAPE}", nothing, 1),
    (f"certificate verify {ESCAPE}", nothing, 2),
    (f"audit show {ESCAPE}", nothing, 2),
    (f"ledger counterfactual --since {ESCAPE}", nothing, 2),
    (f"export fills --since {ESCAPE}", nothing, 2),
    (f"tls init --name {ESCAPE}", nothing, 2),
    (f"signals backtest --ohlcv {ESCAPE}.csv", nothing, 2),
    (f"signals anomalies --orders {ESCAPE}.csv", nothing, 2),
    ("signals anomalies --orders orders.jsonl", write_orders, 0),
)


@pytest.mark.parametrize(("words", "before", "code"), ALONE, ids=[ascii(words) for words, _, _ in ALONE])
def test_so_it_is_where_no_warden_is_asked(
    words: str,
    before: Callable[[Path], None],
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PERPGUARD_PASSPHRASE", "correct horse battery")
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    monkeypatch.chdir(tmp_path)
    before(tmp_path)
    capsys.readouterr()
    assert command(tmp_path, *words.split()) == code
    out, err = nothing_raw(capsys)
    assert out + err


def test_a_kill_spells_out_what_the_exchange_says() -> None:
    out, err = io.StringIO(), io.StringIO()
    telling = Telling(out, err, as_json=True)
    telling.show({"kind": "failed", "why": ESCAPE})
    telling.answer(f"main: {ESCAPE}")
    telling.began_nothing(f"no {ESCAPE}", "nothing", "press again")
    telling.stopped_nothing(ESCAPE)
    assert not RAW & {*out.getvalue(), *err.getvalue()}
    assert SPELLED in err.getvalue() and "\nNOT DONE: " in err.getvalue()


@pytest.mark.parametrize("words", ["kill --by Ann --reason drill", f"command sign --key {ESCAPE} --by Ann --reason a"])
def test_so_do_the_commands_that_are_given_where_to_speak_to(words: str, tmp_path: Path) -> None:
    place = io.StringIO()
    line = ["--data-dir", str(tmp_path / ESCAPE), *words.split()]
    args = _parser().parse_args(line, namespace=Arguments())
    run = kill_commands.run if args.command == "kill" else signing.run
    assert run(args, place, place) in (NOT_STARTED, USAGE_ERROR)
    assert SPELLED in place.getvalue() and not RAW & {*place.getvalue()}
