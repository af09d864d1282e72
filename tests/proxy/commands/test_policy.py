"""`perpguard check` and `perpguard policy diff` as one types them."""

from __future__ import annotations

import json
import shlex
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from proxy import cli
from proxy.cli import main
from proxy.policy.reading import policy_digest
from proxy.policy.shelf import Shelf
from proxy.vault.keys import Secret
from proxy.vault.vault import Vault
from rules.catalog import CATALOG

HEAD = '[policy]\nname = "solo"\nowner = "risk@desk.example"\n'
LIMIT = '[desk.max_order_value]\nenforcement = "enforce"\nlimit = 300\n'
AT = 'windows = [{{begins = {0}-01-01T00:00:00Z, ends = {0}-01-02T00:00:00Z, reason = "upgrade"}}]'
PASSPHRASE = "correct horse battery staple"

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command on a data directory with an account ``main`` and a bot ``grid``."""
    vault = Vault.create(tmp_path / "data" / "vault" / "vault.json", Secret(PASSPHRASE), work_factor=2**14)
    now = datetime(2026, 11, 24, tzinfo=UTC)
    vault.add_exchange_key(account="main", venue="binanceusdm", api_key="K" * 64, api_secret=Secret("S" * 64), now=now)
    vault.issue(bot="grid", account="main", label="grid", now=now)
    (tmp_path / "settings.toml").write_text('data_dir = "data"\npolicy = "policy.toml"\n')
    for name in ("PERPGUARD_DATA_DIR", "PERPGUARD_POLICY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PERPGUARD_PASSPHRASE", PASSPHRASE)
    monkeypatch.setenv("PERPGUARD_CONFIG", str(tmp_path / "settings.toml"))
    monkeypatch.chdir(tmp_path)

    def command(*arguments: str, policy: str = HEAD + LIMIT) -> tuple[int, str, str]:
        (tmp_path / "policy.toml").write_text(policy)
        code = main(arguments)
        said = capsys.readouterr()
        return code, said.out, said.err

    return command


# check


def test_a_sound_guard_is_told_in_one_line(run: Run) -> None:
    code, out, err = run("check")
    assert (code, err) == (0, "")
    assert out == f"settings ok; policy solo ({policy_digest(HEAD + LIMIT)}), 6 rules; accounts: main\n"


def test_everything_wrong_is_told_as_compilers_do(run: Run, tmp_path: Path) -> None:
    code, _, err = run("check", policy="[policy]\nname = 'x'\n\n[desk.max_leverge]\n")
    assert code == 2
    assert err.splitlines()[0].startswith("perpguard check: ")
    assert f'{tmp_path}/policy.toml:4: [desk] has no "max_leverge"; did you mean "max_leverage"?' in err


def test_levels_nobody_is_at_are_warned_of(run: Run) -> None:
    table = '.max_order_value]\nenforcement = "enforce"\nlimit = 100\n'
    resize = '[bot.gird.resize]\nmode = "trim"\n'
    levels = ("account.mian", "account.main", "bot.grdi", "bot.grid", "symbol.btcusdt", "symbol.ETHUSDT")
    code, out, _ = run("check", policy=HEAD + "".join(f"[{level}{table}" for level in levels) + resize)
    assert code == 0
    warnings = [line.rpartition("policy.toml:")[2] for line in out.splitlines() if line.startswith("warning: ")]
    assert sorted(warnings) == [
        '10: [bot.grdi]: the vault knows no bot grdi; did you mean "grid"?',
        '16: [symbol.btcusdt]: symbols are in capitals; did you mean "BTCUSDT"?',
        '22: [bot.gird]: the vault knows no bot gird; did you mean "grid"?',
        '4: [account.mian]: the vault knows no account mian; did you mean "main"?',
    ]


def test_a_channel_of_the_settings_that_the_vault_does_not_have_is_warned_of(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERPGUARD_ALERTS__CHANNELS__Pager__MINIMUM", "critical")
    words = "[alerts.channels.pager] of the settings: the vault knows no alert channel pager; it knows none"
    code, out, _ = run("check")
    assert code == 0 and out.splitlines()[0] == f"warning: {words}"
    _, out, _ = run("check", "--json")
    assert {"file": "", "line": None, "message": words} in json.loads(out)["warnings"]


@pytest.mark.parametrize(
    ("limit", "enforcement", "warned"),
    [(301, "enforce", True), (300, "enforce", False), (299, "enforce", False), (301, "report", False)],
)
def test_a_limit_that_never_applies_is_warned_of(run: Run, limit: int, enforcement: str, warned: bool) -> None:
    bot = f'[bot.grid.max_order_value]\nenforcement = "{enforcement}"\nlimit = {limit}\n'
    _, out, _ = run("check", policy=HEAD + LIMIT + bot)
    words = "policy.toml:7: [bot.grid.max_order_value] never refuses: the desk's limit is 300, and applies too"
    assert (words in out) is warned


@pytest.mark.parametrize(
    ("rule", "desk", "bot", "warned"),
    [
        ("order_types", 'types = ["LIMIT"]', 'types = ["MARKET"]', False),
        ("order_types", 'types = ["LIMIT"]', 'types = ["LIMIT", "MARKET"]', True),
        ("delisting", "dates = {A = 2030-01-01T00:00:00Z}", "dates = {B = 2027-01-01T00:00:00Z}", False),
        ("maintenance_window", AT.format(2030), AT.format(2027), False),
    ],
)
def test_one_that_lets_through_what_the_other_refuses_may_refuse(
    run: Run, rule: str, desk: str, bot: str, warned: bool
) -> None:
    tables = (
        f'[{level}.{rule}]\nenforcement = "enforce"\n{setting}\n'
        for level, setting in (("desk", desk), ("bot.grid", bot))
    )
    code, out, _ = run("check", policy=HEAD + "".join(tables))
    assert code == 0 and ("never refuses" in out) is warned


def test_the_example_of_every_rule_has_an_effect(run: Run) -> None:
    code, out, _ = run("check", policy=HEAD + "".join(rule.example for rule in CATALOG.values()))
    assert code == 0 and "never refuses" not in out


def test_what_the_file_would_change_is_told(run: Run, tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "data")
    shelf.activate(HEAD + LIMIT.replace("300", "200"))
    _, out, _ = run("check")
    assert "looser than the active policy, so it waits for approval: desk max_order_value limit: 200 -> 300" in out
    shelf.activate(HEAD + LIMIT.replace("300", "400"))
    _, out, _ = run("check")
    assert "not the active policy; 1 change takes effect at the next start" in out


def test_one_file_is_checked_where_no_guard_is(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "other.toml").write_text(HEAD + LIMIT + "[bot.x.max_leverage]\nenforcement = 'off'\nlimit = 1\n")
    code, out, _ = run("check", "other.toml", policy="not read")
    assert code == 0 and "the vault knows no bot x" in out
    monkeypatch.delenv("PERPGUARD_PASSPHRASE")
    code, out, _ = run("check", "other.toml", policy="not read")
    assert code == 0 and "were not compared with a vault" in out and "warning" not in out


@pytest.mark.parametrize("vault", [True, False])
def test_what_one_file_would_loosen_is_told(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vault: bool
) -> None:
    if not vault:
        monkeypatch.delenv("PERPGUARD_PASSPHRASE")
    shelf = Shelf(tmp_path / "data")
    (tmp_path / "next.toml").write_text(HEAD + LIMIT)
    shelf.activate(HEAD + LIMIT.replace("300", "200"))
    words = "looser than the active policy, so it waits for approval: desk max_order_value limit: 200 -> 300"
    code, out, _ = run("check", "next.toml", policy="not read")
    assert code == 0 and f"warning: next.toml: {words}\n" in out
    _, out, _ = run("check", "next.toml", "--json")
    assert {"file": "next.toml", "line": None, "message": words} in json.loads(out)["warnings"]
    shelf.activate(HEAD + LIMIT.replace("300", "400"))
    code, out, _ = run("check", "next.toml")
    assert code == 0 and "warning" not in out, "what tightens takes effect when it is applied"


def test_an_active_policy_that_cannot_be_read_is_no_fault_of_another_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "next.toml").write_text(HEAD + LIMIT)
    Shelf(tmp_path / "data").activate("[policy]\n[dessk]\n")
    code, out, _ = run("check", "next.toml")
    place = f"{tmp_path}/data/policy/active.toml:1: [policy] needs name"
    assert code == 0 and f"warning: next.toml: not compared with the active policy: {place}" in out
    assert len(out.splitlines()) == 2


def test_machines_get_json(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("check", "--json")
    answer = json.loads(out)
    assert code == 0 and answer["ok"] and answer["accounts"] == ["main"] and answer["problems"] == []
    assert answer["policy"]["version"] == policy_digest(HEAD + LIMIT)
    code, out, _ = run("check", "--json", policy=HEAD + LIMIT.replace("300", "0"))
    answer = json.loads(out)
    assert code == 2 and not answer["ok"] and answer["policy"] is None
    assert answer["problems"] == [
        {
            "file": str(tmp_path / "policy.toml"),
            "line": 6,
            "message": "[desk.max_order_value] limit must be above zero, not 0",
        }
    ]


def test_other_trouble_is_json_too(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERPGUARD_PASSPHRASE", "wrong")
    code, out, _ = run("check", "--json")
    (problem,) = json.loads(out)["problems"]
    assert code == 2 and problem["line"] is None and problem["message"]


@pytest.mark.parametrize(
    "refused",
    [
        ({"CONTROL_TOKEN": "hunter2"}, "control_token: "),
        ({"AUDIT_URL": "mysql://u:hunter2@x"}, "audit_url: "),
        ({"AUDIT_URL_FILE": "short"}, "audit_url_file: what short holds is no postgresql:// address"),
        ({"AUDIT_URL_FILE": "nowhere"}, "audit_url_file: nowhere cannot be read"),
        ({"METRICS_TOKEN_FILE": "short"}, "metrics_token_file: the token in short has fewer than 16 characters"),
        ({"VENUES__BINANCEUSDM__URL": "ftp://x"}, "venues.binanceusdm.url: "),
        ({"CONTROL_PORT": "8080"}, "control_port: 8080 is gate_port too"),
        ({"CONTROL_PORT": "8080", "CONTROL_HOST": "0.0.0.0"}, "control_port: 8080 is gate_port too"),
        ({"GATE_HOST": "no-such-host.invalid"}, "gate_host: cannot listen on no-such-host.invalid: "),
        ({"CONTROL_HOST": "192.0.2.1"}, "control_host: cannot listen on 192.0.2.1: "),
        ({"ACCOUNTS__MIAN__EGRESS": "127.0.0.2"}, "accounts.mian: the vault has no such account"),
        ({"GATE_HTTPS_PORT": "8443"}, "perpguard tls init"),
    ],
    ids=lambda refused: " ".join(refused[0]),
)
def test_what_keeps_the_guard_from_starting_is_refused(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: tuple[dict[str, str], str]
) -> None:
    (tmp_path / "short").write_text("hunter2")
    variables, said = refused
    for name, value in variables.items():
        monkeypatch.setenv(f"PERPGUARD_{name}", value)
    code, out, err = run("check")
    assert (code, out) == (2, "") and said in err and "hunter2" not in err
    code, out, _ = run("check", "--json")
    assert code == 2 and said in json.loads(out)["problems"][0]["message"]
    code, out, err = run("up")
    assert (code, out) == (2, "") and said in err


def test_the_doors_of_a_guard_may_have_one_port_on_two_addresses(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERPGUARD_CONTROL_HOST", "127.0.0.2")
    monkeypatch.setenv("PERPGUARD_CONTROL_PORT", "8080")
    assert run("check")[0] == 0


def test_a_variable_that_does_nothing_and_an_anchor_without_a_folder_are_warned_of(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERPGUARD_GATE_PROT", "9000")
    monkeypatch.setenv("PERPGUARD_AUDIT_ANCHOR", str(tmp_path / "nowhere" / "audit.anchor"))
    code, out, _ = run("check")
    words = 'no setting has that name; did you mean "PERPGUARD_GATE_PORT"?'
    assert code == 0
    assert f"warning: PERPGUARD_GATE_PROT of the environment does nothing: {words}" in out
    assert f"warning: audit_anchor: {tmp_path}/nowhere is no folder, so no anchor is kept there" in out


# coverage


def test_coverage_is_of_the_policy_in_force(run: Run, tmp_path: Path) -> None:
    """The settings' file may wait for approval, or be edited: neither covers anything yet."""
    _, out, _ = run("coverage")
    assert out.startswith(f"policy solo ({policy_digest(HEAD + LIMIT)})") and "by max_order_value at desk" in out
    Shelf(tmp_path / "data").activate(HEAD)
    _, out, _ = run("coverage")
    assert out.startswith(f"policy solo ({policy_digest(HEAD)})") and "by max_order_value at desk" not in out
    _, out, _ = run("coverage", "policy.toml")
    assert out.startswith(f"policy solo ({policy_digest(HEAD + LIMIT)})")


