"""A store that was lost is filled anew account by account, and none is published before its own is done."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from proxy import under_way
from proxy.accounts import unresolved
from proxy.accounts.bookkeeper import Bookkeeper
from proxy.accounts.keeper import AccountKeeper
from proxy.store.embedded import EmbeddedStore
from proxy.store.gate_store import GateStore
from proxy.store.keys import Keys
from proxy.store.warden_store import EpochLost, WardenStore
from rules.account import Account
from tests.proxy.store.builders import a_request, an_account_of


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedStore]:
    with tempfile.TemporaryDirectory() as directory, EmbeddedStore(Path(directory)) as started:
        yield started


@pytest.fixture
async def warden(server: EmbeddedStore, request: pytest.FixtureRequest) -> AsyncIterator[WardenStore]:
    store = WardenStore(server.url, request.node.name)
    await store.begin_epoch()
    yield store
    await store.aclose()


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_way, "UNDER_WAY_MAX_S", 0.2)


class Book:
    """A book with nothing in it."""

    surveyed: Any = None

    def __init__(self, name: str) -> None:
        self.name = name

    def account(self, *, version: int, as_of: datetime, stale: bool, markets: object) -> Account:
        return an_account_of(version, name=self.name, as_of=as_of)

    def unsettled(self) -> tuple[()]:
        return ()


class Hands:
    """The account's reads; what happens ``meanwhile`` is told to whoever is asked."""

    venue, venue_ms = "venue", 0

    def __init__(self, name: str, meanwhile: Callable[[], Awaitable[None]] | None = None) -> None:
        self.name = name
        self.meanwhile = meanwhile or self._nothing

    async def survey(self, now: datetime) -> Any:
        await self.meanwhile()

    async def survey_symbols(self, symbols: frozenset[str], base: Account) -> Any:
        await self.meanwhile()

    async def _nothing(self) -> None:
        raise AssertionError("nothing is read here")


def a_keeper(name: str, store: WardenStore, hands: Hands | None = None) -> AccountKeeper:
    book: Any = Book(name)
    books = Bookkeeper(book=book, desk="desk", store=store)
    books._as_of = datetime.now(UTC)
    nothing: Any = None
    reads: Any = hands or Hands(name)
    return AccountKeeper(
        desk="desk",
        hands=reads,
        store=store,
        now=lambda: datetime.now(UTC),
        survey_every_s=15,
        books=books,
        record=nothing,
        streams=False,
    )


async def lose(store: WardenStore, *keepers: AccountKeeper) -> None:
    """What the warden does when it finds another server."""
    for keeper in keepers:
        keeper.distrust_store()
    await store.distrust([keeper.name for keeper in keepers])


async def test_an_account_is_not_published_under_the_epoch_that_another_has_begun(warden: WardenStore) -> None:
    early, late = a_keeper("early", warden), a_keeper("late", warden)
    await late._say()
    assert await warden.account_version("late") == 1
    await lose(warden, early, late)
    await early.loss.refill()
    await late._say()
    assert await warden.account_version("late") == 0
    await late.loss.refill()
    await late._say()
    assert await warden.account_version("late") == 2


@pytest.mark.parametrize("symbols", [None, frozenset({"BTCUSDT"})], ids=["whole", "symbols"])
async def test_what_was_read_while_the_store_was_lost_is_not_published(
    warden: WardenStore, symbols: frozenset[str] | None
) -> None:
    published: list[Any] = []

    async def meanwhile() -> None:
        await lose(warden, early, late)
        await early.loss.refill()

    early, late = a_keeper("early", warden), a_keeper("late", warden, Hands("late", meanwhile))

    async def survey(*survey: Any, **terms: Any) -> Any:
        published.append(survey)
        return SimpleNamespace(healed=())

    late._books.account = an_account_of(1, name="late")
    late._adopted = {}
    books: Any = late._books
    books.survey = survey
    with pytest.raises(EpochLost):
        await (late.survey() if symbols is None else late._survey_symbols(symbols))
    assert published == []


async def test_the_store_is_in_doubt_until_every_account_s_holds_were_gone_through(warden: WardenStore) -> None:
    """A warden that dies between them leaves an epoch, and holds that another clock timed."""
    early, late = a_keeper("early", warden), a_keeper("late", warden)
    accounts = ["early", "late"]
    assert not await warden.is_doubted(accounts)
    await lose(warden, early, late)
    await early.loss.refill()
    assert await warden.has_epoch()
    assert await warden.is_doubted(accounts)
    await late.loss.refill()
    assert not await warden.is_doubted(accounts)


