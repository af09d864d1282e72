"""What the audit of a whole session proves: nothing changed, nothing missing, everything decided again the same."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from proxy.audit.anchor import read_anchor, write_anchor
from proxy.audit.place import archive_place
from proxy.practice.world import Places
from tests.proxy.audit.forging import with_a_key_of_their_own
from tests.support.policies import a_policy, a_rule
from tests.support.practice_client import fresh_id, order_params
from tests.support.worlds import LiveWorld, until

POLICY = a_policy(a_rule("desk.max_order_value", limit=20_000), a_rule("desk.max_leverage", limit=3))
OTHER_POLICY = a_policy(a_rule("desk.max_order_value", limit=5_000), a_rule("desk.max_leverage", limit=3))


class Session:
    """A session that is over: its data directory, its export, and what the exchange had logged."""

    def __init__(self, world: LiveWorld, log: list[dict[str, Any]], refused: int) -> None:
        self.world = world
        self.log = log
        self.refused = refused
        self.records = world.export()
        self.export_file = world.data_dir / "export.jsonl"
        done = world.command("audit", "export", "--output", str(self.export_file))
        assert done.returncode == 0, done.stderr

    def command(self, *words: str, data_dir: Path | None = None) -> subprocess.CompletedProcess[str]:
        """An audit command with neither store nor passphrase nor settings: it needs none of them."""
        return self.guard("audit", *words, data_dir=data_dir)

    def guard(self, *words: str, data_dir: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Any command, as bare."""
        return subprocess.run(
            [sys.executable, "-m", "proxy", "--data-dir", str(data_dir or self.world.data_dir), *words],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with LiveWorld(tmp_path_factory.mktemp("audit") / "data", POLICY, balance=20_000) as world:
        refused = play(world)
        world.wait_until_settled()
        log = world.door.log()
        until(lambda: all_outcomes(world), "every decision has its outcome in the archive", 60, every_s=0.5)
        world.stop_guard()
        yield Session(world, log, refused)


def play(world: LiveWorld) -> int:
    """Every kind of request once; how many the guard refused."""
    bot = world.bot
    answers = [
        bot.send("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=3),
        bot.order("BTCUSDT", "BUY", "0.1"),
        bot.order("ETHUSDT", "SELL", "2"),
        bot.order("BTCUSDT", "BUY", "0.01", 85_000),
        bot.order("BTCUSDT", "BUY", "0.01", 85_001, newClientOrderId=""),
        bot.stop("BTCUSDT", "SELL", "0.1", 85_500),
        bot.order("BTCUSDT", "SELL", "0.04", reduceOnly="true"),
        bot.order("BTCUSDT", "BUY", "3"),
        bot.order("BTCUSDT", "BUY", "0.2", 85_000),
        bot.order("XRPUSDT", "BUY", "9000"),
        bot.order("XRPUSDT", "BUY", "9001"),
        bot.order("ETHUSDT", "SELL", "10"),
        bot.send("POST", "/fapi/v1/batchOrders", batchOrders=json.dumps([a_batched(), a_batched()])),
        bot.cancel_all("BTCUSDT"),
    ]
    assert {answer.status_code for answer in answers} == {200, 400}
    world.door.arm(unknown_503=1)
    assert bot.order("ETHUSDT", "BUY", "0.1", 2_900).status_code == 503
    return sum(answer.status_code == 400 for answer in answers)


def a_batched() -> dict[str, Any]:
    return order_params("ETHUSDT", "BUY", "0.1", 2_901, newClientOrderId=fresh_id("batch"))


def all_outcomes(world: LiveWorld) -> bool:
    records = world.export()
    sent = {each["id"] for each in records if each["kind"] == "decision" and _allowed(each)}
    return bool(sent) and sent == {each["id"] for each in records if each["kind"] == "outcome"}


def _allowed(decision: dict[str, Any]) -> bool:
    return any(each["verdict"] == "ALLOW" for each in decision["decisions"])


def test_the_chain_verifies(session: Session) -> None:
    done = session.command("verify", "--json")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_export_replays_to_the_same_decisions_with_everything_off(session: Session) -> None:
    done = session.command("replay", "--from", str(session.export_file), "--json")
    report = json.loads(done.stdout)
    decisions = sum(record["kind"] == "decision" for record in session.records)
    assert done.returncode == 0, done.stdout
    assert (report["decisions"], report["agreed"]) == (decisions, decisions)
    assert session.refused >= 3


def test_under_another_policy_it_would_have_been_otherwise(session: Session, tmp_path: Path) -> None:
    policy = tmp_path / "other.toml"
    policy.write_text(OTHER_POLICY)
    done = session.command("replay", "--from", str(session.export_file), "--policy", str(policy), "--json")
    assert done.returncode == 1, done.stdout
    assert json.loads(done.stdout)["disagreed"] > 0


def test_a_policy_is_tried_on_the_session_with_everything_off(session: Session, tmp_path: Path) -> None:
    policy = tmp_path / "other.toml"
    policy.write_text(POLICY)
    done = session.guard("policy", "replay", str(policy), "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 0, done.stdout
    assert report["replayed"] == report["decisions"] > 10
    policy.write_text(OTHER_POLICY)
    done = session.guard("policy", "replay", str(policy), "--since", "1h", "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 1, done.stdout
    (flipped,) = report["changes"]
    assert (flipped["change"], flipped["unvalued"]) == ("refused", 0)
    assert {each["rule"] for each in report["by_rule"]} == {"max_order_value"}
    values = [Decimal(flip["notional"]) for flip in report["flips"]]
    assert sum(values) == Decimal(flipped["notional"])
    assert all(5_000 < value <= 20_000 for value in values)


def test_what_the_rules_refused_is_found_and_its_horizons_are_still_to_come(session: Session) -> None:
    done = session.guard("ledger", "counterfactual", "--since", "1h", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    horizons = report["total"]["horizons"]
    assert report["total"]["times"] == sum(each["times"] for each in report["refused"].values()) >= 3
    assert horizons["1h"]["not_yet"] == report["total"]["intents"]
    assert Decimal(horizons["1h"]["result"]) == 0


def test_every_order_at_the_exchange_was_intended_and_decided_before(session: Session) -> None:
    arrived = [(entry["time_ns"], client_id) for entry in session.log for client_id in client_ids(entry["params"])]
    assert len(arrived) >= 9
    for kind in ("intent", "decision"):
        known = {
            command["client_order_id"]: record["at"]
            for record in session.records
            if record["kind"] == kind
            for command in record["commands"]
            if command.get("client_order_id")
        }
        for time_ns, client_id in arrived:
            assert client_id in known, f"no {kind} for {client_id}"
            at = datetime.fromisoformat(known[client_id]).timestamp()
            assert at <= time_ns / 1e9, f"the {kind} of {client_id} came after it"


def client_ids(params: dict[str, str]) -> list[str]:
    """The ids of the new orders in one logged request."""
    if "batchOrders" in params:
        return [order["newClientOrderId"] for order in json.loads(params["batchOrders"])]
    return [params[name] for name in ("newClientOrderId", "clientAlgoId") if name in params]


def test_one_flipped_byte_of_the_archive_is_found(session: Session, tmp_path: Path) -> None:
    copy = tmp_path / "data"
    shutil.copytree(session.world.data_dir / "audit", copy / "audit")
    assert session.command("verify", data_dir=copy).returncode == 0
    archive = copy / "audit" / "audit.db"
    with contextlib.closing(sqlite3.connect(archive)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # So that the byte lies in this one file.
    flip(archive, session)
    done = session.command("verify", data_dir=copy)
    assert done.returncode == 1, done.stdout + done.stderr


def test_one_flipped_byte_of_the_export_is_found(session: Session, tmp_path: Path) -> None:
    copy = tmp_path / "export.jsonl"
    shutil.copy(session.export_file, copy)
    flip(copy, session)
    done = session.command("replay", "--from", str(copy))
    assert done.returncode == 1, done.stdout + done.stderr


def flip(path: Path, session: Session) -> None:
    """Change one character of a client order id that stands in the file."""
    content = bytearray(path.read_bytes())
    ids = [each.encode() for entry in session.log for each in client_ids(entry["params"])]
    content[content.index(next(each for each in ids if each in content)) + 3] ^= 1
    path.write_bytes(content)


def test_a_guard_whose_archive_is_not_its_own_names_it_and_goes_on_once_that_is_mended(tmp_path: Path) -> None:
    with LiveWorld(tmp_path / "data", POLICY, balance=20_000) as world:
        assert world.bot.order("BTCUSDT", "BUY", "0.01").status_code == 200
        world.stop_guard()
        place = archive_place(world.data_dir, {})
        anchor = read_anchor(place.anchor)
        assert anchor is not None
        write_anchor(place.anchor, with_a_key_of_their_own(anchor.checkpoint))

        exchange = world.places.exchange
        del world.places, world.bot
        gate, console = world.start_guard()
        world.places = Places(exchange=exchange, gate=gate, console=console)
        status = until(lambda: said_of_the_archive(world), "the archive is named", 60)
        assert "does not open: entries are refused: the anchor is signed by the key" in status["hindrances"][0]
        assert status["desk"]["archive"] == {"opened": False, "trouble": status["hindrances"][0].split("refused: ")[1]}
        assert "MEND  archive of the warden: does not open" in world.command("doctor", "--offline").stdout

        place.directory.rename(tmp_path / "evidence")
        until(world.answers, "the guard goes on", 60)
        assert world.command("status").returncode == 0
        assert world.bot.order("BTCUSDT", "BUY", "0.01").status_code == 200


def said_of_the_archive(world: LiveWorld) -> dict[str, Any] | None:
    done = world.command("status", "--json")
    told: dict[str, Any] = json.loads(done.stdout or "{}")
    return told if "desk" in told and told["desk"]["archive"]["trouble"] else None
