import argparse
import io
import json
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from proxy.audit.archive import Archive
from proxy.audit.chain import Head, root
from proxy.audit.checkpoint import Checkpoint, heads_in_hex
from proxy.audit.place import ArchivePlace
from proxy.audit.since import UsageError, parse_since
from proxy.commands import audit as commands
from proxy.signatures.signing import trusted_key
from proxy.store.codec import build_command, dump, plain, plain_decision
from proxy.vault.signing_keys import new_signing_key
from rules.engine import decide_batch
from tests.proxy.audit.conftest import KEY, KEYS, SIGNER, TRUSTED
from tests.proxy.audit.forging import made_up, with_a_key_of_their_own
from tests.rules.builders import an_override

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
EVIL = "\x1b[2J[bold red]x[/]\r\n\u202e\x9b31m"


@pytest.fixture
def audit(database, capsys):
    """Runs ``perpguard audit ...`` on the archive of one day; the exit code, output and errors."""

    def call(*arguments):
        parser = argparse.ArgumentParser()
        parser.add_argument("--data-dir", type=type(database), default=database.parent.parent)
        commands.add_arguments(parser.add_subparsers(required=True))
        code = commands.run(parser.parse_args(["audit", *map(str, arguments)]))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_the_refused_are_listed_for_people(audit):
    code, output, _ = audit("--blocked", "--bot", "beta")
    assert code == 0
    assert output.count("BUY 3 BTCUSDT MARKET") == 4
    assert "max_order_value ORDER_VALUE_ABOVE_LIMIT" in output
    assert "headroom 1.666" in output


def test_and_for_machines(audit):
    code, output, _ = audit("--blocked", "--limit", 1, "--json")
    (row,) = json.loads(output)
    assert (code, row["code"], row["at"]) == (0, "ORDER_VALUE_ABOVE_LIMIT", "2026-11-24T09:00:07Z")


def test_without_blocked_the_passed_are_listed_too(audit):
    assert len(json.loads(audit("--json")[1])) == 8


def test_nothing_found_is_said(audit):
    assert audit("--bot", "nobody")[:2][0] == 0
    assert "nothing matches" in audit("--bot", "nobody")[1]


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        (("--text", "more than"), []),
        (("--text", "worth 180000"), ["d-7", "d-5", "d-3", "d-1"]),
        (("--bot", "beta", "--account", "main"), ["d-7", "d-5", "d-3", "d-1"]),
        (("--bot", "beta", "--account", "main", "--limit", 3), ["d-7", "d-5", "d-3"]),
    ],
    ids=["nothing", "text", "filters", "limit"],
)
def test_the_list_goes_on_where_a_page_has_looked_far_enough(audit, monkeypatch, words, ids):
    monkeypatch.setattr("proxy.audit.judged.LOOKED_AT_MAX", 2)
    code, output, _ = audit("--blocked", *words, "--json")
    assert (code, [row["id"] for row in json.loads(output)]) == (0, ids)


def test_one_request_is_shown(audit):
    code, output, _ = audit("show", "d-2")
    assert code == 0
    assert all(word in output for word in ("asked", "decided", "came of it", "ACCEPTED"))
    assert json.loads(audit("show", "d-2", "--json")[1])["outcome"]["http_status"] == 200
    assert audit("show", "nobody")[0] == 1


def test_what_let_a_refused_order_pass_is_shown_with_its_people(audit, desk, database, sqlite_place):
    record, now = desk.decision(9, "3"), desk.start + timedelta(seconds=9)
    override = an_override(bot="alpha", quantity_max="3", expires_at=now + timedelta(minutes=1))
    snapshot = replace(desk.snapshot(now, "alpha"), overrides=(override,))
    (decided,) = decide_batch((build_command(record["commands"][0]),), snapshot, desk.policy)
    record |= {"snapshot": record["snapshot"] | {"overrides": [plain(override)]}}
    shutil.rmtree(database.parent)
    desk.write(sqlite_place, [record | {"decisions": [plain_decision(decided)]}])
    code, output, _ = audit("show", "d-9")
    assert code == 0
    assert "let pass" in output
    assert "override o1, ticket RISK-17, asked for by ann, approved by ben" in output
    assert "max_order_value ORDER_VALUE_ABOVE_LIMIT" in output


def test_json_may_stand_before_or_after_the_subcommand(audit):
    assert json.loads(audit("--json", "verify")[1])["ok"]
    assert json.loads(audit("verify", "--json")[1])["ok"]


