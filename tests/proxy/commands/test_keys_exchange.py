"""`keys add-exchange` and `keys check` against the practice exchange, whose keys may do what its file says."""

from __future__ import annotations

import argparse
import io
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from proxy.commands.keys import Terminal, add_arguments, run
from proxy.settings import Settings, VenueSettings
from proxy.vault.keys import Secret
from proxy.vault.permissions import Enrolment, Risk
from proxy.vault.vault import Vault

ROOT = Path(__file__).parents[3]
PASSPHRASE = "correct horse battery staple"
SECRET = "s" * 64
NOW = datetime(2026, 11, 24, tzinfo=UTC)
KEYS = {"safe": "", "rich": "withdrawals = true", "open": "ip_restricted = false"}


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A practice exchange with one key that is as it should be, and two that are not."""
    config = tmp_path_factory.mktemp("exchange") / "exchange.toml"
    config.write_text(
        "".join(
            f'[[account]]\nname = "{name}"\napi_key = "{name}-key"\napi_secret = "{SECRET}"\n{rights}\n'
            for name, rights in KEYS.items()
        )
    )
    command = [sys.executable, "-m", "sandbox", "--port", "0", "--config", str(config)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    yield process.stdout.readline().split()[-1]
    process.terminate()
    process.wait(timeout=10)
    process.stdout.close()


class Operator:
    """Types commands at a vault of its own that asks this exchange."""

    def __init__(self, data_dir: Path, exchange: str) -> None:
        self.data_dir = data_dir
        self.path = data_dir / "vault" / "vault.json"
        self.settings = Settings(data_dir=data_dir, venues={"binanceusdm": VenueSettings(url=exchange)})
        Vault.create(self.path, Secret(PASSPHRASE), work_factor=2**14)

    def types(self, line: str) -> tuple[int, str, str]:
        parser = argparse.ArgumentParser()
        parser.set_defaults(data_dir=self.data_dir, settings=self.settings)
        add_arguments(parser.add_subparsers())
        out, err = io.StringIO(), io.StringIO()
        terminal = Terminal(
            environment={"PERPGUARD_PASSPHRASE": PASSPHRASE},
            stdin=io.StringIO(SECRET),
            stdout=out,
            stderr=err,
            prompt=None,
            now=lambda: NOW,
        )
        return run(parser.parse_args(line.split()), terminal), out.getvalue(), err.getvalue()

    def adds(self, name: str, more: str = "") -> tuple[int, str, str]:
        return self.types(f"keys add-exchange --account {name} --venue binanceusdm --api-key {name}-key {more}")

    def enrolments(self) -> dict[str, Enrolment | None]:
        vault = Vault.open(self.path, Secret(PASSPHRASE))
        return {key.account: key.enrolment for key in vault.accounts()}


@pytest.fixture
def operator(tmp_path: Path, exchange: str) -> Operator:
    return Operator(tmp_path, exchange)


def test_a_key_that_only_trades_is_kept_and_the_check_is_remembered(operator: Operator) -> None:
    assert operator.adds("safe")[0] == 0
    assert operator.enrolments() == {"safe": Enrolment(checked_at=NOW)}
    (row,) = json.loads(operator.types("keys list --json")[1])["accounts"]
    assert (row["checked_at"], row["accepted"]) == ("2026-11-24T00:00:00+00:00", "nothing")


@pytest.mark.parametrize(("name", "risk"), [("rich", Risk.WITHDRAWALS), ("open", Risk.NO_IP_RESTRICTION)])
def test_a_dangerous_key_is_refused_until_its_own_risk_is_accepted(operator: Operator, name: str, risk: Risk) -> None:
    (other,) = set(Risk) - {risk}
    for wrong in ("", f"--accept-{other}"):
        code, out, err = operator.adds(name, wrong)
        assert (code, out) == (2, "") and risk.words in err and f"--accept-{risk}" in err and SECRET not in err
    assert operator.enrolments() == {}
    assert operator.adds(name, f"--accept-{risk}")[0] == 0
    assert operator.enrolments() == {name: Enrolment(checked_at=NOW, accepted=(risk,))}
    assert f"accepted={risk}" in operator.types("keys list")[1]


def test_a_key_the_exchange_does_not_know_is_refused(operator: Operator) -> None:
    code, _, err = operator.adds("stranger")
    assert code == 2 and "did not say what this key may do" in err
    assert operator.enrolments() == {}


def test_an_exchange_that_is_away_refuses_unless_the_check_is_skipped(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    operator = Operator(tmp_path, f"http://127.0.0.1:{port}")
    code, _, err = operator.adds("safe")
    assert code == 2 and "--offline" in err
    code, _, err = operator.adds("safe", "--offline")
    assert code == 0 and "were not checked" in err
    assert operator.enrolments() == {"safe": Enrolment(checked_at=None)}
    assert "checked_at=never" in operator.types("keys list")[1]


def test_a_venue_the_settings_do_not_know_is_refused(operator: Operator) -> None:
    code, _, err = operator.types("keys add-exchange --account a --venue elsewhere --api-key k")
    assert code == 2 and "no venue elsewhere; known are binanceusdm" in err


def test_check_asks_about_kept_keys_and_keeps_what_is_accepted_then(operator: Operator) -> None:
    operator.adds("safe", "--offline")
    operator.adds("rich", "--offline")
    code, out, err = operator.types("keys check")
    assert code == 2 and "rich: this key can withdraw" in err
    assert "account=safe reading=yes futures=yes withdrawals=no transfers=no ip_restricted=yes" in out
    assert operator.enrolments() == {"safe": Enrolment(checked_at=NOW), "rich": Enrolment(checked_at=None)}
    assert operator.types("keys check --account rich --accept-withdrawals")[0] == 0
    assert operator.enrolments()["rich"] == Enrolment(checked_at=NOW, accepted=(Risk.WITHDRAWALS,))
    assert operator.types("keys check")[0] == 0, "what was accepted once stays accepted"


def test_check_of_an_account_that_is_not_there_says_so(operator: Operator) -> None:
    assert operator.types("keys check --account nobody")[0] == 2
