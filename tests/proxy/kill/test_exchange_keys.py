"""F24: the exchange key is switched off last, when flat is proven, and the guard believes the key, not the OK."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from proxy.clock import utc_now
from proxy.exchange.master_account import MasterAccount
from proxy.exchange.troubles import VenueRefused, VenueUnavailable
from proxy.kill.exchange_keys import KEY_OFF, NO_MASTER, OFF, STILL_ON, ExchangeKeys, key_outcome
from proxy.kill.hands import VenueHands
from proxy.kill.jobs import newest_jobs
from proxy.kill.pursuit import Pursuit
from proxy.store.fence import Scope
from proxy.vault.keys import ExchangeKey, MasterKey, Secret
from tests.proxy.kill.practice_exchange import ROOT, SECRET, PracticeExchange, api_key
from tests.proxy.kill.simulated_venue import SimulatedVenue
from tests.proxy.kill.test_pursuit import Desk
from tests.proxy.kill.virtual_time import in_virtual_time
from tests.support.kills import kill

EMAIL = "grid_virtual@desk.example"
MAIN = Scope("main")


@contextlib.asynccontextmanager
async def exchange_with_a_master(directory: Path) -> AsyncIterator[PracticeExchange]:
    directory.mkdir(parents=True, exist_ok=True)
    config = directory / "exchange.toml"
    accounts = (("main", f'email = "{EMAIL}"\nmaster = "boss"\n'), ("boss", ""))
    tables = (
        f'[[account]]\nname = "{name}"\napi_key = "{api_key(name)}"\napi_secret = "{SECRET}"\nbalance = 1000000\n{more}'
        for name, more in accounts
    )
    config.write_text('scenario = "flat"\norder_limit = 0\nweight_limit = 0\n' + "".join(tables))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sandbox", "--port", "0", "--config", str(config), cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), 20)
        yield PracticeExchange(line.decode().split()[-1])
    finally:
        process.terminate()
        await process.wait()


def a_key(master: MasterKey | None) -> ExchangeKey:
    return ExchangeKey(
        account="main",
        venue="binanceusdm",
        api_key=api_key("main"),
        api_secret=Secret(SECRET),
        created_at=utc_now(),
        master=master,
    )


class Book:
    """What was written into the audit."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []

    async def record(self, what: str, by: str, detail: dict[str, Any]) -> None:
        self.events.append((what, detail))


async def test_f24_the_key_goes_last_and_answers_no_more(tmp_path: Path) -> None:
    async with exchange_with_a_master(tmp_path / "exchange") as exchange:
        await exchange.populate("main")
        await exchange.control("DELETE", "log")
        venue, book = exchange.hands("main"), Book()
        master = MasterKey(api_key=api_key("boss"), api_secret=Secret(SECRET), email=EMAIL)
        keys = ExchangeKeys(
            wanted=lambda: True,
            key_of=lambda _: a_key(master),
            master_of=lambda _: MasterAccount(master, base_url=exchange.base_url, spot_url=exchange.base_url),
            ask=lambda _: venue.symbol_configs(),
            record=book.record,
        )
        try:
            report = await kill(tmp_path, MAIN, [VenueHands(venue)], "ann", "key last")
            assert report.flat
            assert await venue.symbol_configs(), "the key was off before flat was proven"
            job = newest_jobs(tmp_path)[0]
            assert await keys.after_flat(MAIN, job) is await keys.after_flat(MAIN, job) is True
            with pytest.raises(VenueRefused, match=str(KEY_OFF)):
                await VenueHands(venue).survey()
        finally:
            await venue.aclose()
        assert key_outcome(job.journal.path) == OFF
        assert [what for what, _ in book.events] == ["kill.exchange_key"], "done twice"
        log = (await exchange.control("GET", "log"))["entries"]
        assert [entry["path"] for entry in log].count("/sapi/v1/sub-account/subAccountApiPermission") == 1
        assert log[-1]["path"].startswith("/sapi/"), "something was sent with the key after it"
        assert await exchange.flat("boss"), "the master's own key went with it"


class Master:
    """A master account whose venue says what a test wants."""

    def __init__(self, *says: Exception | None) -> None:
        self.says = list(says)
        self.closed = 0

    async def switch_off(self, api_key: str) -> None:
        said = self.says.pop(0)
        if said is not None:
            raise said

    async def aclose(self) -> None:
        self.closed += 1


def the_keys(
    master: Master | None, book: Book, ask: Callable[[str], Awaitable[object]], *, wanted: bool = True
) -> ExchangeKeys:
    return ExchangeKeys(
        wanted=lambda: wanted,
        key_of=lambda _: a_key(None),
        master_of=lambda _: master,
        ask=ask,
        record=book.record,
    )


async def answers(account: str) -> object:
    return {}


async def is_off(account: str) -> object:
    raise VenueRefused(KEY_OFF, "Invalid API-key, IP, or permissions for action.")


@pytest.mark.parametrize(
    ("master", "ask", "outcome"),
    [
        (Master(None), is_off, OFF),
        (Master(None), answers, STILL_ON),
        (None, answers, NO_MASTER),
        (Master(VenueRefused(-9000, "no such sub-account")), answers, "not done: refused (-9000): no such sub-account"),
        # The master's own key is refused with the very code that proves the account's to be off.
        (Master(VenueRefused(KEY_OFF, "Invalid API-key")), answers, f"not done: refused ({KEY_OFF}): Invalid API-key"),
        (Master(VenueUnavailable("timeout")), answers, None),
    ],
    ids=["off", "still on", "no master", "refused", "master refused", "no answer"],
)
def test_f24_what_became_of_the_key_is_said_and_written_down(
    tmp_path: Path, master: Master | None, ask: Callable[[str], Awaitable[object]], outcome: str | None
) -> None:
    async def one() -> None:
        venue, book = SimulatedVenue(3, fault_share=0), Book()
        await kill(tmp_path, MAIN, [venue], "ann", "stop")
        job = newest_jobs(tmp_path)[0]
        assert await the_keys(master, book, ask).after_flat(MAIN, job) is (outcome == OFF)
        assert key_outcome(job.journal.path) == outcome
        assert [detail["key"] for _, detail in book.events] == ([outcome] if outcome is not None else [])
        assert master is None or master.closed == 1

    in_virtual_time(one())


@pytest.mark.parametrize(("heals_at", "wanted", "asked"), [(0, True, 1), (10_000, True, 0), (0, False, 0)])
def test_f24_nothing_is_switched_off_before_flat_nor_unasked(
    tmp_path: Path, heals_at: float, wanted: bool, asked: int
) -> None:
    async def one() -> None:
        venue = SimulatedVenue(1, fault_share=1.0, heals_at=heals_at)
        master, desk, book = Master(*[None] * 9), Desk(tmp_path, venue), Book()
        keys = the_keys(master, book, is_off, wanted=wanted)
        await kill(tmp_path, MAIN, [venue], "ann", "stop")
        pursuit = Pursuit(data_dir=tmp_path, desk=desk, record=desk.record, now=utc_now, after_flat=keys.after_flat)
        for _ in range(3):
            await pursuit.look()
        assert master.closed == asked

    in_virtual_time(one())
