"""A small desk whose records look like the gate's and are decided by the real engine."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import pytest
from sqlalchemy import Connection, text

from proxy.audit.archive import Archive
from proxy.audit.place import ArchivePlace
from proxy.policy.reading import parse_policy
from proxy.signatures.signing import TrustedKey, trusted_key
from proxy.store.codec import plain, plain_command, plain_decision, plain_snapshot
from proxy.vault.signing_keys import SigningKey, new_signing_key
from rules.account import Account
from rules.engine import decide_batch
from rules.instrument import Instrument
from rules.model import OrderType, PlaceOrder, Side
from rules.snapshot import Controls, Market, Snapshot
from tests.proxy.audit.tampering import Victim, pretend_older
from tests.support.postgresql import Cluster, postgresql_programs, running_cluster

START = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)

KEY = new_signing_key(START)
KEYS = (trusted_key(KEY.public_key.encode()),)

POLICY = """
[policy]
name = "test"
owner = "risk@example.org"

[desk.max_order_value]
enforcement = "enforce"
limit = 100000
"""
TIGHTER = POLICY.replace("100000", "50000")


def SIGNER() -> SigningKey:  # noqa: N802 - a constant that is called
    """The guard's key in these tests."""
    return KEY


def TRUSTED() -> tuple[TrustedKey, ...]:  # noqa: N802 - a constant that is called
    """The keys that this guard ever signed with."""
    return KEYS


def an_instrument(symbol: str) -> Instrument:
    return Instrument(
        symbol=symbol,
        base_asset=symbol.removesuffix("USDT"),
        quote_asset="USDT",
        trading=True,
        tick_size=Decimal("0.1"),
        step_size=Decimal("0.001"),
        quantity_min=Decimal("0.001"),
        quantity_max=Decimal(1000),
        market_step_size=Decimal("0.001"),
        market_quantity_min=Decimal("0.001"),
        market_quantity_max=Decimal(100),
        notional_min=Decimal(5),
    )


class Desk:
    """Builds records. ``at`` grows by a second with every decision."""

    policy_text = POLICY
    tighter_text = TIGHTER
    start = START
    policy = parse_policy(POLICY)
    instruments: ClassVar = {symbol: an_instrument(symbol) for symbol in ("BTCUSDT", "ETHUSDT")}

    def account(self, version: int = 17) -> Account:
        balance = Decimal(1_000_000)
        return Account(
            name="main",
            version=version,
            as_of=START,
            margin_balance=balance,
            available_balance=balance,
            hedged=False,
        )

    def snapshot(self, now: datetime, bot: str) -> Snapshot:
        market = Market(symbol="BTCUSDT", mark_price=Decimal(60000), as_of=now)
        return Snapshot(
            now=now,
            bot=bot,
            account=self.account(),
            controls=Controls(generation=1),
            instruments={"BTCUSDT": self.instruments["BTCUSDT"]},
            markets={"BTCUSDT": market},
            tokens={"message_rate@desk": Decimal("12.5")},
            anomaly=0.1,
        )

    def common(self, kind: str, record_id: str, at: datetime = START) -> dict[str, Any]:
        return {"kind": kind, "id": record_id, "at": plain(at), "desk": "desk"}

    def document(self, name: str, version: str, content: Any, at: datetime = START) -> dict[str, Any]:
        fields = {"name": name, "version": version, "content": content}
        return self.common("document", f"{name}@{version}", at) | fields

    def documents(self) -> list[dict[str, Any]]:
        version = self.policy.version
        return [
            self.document(f"policy:{version}", version, {"text": POLICY}),
            self.document("account:main", "17", plain(self.account())),
            self.document("instruments:binanceusdm", "d1", plain(self.instruments)),
        ]

    def intent(self, number: int, quantity: str = "1", bot: str = "alpha") -> dict[str, Any]:
        record = self.common("intent", f"d-{number}", START + timedelta(seconds=number))
        commands = [plain_command(an_order(quantity))]
        return record | {"bot": bot, "account": "main", "key_hint": "gk…1", "route": "order", "commands": commands}

    def decision(self, number: int, quantity: str = "1", bot: str = "alpha", client_id: str = "c") -> dict[str, Any]:
        now = START + timedelta(seconds=number)
        snapshot = self.snapshot(now, bot)
        order = an_order(quantity, client_id)
        decided = decide_batch((order,), snapshot, self.policy)
        picture = plain_snapshot(snapshot) | {
            "account": {"$ref": "account:main@17"},
            "instruments": {"$ref": "instruments:binanceusdm@d1", "symbols": ["BTCUSDT"]},
        }
        return self.common("decision", f"d-{number}", now) | {
            "bot": bot,
            "account": "main",
            "route": "order",
            "intent": "ENTRY",
            "commands": [plain_command(order)],
            "snapshot": picture,
            "decisions": [plain_decision(each) for each in decided],
            "policy_version": self.policy.version,
        }

    def outcome(self, number: int, **fields: Any) -> dict[str, Any]:
        at = START + timedelta(seconds=number)
        return self.common("outcome", f"d-{number}", at) | {
            "result": "ACCEPTED",
            "http_status": 200,
            "venue_code": None,
            "items": [],
            "sent_at": plain(at),
            "answered_at": plain(at),
            **fields,
        }

    def event(self, record_id: str, what: str = "kill.engaged") -> dict[str, Any]:
        return self.common("event", record_id) | {"what": what, "by": "ada", "detail": {"scope": "everything"}}

    def day(self) -> list[dict[str, Any]]:
        """Documents, then passing and refused orders of two bots, with their intents and outcomes."""
        records = self.documents()
        for number in range(1, 9):
            quantity, bot = ("3", "beta") if number % 2 else ("1", "alpha")
            records += [self.intent(number, quantity, bot), self.decision(number, quantity, bot)]
            if number % 2 == 0:
                records.append(self.outcome(number))
        return [*records, self.event("e-1")]

    def write_as_of_before(self, place: ArchivePlace, records: list[Any], anchored: int) -> None:
        """An archive of the layout without a seal, whose writer died before records after ``anchored`` were signed."""
        with pytest.MonkeyPatch.context() as before:
            before.setattr("proxy.audit.writing.SEALED_LAYOUT", 1)
            self.write(place, records[:anchored])
            anchor = place.anchor.read_bytes()
            if records[anchored:]:
                self.write(place, records[anchored:])

        def undo(connection: Connection) -> None:
            connection.execute(text("DELETE FROM checkpoints WHERE seq > :seq"), {"seq": anchored})
            pretend_older(connection)

        Victim(place, lambda: None).tamper_by(undo)
        place.anchor.write_bytes(anchor)

    def write(self, place: ArchivePlace, records: list[Any], batch_size: int = 7) -> None:
        """An archive of ``records``, closed."""
        batch = [(f"1-{number}", record) for number, record in enumerate(records)]
        with Archive.open(place, SIGNER, now=lambda: START, keys=TRUSTED) as archive:
            for first in range(0, len(batch), batch_size):
                archive.append(batch[first : first + batch_size])


