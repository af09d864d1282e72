"""The command line as a whole. A kill must not wait for what other commands load."""

import errno
import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from proxy import app
from proxy.audit.archive import Archive
from proxy.audit.place import archive_place
from proxy.cli import _command_in, main
from proxy.clock import utc_now
from proxy.ledger.books.schema import books_path, open_writer
from proxy.store.fence import DESK, Fence, Scope
from proxy.vault.keys import Secret
from proxy.vault.vault import Vault
from tests.proxy.audit.conftest import SIGNER, TRUSTED
from tests.support.people import write_people

ROOT = Path(__file__).parents[2]

HEAVY = {"httpx", "ccxt", "pydantic", "msgspec", "redis", "fastapi", "cryptography", "rules.catalog"}


@pytest.mark.parametrize(
    ("given", "command"),
    [
        (["kill", "--by", "ann"], "kill"),
        (["--config", "kill", "up"], "up"),
        (["--data-dir", "here", "--config=x.toml", "kill"], "kill"),
        (["rearm", "--name", "kill"], "rearm"),
        (["--help"], ""),
        ([], ""),
    ],
)
def test_the_command_is_found_whatever_stands_around_it(given, command):
    assert _command_in(given) == command


def test_it_says_its_version(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    stated = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert (ended.value.code, capsys.readouterr().out) == (0, f"perpguard {stated}\n")


@pytest.mark.parametrize("words", [["kill", "--by", "ann", "--reason", "a drill of ours"], ["audit", "verify"]])
@pytest.mark.parametrize("behind", [False, True])
def test_which_guard_is_meant_may_be_said_behind_the_command(words, behind, tmp_path):
    named = ["--data-dir", str(tmp_path / "nowhere")]
    line = [sys.executable, "-m", "proxy", *([*words, *named] if behind else [*named, *words])]
    done = subprocess.run(line, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode != 0 and str(tmp_path / "nowhere") in done.stdout + done.stderr


NOT_A_PROCESS_S = {"ccxt", "sqlalchemy", "alembic", "fastapi", "apprise", "numpy", "polars", "rules.catalog"}


def loaded(*words: str) -> set[str]:
    """The modules there are when this command line has been understood."""
    text = (
        "import sys\nfrom proxy.cli import _parser_for\n"
        f"_parser_for({words[0]!r}).parse_args({list(words)!r})\nprint(' '.join(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_process_with_the_button_carries_no_command_and_no_tables_for_terminals():
    """``main`` keeps httpx from loading a command line of its own; so does this."""
    text = (
        "import sys\nfrom proxy.cli import main\nsys.modules['httpx._main'] = None\nbefore = set(sys.modules)\n"
        "import proxy.warden.warden, proxy.app\nprint(' '.join(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    found = done.stdout.split()
    assert "proxy.app" in found
    assert [name for name in found if name.split(".")[0] == "rich" or name.startswith("proxy.commands.")] == []


def test_a_kill_is_understood_before_anything_heavy_is_loaded():
    assert HEAVY & loaded("kill", "--by", "ann", "--reason", "a drill of ours") == set()


@pytest.mark.parametrize(
    "words", [("up",), ("gate", "--fd", "3"), ("warden", "--fd", "3"), ("watchdog",)], ids=lambda words: words[0]
)
def test_a_process_does_not_carry_what_other_commands_load(words):
    assert NOT_A_PROCESS_S & loaded(*words) == set()


@pytest.mark.parametrize(
    "words",
    [
        ("status",),
        ("doctor",),
        ("reduce", "--by", "ann", "--reason", "a drill of ours"),
        ("rearm", "--status"),
        ("override", "list"),
        ("drill",),
        ("leases",),
    ],
    ids=lambda words: words[0],
)
def test_a_command_in_a_hurry_does_not_carry_what_other_commands_load(words):
    assert NOT_A_PROCESS_S & loaded(*words) == set()


@pytest.mark.parametrize(
    "words",
    [("rules",), ("rules", "--json"), ("coverage", "configs/policies/desk.toml"), ("policy", "schema")],
    ids=" ".join,
)
def test_a_reader_that_has_heard_enough_is_no_trouble(words):
    reads, writes = os.pipe()
    os.close(reads)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "proxy", *words], stdout=writes, stderr=subprocess.PIPE, text=True, check=False
        )
    finally:
        os.close(writes)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")


def test_the_first_state_says_what_is_stopped_and_lifts_nothing(tmp_path, capsys):
    data = tmp_path / "data"
    assert main(["--data-dir", str(data), "init"]) == 0
    assert capsys.readouterr().out == f"{data} is ready; nothing is stopped; kill generation 1\n"
    assert data.stat().st_mode & 0o777 == 0o700
    for scope in (DESK, Scope("main")):
        Fence(data).engage(scope)
    assert main(["--data-dir", str(data), "init"]) == 0
    said = "STOPPED: account:main, desk; perpguard rearm lets it trade again"
    assert capsys.readouterr().out == f"{data} is ready; {said}; kill generation 3\n"
    assert Fence(data).scopes() == {DESK, Scope("main")}


@pytest.fixture
def a_file(tmp_path):
    path = tmp_path / "a file"
    path.write_text("")
    return path


@pytest.mark.parametrize("words", [("init",), ("check",), ("people", "list"), ("keys", "list")], ids=" ".join)
def test_a_data_directory_that_is_a_file_is_told_in_a_line(words, a_file, monkeypatch, capsys):
    monkeypatch.setenv("PERPGUARD_PASSPHRASE", "a long passphrase")
    assert main(["--data-dir", str(a_file), *words]) == 2
    said = capsys.readouterr().err
    assert str(a_file) in said and said.startswith(f"perpguard {words[0]}: ") and said.count("\n") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="the file system is Linux's")
def test_a_folder_that_cannot_be_made_is_told_in_a_line(capsys):
    assert main(["--data-dir", "/proc/nosuch", "init"]) == 2
    assert capsys.readouterr().err == "perpguard init: /proc/nosuch: No such file or directory\n"


def test_a_disk_that_takes_no_writes_is_told_in_a_line_by_up(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PERPGUARD_PASSPHRASE", "a long passphrase")
    Vault.create(tmp_path / "vault" / "vault.json", Secret("a long passphrase"), work_factor=2**14)

    def read_only(data_dir):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(data_dir / ".kill"))

    monkeypatch.setattr(Fence, "resume", read_only)
    assert main(["--data-dir", str(tmp_path), "up"]) == 2
    assert capsys.readouterr().err == f"perpguard up: {tmp_path}/.kill: Read-only file system\n"


@pytest.mark.parametrize("command", ["warden", "gate"])
def test_a_process_of_the_guard_keeps_its_traceback(command, tmp_path, monkeypatch):
    def lost(args):
        raise FileNotFoundError(errno.ENOENT, "gone", "/a/path")

    monkeypatch.setattr("proxy.cli._run", lost)
    with pytest.raises(FileNotFoundError):
        main(["--data-dir", str(tmp_path), command, "--fd", "3"])


@pytest.fixture
def out_of_reach(tmp_path, monkeypatch):
    """A data directory whose vault may not be read: as root, who may read all, a link is what is refused. The tests'
    own process is not hardened for it, for all tests that come after."""
    monkeypatch.setattr(app, "harden_process", lambda name: None)
    monkeypatch.setenv("PERPGUARD_PASSPHRASE", "a long passphrase")
    vault = tmp_path / "vault" / "vault.json"
    vault.parent.mkdir(mode=0o700)
    vault.symlink_to(tmp_path / "elsewhere")
    return vault


def test_a_watchdog_that_people_start_says_in_a_line_which_file_it_may_not_read(out_of_reach, tmp_path, capsys):
    assert main(["--data-dir", str(tmp_path), "watchdog"]) == 2
    assert capsys.readouterr().err == f"perpguard watchdog: {out_of_reach}: {os.strerror(errno.ELOOP)}\n"


def test_a_watchdog_of_the_guard_keeps_its_traceback(out_of_reach, tmp_path):
    with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
        main(["--data-dir", str(tmp_path), "watchdog", "--supervisor", str(os.getpid())])


@pytest.mark.parametrize(
    "words",
    [
        ("keys", "issue", "--bot", "b", "--account", "a", "--ed25519", "NOWHERE"),
        ("audit", "verify", "--from", "NOWHERE"),
        ("audit", "export", "--output", "NOWHERE"),
        ("audit", "export", "--format", "csv", "--output", "NOWHERE"),
        ("certificate", "verify", "certificate.json", "--public-key", "NOWHERE"),
        ("export", "fills", "--output", "NOWHERE"),
    ],
    ids=" ".join,
)
def test_a_file_that_is_not_there_is_named_as_it_was_given_and_without_a_number(words, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PERPGUARD_PASSPHRASE", "a long passphrase")
    vault = Vault.create(tmp_path / "vault" / "vault.json", Secret("a long passphrase"), work_factor=2**14)
    vault.add_exchange_key(account="a", venue="binanceusdm", api_key="k" * 64, api_secret=Secret("s"), now=utc_now())
    Archive.open(archive_place(tmp_path), SIGNER, keys=TRUSTED).close()
    open_writer(books_path(tmp_path)).close()
    nowhere = str(tmp_path / "nowhere" / "x.jsonl")
    code = main(["--data-dir", str(tmp_path), *(nowhere if word == "NOWHERE" else word for word in words)])
    said = capsys.readouterr().err
    assert code == 2 and said.count("\n") == 1
    assert said.endswith(f": {nowhere}: No such file or directory\n") and "Errno" not in said and ".part" not in said


@pytest.fixture
def as_another_user():
    """From now on what is root's alone is out of reach, the interpreter's own files among it."""
    yield lambda: os.seteuid(65534)
    os.seteuid(0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act for another user")
@pytest.mark.parametrize(
    "words", [("tls", "show"), ("restart-gates",), ("certificate", "list"), ("keys", "list")], ids=" ".join
)
def test_another_user_s_folder_is_told_in_a_line_without_a_number(
    words, as_another_user, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("PERPGUARD_PASSPHRASE", "a long passphrase")
    mine = tmp_path / "data"
    mine.mkdir(mode=0o700)
    main(["--data-dir", str(mine), *words])  # What it loads is loaded.
    capsys.readouterr()
    as_another_user()
    code, said = main(["--data-dir", str(mine), *words]), capsys.readouterr().err
    assert code == 2 and said.startswith(f"perpguard {words[0]}: ") and said.count("\n") == 1
    assert said.endswith(": Permission denied\n") and f" {mine}/" in said and "Errno" not in said


@pytest.mark.parametrize("before", [[], ["--config", "sandbox"], ["--data-dir=x", "--config", "x.toml"]])
def test_the_practice_exchange_is_run_whatever_stands_before_it(before, monkeypatch):
    ran = []
    monkeypatch.setattr("proxy.cli.os.execv", lambda *words: ran.append(words) or sys.exit(0))
    with pytest.raises(SystemExit):
        main([*before, "sandbox", "--port", "0"])
    assert ran == [(sys.executable, [sys.executable, "-m", "sandbox", "--port", "0"])]


def test_an_interrupt_ends_a_command_without_a_traceback(monkeypatch, capsys):
    def interrupted(args):
        raise KeyboardInterrupt

    monkeypatch.setattr("proxy.cli._run", interrupted)
    assert main(["keys", "list"]) == 128 + signal.SIGINT
    assert capsys.readouterr().err == "perpguard keys: interrupted\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act for another user")
def test_what_root_s_command_line_changes_is_still_the_guard_s_to_read(tmp_path, monkeypatch, capsys):
    """The guard runs as a user of its own: a key or a person switched off by root must be off for it."""
    guard, data = 12345, tmp_path / "data"
    data.mkdir(mode=0o700)
    os.chown(data, guard, guard)
    monkeypatch.setenv("PERPGUARD_PASSPHRASE", "a long passphrase")
    vault = Vault.create(data / "vault" / "vault.json", Secret("a long passphrase"), work_factor=2**14)
    vault.add_exchange_key(
        account="main", venue="binanceusdm", api_key="k" * 64, api_secret=Secret("s" * 64), now=utc_now()
    )
    key = vault.issue(bot="grid", account="main", label="grid", now=utc_now())
    write_people(data)
    assert main(["--data-dir", str(data), "keys", "disable", key.key]) == 0
    assert main(["--data-dir", str(data), "people", "disable", "Vic"]) == 0
    capsys.readouterr()
    made = [path for path in data.rglob("*") if path.parent.name in ("vault", "people") or path.is_dir()]
    assert len(made) == 6, "two folders, two files, two locks"
    assert {path.stat().st_uid for path in made} == {guard}


@pytest.mark.skipif(sys.platform != "linux", reason="the question is Linux's")
@pytest.mark.parametrize("words", [("up",), ("keys", "list"), ("people", "list"), ("status",)], ids=" ".join)
def test_no_command_that_may_hold_a_secret_leaves_an_image_of_its_memory(words, tmp_path):
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import ctypes, sys\nfrom proxy import cli\n"
            "cli._run = lambda args: print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)) or 0\n"
            "cli.main(sys.argv[1:])",
            *words,
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "0\n"


@pytest.mark.skipif(sys.platform != "linux", reason="the question is Linux's")
def test_nor_does_a_kill_once_it_reads_the_exchange_keys(tmp_path):
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import ctypes, sys\nfrom pathlib import Path\nfrom proxy.commands import kill as commands\n"
            "try:\n    commands._open_vault(Path(sys.argv[1]), None)\n"
            "except Exception:\n    print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))",
            str(tmp_path),
        ],
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    assert done.stdout == "0\n"


def test_a_terminal_that_is_lost_ends_no_kill():
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import os, signal, sys\nfrom proxy import cli\n"
            "cli.kill.run = lambda args: os.kill(os.getpid(), signal.SIGHUP) or 7\n"
            "sys.exit(cli.main(['kill', '--by', 'ann', '--reason', 'a drill of ours']))",
        ],
        check=False,
    )
    assert done.returncode == 7
