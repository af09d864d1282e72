"""Every answer of the control port: JSON without surprises, and errors that never repeat what was asked."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final

import msgspec
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, Response
from starlette.exceptions import HTTPException

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


class Refusal(Exception):
    """A request the door turns away. ``message`` is ours alone: nothing of the request is in it."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


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


def error(status: int, code: str, message: str) -> Json:
    """The one shape of an error."""
    return Json({"error": {"code": code, "message": message}}, status_code=status)


async def on_refusal(_: Request, refusal: Refusal) -> Response:
    """A ``Refusal`` as its answer."""
    return error(refusal.status, refusal.code, refusal.message)


async def on_invalid(_: Request, __: Exception) -> Response:
    """FastAPI's own 422 repeats the input, and ``1e1000000`` in it is a 500; ours says nothing of it."""
    return error(422, "MALFORMED", "the request is not understood")


async def on_http(_: Request, trouble: HTTPException) -> Response:
    """Unknown paths and methods."""
    code, message = {
        404: ("NOT_FOUND", "there is nothing here"),
        405: ("METHOD_NOT_ALLOWED", "not with this method"),
    }.get(trouble.status_code, ("REFUSED", "the request is refused"))
    return error(trouble.status_code, code, message)


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


def _sayable(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _sayable(each) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_sayable(each) for each in value]
    return value
