"""Certificates at the control door: the list and the files for machines, and one of them made ready to be printed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from fastapi import APIRouter, Request
from fastapi.responses import Response

from proxy.certificate.plane import Certificates, CertificateView
from proxy.console import operations
from proxy.console.answers import Json, Refusal
from proxy.console.asking import read
from proxy.console.bodies import read_query
from proxy.console.progress import text
from proxy.console.routing import add
from proxy.people.roles import Role

_ID: Final = re.compile(r"[A-Za-z0-9-]{1,64}")
_STEPS_MAX: Final = 1000
_DETAIL_MAX: Final = 2000


class CertificatesApi:
    """One method a route."""

    def __init__(self, certificates: Certificates) -> None:
        self._certificates = certificates

    def router(self) -> APIRouter:
        """The routes."""
        routes = APIRouter()
        add(routes, "/api/certificates", self.listed, method="GET", role=Role.VIEWER, **operations.CERTIFICATES)
        add(
            routes,
            "/api/certificates/{certificate_id}",
            self.file,
            method="GET",
            role=Role.VIEWER,
            **operations.CERTIFICATE,
        )
        return routes

    async def listed(self, request: Request) -> Json:
        """The newest ones, newest first."""
        read_query(request)
        return Json({"certificates": await read(self._certificates.certificates())})

    async def file(self, request: Request) -> Response:
        """One file, byte for byte: a damaged one too, so that it can be looked at."""
        read_query(request)
        found = await certificate_of(request, self._certificates)
        # Whoever parses one that does not verify as if it did is warned.
        answer = Response(found.content, media_type="application/octet-stream" if found.problem else "application/json")
        answer.headers["content-disposition"] = f'attachment; filename="{found.id}.json"'
        return answer


async def certificate_of(request: Request, certificates: Certificates) -> CertificateView:
    """The certificate named in the path, or Refusal 404: an id we never gave names nothing."""
    certificate_id: str = request.path_params["certificate_id"]
    found = None
    if _ID.fullmatch(certificate_id) is not None:
        found = await read(certificates.certificate(certificate_id))
    if found is None:
        raise Refusal(404, "NO_SUCH_CERTIFICATE", "there is no certificate of that id")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintedStep:
    """One line of the story: ``proves`` says that it is one of the readings the phase rests on."""

    at: str
    what: str
    details: str
    proves: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintedCertificate:
    """A certificate as its page shows it. Without a ``document`` there is only its ``problem`` to show."""

    id: str
    problem: str
    digest: str
    document: Mapping[str, Any]
    absent: Sequence[str]
    steps: tuple[PrintedStep, ...]
    steps_left_out: int
    cost: str
    cost_expected: str


def printed(view: CertificateView) -> PrintedCertificate:
    """A view, fit to be shown and printed: bounded text."""
    document = view.document
    proving = {reading["step"] for reading in document.get("read_backs", ())}
    steps = document.get("steps", ())
    return PrintedCertificate(
        id=view.id,
        problem=text(view.problem),
        digest=hashlib.sha256(view.content).hexdigest(),
        document=document,
        absent=view.absent,
        steps=tuple(_step(step, number in proving) for number, step in enumerate(steps[:_STEPS_MAX])),
        steps_left_out=max(len(steps) - _STEPS_MAX, 0),
        cost=_compact(document.get("cost")),
        cost_expected=_compact(document.get("cost_expected")),
    )


def _step(step: Mapping[str, Any], proves: bool) -> PrintedStep:
    details = "; ".join(f"{name}: {_compact(each)}" for name, each in step.items() if name not in ("at", "type"))
    return PrintedStep(
        at=text(step.get("at")), what=text(step.get("type")), details=details[:_DETAIL_MAX], proves=proves
    )


def _compact(value: object) -> str:
    """Nested values in one line, without the quotes a person does not need."""
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode().replace('"', "").replace(",", ", ").replace(":", " ")
