"""`perpguard kill` stops first and asks later, and says exactly what it did not do."""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import signal
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pytest

from proxy.certificate.shelf import CertificateShelf
from proxy.commands.arguments import Arguments
from proxy.commands.exit_codes import NOT_OK, NOT_STARTED, OK, USAGE_ERROR
from proxy.commands.kill import add_arguments, run
from proxy.commands.kill_told import Telling
from proxy.commands.settings_at_hand import settings_at_hand
from proxy.exchange.troubles import VenueTrouble
from proxy.kill import in_flight
from proxy.kill.asked import Asked, asked_of, fitting
from proxy.kill.direct import DirectHands
from proxy.kill.hands import VenueHands
from proxy.kill.report import KillReport
from proxy.settings import BINANCE_HOSTS, Settings, VenueSettings
from proxy.store.fence import DESK, Fence, Scope
from proxy.store.warden_store import WardenStore
from proxy.vault.keys import ExchangeKey, Secret
from proxy.vault.vault import Vault
from rules.model import PositionSide
from tests.proxy.kill.practice_exchange import ROOT, SECRET, api_key, practice_exchange
from tests.proxy.kill.simulated_venue import SimulatedVenue
from tests.proxy.kill.virtual_time import in_virtual_time
from tests.support.kills import kill

PASSPHRASE = "correct horse battery"
NO_URLS = SimpleNamespace(venue_urls={})


