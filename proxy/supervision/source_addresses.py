"""Looks, at start, whether the source addresses of the settings can be sent from: a kill is no time to find out."""

from __future__ import annotations

import socket
from collections.abc import Collection
from urllib.parse import urlsplit

from proxy.settings import Settings, SettingsError


def check_source_addresses(settings: Settings, accounts: Collection[str]) -> None:
    """Raises ``SettingsError`` for an address that is not this machine's, or is the one it uses anyway; and for an
    account that the vault does not hold.

    The exchange counts, and bans, an address; the guard would count the usual one twice, under two names. Nothing is
    sent to the exchange.
    """
    wrong = [f"accounts.{name}: the vault has no such account" for name in settings.accounts if name not in accounts]
    set_here = [
        (f"accounts.{name}.{key}", str(address))
        for name, account in settings.accounts.items()
        for key, address in (("egress", account.egress), ("kill_egress", account.kill_egress))
        if address is not None
    ]
    usual = _usual_addresses(settings) if set_here else frozenset()
    for key, address in set_here:
        if not _is_ours(address):
            wrong.append(f"{key}: {address} is not an address of this machine")
        elif address in usual:
            wrong.append(
                f"{key}: {address} is the address that this machine uses anyway, and under two names its budget and "
                "its bans would be counted as those of two; leave the line out, or name another address"
            )
    if wrong:
        raise SettingsError("; ".join(wrong))


def _usual_addresses(settings: Settings) -> frozenset[str]:
    """From where this machine reaches the venues when nothing is set, as far as it can say."""
    urls = {
        url for name, venue in settings.venues.items() for url in (*settings.hosts(name).values(), *venue.other_urls)
    }
    hosts = {(parts.hostname, parts.port or 443) for parts in map(urlsplit, urls) if parts.hostname}
    return frozenset(address for host, port in hosts for address in _usual_toward(host, port))


def _usual_toward(host: str, port: int) -> set[str]:
    found: set[str] = set()
    try:
        known = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError):
        return found  # It cannot be reached now, so nobody can tell from where it will be.
    for family, kind, protocol, _, there in known:
        with socket.socket(family, kind, protocol) as probe:
            try:
                probe.connect(there)  # Of a datagram socket: the kernel chooses an address, and no packet leaves.
            except OSError:
                continue
            found.add(str(probe.getsockname()[0]))
    return found


def _is_ours(address: str) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True