def an_order(quantity: str, client_id: str = "c") -> PlaceOrder:
    return PlaceOrder(
        symbol="BTCUSDT",
        side=Side.BUY,
        order_type=OrderType.MARKET,
        quantity=Decimal(quantity),
        client_order_id=client_id,
    )


@pytest.fixture(scope="session")
def desk() -> Desk:
    return Desk()


@pytest.fixture(scope="session", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.full)])
def kind_of_database(request: pytest.FixtureRequest) -> str:
    """Every test that writes an archive does so in both."""
    return str(request.param)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Cluster]:
    """A PostgreSQL server for the whole run."""
    if (programs := postgresql_programs()) is None:
        pytest.skip("PostgreSQL is not installed: see tests/install_packages.sh")
    with tempfile.TemporaryDirectory(prefix="pg-") as directory, running_cluster(programs, Path(directory)) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def new_place(
    kind_of_database: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], ArchivePlace]:
    """Gives the place of an archive that is not there yet."""
    cluster: Cluster | None = None if kind_of_database == "sqlite" else request.getfixturevalue("postgresql")

    def make() -> ArchivePlace:
        url = None if cluster is None else cluster.new_schema()
        return ArchivePlace(directory=tmp_path_factory.mktemp("data") / "audit", url=url)

    return make


@pytest.fixture
def place(new_place: Callable[[], ArchivePlace]) -> ArchivePlace:
    """Where there is no archive yet."""
    return new_place()


@pytest.fixture
def archive(place: ArchivePlace) -> Iterator[Archive]:
    """An empty archive, open for writing."""
    with Archive.open(place, SIGNER, keys=TRUSTED) as archive:
        yield archive


@pytest.fixture(scope="session")
def day(new_place: Callable[[], ArchivePlace], desk: Desk) -> ArchivePlace:
    """A closed archive of one day, which many read: whoever changes anything makes one of his own."""
    place = new_place()
    desk.write(place, desk.day())
    return place


@pytest.fixture
def sqlite_place(tmp_path: Path) -> ArchivePlace:
    """For what only concerns SQLite's files."""
    return ArchivePlace(directory=tmp_path / "audit")


@pytest.fixture
def postgresql_place(tmp_path: Path, postgresql: Cluster) -> ArchivePlace:
    """For what only concerns PostgreSQL."""
    return ArchivePlace(directory=tmp_path / "audit", url=postgresql.new_schema())


@pytest.fixture
def database(sqlite_place: ArchivePlace, desk: Desk) -> Path:
    """The SQLite file of a closed archive of one day."""
    desk.write(sqlite_place, desk.day())
    return sqlite_place.database
