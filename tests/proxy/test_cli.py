"""The command line as a whole. A kill must not wait for what other commands load."""

import subprocess
import sys

import pytest

from proxy.cli import _command_in

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
