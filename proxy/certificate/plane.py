"""What the console and the control API may ask about certificates, and nothing more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRow:
    """One certificate in a list. ``kind`` is ``account`` or ``press``, ``subject`` whom it concerns.

    ``problem`` says why it does not verify; then the other texts may be empty.
    """

    id: str
    kind: str
    subject: str
    phase: str
    by: str
    reason: str
    pressed_at: str
    issued_at: str
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateView:
    """One certificate: the file's ``content``, byte for byte, and the signed ``document`` in it.

    ``problem`` says why it does not verify; then ``document`` is empty. ``absent`` names accounts of a press whose
    certificates are not here.
    """

    id: str
    content: bytes
    document: Mapping[str, Any]
    absent: Sequence[str]
    problem: str


class Certificates(Protocol):
    """The certificates of ended kills. None of these raises for a certificate that is damaged: it says so."""

    async def certificates(self) -> Sequence[CertificateRow]:
        """The newest ones, newest first."""
        ...

    async def certificate(self, certificate_id: str) -> CertificateView | None:
        """One of them; ``None`` when there is none of that id."""
        ...

    def has_certificate(self, certificate_id: str) -> bool:
        """Whether there is one of that id."""
        ...
