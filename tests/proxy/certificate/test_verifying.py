"""A certificate proves what it says or it is refused: whatever byte or field is changed, whoever signs it."""

from __future__ import annotations

import base64
import copy
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.certificate.proof import READS, SPAN, NotProven
from proxy.certificate.verifying import Verified, verify
from proxy.signatures.canonical import canonical, read_canonical
from proxy.signatures.signing import BYTES_MAX, CONTEXT, NotGenuine, TrustedKey, seal, trusted_key
from proxy.vault.signing_keys import SigningKey
from rules.kill.events import DeadlinePassed, Engaged, KeysDisabled, SurveyFailed
from rules.kill.rounds import CALM_READS, CALM_SPAN
from tests.support.certificates import (
    DUST,
    NOW,
    a_certificate,
    a_degraded_kill,
    a_flat_kill,
    a_keeper,
    a_reading,
    a_vault,
    after,
    the_beginning,
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("guard")


@pytest.fixture(scope="module")
def content(home: Path) -> bytes:
    return a_certificate(home)


@pytest.fixture(scope="module")
def key(home: Path, content: bytes) -> SigningKey:
    return a_vault(home).signing_key(NOW)


@pytest.fixture(scope="module")
def keys(key: SigningKey) -> tuple[TrustedKey, ...]:
    return (trusted_key(key.public_key.encode()),)


def document_of(content: bytes) -> dict[str, Any]:
    document: dict[str, Any] = read_canonical(content[:-1])["certificate"]
    return document


def refused(content: bytes, keys: tuple[TrustedKey, ...]) -> str:
    with pytest.raises((NotGenuine, NotProven)) as trouble:
        verify(content, keys)
    return str(trouble.value)


def test_what_the_guard_signed_verifies(content: bytes, keys: tuple[TrustedKey, ...]) -> None:
    verified = verify(content, keys)
    assert verified.proves_flat
    certificate = verified.certificate
    assert (certificate.phase, certificate.by, certificate.pressed_at) == ("FLAT", "ann", "2026-11-24T09:30:00.000000Z")


def test_it_demands_what_the_machine_demands() -> None:
    assert (READS, SPAN) == (CALM_READS, CALM_SPAN)


def turn_bits(content: bytes, keys: tuple[TrustedKey, ...], bit_of: Callable[[int], int]) -> None:
    changed = bytearray(content)
    for place in range(len(content)):
        changed[place] ^= 1 << bit_of(place)
        refused(bytes(changed), keys)
        changed[place] = content[place]


def test_no_byte_bears_a_turned_bit(content: bytes, keys: tuple[TrustedKey, ...]) -> None:
    turn_bits(content, keys, lambda place: place % 8)


@pytest.mark.full
@pytest.mark.parametrize("bit", range(8))
def test_no_single_bit_can_be_turned(content: bytes, keys: tuple[TrustedKey, ...], bit: int) -> None:
    turn_bits(content, keys, lambda _: bit)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_no_byte_can_be_changed_added_or_left_out(
    content: bytes, keys: tuple[TrustedKey, ...], data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(content)))
    cut = data.draw(st.integers(0, 3))
    put = data.draw(st.binary(max_size=3))
    changed = content[:place] + put + content[place + cut :]
    if changed != content:
        refused(changed, keys)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value in a document, and to every object and list."""
    yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, each in children:
        yield from leaves(each, (*path, name))


def another(value: Any) -> Any:
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case str():
            return value + "0"
        case list() | dict():
            return type(value)() if value else None
        case _:
            return 1


def test_no_field_can_be_changed_even_in_canonical_form(content: bytes, keys: tuple[TrustedKey, ...]) -> None:
    envelope = read_canonical(content[:-1])
    for path in list(leaves(envelope))[1:]:
        changed = copy.deepcopy(envelope)
        place = changed
        for name in path[:-1]:
            place = place[name]
        place[path[-1]] = another(place[path[-1]])
        refused(canonical(changed) + b"\n", keys)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda raw: raw[:-1], "cut short"),
        (lambda raw: raw + b"\n", "not in canonical form"),
        (lambda raw: b" " + raw, "not in canonical form"),
        (lambda raw: raw.replace(b'{"certificate":', b'{"certificate":{},"certificate":', 1), "given twice"),
        (lambda raw: raw.replace(b'"by":', b'"by":"eve","by":', 1), "given twice"),
        (lambda raw: raw[:-2] + b',"z":1}\n', "not a certificate and its signature"),
        (lambda raw: raw.replace(b'"signature":"', b'"signature":"F', 1), "128 hexadecimal"),
        (lambda raw: b"x" * (BYTES_MAX + 1), "larger than 32 MiB"),
        (lambda raw: b"", "cut short"),
        (lambda raw: b"[]\n", "not a certificate"),
    ],
)
def test_a_tampered_file_is_refused_in_plain_words(
    content: bytes, keys: tuple[TrustedKey, ...], change: Callable[[bytes], bytes], why: str
) -> None:
    assert why in refused(change(content), keys)


def test_a_key_that_is_not_given_is_not_believed(content: bytes, tmp_path: Path) -> None:
    stranger = trusted_key(a_vault(tmp_path).signing_key(NOW).public_key.encode())
    assert "not among those given" in refused(content, (stranger,))
    assert "not among those given" in refused(content, ())
    posing = TrustedKey(key_id=document_of(content)["issue"]["key_id"], public_key=stranger.public_key)
    assert "does not fit" in refused(content, (posing,))


def test_a_signature_over_anything_else_is_no_certificate(
    content: bytes, key: SigningKey, keys: tuple[TrustedKey, ...]
) -> None:
    assert key.private_key is not None
    private = Ed25519PrivateKey.from_private_bytes(base64.b64decode(key.private_key.reveal()))
    document = document_of(content)

    def signed(message: bytes) -> bytes:
        return canonical({"certificate": document, "signature": private.sign(message).hex()}) + b"\n"

    assert verify(signed(CONTEXT + canonical(document)), keys).proves_flat
    assert "does not fit" in refused(signed(canonical(document)), keys)


def named_anew(document: dict[str, Any]) -> dict[str, Any]:
    """The readings named as a lying guard would: by their digests as they are now."""
    steps = document["steps"]
    for reading in document["read_backs"]:
        step = steps[reading["step"]]
        reading |= {"at": step["at"], "digest": hashlib.sha256(canonical(step)).hexdigest()}
    return document


def drop_a_reading(document: dict[str, Any]) -> None:
    del document["steps"][-1]
    document["ended_at"] = document["steps"][-1]["at"]
    document["read_backs"].pop()


def crowd_the_readings(document: dict[str, Any]) -> None:
    document["steps"][-1]["at"] = document["ended_at"] = "2026-11-24T09:30:06.499999Z"


def set_the_clock_back(document: dict[str, Any]) -> None:
    document["steps"][8]["at"] = "2026-11-24T09:30:07.500000Z"


def leave_a_position(document: dict[str, Any]) -> None:
    document["steps"][-1]["positions"] = document["steps"][2]["positions"]


def leave_an_order(document: dict[str, Any]) -> None:
    document["steps"][-3]["plain_orders"] = document["steps"][2]["plain_orders"]


def leave_an_order_of_a_new_kind(document: dict[str, Any]) -> None:
    document["steps"][-1]["twap_orders"] = [{"symbol": "BTCUSDT", "order_id": "1"}]


def read_in_part(document: dict[str, Any]) -> None:
    document["steps"][-1]["complete"] = False


def pass_over_what_is_not_listed(document: dict[str, Any]) -> None:
    document["steps"][-1]["unlisted"] = ["algo orders: -1121"]


def lose_sight_of_a_kind(document: dict[str, Any]) -> None:
    document["steps"][2]["algo_orders"] = [{"symbol": "BTCUSDT", "order_id": "14511"}]
    document["steps"][-1]["unlisted"] = document["unlisted"] = ["algo orders: refused (-404): status 404"]


def die_between(document: dict[str, Any]) -> None:
    document["steps"][-2] = {"type": "Resumed", "at": document["steps"][-2]["at"], "deadline": document["ended_at"]}


def act_between(document: dict[str, Any]) -> None:
    document["steps"][-2] = document["steps"][5] | {"at": document["steps"][-2]["at"]}


def never_block(document: dict[str, Any]) -> None:
    document["steps"][1] = {"type": "Waited", "at": document["steps"][1]["at"]}


def call_it_dust(document: dict[str, Any]) -> None:
    document |= {"phase": "FLAT_EXCEPT_DUST", "flat": False, "left": ["nothing"]}


def hide_what_is_left(document: dict[str, Any]) -> None:
    document["left"] = ["position BTCUSDT/BOTH 0.25"]


def name_other_readings(document: dict[str, Any]) -> None:
    document["read_backs"] = document["read_backs"][1:]


def forget_the_press(document: dict[str, Any]) -> None:
    document["steps"][0]["type"] = "Waited"


def say_another_end(document: dict[str, Any]) -> None:
    document["ended_at"] = document["pressed_at"]


def spell_a_time_loosely(document: dict[str, Any]) -> None:
    document["pressed_at"] = "2026-11-24T09:30:00Z"


def say_more(document: dict[str, Any]) -> None:
    document["note"] = "flat, trust me"


def say_less(document: dict[str, Any]) -> None:
    del document["journal"]


def misquote_a_reading(document: dict[str, Any]) -> None:
    document["read_backs"][0]["digest"] = "0" * 64


def come_from_the_future(document: dict[str, Any]) -> None:
    document["version"] = 2


def be_of_another_kind(document: dict[str, Any]) -> None:
    document["kind"] = "press"


LIES = {
    drop_a_reading: "steps end with 2",
    crowd_the_readings: "do not span",
    set_the_clock_back: "do not span",
    leave_a_position: "steps end with 0",
    leave_an_order: "steps end with 1",
    leave_an_order_of_a_new_kind: "steps end with 0",
    read_in_part: "steps end with 0",
    pass_over_what_is_not_listed: "what the venue does not list",
    lose_sight_of_a_kind: "steps end with 0",
    die_between: "steps end with 1",
    act_between: "steps end with 1",
    never_block: "steps end with 0",
    call_it_dust: "not what the last reading shows",
    hide_what_is_left: "what is left",
    name_other_readings: "the readings named",
    forget_the_press: "begin with the press",
    say_another_end: "the end is not",
    spell_a_time_loosely: "six digits of a second",
    say_more: "unknown field `note`",
    say_less: "missing required field `journal`",
    come_from_the_future: "not a certificate of version 1",
    be_of_another_kind: "not a certificate of version 1",
}


@pytest.mark.parametrize(("lie", "why"), LIES.items(), ids=lambda each: getattr(each, "__name__", ""))
def test_even_the_guard_cannot_sign_a_flat_that_the_readings_do_not_carry(
    content: bytes, key: SigningKey, keys: tuple[TrustedKey, ...], lie: Callable[[dict[str, Any]], None], why: str
) -> None:
    document = document_of(content)
    lie(document)
    assert why in refused(seal(named_anew(document), key), keys)


def test_a_reading_is_named_by_what_it_showed(content: bytes, key: SigningKey, keys: tuple[TrustedKey, ...]) -> None:
    document = document_of(content)
    misquote_a_reading(document)
    assert "the readings named" in refused(seal(document, key), keys)


def test_what_the_venue_does_not_list_is_said(content: bytes, key: SigningKey, keys: tuple[TrustedKey, ...]) -> None:
    document = document_of(content)
    pass_over_what_is_not_listed(document)
    document["unlisted"] = ["algo orders: -1121"]
    assert verify(seal(named_anew(document), key), keys).proves_flat


def test_a_bots_part_is_not_called_the_account(content: bytes, key: SigningKey, keys: tuple[TrustedKey, ...]) -> None:
    document = document_of(content)
    assert verify(content, keys).certificate.subject == "account main"
    document["scope"] = "bot:grid"
    assert verify(seal(document, key), keys).certificate.subject == "bot grid on account main"


def certified(tmp_path: Path, events: list[Any]) -> Verified:
    content = a_certificate(tmp_path, events)
    return verify(content, a_keeper(tmp_path).trusted_keys())


def test_dust_is_named_and_is_not_flat(tmp_path: Path) -> None:
    verified = certified(tmp_path, a_flat_kill(DUST))
    assert verified.certificate.phase == "FLAT_EXCEPT_DUST"
    assert not verified.certificate.flat and not verified.proves_flat


def test_what_is_degraded_is_never_called_flat(tmp_path: Path) -> None:
    verified = certified(tmp_path, a_degraded_kill())
    certificate = verified.certificate
    assert certificate.phase == "DEGRADED" and not verified.proves_flat
    assert certificate.left == ["position BTCUSDT/BOTH 0.250"]
    assert certificate.steps[-2]["retry_after"] == "1.5", "no fractional number stands in a certificate"
    (last,) = certificate.read_backs
    assert certificate.steps[last.step]["at"] == "2026-11-24T09:30:00.500000Z"
    document = document_of((tmp_path / "certificates" / f"{certificate.id}.json").read_bytes())
    key = a_vault(tmp_path).signing_key(after(0))
    for claim in ({"flat": True}, {"phase": "FLAT", "flat": True, "left": []}, {"left": []}):
        refused(seal(document | claim, key), a_keeper(tmp_path).trusted_keys())


def test_a_kill_that_a_ban_ended_over_an_empty_reading_verifies_and_is_not_flat(tmp_path: Path) -> None:
    banned = SurveyFailed(at=after(3.5), error="throttled (418), retry after 300 s", retry_after=300.0)
    verified = certified(tmp_path, [*the_beginning(), a_reading(0.5), banned])
    assert (verified.certificate.phase, verified.certificate.left) == ("DEGRADED", [])
    assert not verified.certificate.flat and not verified.proves_flat


def test_a_kill_that_read_nothing_cannot_say_that_nothing_is_left(tmp_path: Path) -> None:
    unread = [Engaged(at=NOW, by="ann", reason="test", deadline=after(60)), KeysDisabled(at=NOW, latched=True)]
    content = a_certificate(tmp_path, [*unread, DeadlinePassed(at=after(60))])
    trusted = a_keeper(tmp_path).trusted_keys()
    assert verify(content, trusted).certificate.left == ["unknown: the venue could not be read"]
    silent = seal(document_of(content) | {"left": []}, a_vault(tmp_path).signing_key(after(0)))
    assert "what is left" in refused(silent, trusted)