# diff


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    old, new = tmp_path / "old.toml", tmp_path / "new.toml"
    old.write_text(HEAD + LIMIT)
    new.write_text(HEAD + LIMIT.replace("300", "400") + '[desk.max_leverage]\nenforcement = "report"\nlimit = 2\n')
    return str(old), str(new)


def test_a_diff_names_both_ways(run: Run, files: tuple[str, str]) -> None:
    code, out, _ = run("policy", "diff", *files)
    assert code == 0
    assert out.splitlines() == [
        "loosened  desk max_order_value limit: 300 -> 400",
        "tightened desk max_leverage: no rule -> report",
        "1 of 2 changes loosen",
    ]


@pytest.mark.parametrize(("back", "code"), [(False, 1), (True, 1)])
def test_a_loosening_may_fail_the_build(run: Run, files: tuple[str, str], back: bool, code: int) -> None:
    assert run("policy", "diff", *(reversed(files) if back else files), "--fail-on-loosening")[0] == code
    assert run("policy", "diff", files[0], files[0], "--fail-on-loosening")[:2] == (0, "nothing is loosened\n")


def test_a_diff_for_machines(run: Run, files: tuple[str, str]) -> None:
    code, out, _ = run("policy", "diff", *files, "--json")
    answer: dict[str, Any] = json.loads(out)
    assert code == 0 and answer["loosened"] is True
    assert answer["changes"][0] == {
        "direction": "loosened",
        "level": "desk",
        "rule_id": "max_order_value",
        "setting": "limit",
        "old": "300",
        "new": "400",
        "why": "",
    }


