"""The link acknowledges one alert, for a while, and nobody makes one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from proxy.alerts.links import LASTS, Link, read_token, token_of
from proxy.vault.keys import Secret

SECRET, NOW = Secret("a" * 64), datetime(2026, 11, 27, 12, tzinfo=UTC)
TOKEN = token_of(SECRET, "20261127120000-7", "pager", NOW)


def test_it_says_which_alert_and_which_channel_until_it_expires() -> None:
    assert read_token(SECRET, TOKEN, NOW) == Link("20261127120000-7", "pager", NOW + LASTS)
    assert read_token(SECRET, TOKEN, NOW + LASTS - timedelta(seconds=1)) is not None
    assert read_token(SECRET, TOKEN, NOW + LASTS) is None


def test_another_secret_makes_no_link() -> None:
    assert read_token(Secret("b" * 64), TOKEN, NOW) is None


@given(st.integers(0, len(TOKEN) - 1), st.sampled_from("ABCxyz019-_"))
def test_no_character_can_be_changed(place: int, other: str) -> None:
    altered = TOKEN[:place] + other + TOKEN[place + 1 :]
    # The last character of base64 has bits that mean nothing.
    assert altered == TOKEN or place == len(TOKEN) - 1 or read_token(SECRET, altered, NOW) is None


@given(st.text(max_size=300))
def test_whatever_is_sent_is_no_link_and_no_error(text: str) -> None:
    assert read_token(SECRET, text, NOW) is None
