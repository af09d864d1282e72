"""Secrets cannot be printed, hashed, pickled or serialised by accident."""

import copy
import dataclasses
import json
import logging
import pickle
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.vault.errors import InvalidField
from proxy.vault.keys import KeyState, Secret, checked_name, new_exchange_key, new_guard_key, shortened, stream_key

NOW = datetime(2026, 11, 24, tzinfo=UTC)
TEXT = "canary-7f3a91"


def test_every_way_of_printing_a_secret_shows_stars(caplog: pytest.LogCaptureFixture):
    secret = Secret(TEXT)
    logging.getLogger("test").warning("%s %r %s", secret, secret, [secret])
    shown = [repr(secret), str(secret), f"{secret}", f"{secret:>40}", f"{secret!r}", "%s" % secret, f"{[secret]}"]  # noqa: UP031
    assert TEXT not in "".join(shown) + caplog.text


@pytest.mark.parametrize("serialise", [json.dumps, msgspec.json.encode, msgspec.to_builtins, pickle.dumps])
def test_a_secret_is_never_serialised(serialise):
    with pytest.raises(TypeError) as refusal:
        serialise({"secret": Secret(TEXT)})
    assert TEXT not in str(refusal.value)


def test_a_secret_has_no_hash_and_no_instance_dict():
    with pytest.raises(TypeError):
        hash(Secret(TEXT))
    with pytest.raises(TypeError):
        vars(Secret(TEXT))


@settings(max_examples=50, deadline=None, database=None)
@given(st.text(), st.text())
def test_secrets_are_equal_when_their_texts_are(one: str, other: str):
    assert (Secret(one) == Secret(other)) is (one == other)


def test_lone_surrogates_compare_without_an_encoding_error_that_would_carry_the_text():
    assert Secret("x\udcff") != Secret("x\udcfe")


def test_a_secret_never_equals_the_bare_text():
    assert Secret(TEXT) != TEXT


def test_copies_stay_wrapped():
    key = new_guard_key(bot="b", account="a", label="l", now=NOW)
    assert key.secret.reveal() not in repr(dataclasses.asdict(key)) + repr(copy.deepcopy(key))


def test_a_guard_key_has_the_shape_of_a_binance_key():
    key = new_guard_key(bot="b", account="a", label="l", now=NOW)
    for text in (key.key, key.secret.reveal()):
        assert len(text) == 64 and text.isascii() and text.isalnum()
    assert key.key != key.secret.reveal()
    assert key.state is KeyState.ACTIVE


def test_reprs_show_at_most_the_last_four_characters_of_a_key():
    key = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    exchange = new_exchange_key(account="a", venue="v", api_key=key, api_secret=Secret(TEXT), now=NOW)
    assert "…6789" in repr(exchange) and "56789" not in repr(exchange) and TEXT not in repr(exchange)
    guard = new_guard_key(bot="b", account="a", label="l", now=NOW)
    assert guard.key[-4:] in repr(guard) and guard.key[-5:] not in repr(guard)


def test_a_short_key_is_not_shown_at_all():
    assert shortened("abcdefgh") == "…"
    assert shortened("ABCDEFGHIJKLMNOPQRSTUVWXYZ") == "ABCDEF…WXYZ"


@pytest.mark.parametrize("name", ["", "a" * 33, "a b", "a/b", "é", "１", "a\n", "a:b", "{a}"])
def test_names_outside_the_alphabet_are_refused_without_being_quoted(name: str):
    with pytest.raises(InvalidField) as refusal:
        checked_name("bot", name)
    assert str(refusal.value) == "bot must be 1 to 32 of A-Z a-z 0-9 . _ -"


@pytest.mark.parametrize("secret", ["", " x", "x\n", "é", "a\0b", "x" * 8193])
def test_an_exchange_secret_that_cannot_work_is_refused(secret: str):
    with pytest.raises(InvalidField):
        new_exchange_key(account="a", venue="v", api_key="k", api_secret=Secret(secret), now=NOW)


@pytest.mark.parametrize("api_key", ["", "a b", "a\r\nX-Evil: 1", "é", "x" * 257])
def test_an_api_key_that_could_end_a_header_is_refused(api_key: str):
    with pytest.raises(InvalidField):
        new_exchange_key(account="a", venue="v", api_key=api_key, api_secret=Secret("s"), now=NOW)


def test_times_are_kept_in_utc_and_naive_ones_are_a_bug():
    there = datetime(2026, 11, 24, 14, tzinfo=timezone(timedelta(hours=2)))
    assert new_guard_key(bot="b", account="a", label="l", now=there).created_at == datetime(
        2026, 11, 24, 12, tzinfo=UTC
    )
    with pytest.raises(ValueError, match="aware"):
        new_guard_key(bot="b", account="a", label="l", now=datetime(2026, 11, 24))


def test_a_stream_key_looks_like_binances_and_is_the_keys_alone():
    keys = [new_guard_key(bot="b", account="a", label="l", now=NOW) for _ in range(50)]
    derived = [stream_key(key) for key in keys]
    assert all(len(text) == 64 and text.isascii() and text.isalnum() for text in derived)
    assert len(set(derived)) == 50
    assert derived == [stream_key(key) for key in keys]


def test_neither_half_of_a_credential_alone_tells_its_stream_key():
    one, other = (new_guard_key(bot="b", account="a", label="l", now=NOW) for _ in range(2))
    assert stream_key(dataclasses.replace(one, secret=other.secret)) not in (stream_key(one), stream_key(other))
