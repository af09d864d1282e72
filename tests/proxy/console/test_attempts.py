"""Whose wrong secrets are counted together."""

from __future__ import annotations

import pytest

from proxy.clock import utc_now
from proxy.console.attempts import FAILURES_MAX, Attempts, address_key, is_loopback
from tests.proxy.console.conftest import HandClock


@pytest.mark.parametrize("other", ["::ffff:10.0.0.1", "10.0.0.1", "::1", "127.0.0.1", "2001:db8::1"])
def test_one_stranger_at_a_door_of_both_kinds_of_address_locks_nobody_else_out(other: str) -> None:
    attempts = Attempts(utc_now)
    for _ in range(FAILURES_MAX):
        attempts.failed("::ffff:203.0.113.9")
    assert attempts.exhausted("203.0.113.9"), "however it is written"
    assert not attempts.exhausted(other)


def test_a_household_is_one_and_this_machine_is_in_none() -> None:
    assert address_key("2001:db8::1") == address_key("2001:db8::ffff:1") != address_key("2001:db8:0:1::1")
    assert address_key("::1") != address_key("::2")
    assert address_key("fe80::1%eth0") == address_key("fe80::2")
    assert address_key("not an address") == "unknown"


def test_a_clock_that_is_set_back_makes_nobody_wait_longer() -> None:
    clock = HandClock()
    attempts = Attempts(clock)
    clock.wind(hours=3)
    for _ in range(FAILURES_MAX):
        attempts.failed("203.0.113.9")
    assert attempts.exhausted("203.0.113.9")
    clock.wind(hours=-3)
    assert not attempts.exhausted("203.0.113.9")


@pytest.mark.parametrize(
    ("address", "ours"),
    [("127.0.0.1", True), ("::1", True), ("::ffff:127.0.0.1", True), ("10.0.0.1", False), ("", False)],
)
def test_what_is_of_this_machine(address: str, ours: bool) -> None:
    assert is_loopback(address) is ours
