"""An address that cannot be sent from is found at start."""

import pytest

from proxy.settings import AccountSettings, Settings, SettingsError
from proxy.source_addresses import check_source_addresses


def with_addresses(**addresses: str) -> Settings:
    return Settings(accounts={"main": AccountSettings(**addresses)})


def test_addresses_of_this_machine_pass():
    check_source_addresses(with_addresses(egress="127.0.0.2", kill_egress="127.0.0.3"), {"main"})
    check_source_addresses(Settings(), {"main"})


def test_an_address_of_another_machine_is_named():
    with pytest.raises(SettingsError, match=r"accounts\.main\.kill_egress: 192\.0\.2\.1 is not an address of this"):
        check_source_addresses(with_addresses(egress="127.0.0.2", kill_egress="192.0.2.1"), {"main"})


def test_a_slip_of_the_pen_is_no_account():
    with pytest.raises(SettingsError, match=r"accounts\.main: the vault has no such account"):
        check_source_addresses(with_addresses(egress="127.0.0.2"), {"mian"})
