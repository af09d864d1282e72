"""A gate's judge on a real store, a real fence and a real journal; a desk that is set up as a test says."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis

from proxy.audit.journal import Journal, journal_files
from proxy.audit.recording import Subject
from proxy.gate.counting import kind_of
from proxy.gate.judge import Judge
from proxy.gate.latch import Latch
from proxy.gate.ruling import JudgedRequest, Ruling
from proxy.store.codec import dump, load
from proxy.store.conversion import NOTHING
from proxy.store.embedded import EmbeddedStore
from proxy.store.fence import Fence
from proxy.store.gate_store import GateStore
from proxy.store.keys import Keys
from proxy.store.warden_store import WardenStore
from rules.account import Hold
from rules.facts import Override
from rules.kill.settings import KILL_DEFAULT, KillSettings
from rules.model import Command
from rules.policy import Policy
from rules.resize import Resize
from rules.rule import Rule
from tests.rules.builders import NOW, World, a_policy, an_account
from tests.support.policies import in_force, publish_text, put_in_force

_numbers = itertools.count(1)


@pytest.fixture(scope="package")
def server() -> Iterator[EmbeddedStore]:
    with tempfile.TemporaryDirectory() as directory, EmbeddedStore(Path(directory)) as started:
        yield started


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[EmbeddedStore]:
    with EmbeddedStore(tmp_path) as started:
        yield started


class Desk:
    """One gate and one warden of one desk. ``now`` stands still at the builders' NOW."""

    def __init__(self, server: EmbeddedStore, data_dir: Path) -> None:
        self.name = f"desk{next(_numbers)}"
        self.data_dir = data_dir
        self.fence = Fence.initialise(data_dir)
        self.journal = Journal(data_dir)
        self.url = server.url
        self.store = GateStore(server.url, self.name, policy_of=in_force, timeout_s=2.0)
        self.warden = WardenStore(server.url, self.name)
        self._version = 0

    def judge(self, *rules: Rule, resizes: tuple[Resize, ...] = (), latch: Latch | None = None) -> Judge:
        """A judge under these rules, which are in force from now on."""
        policy = self.under(*rules, resizes=resizes)
        return Judge(
            store=self.store, fence=self.fence, journal=self.journal, policy=policy, now=lambda: NOW, latch=latch
        )

    def under(
        self, *rules: Rule, resizes: tuple[Resize, ...] = (), kill_settings: KillSettings = KILL_DEFAULT
    ) -> Policy:
        """Put these rules in force."""
        policy = replace(a_policy(*rules), resizes=resizes, kill=kill_settings)
        put_in_force(self.url, self.name, policy)
        return policy

    def publish_nonsense(self) -> None:
        """Put something in force that no gate can read."""
        publish_text(self.url, self.name, "not a policy")

    def grant(self, override: Override) -> None:
        """Two people give this leave."""
        with redis.Redis.from_url(self.url) as client:
            client.hset(Keys(self.name).overrides, override.override_id, dump(override))

    def publish_conditions_of_another_version(self) -> None:
        """A warden of another version tells something that this gate cannot decode."""
        with redis.Redis.from_url(self.url) as client:
            client.hset(Keys(self.name).conditions("binanceusdm"), mapping={"version": "9", "body": '{"moon": "full"}'})

    async def knows(self, world: World, resolved: tuple[str, ...] = ()) -> None:
        """The warden has surveyed ``world`` just now, and says so to whoever asks next. ``resolved`` holds go."""
        assert world.account is not None
        self._version += 1
        await self.warden.publish_markets("binanceusdm", str(self._version), world.markets)
        await self.warden.publish_instruments("binanceusdm", str(self._version), world.instruments)
        published = await self.warden.publish_account(
            replace(world.account, version=self._version),
            began_us=await self.warden.now_us(),
            symbols=None,
            resolved=resolved,
            desk=self.name,
        )
        assert published.accepted

    async def hears(self, world: World) -> None:
        """The warden heard of it on the private stream, and says so; holds stay until a survey."""
        assert world.account is not None
        self._version += 1
        published = await self.warden.publish_events(
            replace(world.account, version=self._version), conversion=NOTHING, resolved=(), desk=self.name
        )
        assert published.accepted

    async def hears_of(self, owners: dict[str, str]) -> None:
        """The warden hears whose orders and trades these are (``proxy.store.owners``), and nothing else happens."""
        self._version += 1
        account = await self.warden.account("demo")
        assert account is not None
        published = await self.warden.publish_events(
            replace(account, version=self._version),
            conversion=NOTHING,
            resolved=(),
            desk=self.name,
            owners=owners,
        )
        assert published.accepted

    async def holds(self) -> dict[str, Hold]:
        holds = (await self.store.look("demo")).holds
        return {hold.hold_id: hold for hold in holds}

    async def audit(self) -> list[dict[str, Any]]:
        """The stream's records but for the surveys themselves."""
        records = [load(record) for _, record in await self.warden.read_audit(block_ms=1)]
        return [record for record in records if record["kind"] != "document"]

    def journaled(self) -> list[dict[str, Any]]:
        lines = [line for path in journal_files(self.data_dir) for line in path.read_bytes().splitlines()]
        return [load(line) for line in lines]

    def fill_the_disk(self) -> None:
        """From now on every write of the journal meets a full disk."""
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, self.journal._descriptor)
        os.close(full)

    async def aclose(self) -> None:
        await self.store.aclose()
        await self.warden.aclose()
        self.journal.close()


def asking(*commands: Command, name: str | None = None, bot: str = "demo-bot", digest: str = "") -> JudgedRequest:
    """A request of a bot that may be told from every other."""
    name = name or f"d{next(_numbers)}"
    return JudgedRequest(
        kind=kind_of(commands),
        subject=Subject(
            decision_id=name,
            desk="desk",
            bot=bot,
            account="demo",
            venue="binanceusdm",
            key_hint="1234",
            route="POST /fapi/v1/order",
        ),
        guard_key="pgk_1",
        commands=commands,
        replay_digest=digest or name,
        replay_window_ms=5000,
    )


def refusals(ruling: Ruling) -> list[str]:
    return [decision.breaches[0].code for decision in ruling.decisions if decision.breaches]


@pytest.fixture
async def desk(server: EmbeddedStore, tmp_path: Path) -> AsyncIterator[Desk]:
    opened = Desk(server, tmp_path)
    await opened.warden.begin_epoch()
    await opened.knows(an_account())
    yield opened
    await opened.aclose()


@pytest.fixture
async def own_desk(own_server: EmbeddedStore, tmp_path: Path) -> AsyncIterator[Desk]:
    """A desk whose store a test may hurt."""
    opened = Desk(own_server, tmp_path)
    await opened.warden.begin_epoch()
    await opened.knows(an_account())
    yield opened
    await opened.aclose()