def test_verify_says_where_and_exits_with_one(audit, database, keys):
    code, output, _ = audit("verify", "--key", keys[0])
    assert (code, "signatures fit" in output) == (0, True)
    connection = sqlite3.connect(database, isolation_level=None)
    (trigger,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'records_no_update'").fetchone()
    connection.execute("DROP TRIGGER records_no_update")
    connection.execute("UPDATE records SET body = CAST(replace(body, 'beta', 'alfa') AS BLOB) WHERE seq = 5")
    connection.execute(trigger)
    connection.close()
    code, output, _ = audit("verify", "--key", keys[0])
    assert code == 1
    assert "first bad record: 5" in output
    assert "signatures were checked as far as that" in output


def test_verify_says_that_no_signature_was_checked_before_the_first_checkpoint_too(
    audit, database, desk, sqlite_place, keys
):
    shutil.rmtree(database.parent)
    with Archive.open(sqlite_place, SIGNER, keys=TRUSTED) as archive:
        archive.append([(f"1-{number}", record) for number, record in enumerate(desk.day())])
        code, output, _ = audit("verify")
        assert code == 0
        assert "no checkpoint yet; signatures NOT checked: no public key was found, see --key" in output
        assert "no checkpoint yet; signatures fit" in audit("verify", "--key", keys[0])[1]
    assert "1 checkpoints, the newest by key" in audit("verify")[1]


def test_an_export_replays_and_its_damage_is_found(audit, tmp_path):
    target = tmp_path / "export.jsonl"
    assert audit("export", "--output", target)[0] == 0
    code, output, _ = audit("replay", "--from", target)
    assert (code, output) == (0, "OK: 8 of 8 decisions agree, 0 differ, 0 lack a document\n")
    target.write_bytes(target.read_bytes().replace(b"beta", b"alfa", 1))
    code, _, errors = audit("replay", "--from", target)
    assert code == 1
    assert "record 4" in errors


@pytest.fixture
def keys(tmp_path):
    """The guard's public key, and another one."""
    other = new_signing_key(NOW)
    for name, key in (("public.pem", KEY), ("other.pem", other)):
        (tmp_path / name).write_text(key.public_key)
    return tmp_path / "public.pem", tmp_path / "other.pem"


@pytest.fixture
def whole_export(audit, tmp_path):
    target = tmp_path / "export.jsonl"
    assert audit("export", "--output", target)[0] == 0
    return target


def cut(export, keep):
    """The first ``keep`` records, and a header with every number and hash right; the seal left as it is."""
    header, *lines = export.read_bytes().splitlines(keepends=True)
    heads = {}
    for line in lines[:keep]:
        told = json.loads(line)
        heads[told["chain"]] = Head(told["place"], bytes.fromhex(told["hash"]))
    said = json.loads(header)
    said |= {"records": keep, "head": root(said["archive"], keep, heads).hex()}
    export.write_bytes(dump(said) + b"\n" + b"".join(lines[:keep]))
    return said, heads


def without_seal(export, format="perpguard-audit-export/2"):
    header, *lines = export.read_bytes().splitlines(keepends=True)
    said = json.loads(header)
    del said["seal"]
    export.write_bytes(dump(said | {"format": format}) + b"\n" + b"".join(lines))


@pytest.mark.parametrize("command", ["replay", "verify"])
def test_a_whole_export_is_proven_by_the_public_key(audit, whole_export, keys, command):
    public, other = keys
    code, output, errors = audit(command, "--from", whole_export, "--key", public)
    assert (code, errors) == (0, "")
    assert KEY.key_id in output
    assert json.loads(audit(command, "--from", whole_export, "--key", public, "--json")[1])["signed_by"] == KEY.key_id
    code, _, errors = audit(command, "--from", whole_export, "--key", other)
    assert code == 1
    assert f"signed by the key {KEY.key_id}, which is not among those given" in errors
    code, output, errors = audit(command, "--from", whole_export)
    assert code == 0
    assert "nothing proves who wrote this export, or that it is whole" in errors
    assert KEY.key_id not in output


@pytest.mark.parametrize("command", ["replay", "verify"])
def test_a_whole_export_that_was_cut_is_found_with_or_without_a_key(audit, whole_export, keys, command):
    cut(whole_export, 15)
    for words in ([], ["--key", keys[0]]):
        code, _, errors = audit(command, "--from", whole_export, *words)
        assert code == 1
        assert "what was signed is not what is here: it ended with record 24" in errors


def test_an_export_sealed_anew_by_somebody_else_is_found_by_the_key(audit, whole_export, keys):
    said, heads = cut(whole_export, 15)
    for sign, why in ((made_up, "does not fit"), (with_a_key_of_their_own, "not among those given")):
        of = Checkpoint(archive=said["archive"], seq=15, at="x", heads=heads_in_hex(heads), kept=0, last="", layout=2)
        _, *lines = whole_export.read_bytes().splitlines(keepends=True)
        whole_export.write_bytes(dump(said | {"seal": json.loads(sign(of).content)}) + b"\n" + b"".join(lines))
        code, _, errors = audit("replay", "--from", whole_export, "--key", keys[0])
        assert code == 1
        assert why in errors


def test_an_export_without_its_seal_is_none_or_an_unsigned_one_of_before(audit, whole_export, keys):
    without_seal(whole_export, "perpguard-audit-export/3")
    assert audit("replay", "--from", whole_export)[0] == 1
    header, *lines = whole_export.read_bytes().splitlines(keepends=True)
    whole_export.write_bytes(header.replace(b"export/3", b"export/2") + b"".join(lines))
    code, output, errors = audit("replay", "--from", whole_export)
    assert (code, output) == (0, "OK: 8 of 8 decisions agree, 0 differ, 0 lack a document\n")
    assert "nothing proves who wrote this export" in errors
    assert "no signature travels with it" in errors
    code, _, errors = audit("replay", "--from", whole_export, "--key", keys[0])
    assert code == 1
    assert "no key can prove this export" in errors


def test_a_part_is_never_proven(audit, tmp_path, keys):
    part = tmp_path / "part.jsonl"
    assert audit("export", "--account", "main", "--output", part)[0] == 0
    code, output, errors = audit("verify", "--from", part)
    assert (code, output) == (0, "OK: 16 records, their hashes fit\n")
    assert "it is a part of an archive" in errors
    assert audit("verify", "--from", part, "--key", keys[0])[0] == 1


def test_an_archive_of_before_is_exported_without_a_seal(audit, desk, database, sqlite_place, tmp_path):
    shutil.rmtree(database.parent)
    desk.write_as_of_before(sqlite_place, desk.day(), 20)
    code, output, _ = audit("verify")
    assert code == 0
    assert "of an older layout, which the guard's next start seals: 4 records at the end are covered by no" in output
    target = tmp_path / "export.jsonl"
    assert audit("export", "--output", target)[0] == 0
    assert "no signature travels with it" in audit("replay", "--from", target)[2]


def test_where_nothing_was_decided_nothing_agrees(audit, tmp_path, database, desk, sqlite_place):
    part = tmp_path / "part.jsonl"
    for words in (("--kind", "event"), ("--account", "nosuch")):
        assert audit("export", *words, "--output", part)[0] == 0
        code, output, _ = audit("replay", "--from", part)
        assert (code, output) == (2, "nothing to replay: there is no decision among these records\n")
        code, output, _ = audit("replay", "--from", part, "--json")
        assert (code, json.loads(output)["agree"]) == (2, False)
    shutil.rmtree(database.parent)
    desk.write(sqlite_place, desk.documents())
    assert audit("replay")[:2] == (2, "nothing to replay: there is no decision among these records\n")


def test_a_key_of_before_a_rotation_is_asked_for_by_its_id(audit, desk, database, sqlite_place, tmp_path, keys):
    new = new_signing_key(NOW)
    pem = tmp_path / "new.pem"
    pem.write_text(new.public_key)
    both = [*KEYS, trusted_key(new.public_key.encode())]
    with Archive.open(sqlite_place, lambda: new, keys=lambda: both) as archive:
        archive.append([("2-1", desk.event("e-2"))])
    code, output, _ = audit("verify", "--key", pem)
    assert code == 1
    assert f"NOT OK (unknown-key): checkpoint 1 is signed by the key {KEY.key_id}, which is not among" in output
    assert audit("verify", "--key", pem, "--key", keys[0])[0] == 0


def test_a_policy_that_decides_otherwise_exits_with_one(audit, desk, tmp_path):
    policy = tmp_path / "tighter.toml"
    policy.write_text(desk.tighter_text)
    assert audit("replay")[0] == 0
    code, output, _ = audit("replay", "--policy", policy, "--json")
    report = json.loads(output)
    assert (code, report["agree"], report["disagreed"]) == (1, False, 8)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--since", "soon"),
        ("--limit", "0"),
        ("verify", "--anchor", "/nowhere/audit.anchor"),
        ("replay", "--from", "/nowhere/export.jsonl"),
        ("replay", "--key", "/nowhere/public.pem"),
        ("verify", "--from", "/nowhere/export.jsonl"),
        ("replay", "--policy", "/nowhere/policy.toml"),
        ("export", "--output", "/nowhere/at/all/export.jsonl"),
        ("--data-dir", "/nowhere"),
    ],
)
def test_a_question_that_cannot_be_asked_exits_with_two(audit, arguments, database):
    if arguments[0] == "--data-dir":
        (database).unlink()
        arguments = ()
    code, _, errors = audit(*arguments)
    assert code == 2
    assert errors.startswith("perpguard audit: ")


