"""What comes in at the control port, parsed once and strictly. Every field is text; there are no numbers to misread.

Whatever two parsers could read differently is refused: repeated or unknown names, NaN, nesting, a byte order mark.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NoReturn
from urllib.parse import parse_qsl

from fastapi import Request

from proxy.console.answers import Objection, Refusal
from proxy.policy.reading import POLICY_LENGTH_MAX

BODY_BYTES_MAX: Final = 64 * 1024
TEXT_LENGTH_MAX: Final = 500
FILE_LENGTH_MAX: Final = POLICY_LENGTH_MAX
"""Characters of a text of many lines."""
_ENCODED_MAX: Final = 6
"""Bytes that a character of a form may take: two bytes of UTF-8, each as ``%C3``."""
NAME_LENGTH_MAX: Final = 64
_BODY_SECONDS_MAX: Final = 10.0
_FIELDS_MAX: Final = 16
_LINES: Final = re.compile(r"[\n\r\t]")
_SCOPE: Final = re.compile(r"desk|(venue|account|bot):[A-Za-z0-9._-]{1,32}")


async def read_json(request: Request, required: Iterable[str], optional: Iterable[str] = ()) -> dict[str, str]:
    """A flat JSON object of texts with exactly these names."""
    return _fields(_object(await _json_body(request, BODY_BYTES_MAX)), required, optional, _in_body)


async def read_json_with_file(request: Request, file: str, required: Iterable[str]) -> dict[str, str]:
    """The same, and the text of a whole file under the name ``file``."""
    fields = _object(await _json_body(request, 4 * FILE_LENGTH_MAX))
    return _with_file(fields, file, required, _in_body)


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


async def read_form_with_file(request: Request, file: str, required: Iterable[str]) -> dict[str, str]:
    """A URL-encoded form with these names, and a text of many lines under the name ``file``.

    A browser sends every line end of a form as CR LF (HTML standard, "constructing the entry list"); they are LF here,
    as they were in the file.
    """
    if _media_type(request) != "application/x-www-form-urlencoded":
        raise Refusal(415, "MEDIA_TYPE", "send a URL-encoded form")
    fields: dict[str, Any] = _pairs(await _body(request, _ENCODED_MAX * FILE_LENGTH_MAX), "the form")
    if type(fields.get(file)) is str:
        fields[file] = fields[file].replace("\r\n", "\n")
    return _with_file(fields, file, required)


def read_query(request: Request, optional: Iterable[str] = (), *, numbers: Iterable[str] = ()) -> dict[str, str]:
    """The query's texts, empty ones left out; not so an empty one that should be one of ``numbers``."""
    pairs = _pairs(request.scope["query_string"], "the query")
    fields = _fields(pairs, (), (*optional, *numbers))
    return {name: value for name, value in fields.items() if value or name in numbers}


def scope_of(fields: Mapping[str, str]) -> str:
    """``desk``, ``venue:NAME``, ``account:NAME`` or ``bot:NAME``, to be stopped or to be let go on."""
    scope = fields["scope"]
    if _SCOPE.fullmatch(scope) is None:
        raise Refusal(422, "UNKNOWN_SCOPE", "a scope is 'desk', 'venue:NAME', 'account:NAME' or 'bot:NAME'")
    return scope


def person_of(text: str) -> str:
    """A person's name fit for the audit."""
    name = text.strip()
    if not 2 <= len(name) <= NAME_LENGTH_MAX:
        raise Refusal(422, "NAME", f"a name has 2 to {NAME_LENGTH_MAX} characters")
    return name


def _with_file(
    fields: dict[str, Any], file: str, required: Iterable[str], pointer: Callable[[str], str] = lambda _: ""
) -> dict[str, str]:
    text = fields.pop(file, None)
    if type(text) is not str or len(text) > FILE_LENGTH_MAX or not _LINES.sub("", text).isprintable():
        raise _malformed(f"{file} is a text of at most {FILE_LENGTH_MAX} printable characters")
    return _fields(fields, required, (), pointer) | {file: text}


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


def _fields(
    value: Mapping[str, Any],
    required: Iterable[str],
    optional: Iterable[str],
    pointer: Callable[[str], str] = lambda _: "",
) -> dict[str, str]:
    """Every objection at once. The names in them are ours, never theirs."""
    needed, allowed = set(required), {*required, *optional}
    objections = [Objection(f"{name} is missing", pointer(name)) for name in sorted(needed - value.keys())]
    if value.keys() - allowed:
        objections.append(Objection(f"only these names are known: {', '.join(sorted(allowed)) or 'none'}"))
    for name in sorted(allowed & value.keys()):
        text = value[name]
        if type(text) is not str or len(text) > TEXT_LENGTH_MAX or not text.isprintable():
            kind = f"{name} is text of at most {TEXT_LENGTH_MAX} printable characters on one line"
            objections.append(Objection(kind, pointer(name)))
    if objections:
        raise Refusal(422, "MALFORMED", "; ".join(each.detail for each in objections), objections)
    return dict(value)


def _in_body(name: str) -> str:
    return f"#/{name}"


def _malformed(message: str) -> Refusal:
    return Refusal(422, "MALFORMED", message)