async def test_a_second_failover_is_waited_out_from_its_own_beginning(
    server: EmbeddedStore, warden: WardenStore, request: pytest.FixtureRequest
) -> None:
    """Exits pass meanwhile, and were timed by the server in between."""
    gate = GateStore(server.url, request.node.name, timeout_s=2.0)
    keeper = a_keeper("demo", warden)
    await lose(warden, keeper)
    refilling = asyncio.create_task(keeper.loss.refill())
    await asyncio.sleep(0.1)
    await gate.hold(a_request("exit"))
    await lose(warden, keeper)
    await refilling
    assert keeper.loss.stands
    assert not await warden.has_epoch()
    assert await warden.is_doubted(["demo"])
    await keeper.loss.refill()
    assert not keeper.loss.stands
    assert await warden.has_epoch()
    assert [aged.at_us for aged in await warden.holds("demo")] == [0]
    await gate.aclose()


@pytest.mark.parametrize("step", ["forget_times", "begin_epoch"])
async def test_a_failover_between_the_steps_of_filling_leaves_the_store_lost(warden: WardenStore, step: str) -> None:
    keeper = a_keeper("demo", warden)
    await lose(warden, keeper)
    done = getattr(warden, step)

    async def and_then(*given: Any) -> None:
        await done(*given)
        await lose(warden, keeper)

    setattr(warden, step, and_then)
    await keeper.loss.refill()
    assert keeper.loss.stands
    assert not await warden.has_epoch()


@pytest.mark.parametrize("at_once", [False, True], ids=["one after the other", "in one moment"])
async def test_an_account_that_is_filled_keeps_its_epoch_while_the_others_are(
    warden: WardenStore, at_once: bool
) -> None:
    """What its stream tells all the while is published."""
    keepers = [a_keeper(name, warden) for name in ("early", "late", "last")]
    await lose(warden, *keepers)
    write, calls = warden._redis.set, 0

    async def slow(*given: Any, **terms: Any) -> None:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0.02 * calls)
        await told()
        await write(*given, **terms)
        await told()

    async def told() -> None:
        for each in filled:
            await each._say()

    async def fill(keeper: AccountKeeper) -> None:
        await keeper.loss.refill()
        filled.append(keeper)

    filled: list[AccountKeeper] = []
    vars(warden._redis)["set"] = slow
    if at_once:
        await asyncio.gather(*map(fill, keepers))
    else:
        for each in keepers:
            await fill(each)
    assert [each.loss.stands for each in keepers] == [False] * len(keepers)


@pytest.mark.parametrize(
    ("symbols", "over"), [(None, ("odd",)), (frozenset({"BTCUSDT"}), ())], ids=["whole", "symbols"]
)
async def test_a_hold_that_cannot_be_read_goes_beside_a_survey_of_the_whole_account_alone(
    warden: WardenStore, monkeypatch: pytest.MonkeyPatch, symbols: frozenset[str] | None, over: tuple[str, ...]
) -> None:
    published: list[tuple[str, ...]] = []

    async def survey(*_: Any, resolved: tuple[str, ...], **__: Any) -> Any:
        published.append(resolved)
        return SimpleNamespace(healed=())

    async def meanwhile() -> None:
        pass

    monkeypatch.setattr(unresolved, "UNDER_WAY_MAX_S", 0.0)
    await warden._redis.hset(warden._keys.holds("demo"), "odd", "1|PARTIAL|1|demo-bot|[]")
    keeper = a_keeper("demo", warden, Hands("demo", meanwhile))
    keeper._books.account, keeper._adopted = an_account_of(1), {}
    books: Any = keeper._books
    books.survey = survey
    await (keeper.survey() if symbols is None else keeper._survey_symbols(symbols))
    assert published == [over]


async def test_a_lost_order_that_another_version_wrote_does_not_end_the_keeper(
    warden: WardenStore, request: pytest.FixtureRequest
) -> None:
    lost: Any = Keys(request.node.name).unreported("demo")
    await warden._redis.hset(lost, "BTCUSDT|plain|n0", '{"bot":"demo-bot","order":{"symbol":"BTCUSDT","size":"1"}}')

    async def nothing() -> None:
        return

    async def survey(*_: Any, **__: Any) -> Any:
        await keeper._books.publish()
        return SimpleNamespace(healed=())

    keeper = a_keeper("demo", warden, Hands("demo", nothing))
    keeper._adopted = {}
    books: Any = keeper._books
    books.survey = survey
    async with asyncio.timeout(20):
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(keeper.run())
            while await warden._redis.exists(lost):
                await asyncio.sleep(0.01)
            assert not running.done()
            running.cancel()
