"""Issues the certificates of ended jobs: for whoever ran a kill, as soon as it is over, and for what a crash left out.

A certificate is issued once. Asked again it finds the first, so that content and time of issue stay what they were;
only a file that is damaged, or another kill's, is set aside and issued anew. Nothing here is on the way of a kill, and
nothing raises.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from proxy.certificate.content import (
    BoundAccount,
    Issue,
    Press,
    account_document,
    digest_of,
    press_document,
    substance_of,
)
from proxy.certificate.ground import issue_at
from proxy.certificate.proof import NotProven
from proxy.certificate.shelf import CertificateShelf
from proxy.certificate.verifying import read
from proxy.kill.in_flight import IN_FLIGHT_OVER
from proxy.kill.jobs import RESUMED
from proxy.kill.joins import Join, joins
from proxy.kill.journal import Journal, JournalCorrupt
from proxy.kill.report import KillReport
from proxy.kill.tries import PURSUER
from proxy.signatures.canonical import NotCanonical
from proxy.signatures.signing import NotGenuine, TrustedKey, seal, trusted_key, unseal
from proxy.store.fence import Scope
from proxy.vault.errors import VaultError
from proxy.vault.signing_keys import SigningKey
from proxy.vault.vault import Vault
from rules.kill.events import Phase
from rules.kill.machine import replay

log = logging.getLogger("perpguard.certificate")

_TROUBLE: Final = (OSError, VaultError, JournalCorrupt, NotProven, NotGenuine, NotCanonical)
# Whoever ran a press knows best whom it covered, and has this long to certify it himself.
_LEFT_ALONE: Final = timedelta(seconds=30)


_STAMP: Final = "%Y%m%dT%H%M%S%f"
"""How a job's name begins: the moment of its press."""


class NotWhole(Exception):
    """A press whose jobs cannot all be read: what the others came to says nothing of the whole."""


class NotEnded(Exception):
    """The journal on disk does not come to an end: the job runs, or could not be written down."""

    def __init__(self, *presses: Press) -> None:
        super().__init__("its journal on disk does not come to an end")
        self.presses = presses


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ended:
    """A job that is certified. ``presses`` are the one that began it, and then those that joined it."""

    path: Path
    presses: tuple[Press, ...]
    account: str
    job: str
    phase: Phase
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Certified:
    """A certificate that has just been issued."""

    id: str
    phase: str
    digest: str


@dataclass(slots=True)
class Issued:
    """What came of it; ``troubles`` says in words what has no certificate, and why."""

    certificates: list[Certified] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)