def test_a_file_that_is_wrong_has_its_own_exit_code(run: Run, files: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("[desk]")
    code, _, err = run("policy", "diff", files[0], "bad.toml", "--fail-on-loosening")
    assert code == 2 and "bad.toml:1: [policy] needs name" in err


# The running warden


@pytest.mark.parametrize(
    "arguments",
    [
        ("apply", "policy.toml", "--name", "ann", "--reason", "calmer markets"),
        ("approve", "0" * 16, "--name", "ann", "--reason", "calmer markets"),
        ("withdraw", "0" * 16, "--name", "ann", "--reason", "calmer markets"),
        ("pending",),
    ],
)
def test_without_a_warden_nothing_is_changed_and_that_is_said(
    run: Run, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setenv("PERPGUARD_CONTROL_TOKEN", "the-token-of-a-guard-that-ran")
    monkeypatch.setenv("PERPGUARD_CONTROL_PORT", "1")
    code, out, err = run("policy", *arguments)
    assert (code, out) == (3, "") and "the warden does not answer" in err


@contextmanager
def a_warden_that_answers(answer: object) -> Iterator[int]:
    """The port of a control door that says this to whatever it is asked."""

    class Door(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Door) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def a_proposal(**more: object) -> dict[str, object]:
    return {
        "policy_version": "a" * 16,
        "policy_name": "solo",
        "policy_owner": "risk@desk.example",
        "by": "ann",
        "reason": "calmer markets",
        "at": "2026-11-24T00:00:00Z",
        "due": None,
        "stale": False,
        "loosened": ["desk max_order_value limit: 300 -> 400"],
        "other_changes": [],
        **more,
    }


def test_what_waits_is_shown_whole_and_hides_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A door of another version, or one that was broken into, may answer with anything."""
    long = "desk max_order_value limit: 300 -> 4" + "0" * 1_000
    hiding = a_proposal(policy_name="x\x1b[1A\x1b[2K", reason="a\u202eb", loosened=["a\rb", long])
    with a_warden_that_answers({"proposals": [hiding]}) as port:
        monkeypatch.setenv("PERPGUARD_CONTROL_TOKEN", "the-token-of-a-guard-that-ran")
        monkeypatch.setenv("PERPGUARD_CONTROL_PORT", str(port))
        code, out, _ = run("policy", "pending")
    first, carriage, whole, *_ = out.split("\n")
    assert code == 0 and first.endswith(r"(x\x1b[1A\x1b[2K) waits: proposed by ann, a\u202eb")
    assert (carriage, whole) == (r"  loosened a\rb", f"  loosened {long}")


def test_how_somebody_else_approves_is_told_whole(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with a_warden_that_answers({"proposals": [a_proposal()]}) as port:
        monkeypatch.setenv("PERPGUARD_CONTROL_TOKEN", "the-token-of-a-guard-that-ran")
        monkeypatch.setenv("PERPGUARD_CONTROL_PORT", str(port))
        _, out, _ = run("policy", "pending")
    command = out.partition("somebody else approves it: ")[2].partition(", or it takes effect")[0].strip()
    assert cli._parser().parse_args(shlex.split(command)[1:]).policy_command == "approve"


def test_what_is_stale_is_shown_as_that_and_not_offered_for_approval(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with a_warden_that_answers({"proposals": [a_proposal(stale=True)]}) as port:
        monkeypatch.setenv("PERPGUARD_CONTROL_TOKEN", "the-token-of-a-guard-that-ran")
        monkeypatch.setenv("PERPGUARD_CONTROL_PORT", str(port))
        code, out, _ = run("policy", "pending")
    assert code == 0 and "policy approve" not in out
    assert out.splitlines()[-1] == (
        "  it is stale: another policy came into force since it was proposed. Propose it again, or withdraw it"
    )


def test_a_file_that_would_hide_what_it_loosens_is_spelled_out(run: Run, tmp_path: Path) -> None:
    (tmp_path / "hiding.toml").write_text(HEAD.replace("solo", r"so\u001b[1Alo") + LIMIT)
    (tmp_path / "plain.toml").write_text(HEAD + LIMIT)
    code, _, err = run("policy", "diff", "plain.toml", "hiding.toml")
    assert code == 2 and "hiding.toml:2: [policy] name must be printable, on one line" in err
    code, _, err = run("check", "hiding.toml")
    assert code == 2 and "hiding.toml:2: [policy] name must be printable, on one line" in err
    code, _, err = run("check", "plain.toml\x1b[2K")
    assert code == 2 and r"plain.toml\x1b[2K: cannot be read" in err


def test_a_file_that_is_wrong_is_not_even_sent(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERPGUARD_CONTROL_TOKEN", "the-token-of-a-guard-that-ran")
    monkeypatch.setenv("PERPGUARD_CONTROL_PORT", "1")
    code, _, err = run(
        "policy", "apply", "policy.toml", "--name", "ann", "--reason", "calmer markets", policy=HEAD + "x"
    )
    assert code == 2 and "policy.toml:4" in err
