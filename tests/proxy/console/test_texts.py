"""What the description says is accepted, and nothing else, is accepted by the readers: any text, near or far."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

import jsonschema_rs
import pytest
from fastapi import Request
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.console import texts
from proxy.console.answers import Refusal
from proxy.console.api import decision_id
from proxy.console.bodies import FILE_LENGTH_MAX, person_of, read_json, read_json_with_file, scope_of
from proxy.console.policies import digest_of
from proxy.console.texts import Text
from proxy.kill.signed import SIGNED
from proxy.overrides.terms import TERMS, TermsRefused, read_terms
from tests.proxy.overrides.builders import TEXTS

EDGES = ["", " ", "a", " a ", "ab", "x" * 500, "x" * 501, "a" * 64, "a" * 65, "a\n", "a\u2028b", "\ud800", "\u00ad"]
NEAR = st.one_of(
    st.text(max_size=70),
    st.text(alphabet=" ab.0159:smhdek\n-_T", max_size=24),
    st.sampled_from(EDGES),
    st.from_regex(r"(desk|venue|account|bot):?[A-Za-z._-]{0,34}", fullmatch=True),
    st.from_regex(r"[0-9]{1,14}(\.[0-9]{0,20})?(e-?[0-9])?", fullmatch=True),
    st.from_regex(r"[0-9]{1,5}[smh]", fullmatch=True),
    st.from_regex(r"[0-9a-fA-F]{15,17}", fullmatch=True),
)


def described(text: Text) -> Any:
    return jsonschema_rs.validator_for(text.schema())


def request_of(body: Any, **scope: Any) -> Request:
    sent = json.dumps(body).encode()

    async def receive() -> Mapping[str, Any]:
        return {"type": "http.request", "body": sent, "more_body": False}

    headers = [(b"content-type", b"application/json")]
    return Request({"type": "http", "headers": headers, **scope}, receive)


async def a_line(text: str) -> None:
    await read_json(request_of({"x": text}), ("x",))


async def a_name(text: str) -> None:
    await a_line(text)
    person_of(text)


async def whoever(text: str) -> None:
    await a_line(text)
    if text:
        person_of(text)


async def a_scope(text: str) -> None:
    scope_of({"scope": text})


async def a_digest(text: str) -> None:
    digest_of({"digest": text})


async def a_decision(text: str) -> None:
    decision_id(request_of({}, path_params={"decision_id": text}))


def a_term(name: str) -> Any:
    async def read(text: str) -> None:
        await a_line(text)
        read_terms({**TEXTS, name: text})

    return read


READERS = {
    "line": (texts.REASON, a_line),
    "name": (texts.NAME, a_name),
    "by": (texts.BY, whoever),
    "scope": (texts.SCOPE, a_scope),
    "digest": (texts.DIGEST, a_digest),
    "decision": (texts.DECISION_ID, a_decision),
} | {f"term {each.name}": (each, a_term(each.name)) for each in texts.TERMS}


@pytest.mark.parametrize("kind", READERS)
@settings(max_examples=150, deadline=None)
@given(text=NEAR)
@example(text="0.5")
@example(text="0.000000000000000000")
@example(text="3600s")
@example(text="3601s")
@example(text="61m")
@example(text="[" * 20)
async def test_a_text_is_accepted_exactly_where_it_is_said_to_be(kind: str, text: str) -> None:
    declared, read = READERS[kind]
    if unassigned_here(text):
        return
    try:
        await read(text)
        accepted = True
    except (Refusal, TermsRefused):
        accepted = False
    assert accepted == described(declared).is_valid(_whole(text)), text


@pytest.mark.parametrize(
    "text",
    ["a = 1\n\tb\r\n", "", "\x0b", "a\u2028", "x" * FILE_LENGTH_MAX, "x" * (FILE_LENGTH_MAX + 1)],
    ids=["lines", "empty", "vertical tab", "line separator", "longest", "too long"],
)
async def test_a_files_text_too(text: str) -> None:
    try:
        await read_json_with_file(request_of({"text": text}), "text", ())
        accepted = True
    except Refusal:
        accepted = False
    assert accepted == described(texts.POLICY_TEXT).is_valid(text)


def test_the_terms_and_the_signed_fields_are_those_that_are_read() -> None:
    assert names(texts.TERMS) == TERMS
    assert names(texts.SIGNED) == SIGNED


def names(declared: Sequence[Text]) -> tuple[str, ...]:
    return tuple(each.name for each in declared)


def unassigned_here(text: str) -> bool:
    """Whether Python does not know a character yet that the schema's judge may know: Unicode grows."""
    return any(unicodedata.category(each) == "Cn" for each in text)


def _whole(text: str) -> str:
    """A lone surrogate is no character; the schema's judge is given one that is as little printable."""
    return "".join("\x00" if unicodedata.category(each) == "Cs" else each for each in text)
