"""The warden's certificates: issued when its kills end, caught up with after crashes, shown at the control door."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from proxy.certificate.keeping import CertificateKeeper, Issued
from proxy.certificate.plane import CertificateRow, CertificateView
from proxy.certificate.proof import NotProven
from proxy.certificate.shelf import is_certificate_id
from proxy.certificate.verifying import read, verify
from proxy.kill.report import KillReport
from proxy.record import Record
from proxy.signatures.canonical import spelled
from proxy.signatures.signing import NotGenuine, TrustedKey
from proxy.vault.errors import VaultError

log = logging.getLogger("perpguard.certificate")

CATCH_UP_EVERY_S: Final = 30.0
SHOWN_MAX: Final = 100


class CertificateDesk:
    """One data directory's. What is issued stands in the audit by its digest, as the audit's head stands in it."""

    def __init__(self, keeper: CertificateKeeper, record: Record) -> None:
        self._keeper = keeper
        self._record = record

    async def certify(self, report: KillReport) -> None:
        """Certify a press that is over. Never raises; trouble is in the log and the audit."""
        await self._say(await asyncio.to_thread(self._keeper.certify, report), report.scope)

    async def run(self) -> None:
        """For ever: have a key, and certify what ended without it, here or in another process that died."""
        while True:
            try:
                await asyncio.to_thread(self._keeper.publish_key)
            except (OSError, VaultError) as trouble:
                log.error("the key that signs certificates cannot be kept: %s", trouble)
            else:
                await self._say(await asyncio.to_thread(self._keeper.catch_up), "an earlier press")
            await asyncio.sleep(CATCH_UP_EVERY_S)

    async def certificates(self) -> Sequence[CertificateRow]:
        """The newest ones, newest first."""
        return await asyncio.to_thread(self._rows)

    async def certificate(self, certificate_id: str) -> CertificateView | None:
        """One of them; ``None`` when there is none of that id."""
        return await asyncio.to_thread(self._view, certificate_id)

    def has_certificate(self, certificate_id: str) -> bool:
        """Whether there is one of that id."""
        return is_certificate_id(certificate_id) and self._keeper.shelf.path(certificate_id).is_file()

    async def _say(self, issued: Issued, of: str) -> None:
        for each in issued.certificates:
            log.info("certificate %s: %s", each.id, each.phase)
            await self._record("certificate.issued", "warden", spelled(each))
        for trouble in issued.troubles:
            log.error("a certificate of %s could not be issued: %s", of, trouble)
            await self._record("certificate.failed", "warden", {"scope": of, "why": trouble})

    def _rows(self) -> list[CertificateRow]:
        keys = self._keeper.trusted_keys()
        return [self._row(each, keys) for each in self._keeper.shelf.ids()[:SHOWN_MAX]]

    def _row(self, certificate_id: str, keys: Sequence[TrustedKey]) -> CertificateRow:
        try:
            found = read(self._keeper.shelf.read(certificate_id) or b"", keys, certificate_id)
        except (NotGenuine, OSError) as trouble:
            blank = dict.fromkeys(("kind", "subject", "phase", "by", "reason", "pressed_at", "issued_at"), "")
            return CertificateRow(id=certificate_id, problem=str(trouble), **blank)
        return CertificateRow(
            id=found.id,
            kind=found.kind,
            subject=found.subject,
            phase=str(found.phase),
            by=found.by,
            reason=found.reason,
            pressed_at=found.pressed_at,
            issued_at=found.issue.at,
            problem="",
        )

    def _view(self, certificate_id: str) -> CertificateView | None:
        content = self._keeper.shelf.read(certificate_id)
        if content is None:
            return None
        try:
            verified = verify(content, self._keeper.trusted_keys(), self._keeper.shelf.read, expected_id=certificate_id)
        except (NotGenuine, NotProven, OSError) as trouble:
            return CertificateView(id=certificate_id, content=content, document={}, absent=(), problem=str(trouble))
        return CertificateView(
            id=certificate_id,
            content=content,
            document=spelled(verified.certificate),
            absent=verified.absent,
            problem="",
        )