def test_text_from_outside_reaches_no_terminal_unescaped(tmp_path, desk, capsys):
    decided = desk.decision(1, "3", bot=EVIL, client_id=EVIL)
    decided["commands"][0]["symbol"] = EVIL
    decided["decisions"][0]["breaches"][0]["message"] = EVIL
    records = [
        desk.intent(1, bot=EVIL) | {"account": EVIL},
        decided,
        desk.outcome(1, items=[{"msg": EVIL}], venue_code=EVIL),
        desk.event("e-1", what=EVIL) | {"id": "d-1"},
        {"kind": EVIL, "id": "d-1"},
    ]
    desk.write(ArchivePlace(directory=tmp_path / "audit"), records)
    parser = argparse.ArgumentParser()
    commands.add_arguments(parser.add_subparsers())
    for arguments in (
        [],
        ["--json"],
        ["show", "d-1"],
        ["show", "d-1", "--json"],
        ["replay"],
        ["verify"],
        ["show", EVIL],
    ):
        args = parser.parse_args(["audit", *arguments])
        args.data_dir = tmp_path
        commands.run(args)
        captured = capsys.readouterr()
        seen = captured.out + captured.err
        assert not [each for each in seen if each != "\n" and not each.isprintable()]
        if arguments in ([], ["show", "d-1"]):
            assert "[bold red]" in seen  # Shown as it is, not obeyed.


