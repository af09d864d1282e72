"""The command line as a whole. A kill must not wait for what other commands load."""

import os
import signal
import subprocess
import sys

import pytest

from proxy.cli import _command_in, main
from proxy.clock import utc_now
from proxy.vault.keys import Secret
from proxy.vault.vault import Vault
from tests.support.people import write_people

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
            "import ctypes, sys\nfrom pathlib import Path\nfrom proxy.kill import commands\n"
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
            "cli.kill_commands.run = lambda args: os.kill(os.getpid(), signal.SIGHUP) or 7\n"
            "sys.exit(cli.main(['kill', '--by', 'ann', '--reason', 'a drill of ours']))",
        ],
        check=False,
    )
    assert done.returncode == 7