class CertificateKeeper:
    """The certificates of one data directory, signed with the key in its vault. Every method blocks on the disk."""

    def __init__(self, data_dir: Path, vault: Vault, now: Callable[[], datetime]) -> None:
        self._data_dir = data_dir
        self._jobs = data_dir / "kill" / "jobs"
        self._vault = vault
        self._now = now
        self._settled: set[Path] = set()
        self._damaged: set[str] = set()
        self._not_whole: set[Press] = set()
        self.shelf = CertificateShelf(data_dir)

    def publish_key(self) -> SigningKey:
        """The key in use, made on first need, its public half on the disk. Raises ``OSError`` or ``VaultError``."""
        self._vault.reload_if_changed()  # Another process may have rotated it.
        key = self._vault.signing_key(self._now())
        self.shelf.publish(self._vault.signing_keys())
        return key

    def trusted_keys(self) -> tuple[TrustedKey, ...]:
        """The public halves of every key this guard ever signed with, from the vault."""
        return tuple(trusted_key(key.public_key.encode()) for key in self._vault.signing_keys())

    def trusted_keys_now(self) -> tuple[TrustedKey, ...]:
        """The same, another process's rotation among them; while the vault cannot be read, those that are known."""
        with suppress(OSError, VaultError):  # ``KeptKey`` says so, where it matters.
            self._vault.reload_if_changed()
        return self.trusted_keys()

    def certify(self, report: KillReport) -> Issued:
        """Certify every account's job of a press that is over, and the press that binds them, unless it covered more
        accounts than these: a FLAT of it would be one of some accounts under the name of all."""
        issued = Issued()
        for account in report.accounts:
            with _said(issued, f"the job of {account.account} is not certified"):
                self._certify_job(issued, self._journal_path(account.job_id))
        if report.accounts:
            with _said(issued, "the press is not certified"):
                press = Press(scope=report.scope, by=report.by, reason=report.reason, at=report.started_at)
                jobs = [(account.account, account.job_id, account.phase) for account in report.accounts]
                if self._is_whole(press, [account.account for account in report.accounts]):
                    self._certify_press(issued, press, jobs)
        return issued

    def catch_up(self) -> Issued:
        """Certify whatever ended without it: its process died between the end and the certificate.

        A press is certified when the jobs of all that it covered are there, and not over those that could be read.
        """
        issued = Issued()
        ended: list[_Ended] = []
        running: set[Press] = set()
        for path in sorted(self._jobs.glob("*/*.jsonl")):
            if path in self._settled:
                continue
            with _said(issued, f"the job {path.stem} is not certified"):
                try:
                    ended.append(self._certify_job(issued, path))
                except NotEnded as trouble:
                    running.update(
                        trouble.presses
                    )  # If nobody runs it, whoever presses or starts the guard takes it up.
                except (JournalCorrupt, NotProven, NotGenuine, NotCanonical):
                    self._settled.add(path)  # It will be no better for being tried again: said once.
                    self._damaged.add(path.stem.partition("-")[0])
                    raise
        # Of presses that only ever joined jobs of others, those jobs say who and when.
        begun = dict.fromkeys(each.presses[0] for each in ended)
        for press in begun:
            jobs = [each for each in ended if press in each.presses]
            if press in running or self._now() - max(each.at for each in jobs) < _LEFT_ALONE:
                continue
            if press in self._not_whole:
                continue
            with _said(issued, f"the press of {press.scope} by {press.by} is not certified"):
                if self._is_whole(press, [each.account for each in jobs]):
                    self._certify_press(issued, press, [(each.account, each.job, each.phase) for each in jobs])
        for each in ended:
            if all(self._is_over(press) for press in each.presses if press in begun or press in running):
                self._settled.add(each.path)
        return issued

    def _is_whole(self, press: Press, accounts: Collection[str]) -> bool:
        """Whether these are all the accounts that the press covered, or it has a certificate of whoever ran it.

        Raises ``NotWhole`` where a person should know; what only goes on with some accounts of a press is none.
        """
        lacking = sorted(self._covered(press) - set(accounts))
        damaged = press.at.strftime(_STAMP) in self._damaged
        if (not lacking and not damaged) or self._is_certified(press):
            return True
        self._not_whole.add(press)
        if lacking and _goes_on(press):
            return False
        what = f"nothing says what became of {', '.join(lacking)}" if lacking else "one of its jobs cannot be read"
        raise NotWhole(what)

    def _covered(self, press: Press) -> set[str]:
        """The accounts that a press covered: those the vault holds, and held then."""
        scope = Scope.parse(press.scope)
        traded = {key.account for key in self._vault.guard_keys() if key.bot == scope.bot and key.created_at < press.at}
        return {
            key.account
            for key in self._vault.accounts()
            if key.created_at < press.at and (scope.covers(key.account, key.venue) or key.account in traded)
        }

    def _is_over(self, press: Press) -> bool:
        return press in self._not_whole or self._is_certified(press)

    def _is_certified(self, press: Press) -> bool:
        held = self.shelf.read(press.certificate_id)
        try:
            return held is not None and bool(read(held, self.trusted_keys(), press.certificate_id))
        except NotGenuine:
            return False

    def _journal_path(self, job: str) -> Path:
        """Where a job's journal is, whatever its folder is called: no two jobs bear one name."""
        found = next(self._jobs.glob(f"*/{job}.jsonl"), None)
        if found is None:
            raise NotEnded
        return found

    def _certify_job(self, issued: Issued, path: Path) -> _Ended:
        content = path.read_bytes()
        journal = Journal.read(path)
        state = replay(journal.events) if journal is not None else None
        if journal is None:
            raise NotEnded
        presses = tuple(dict.fromkeys((Press.of(journal.job), *(_joining(each) for each in joins(path)))))
        if state is None or not state.phase.final:
            raise NotEnded(*presses)
        job = journal.job
        self._keep(issued, job.job_id, lambda issue: account_document(journal, content, issue))
        return _Ended(
            path=path,
            presses=presses,
            account=job.account,
            job=job.job_id,
            phase=state.phase,
            at=journal.events[-1].at,
        )

    def _certify_press(self, issued: Issued, press: Press, jobs: Sequence[tuple[str, str, Phase]]) -> None:
        bound = [
            BoundAccount(account=account, job=job, phase=phase, substance=self._substance(job))
            for account, job, phase in sorted(jobs)
        ]
        self._keep(issued, press.certificate_id, lambda issue: press_document(press, bound, issue))

    def _substance(self, job: str) -> str | None:
        content = self.shelf.read(job)
        if content is None:
            return None
        read(content, self.trusted_keys(), job)
        return substance_of(unseal(content, self.trusted_keys()))

    def _keep(self, issued: Issued, certificate_id: str, document: Callable[[Issue], dict[str, Any]]) -> None:
        """Issue a certificate unless a sound one is there."""
        key = self.publish_key()
        held = self.shelf.read(certificate_id)
        if held is not None:
            try:
                read(held, self.trusted_keys(), certificate_id)
                return
            except NotGenuine:
                log.error("the certificate %s is damaged; it is set aside and issued anew", certificate_id)
                self.shelf.set_aside(certificate_id)
        written = document(issue_at(self._data_dir, self._now(), key.key_id))
        content = seal(written, key)
        if self.shelf.keep(certificate_id, content):
            issued.certificates.append(Certified(id=certificate_id, phase=written["phase"], digest=digest_of(content)))


def _goes_on(press: Press) -> bool:
    """Whether nobody pressed: the guard went on with the kill of an account."""
    return press.by == PURSUER or press.reason in (RESUMED, IN_FLIGHT_OVER)


def _joining(join: Join) -> Press:
    return Press(scope=join.scope, by=join.by, reason=join.reason, at=join.at)


@contextmanager
def _said(issued: Issued, what: str) -> Iterator[None]:
    try:
        yield
    except (*_TROUBLE, NotEnded, NotWhole) as trouble:
        issued.troubles.append(f"{what}: {trouble}")
    except Exception as bug:  # The edge: a kill that is over must not look failed because of its certificate.
        log.exception("issuing a certificate failed in the guard")
        issued.troubles.append(f"{what}: {type(bug).__name__}")
