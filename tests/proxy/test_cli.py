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


def test_a_kill_is_understood_before_anything_heavy_is_loaded():
    text = (
        "import sys\nfrom proxy.cli import _kill_parser\n"
        "_kill_parser().parse_args(['kill', '--by', 'ann', '--reason', 'a drill of ours'])\n"
        "print(' '.join(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert HEAVY & set(done.stdout.split()) == set()
