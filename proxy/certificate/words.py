"""What certificates say, in words for people and in rows for machines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from proxy.certificate.content import AccountCertificate, Certificate, PressCertificate
from proxy.certificate.verifying import Verified

_DETAILS_MAX: Final = 400


def findings(verified: Verified) -> list[str]:
    """What a genuine certificate says, in words: the first for the hurried."""
    certificate, issue = verified.certificate, verified.certificate.issue
    lines = [
        f"VERIFIED: signed by the key {issue.key_id} at {issue.at}, nothing changed since",
        f"{certificate.id}: pressed by {certificate.by} at {certificate.pressed_at}: {certificate.reason}",
    ]
    if isinstance(certificate, PressCertificate):
        there = len(certificate.accounts) - len(verified.absent)
        # By its own word alone: what proves it is in the certificates of its accounts.
        unproven = ", which is not proven here" if certificate.flat and verified.absent else ""
        lines += [
            f"the {certificate.subject} by {certificate.by}: {certificate.phase.value}{unproven}",
            f"{there} of {len(certificate.accounts)} certificates of its accounts lie beside it and verify",
        ]
        lines += [f"not looked at: the certificate of {account}, which is not here" for account in verified.absent]
        return lines
    readings = len(certificate.read_backs)
    match certificate.phase:
        case "FLAT":
            lines.append(f"FLAT: {certificate.subject} showed nothing in {readings} readings {_span(certificate)}")
        case "FLAT_EXCEPT_DUST":
            lines.append(f"FLAT EXCEPT DUST: {certificate.subject} showed only dust in {readings} readings")
        case _:
            lines.append(f"NOT FLAT: the kill of {certificate.subject} ended DEGRADED: {certificate.why}")
    lines += [f"left: {each}" for each in certificate.left]
    return lines + [f"not read, because the venue does not list it: {each}" for each in certificate.unlisted]


def head(certificate: Certificate) -> dict[str, Any]:
    """What a list says of one certificate."""
    left = certificate.left if isinstance(certificate, AccountCertificate) else []
    return {
        "id": certificate.id,
        "kind": certificate.kind,
        "subject": certificate.subject,
        "phase": str(certificate.phase),
        "flat": certificate.flat,
        "left": left,
        "by": certificate.by,
        "reason": certificate.reason,
        "pressed_at": certificate.pressed_at,
        "issued_at": certificate.issue.at,
        "key_id": certificate.issue.key_id,
    }


def details(step: Mapping[str, Any]) -> str:
    """What a step says besides its time and kind, bounded."""
    return ", ".join(f"{name} {value}" for name, value in step.items() if name not in ("at", "type"))[:_DETAILS_MAX]


def _span(certificate: AccountCertificate) -> str:
    return f"from {certificate.read_backs[0].at} to {certificate.read_backs[-1].at}"
