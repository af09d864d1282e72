"""Ended kills on disk, and the keeper that certifies them. The journals are real, the venue's words made up."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from proxy.certificate.content import AuditHead, Issue, PolicyInForce, account_document
from proxy.certificate.keeping import CertificateKeeper
from proxy.certificate.plane import CertificateView
from proxy.kill.jobs import job_directory
from proxy.kill.journal import Job, Journal
from proxy.kill.report import KillReport, account_report, worst
from proxy.signatures.canonical import spelled
from proxy.signatures.signing import seal
from proxy.store.fence import Scope
from proxy.vault.keys import Secret
from proxy.vault.signing_keys import new_signing_key
from proxy.vault.vault import Vault
from rules.kill.events import (
    CancelSent,
    CancelStep,
    CloseFailed,
    CloseSent,
    CloseStep,
    DeadlinePassed,
    Engaged,
    Event,
    KeysDisabled,
    Surveyed,
    Waited,
)
from rules.kill.legs import LotSize, OpenLeg, OrderKind, RestingOrder
from rules.model import PositionSide, Side

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
JOB = "20261124T093000000000-0a1b2c3d"
PASSPHRASE = "correct horse battery"
LEG = OpenLeg(
    symbol="BTCUSDT",
    position_side=PositionSide.BOTH,
    quantity=Decimal("0.250"),
    market_lot=LotSize(step=Decimal("0.001"), quantity_min=Decimal("0.001"), quantity_max=Decimal(120)),
)
DUST = OpenLeg(
    symbol="ETHUSDT",
    position_side=PositionSide.SHORT,
    quantity=Decimal("-0.0004"),
    market_lot=LotSize(step=Decimal("0.0001"), quantity_min=Decimal("0.001"), quantity_max=Decimal(1000)),
)


def after(seconds: float) -> datetime:
    """A moment of the kill."""
    return NOW + timedelta(seconds=seconds)


def a_reading(seconds: float, *legs: OpenLeg, orders: Sequence[RestingOrder] = ()) -> Surveyed:
    """What the venue showed."""
    return Surveyed(at=after(seconds), plain_orders=tuple(orders), conditional_orders=(), positions=legs)


def the_beginning() -> list[Event]:
    """Pressed, blocked, one order cancelled, one position closed."""
    order = RestingOrder(symbol="BTCUSDT", order_id="8886774")
    close = CloseStep(leg=LEG, side=Side.SELL, quantity=Decimal("0.250"), sequence=1)
    return [
        Engaged(at=after(0.001), by="ann", reason="runaway grid", deadline=after(60)),
        KeysDisabled(at=after(0.002), latched=True),
        a_reading(0.1, LEG, orders=[order]),
        CancelSent(at=after(0.2), step=CancelStep(symbol="BTCUSDT", kind=OrderKind.PLAIN)),
        a_reading(0.3, LEG),
        CloseSent(at=after(0.4), step=close),
    ]


def a_flat_kill(*left: OpenLeg) -> list[Event]:
    """Three calm readings over six seconds; with dust ``left`` it is FLAT_EXCEPT_DUST."""
    calm: list[Event] = [a_reading(0.5, *left), Waited(at=after(3.5)), a_reading(3.5, *left)]
    return [*the_beginning(), *calm, Waited(at=after(6.5)), a_reading(6.5, *left)]


def a_degraded_kill() -> list[Event]:
    """Time ran out over a close of unknown fate."""
    close = CloseStep(leg=LEG, side=Side.SELL, quantity=Decimal("0.250"), sequence=2)
    lost = CloseFailed(at=after(0.6), step=close, error="503 Service Unavailable", retry_after=1.5)
    return [*the_beginning(), a_reading(0.5, LEG), lost, DeadlinePassed(at=after(60))]


def a_job(
    account: str = "main",
    job_id: str = JOB,
    started_at: datetime = NOW,
    scope: str = "desk",
    by: str = "ann",
    reason: str = "runaway grid",
) -> Job:
    """One account's job of a press, of the whole desk unless told."""
    return Job(
        job_id=job_id,
        account=account,
        scope=scope,
        by=by,
        reason=reason,
        started_at=started_at,
        blocked_ms=11.5,
    )


def write_job(
    data_dir: Path,
    events: Sequence[Event],
    *,
    account: str = "main",
    job_id: str = JOB,
    started_at: datetime = NOW,
    scope: str = "desk",
    by: str = "ann",
    reason: str = "runaway grid",
) -> Journal:
    """The journal of a job, of the desk's press unless told, as whoever ran it would have left it."""
    job = a_job(account, job_id, started_at, scope, by, reason)
    journal = Journal.create(job_directory(data_dir, account, Scope.parse(scope).bot) / f"{job_id}.jsonl", job)
    for event in events:
        journal.record(event)
    journal.close()
    return journal


def a_report(*journals: Journal) -> KillReport:
    """What ``kill`` answers about these jobs."""
    accounts = tuple(account_report(journal.job, journal.events) for journal in journals)
    phase = worst(tuple(each.phase for each in accounts))
    return KillReport(
        scope="desk",
        by="ann",
        reason="runaway grid",
        started_at=NOW,
        blocked_ms=11.5,
        generation=2,
        flat=all(each.flat for each in accounts),
        phase=phase,
        accounts=accounts,
        trouble="",
    )


def a_vault(data_dir: Path) -> Vault:
    """A vault whose key derivation is cheap; opened if it is there."""
    path = data_dir / "vault" / "vault.json"
    secret = Secret(PASSPHRASE)
    return Vault.open(path, secret) if path.exists() else Vault.create(path, secret, work_factor=2**14)


def a_keeper(data_dir: Path, at: datetime | None = None) -> CertificateKeeper:
    """A keeper whose clock stands at ``at``, a minute after the kill unless told."""
    return CertificateKeeper(data_dir, a_vault(data_dir), lambda: at if at is not None else after(70))


def a_certificate(data_dir: Path, events: Sequence[Event] | None = None) -> bytes:
    """The signed certificate of one job."""
    journal = write_job(data_dir, a_flat_kill() if events is None else events)
    keeper = a_keeper(data_dir)
    issued = keeper.certify(a_report(journal))
    assert issued.troubles == []
    content = keeper.shelf.read(JOB)
    assert content is not None
    return content


def a_view(events: Sequence[Event] | None = None) -> CertificateView:
    """A certificate as the console is given it, signed with a key of its own."""
    key = new_signing_key(NOW)
    nothing_known = Issue(
        at=spelled(after(7)),
        key_id=key.key_id,
        guard_version="0.1.0",
        policy=PolicyInForce(digest=None, not_known="no policy was ever in force"),
        audit=AuditHead(archive=None, sequence=None, head=None, not_known="there is no archive"),
    )
    journal = Journal(Path("unwritten"), a_job(), list(a_flat_kill() if events is None else events))
    document = account_document(journal, b"", nothing_known)
    return CertificateView(id=JOB, content=seal(document, key), document=document, absent=(), problem="")
