"""Is this certificate what the guard signed, and do its steps carry what it says? Asks nothing but the bytes given."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, assert_never

import msgspec

from proxy.certificate.content import AccountCertificate, Certificate, PressCertificate, substance_of
from proxy.certificate.proof import NotProven, proving, shows_nothing, unlisted
from proxy.decoding import build
from proxy.kill.report import worst
from proxy.signatures.canonical import moment
from proxy.signatures.signing import NotGenuine, TrustedKey, unseal
from rules.kill.events import Phase

Beside = Callable[[str], bytes | None]
"""The bytes of another certificate by its id, ``None`` where it is not at hand."""


class OfAnotherKill(NotGenuine):
    """What the holder of the key signed, under the name of another certificate: it says nothing of that one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A certificate that is genuine. ``absent`` names accounts of a press whose certificates were not at hand."""

    certificate: Certificate
    absent: tuple[str, ...] = ()

    @property
    def proves_flat(self) -> bool:
        """Whether the readings that show every account flat were looked at here."""
        return self.certificate.flat and not self.absent


def verify(
    content: bytes,
    keys: Iterable[TrustedKey],
    beside: Beside = lambda _: None,
    *,
    expected_id: str | None = None,
) -> Verified:
    """Check everything that the bytes, the keys and the certificates ``beside`` allow.

    ``expected_id`` is the id that the bytes lie under, ``None`` where their name says none. Raises ``NotGenuine`` for
    bytes that none of the keys signed, ``OfAnotherKill`` for those of another certificate, ``NotProven`` where what is
    signed does not hold together: then the guard that signed is at fault, not whoever handed the file over.
    """
    keys = tuple(keys)
    certificate = read(content, keys, expected_id)
    if isinstance(certificate, AccountCertificate):
        _check_account(certificate)
        return Verified(certificate=certificate)
    return Verified(certificate=certificate, absent=_check_press(certificate, keys, beside))


def read(content: bytes, keys: Iterable[TrustedKey], expected_id: str | None) -> Certificate:
    """The certificate one of the keys signed, its proof not looked at. Raises ``NotGenuine`` and ``OfAnotherKill``."""
    document = unseal(content, keys)
    kind: Any = PressCertificate if document.get("kind") == "press" else AccountCertificate
    try:
        found: Certificate = build(document, kind)
    except msgspec.ValidationError as trouble:
        raise NotGenuine(f"signed, but not a certificate of version 1: {trouble}") from trouble
    if expected_id is not None and found.id != expected_id:
        raise OfAnotherKill(f"this is the certificate {found.id} under the name of {expected_id}")
    return found


def _check_account(certificate: AccountCertificate) -> None:
    steps, phase = certificate.steps, certificate.phase
    if not steps or steps[0].get("type") != "Engaged":
        raise NotProven("the steps do not begin with the press")
    if tuple(certificate.read_backs) != proving(phase, steps):
        raise NotProven("the readings named are not those among the steps")
    if certificate.unlisted != unlisted(steps):
        raise NotProven("what the venue does not list is not what the readings say")
    if certificate.flat != (phase == "FLAT") or not _left_fits(certificate):
        raise NotProven(f"what is left is not what {phase} means")
    _check_times((certificate.pressed_at, certificate.issue.at, *(str(step.get("at")) for step in steps)))
    if certificate.ended_at != steps[-1]["at"]:
        raise NotProven("the end is not the last step's")


def _left_fits(certificate: AccountCertificate) -> bool:
    named = bool(certificate.left)
    match certificate.phase:
        case "FLAT":
            return not named
        case "FLAT_EXCEPT_DUST":
            return named
        case "DEGRADED":
            # A ban or the deadline may end a kill that read nothing left, only not often or long enough for FLAT.
            return named or shows_nothing(certificate.steps)
        case _:
            assert_never(certificate.phase)


def _check_press(certificate: PressCertificate, keys: tuple[TrustedKey, ...], beside: Beside) -> tuple[str, ...]:
    accounts = certificate.accounts
    if len({each.account for each in accounts}) != len(accounts):
        raise NotProven("an account is named twice")
    if certificate.phase is not worst(tuple(each.phase for each in accounts)):
        raise NotProven("the phase is not that of the account furthest from flat")
    if certificate.flat != (certificate.phase is Phase.FLAT):
        raise NotProven(f"flat is not what {certificate.phase} means")
    _check_times((certificate.pressed_at, certificate.issue.at))
    absent = []
    for bound in accounts:
        content = beside(bound.job)
        if bound.substance is None or content is None:
            absent.append(bound.account)
            continue
        theirs = verify(content, keys).certificate
        if substance_of(unseal(content, keys)) != bound.substance:
            raise NotProven(f"the certificate of {bound.account} is not the one that was bound")
        if not isinstance(theirs, AccountCertificate) or (theirs.account, theirs.id, theirs.phase) != (
            bound.account,
            bound.job,
            bound.phase.value,
        ):
            raise NotProven(f"the certificate of {bound.account} says something else than the press")
    return tuple(absent)


def _check_times(times: Iterable[str]) -> None:
    for each in times:
        try:
            moment(each)
        except ValueError as trouble:
            raise NotProven(str(trouble)) from trouble
