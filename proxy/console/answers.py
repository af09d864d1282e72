"""Every answer of the control port: JSON without surprises, and problems (RFC 9457), which repeat nothing they got."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import msgspec
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, Response
from starlette.exceptions import HTTPException

from proxy.console.methods import allowed
from proxy.console.problems import PROBLEMS

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS: Final = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
"""On every answer: what keeps a page's power small."""


@dataclass(frozen=True, slots=True)
class Objection:
    """One of several reasons for a refusal. ``pointer`` (RFC 6901) names the field, where it is about one."""

    detail: str
    pointer: str = ""


class Refusal(Exception):
    """A request the door turns away, by a code of ``problems``. Its texts are ours: nothing of the request is there."""

    def __init__(self, status: int, code: str, message: str, objections: Sequence[Objection] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.objections = tuple(objections)


class Json(Response):
    """A JSON answer. Decimals and times become text; what JSON cannot say (NaN) becomes null."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """ASCII only: a lone surrogate in a venue's text must not become our error."""
        plain = _sayable(msgspec.to_builtins(content, enc_hook=str, str_keys=True))
        return json.dumps(plain, allow_nan=False, separators=(",", ":")).encode("ascii")


class Page(HTMLResponse):
    """A page or a part of one."""

    def render(self, content: Any) -> bytes:
        """UTF-8, with the unencodable replaced."""
        return str(content).encode("utf-8", "replace")


class ProblemJson(Json):
    """A problem."""

    media_type = "application/problem+json"


def error(status: int, code: str, message: str, objections: Sequence[Objection] = ()) -> ProblemJson:
    """The one shape of an error: what kind it is for ever, and ``detail``, what it is this time."""
    problem = PROBLEMS[code]
    said = {"type": problem.type, "title": problem.title, "status": status, "detail": message, "code": code}
    if objections:
        said["errors"] = [_named(each) for each in objections]
    return ProblemJson(said, status_code=status)


async def on_refusal(_: Request, refusal: Refusal) -> Response:
    """A ``Refusal`` as its answer."""
    return error(refusal.status, refusal.code, refusal.message, refusal.objections)


async def on_invalid(_: Request, __: Exception) -> Response:
    """FastAPI's own 422 repeats the input, and ``1e1000000`` in it is a 500; ours says nothing of it."""
    return error(422, "MALFORMED", "the request is not understood")


async def on_http(request: Request, trouble: HTTPException) -> Response:
    """Unknown paths and methods."""
    code, message = {
        404: ("NOT_FOUND", "there is nothing here"),
        405: ("METHOD_NOT_ALLOWED", "not with this method"),
    }.get(trouble.status_code, ("MALFORMED", "the request is not understood"))
    answer = error(trouble.status_code, code, message)
    if trouble.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        answer.headers["allow"] = allowed(request)
    return answer


async def on_bug(_: Request, __: Exception) -> Response:
    """The edge: a bug costs this request, never the guard. The server logs it."""
    answer = error(500, "INTERNAL", "the guard failed to answer; `perpguard kill` works without this port")
    answer.headers.update(HEADERS)  # Starlette answers a bug outside of every middleware, the shell included.
    return answer


HANDLERS: Final[dict[int | type[Exception], Callable[[Request, Any], Coroutine[Any, Any, Response]]]] = {
    Refusal: on_refusal,
    RequestValidationError: on_invalid,
    HTTPException: on_http,
    Exception: on_bug,
}


def _named(objection: Objection) -> dict[str, str]:
    pointer = {"pointer": objection.pointer} if objection.pointer else {}
    return {"detail": objection.detail, **pointer}


def _sayable(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _sayable(each) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_sayable(each) for each in value]
    return value