def press(data_dir: Path, *words: str, settings: object = NO_URLS) -> tuple[int, str, str]:
    parser = argparse.ArgumentParser()
    add_arguments(parser.add_subparsers())
    args = parser.parse_args(["kill", "--reason", "test", "--by", "ann", *words])
    args.data_dir, args.settings, args.config = data_dir, settings, None
    stdout, stderr = io.StringIO(), io.StringIO()
    return run(args, stdout, stderr), stdout.getvalue(), stderr.getvalue()


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("PERPGUARD_PASSPHRASE", "PERPGUARD_PASSPHRASE_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(in_flight, "OVER_AFTER_S", 0.0)  # What may be on the wire is waited for in a test of its own.
    Fence.initialise(tmp_path)
    return tmp_path


def a_vault(data_dir: Path, monkeypatch: pytest.MonkeyPatch, *accounts: str) -> None:
    monkeypatch.setenv("PERPGUARD_PASSPHRASE", PASSPHRASE)
    vault = Vault.create(data_dir / "vault" / "vault.json", Secret(PASSPHRASE), work_factor=2**14)
    for account in accounts:
        now = datetime.now(UTC)
        vault.add_exchange_key(
            account=account, venue="binanceusdm", api_key=api_key(account), api_secret=Secret(SECRET), now=now
        )


def test_without_a_passphrase_entries_are_stopped_and_the_rest_is_named(data_dir: Path):
    code, stdout, stderr = press(data_dir, "--json")
    assert code == NOT_STARTED
    assert Fence(data_dir).scopes() == {DESK}
    answer = json.loads(stdout)
    assert answer["flat"] is False
    assert "stopped on this machine" in answer["done"] and "no position was closed" in answer["not_done"]
    assert "NOT DONE" in stderr and "passphrase" in stderr


@pytest.mark.parametrize("scope", [(), ("--account", "main"), ("--account", "mian")])
def test_which_guard_it_acts_on_is_said_first_and_not_in_the_answer(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch, scope: tuple[str, ...]
):
    a_vault(data_dir, monkeypatch, "main")
    _, stdout, stderr = press(data_dir, "--json", *scope)
    said = [line for line in stderr.splitlines() if "going to the exchange from here" not in line]
    assert said[0] == f"perpguard kill: the guard in {data_dir}, no settings file given"
    assert str(data_dir) not in stdout


def test_a_misspelt_name_stops_nobody_and_the_names_there_are_are_told(data_dir: Path, monkeypatch: pytest.MonkeyPatch):
    a_vault(data_dir, monkeypatch, "main", "second")
    code, _, stderr = press(data_dir, "--account", "mian")
    assert code == USAGE_ERROR and "no such account; its accounts: main, second; NOTHING was stopped" in stderr
    assert Fence(data_dir).scopes() == frozenset()
    Fence(data_dir).engage(Scope("mian"))
    press(data_dir, "--account", "mian")
    assert Fence(data_dir).scopes() == {Scope("mian")}, "it took back what was not its own"


def test_a_name_that_nobody_can_look_up_is_stopped(data_dir: Path):
    code, _, stderr = press(data_dir, "--account", "ghost")
    assert code == NOT_STARTED and "NEXT: log in at the exchange and close there" in stderr
    assert Fence(data_dir).scopes() == {Scope("ghost")}


def test_where_no_guard_has_run_it_says_so_and_makes_nothing(tmp_path: Path):
    code, stdout, stderr = press(tmp_path / "nowhere", "--json")
    assert code == NOT_STARTED and json.loads(stdout)["done"] == "nothing"
    assert "no guard has ever run in" in stderr and "--config or --data-dir" in stderr
    assert not (tmp_path / "nowhere").exists()


def test_whoever_pressed_is_written_down_for_whoever_takes_it_up(data_dir: Path):
    press(data_dir)
    assert asked_of(data_dir, DESK) == Asked(by="ann", reason="test")
    assert fitting("runaway\ngrid") == "runaway grid" and fitting("\n") == "not given"
    assert len(fitting("x" * 501)) == 500


class Gone(io.StringIO):
    """A pipe whose reader has hung up."""

    def write(self, text: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")


async def test_wrong_settings_and_a_reader_that_hung_up_keep_no_position_open(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
):
    async with practice_exchange("main") as exchange:
        await exchange.populate("main")
        a_vault(data_dir, monkeypatch, "main")
        config = data_dir / "guard.toml"
        config.write_text(f'gate_prt = 1\ndesk = 5\n[venues.binanceusdm]\nurl = "{exchange.base_url}"\n')

        def pressed() -> int:
            args = Arguments(config=config, data_dir_given=data_dir)
            parser = argparse.ArgumentParser()
            add_arguments(parser.add_subparsers())
            parser.parse_args(["kill", "--reason", "test", "--by", "ann"], namespace=args)
            return run(args, Gone(), Gone())

        assert await asyncio.to_thread(pressed) == OK
        assert await exchange.flat("main")


def test_of_settings_that_are_wrong_what_is_right_is_taken_and_the_rest_is_said(tmp_path: Path):
    config = tmp_path / "guard.toml"
    config.write_text(
        'store_url = 7\nhuh = 1\npolicy = "p.toml"\n[venues.binanceusdm]\nurl = "http://x"\nother = 1\n'
        '[accounts.main]\negress = "no address"\nkill_egress = "127.0.0.2"\n'
    )
    at_hand = settings_at_hand(config, tmp_path, {})
    found, said = at_hand.settings, at_hand.said
    assert found.venue_urls == {"binanceusdm": "http://x"} and found.policy == tmp_path / "p.toml"
    assert found.kill_addresses("main") == ("127.0.0.2", "") and found.data_dir == tmp_path
    assert "store_url" in said and "accounts.main.egress" in said and "usual address" not in said
    assert at_hand.knows_desk

    for url in ("nowhere", "guard.toml"):
        config.write_text(f'store_url_file = "{url}"\n[venues.binanceusdm]\nurl = "http://x"\n')
        at_hand = settings_at_hand(config, tmp_path, {"PERPGUARD_STORE_URL": "rubbish"})
        assert at_hand.settings.venue_urls == {"binanceusdm": "http://x"} and at_hand.settings.store_url is None
        assert "store_url_file" in at_hand.said and "rubbish" not in at_hand.said

    config.write_text('gate_port = "x"\n')
    at_hand = settings_at_hand(config, tmp_path, {"PERPGUARD_STORE_URL": "redis://s"})
    assert at_hand.settings.venue_urls == {"binanceusdm": BINANCE_HOSTS["fapi"]} and at_hand.knows_desk
    assert at_hand.settings.store == "redis://s" and at_hand.said == "going to the usual address of binanceusdm"


def test_settings_at_hand_are_read_from_the_environment_too_each_variable_by_itself(tmp_path: Path):
    config = tmp_path / "guard.toml"
    environment = {
        "PERPGUARD_VENUES__BINANCEUSDM__URL": "http://practice:8090",
        "PERPGUARD_VENUES__BINANCEUSDM__OTHER_URLS": "no list",
        "PERPGUARD_ACCOUNTS__MAIN__EGRESS": "127.0.0.3",
        "PERPGUARD_ACCOUNTS__MAIN__KILL_EGRESS": "no address",
        "PERPGUARD_DESK": "alpha",
        "PERPGUARD_POLICY": "/p.toml",
        "PERPGUARD_STORE_URL": "redis://s",
        "PERPGUARD_STORE_URL_FILE": "",
        "PERPGUARD_GATE_PORT": "x",
        "VENUES": "another's",
    }
    for text in ('desk = "beta"\n[venues.binanceusdm]\nurl = "http://y"\n', "no TOML", 'gate_port = "x"\n'):
        config.write_text(text)
        at_hand = settings_at_hand(config, tmp_path, environment)
        found = at_hand.settings
        assert found.venue_urls == {"binanceusdm": "http://practice:8090"}, text
        assert (found.desk, found.store, found.policy) == ("alpha", "redis://s", Path("/p.toml"))
        assert found.kill_addresses("main") == ("127.0.0.3",) and at_hand.knows_desk
        assert "OTHER_URLS" in at_hand.said and "accounts.main.kill_egress" in at_hand.said

    at_hand = settings_at_hand(None, tmp_path, {"PERPGUARD_VENUES": '{"binanceusdm": {"url": "http://x"}}'})
    assert at_hand.settings.venue_urls == {"binanceusdm": "http://x"}

    for name, value in (("PERPGUARD_VENUES__BINANCEUSDM__URL", ""), ("PERPGUARD_VENUES", "{")):
        at_hand = settings_at_hand(None, tmp_path, {name: value})
        assert (at_hand.settings.venue_urls, bool(at_hand.doubt)) == ({}, True), name


def test_of_a_list_with_a_slip_nothing_else_goes(tmp_path: Path):
    config = tmp_path / "guard.toml"
    config.write_text('[venues.binanceusdm]\nurl = "http://x"\nother_urls = [1, "http://y", 2]\n')
    at_hand = settings_at_hand(config, tmp_path, {})
    assert at_hand.settings.venue_urls == {"binanceusdm": "http://x"}
    assert at_hand.said == "not understood: venues.binanceusdm.other_urls"


WHERE_IT_IS = (
    '[venues.binanceusdm]\nurl = ""\n',
    '[venues.binanceusdm]\nulr = "http://x"\n',
    '[venues]\nbinanceusdm = "http://x"\n',
    'venues = "http://x"\n',
    '[venue.binanceusdm]\nurl = "http://x"\n',
    'url = "http://x"\n',
    "[venues",
    None,
)


@pytest.mark.parametrize("text", WHERE_IT_IS)
def test_it_goes_to_no_exchange_where_what_cannot_be_read_may_name_another(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch, text: str | None
):
    a_vault(data_dir, monkeypatch, "main")
    config = data_dir / "guard.toml"
    if text is not None:
        config.write_text(text)

    def never(self: DirectHands, *given: object, **more: object) -> None:
        raise AssertionError("hands were made")

    monkeypatch.setattr(DirectHands, "__init__", never)
    code, stdout, _ = pressed_with(config, data_dir, "--json")
    told = json.loads(stdout)
    assert code == NOT_STARTED and "stopped on this machine" in told["done"]
    assert told["why"].startswith("where binanceusdm is may stand in what cannot be read of the settings: ")
    assert "mend that and run this again" in told["next"]
    assert Fence(data_dir).scopes() == {DESK}


@pytest.mark.parametrize(
    ("text", "environment", "known"),
    [
        ('desk = "alpha"\n', {}, True),
        ("gate_port = 70000\n", {}, True),
        ('desk = "our desk"\n', {}, False),
        ('dsk = "alpha"\n', {}, False),
        ('[venues.binanceusdm]\nurl = "http://x"\ndesk = "alpha"\n', {}, False),
        ("no TOML", {}, False),
        ("no TOML", {"PERPGUARD_DESK": "alpha"}, True),
        ('dsk = "beta"\n', {"PERPGUARD_DESK": "alpha"}, True),
        ('desk = "beta"\n', {"PERPGUARD_DESK": "our desk"}, False),
    ],
)
def test_a_desk_that_is_not_known_is_told_to_no_store(
    tmp_path: Path, text: str, environment: dict[str, str], known: bool
):
    config = tmp_path / "guard.toml"
    config.write_text(text)
    at_hand = settings_at_hand(config, tmp_path, environment)
    assert at_hand.knows_desk is known and ("telling no store" in at_hand.said) is not known


async def test_without_the_name_of_the_desk_the_accounts_are_made_flat_and_no_other_desk_is_stopped(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
):
    told: list[object] = []

    async def set_state(self: WardenStore, *given: object, **more: object) -> None:
        told.append(given)

    monkeypatch.setattr(WardenStore, "set_state", set_state)
    async with practice_exchange("main") as exchange:
        await exchange.populate("main")
        a_vault(data_dir, monkeypatch, "main")
        config = data_dir / "guard.toml"
        url = f'[venues.binanceusdm]\nurl = "{exchange.base_url}"\n'
        config.write_text('desk = "our desk"\n' + url)
        code, _, stderr = await asyncio.to_thread(pressed_with, config, data_dir)
        assert (code, told) == (OK, []) and "telling no store: the desk's name cannot be read" in stderr
        assert await exchange.flat("main")
        config.write_text('gate_port = "x"\ndesk = "alpha"\n' + url)
        assert (await asyncio.to_thread(pressed_with, config, data_dir))[0] == OK
        assert told, "the desk that was named was not told"


def pressed_with(config: Path, data_dir: Path, *words: str) -> tuple[int, str, str]:
    """A press with settings that are read from a file, as the command line does."""
    args = Arguments(config=config, data_dir_given=data_dir)
    parser = argparse.ArgumentParser()
    add_arguments(parser.add_subparsers())
    parser.parse_args(["kill", "--reason", "test", "--by", "ann", *words], namespace=args)
    stdout, stderr = io.StringIO(), io.StringIO()
    return run(args, stdout, stderr), stdout.getvalue(), stderr.getvalue()


async def test_an_account_that_cannot_be_reached_keeps_no_other_open(data_dir: Path, monkeypatch: pytest.MonkeyPatch):
    async with practice_exchange("main") as exchange:
        await exchange.populate("main")
        a_vault(data_dir, monkeypatch, "main", "second")
        hand = DirectHands.hand

        async def half(direct: DirectHands, scope: Scope, key: ExchangeKey) -> VenueHands:
            if key.account == "second":
                raise ValueError("no such interface")
            return await hand(direct, scope, key)

        monkeypatch.setattr(DirectHands, "hand", half)
        settings = Settings(venues={"binanceusdm": VenueSettings(url=exchange.base_url)})
        code, stdout, _ = await asyncio.to_thread(press, data_dir, settings=settings)
        assert code == NOT_OK and "NOT TOUCHED: second (ValueError: no such interface)" in stdout
        assert "NO CERTIFICATE: the press is not certified: nothing says what became of second" in stdout
        assert await exchange.flat("main")
        code, stdout, _ = await asyncio.to_thread(press, data_dir, "--json", settings=settings)
        report = json.loads(stdout)
        assert (code, report["flat"], report["phase"]) == (NOT_OK, False, "DEGRADED")
        assert report["not_touched"] == ["second (ValueError: no such interface)"]
        assert [each["phase"] for each in report["accounts"]] == ["FLAT"]
        assert list((data_dir / "certificates").glob("*-press.json")) == [], "FLAT over fewer than the press covered"


def test_settings_that_fail_are_not_asked_before_the_sentinel_stands(data_dir: Path, monkeypatch: pytest.MonkeyPatch):
    class Broken:
        @property
        def venue_urls(self) -> dict[str, str]:
            assert Fence(data_dir).engaged("main")
            return {}

    a_vault(data_dir, monkeypatch, "main")
    code, _, stderr = press(data_dir, settings=Broken())
    assert code == NOT_STARTED and "no base URL" in stderr


def test_an_impossible_name_says_that_nothing_was_stopped(data_dir: Path):
    code, _, stderr = press(data_dir, "--account", "../x")
    assert code == 2 and "NOTHING" in stderr
    assert Fence(data_dir).scopes() == frozenset()


def test_the_sentinel_needs_no_heavy_import():
    heavy = "{'ccxt', 'cryptography', 'redis', 'msgspec', 'aiohttp', 'asyncio', 'tenacity', 'pydantic'}"
    code = f"import sys, proxy.commands.kill; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "set()"


async def test_what_was_on_the_wire_is_waited_for_and_closed_where_no_store_answers(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(in_flight, "OVER_AFTER_S", 9.5)
    async with practice_exchange("main") as exchange:
        await exchange.populate("main")
        a_vault(data_dir, monkeypatch, "main")
        # As after the error -1007: the exchange does it all the same, later than the kill has read it as flat.
        await exchange.control("POST", "faults", unknown_503=1, unknown_503_execution="late", late_ms=9000)
        bot = exchange.hands("main")
        with pytest.raises(VenueTrouble):
            order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.3"}
            await bot.calls.once(bot._venue.fapiPrivatePostOrder, order)
        settings = Settings(venues={"binanceusdm": VenueSettings(url=exchange.base_url)})
        code, stdout, stderr = await asyncio.to_thread(press, data_dir, settings=settings)
        await bot.aclose()
        assert code == OK and await exchange.flat("main")
    assert "main read as flat; waiting at most" in stderr and "main is made flat once more" in stderr
    assert "IN FLIGHT at the press: not known" in stdout


async def test_an_interruption_ends_the_waiting_and_leaves_no_kill_under_way_in_the_store(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(in_flight, "OVER_AFTER_S", 60.0)
    runs: list[bool] = []

    async def told(self: DirectHands, scope: Scope, generation: int | None, *, running: bool = True) -> None:
        runs.append(running)

    def interrupting(self: Telling, text: str) -> None:
        task = asyncio.current_task() if "waiting at most" in text else None
        if task is not None:
            task.cancel()  # As ``asyncio.run`` does at Ctrl-C.

    monkeypatch.setattr(DirectHands, "latch", told)
    monkeypatch.setattr(Telling, "say", interrupting)
    async with practice_exchange("main") as exchange:
        await exchange.populate("main")
        a_vault(data_dir, monkeypatch, "main")
        settings = Settings(venues={"binanceusdm": VenueSettings(url=exchange.base_url)})
        code, stdout, _ = await asyncio.to_thread(press, data_dir, "--json", settings=settings)
        assert code == OK and await exchange.flat("main")
    report = json.loads(stdout)
    assert report["flat"] and report["in_flight"] == {"known": False, "sent": [], "server": ""}
    assert runs == [True, False]


def test_an_interruption_of_the_job_itself_leaves_no_kill_under_way_in_the_store_either(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
):
    runs: list[bool] = []

    async def told(self: DirectHands, scope: Scope, generation: int | None, *, running: bool = True) -> None:
        runs.append(running)

    async def hand(self: DirectHands, scope: Scope, key: ExchangeKey) -> SimulatedVenue:
        venue = SimulatedVenue(3, quiet=True, fault_share=0, hedged=False)
        venue.positions["BTCUSDT", PositionSide.BOTH] = Decimal(1)
        venue.on_close = lambda _: signal.raise_signal(signal.SIGINT)
        return venue

    monkeypatch.setattr(DirectHands, "latch", told)
    monkeypatch.setattr(DirectHands, "hand", hand)
    a_vault(data_dir, monkeypatch, "main")
    settings = Settings(venues={"binanceusdm": VenueSettings(url="http://127.0.0.1:9")})
    # Whoever runs the tests in the background has them ignore what a terminal sends.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        code, stdout, stderr = press(data_dir, settings=settings)
    finally:
        signal.signal(signal.SIGINT, before)
    assert code == NOT_OK and stdout == "" and "interrupted: NOT KNOWN TO BE FLAT" in stderr
    assert runs == [True, False]


@pytest.mark.parametrize(("scope", "said"), [(Scope(bot="trend"), "bot trend on main: FLAT"), (DESK, "main: FLAT")])
def test_the_kill_of_one_bot_is_not_told_as_that_of_its_account(tmp_path: Path, scope: Scope, said: str) -> None:
    async def one() -> KillReport:
        return await kill(tmp_path, scope, [SimulatedVenue(3, fault_share=0)], "ann", "test")

    stdout = io.StringIO()
    Telling(stdout, io.StringIO(), as_json=False).ended(in_virtual_time(one()), None, CertificateShelf(tmp_path))
    assert stdout.getvalue().startswith(said)


async def test_the_whole_desk_is_made_flat_from_the_command_line(data_dir: Path, monkeypatch: pytest.MonkeyPatch):
    async with practice_exchange("main", "second") as exchange:
        await asyncio.gather(exchange.populate("main"), exchange.populate("second", hedged=True))
        a_vault(data_dir, monkeypatch, "main", "second")
        settings = Settings(venues={"binanceusdm": VenueSettings(url=exchange.base_url)})
        code, stdout, stderr = await asyncio.to_thread(press, data_dir, "--json", settings=settings)
        assert code == OK
        report = json.loads(stdout)
        assert report["flat"] and [each["phase"] for each in report["accounts"]] == ["FLAT", "FLAT"]
        assert await exchange.flat("main") and await exchange.flat("second")
        assert [each["phase"] for each in report["certificates"]["certificates"]] == ["FLAT"] * 3
        assert report["certificates"]["troubles"] == []
        assert len(list((data_dir / "certificates").glob("*.json"))) == 3, "one an account, one that binds them"
        assert SECRET not in stdout + stderr and "Surveyed" in stderr