def test_an_export_does_not_go_to_a_terminal(audit, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stdout", Terminal())
    assert audit("export")[0] == 2


def test_a_process_of_its_own_exports_into_a_pipe(database):
    script = (
        "import argparse, pathlib, sys; from proxy.commands import audit as commands; p = argparse.ArgumentParser();"
        "p.add_argument('--data-dir', type=pathlib.Path); commands.add_arguments(p.add_subparsers());"
        "sys.exit(commands.run(p.parse_args()))"
    )
    arguments = [sys.executable, "-c", script, "--data-dir", str(database.parent.parent), "audit", "export"]
    done = subprocess.run(arguments, capture_output=True, check=True, timeout=30)
    assert len(done.stdout.splitlines()) == 25
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as gone:
        gone.stdout.close()
        assert (gone.wait(30), gone.stderr.read()) == (0, b"")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("30s", NOW - timedelta(seconds=30)),
        ("15m", NOW - timedelta(minutes=15)),
        ("1h", NOW - timedelta(hours=1)),
        ("2d", NOW - timedelta(days=2)),
        ("1w", NOW - timedelta(weeks=1)),
        ("2026-11-24", NOW.replace(hour=0)),
        ("2026-11-24T09:00", NOW.replace(hour=9)),
        ("2026-11-24T09:00:00Z", NOW.replace(hour=9)),
        ("2026-11-24T10:00:00+01:00", NOW.replace(hour=9)),
    ],
)
def test_since_reads_ages_and_times(text, moment):
    assert parse_since(text, NOW) == moment


@pytest.mark.parametrize("text", ["", "h", "1", "-1h", "1.5h", "１h", "1y", "999999w", "9999999h", "tomorrow", "1h\n"])
def test_since_refuses_the_rest(text):
    with pytest.raises(UsageError):
        parse_since(text, NOW)


def test_a_damaged_archive_is_named_instead_of_crashing(audit, database):
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("DROP TRIGGER records_no_update")
    connection.execute("UPDATE records SET body = x'7b22ff' WHERE kind = 'decision'")
    connection.close()
    for arguments in ([], ["show", "d-1"], ["replay"], ["verify"]):
        code, output, errors = audit(*arguments)
        assert code == 1
        assert "damaged" in errors or "NOT OK" in output
