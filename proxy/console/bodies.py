"""What comes in at the control port, parsed once and strictly. Every field is text; there are no numbers to misread.

Whatever two parsers could read differently is refused: repeated or unknown names, NaN, nesting, a byte order mark.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, NoReturn
from urllib.parse import parse_qsl

from fastapi import Request

from proxy.console.answers import Refusal
from proxy.policy_file import POLICY_LENGTH_MAX

BODY_BYTES_MAX: Final = 64 * 1024
TEXT_LENGTH_MAX: Final = 500
FILE_LENGTH_MAX: Final = POLICY_LENGTH_MAX
"""Characters of a text of many lines."""
_NAME_LENGTH_MAX: Final = 64
_BODY_SECONDS_MAX: Final = 10.0
_FIELDS_MAX: Final = 16
_LINES: Final = re.compile(r"[\n\r\t]")
_SCOPE: Final = re.compile(r"desk|(venue|account|bot):[A-Za-z0-9._-]{1,32}")


async def read_json(request: Request, required: Iterable[str], optional: Iterable[str] = ()) -> dict[str, str]:
    """A flat JSON object of texts with exactly these names."""
    raw = await _json_body(request, BODY_BYTES_MAX)
    if raw.count(b"{") + raw.count(b"[") > _FIELDS_MAX:
        raise _malformed("the body is one flat JSON object")
    return _fields(_object(raw), required, optional)


async def read_json_with_file(request: Request, file: str, required: Iterable[str]) -> dict[str, str]:
    """The same, and the text of a whole file under the name ``file``."""
    fields = _object(await _json_body(request, 4 * FILE_LENGTH_MAX))
    text = fields.pop(file, None)
    if type(text) is not str or len(text) > FILE_LENGTH_MAX or not _LINES.sub("", text).isprintable():
        raise _malformed(f"{file} is a text of at most {FILE_LENGTH_MAX} printable characters")
    return _fields(fields, required, ()) | {file: text}


async def _json_body(request: Request, bytes_max: int) -> bytes:
    if _media_type(request) != "application/json":
        raise Refusal(415, "MEDIA_TYPE", "send application/json")
    return await _body(request, bytes_max)


def _object(raw: bytes) -> dict[str, Any]:
    try:
        value = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_int=_Number,
            parse_float=_Number,
            parse_constant=_no_constant,
        )
    except (ValueError, RecursionError):
        raise _malformed("the body is not JSON with unique names") from None
    if not isinstance(value, dict):
        raise _malformed("the body is one flat JSON object")
    return value


async def read_form(request: Request, required: Iterable[str], optional: Iterable[str] = ()) -> dict[str, str]:
    """A URL-encoded form of texts with exactly these names."""
    if _media_type(request) != "application/x-www-form-urlencoded":
        raise Refusal(415, "MEDIA_TYPE", "send a URL-encoded form")
    raw = await _body(request, BODY_BYTES_MAX)
    return _fields(_pairs(raw, "the form"), required, optional)


def read_query(request: Request, optional: Iterable[str] = ()) -> dict[str, str]:
    """The query's texts, empty ones left out."""
    pairs = _pairs(request.scope["query_string"], "the query")
    return {name: value for name, value in _fields(pairs, (), optional).items() if value}


def scope_of(fields: Mapping[str, str]) -> str:
    """``desk``, ``venue:NAME``, ``account:NAME`` or ``bot:NAME``, to be stopped or to be let go on."""
    scope = fields["scope"]
    if _SCOPE.fullmatch(scope) is None:
        raise Refusal(422, "UNKNOWN_SCOPE", "a scope is 'desk', 'venue:NAME', 'account:NAME' or 'bot:NAME'")
    return scope


def person_of(text: str) -> str:
    """A person's name fit for the audit."""
    name = text.strip()
    if not 2 <= len(name) <= _NAME_LENGTH_MAX:
        raise Refusal(422, "NAME", f"a name has 2 to {_NAME_LENGTH_MAX} characters")
    return name


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def _body(request: Request, bytes_max: int) -> bytes:
    if "content-encoding" in request.headers:
        raise Refusal(415, "CONTENT_ENCODING", "send the body as it is")
    raw = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS_MAX):
            async for chunk in request.stream():
                raw += chunk
                if len(raw) > bytes_max:
                    raise Refusal(413, "TOO_LARGE", f"the body is larger than {bytes_max // 1024} KiB")
    except TimeoutError:
        raise Refusal(408, "TOO_SLOW", "the body took too long") from None
    return bytes(raw)


def _pairs(raw: bytes, where: str) -> dict[str, str]:
    try:
        return _unique(
            parse_qsl(
                raw.decode("ascii"),
                keep_blank_values=True,
                strict_parsing=bool(raw),
                max_num_fields=_FIELDS_MAX,
                errors="strict",
            )
        )
    except ValueError:
        raise _malformed(f"{where} is not a list of unique names and values") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = dict(pairs)
    if len(names) != len(pairs):
        raise ValueError("duplicate name")
    return names


def _no_constant(_: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


class _Number(str):
    """A JSON number as it was written: neither a float, which may overflow, nor text, which it is not."""

    __slots__ = ()


def _fields(value: Mapping[str, Any], required: Iterable[str], optional: Iterable[str]) -> dict[str, str]:
    needed, allowed = set(required), {*required, *optional}
    missing = sorted(needed - value.keys())
    if missing:
        raise _malformed(f"missing: {', '.join(missing)}")  # Our names, not theirs.
    if value.keys() - allowed:
        raise _malformed(f"only these names are known: {', '.join(sorted(allowed)) or 'none'}")
    for name, text in value.items():
        if type(text) is not str or len(text) > TEXT_LENGTH_MAX or not text.isprintable():
            raise _malformed(f"{name} is text of at most {TEXT_LENGTH_MAX} printable characters on one line")
    return dict(value)


def _malformed(message: str) -> Refusal:
    return Refusal(422, "MALFORMED", message)
