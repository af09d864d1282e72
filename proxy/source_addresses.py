"""Looks, at start, whether the source addresses of the settings can be sent from: a kill is no time to find out."""

from __future__ import annotations

import socket
from collections.abc import Collection

from proxy.settings import Settings, SettingsError


def check_source_addresses(settings: Settings, accounts: Collection[str]) -> None:
    """Raises ``SettingsError`` for an address that is not this machine's, or an account that the vault does not hold.

    Nothing is sent.
    """
    wrong = [f"accounts.{name}: the vault has no such account" for name in settings.accounts if name not in accounts]
    for name, account in settings.accounts.items():
        for key, address in (("egress", account.egress), ("kill_egress", account.kill_egress)):
            if address is not None and not _is_ours(str(address)):
                wrong.append(f"accounts.{name}.{key}: {address} is not an address of this machine")
    if wrong:
        raise SettingsError("; ".join(wrong))


def _is_ours(address: str) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True
