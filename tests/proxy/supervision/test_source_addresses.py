"""An address that cannot be sent from is found at start."""

import pytest

from proxy.settings import AccountSettings, Settings, SettingsError, VenueSettings
from proxy.supervision.source_addresses import check_source_addresses


def with_addresses(**addresses: str) -> Settings:
    """At an exchange on this machine, which is reached from 127.0.0.1."""
    venues = {"binanceusdm": VenueSettings(url="http://127.0.0.1:1")}
    return Settings(accounts={"main": AccountSettings(**addresses)}, venues=venues)


def test_addresses_of_this_machine_pass():
    check_source_addresses(with_addresses(egress="127.0.0.2", kill_egress="127.0.0.3"), {"main"})
    check_source_addresses(Settings(), {"main"})


def test_an_address_of_another_machine_is_named():
    with pytest.raises(SettingsError, match=r"accounts\.main\.kill_egress: 192\.0\.2\.1 is not an address of this"):
        check_source_addresses(with_addresses(egress="127.0.0.2", kill_egress="192.0.2.1"), {"main"})


def test_a_slip_of_the_pen_is_no_account():
    with pytest.raises(SettingsError, match=r"accounts\.main: the vault has no such account"):
        check_source_addresses(with_addresses(egress="127.0.0.2"), {"mian"})


@pytest.mark.parametrize("key", ["egress", "kill_egress"])
def test_the_address_that_is_used_anyway_is_not_given_a_second_name(key: str):
    said = rf"accounts\.main\.{key}: 127\.0\.0\.1 is the address that this machine uses anyway.*leave the line out"
    with pytest.raises(SettingsError, match=said):
        check_source_addresses(with_addresses(**{key: "127.0.0.1"}), {"main"})


def test_an_exchange_whose_name_is_not_known_now_keeps_nobody_from_starting(monkeypatch: pytest.MonkeyPatch):
    def unknown(*_: object, **__: object) -> None:
        raise OSError("no such name")

    monkeypatch.setattr("proxy.supervision.source_addresses.socket.getaddrinfo", unknown)
    check_source_addresses(with_addresses(egress="127.0.0.1"), {"main"})
