"""The doctor's round: everything that is looked at, in the order in which one thing rests on another."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from typing import Final

from proxy.app import open_vault, policy_path, vault_path
from proxy.clock import utc_now
from proxy.doctor.finding import Finding, fail, ok, warn
from proxy.doctor.guard import look_at_guard
from proxy.doctor.machine import look_at_machine
from proxy.doctor.store import look_at_store
from proxy.doctor.venue import look_at_venue
from proxy.policy.checking import check_all
from proxy.policy.problems import PolicyError
from proxy.policy_file import load_policy
from proxy.settings import Settings, SettingsError
from proxy.vault.errors import VaultError
from proxy.vault.vault import Vault
from proxy.venues.binance.client_ids import TagsClash

_NO_VAULT: Final = "perpguard keys add-exchange makes one"
_NOT_OPENED: Final = "PERPGUARD_PASSPHRASE, or the file that passphrase_file names, must hold this vault's passphrase"


def looked(read_settings: Callable[[], Settings], *, offline: bool) -> Iterator[Finding]:
    """Every finding. ``offline`` asks no exchange."""
    try:
        settings = read_settings()
    except SettingsError as trouble:
        yield fail("settings", str(trouble), "mend the settings file or the PERPGUARD_ variables")
        return
    yield ok("settings", "can be read")
    yield from look_at_machine(settings, utc_now())
    try:
        vault = open_vault(settings, os.environ)
    except (VaultError, TagsClash, OSError, EOFError) as trouble:
        yield fail("vault", str(trouble), _NOT_OPENED if vault_path(settings).exists() else _NO_VAULT)
        vault = None
    if vault is not None:
        yield from _vault(vault)
        yield from _channels(settings, vault)
    yield from _policy(settings)
    yield from asyncio.run(look_at_store(settings))
    yield from look_at_guard(settings)
    if vault is not None and not offline:
        yield from asyncio.run(_venues(settings, vault))


def _vault(vault: Vault) -> Iterator[Finding]:
    accounts, bots = vault.accounts(), vault.guard_keys()
    if not accounts:
        yield fail("vault", "it holds no exchange key", "perpguard keys add-exchange")
    elif not bots:
        yield warn("vault", "no bot has a guard key", "perpguard keys issue --bot NAME --account NAME")
    else:
        yield ok("vault", f"{len(accounts)} accounts, {len(bots)} guard keys")


def _channels(settings: Settings, vault: Vault) -> Iterator[Finding]:
    for name in settings.alerts.unknown(channel.name for channel in vault.alert_channels()):
        said = f"the settings say how loud {name} is, and the vault has no channel of that name: nothing is told there"
        yield warn("alert channels", said, "perpguard alerts channels list; mend the name, or add the channel")


def _policy(settings: Settings) -> Iterator[Finding]:
    try:
        checked = check_all(settings)
    except (PolicyError, VaultError, TagsClash, OSError, EOFError) as trouble:
        if isinstance(trouble, PolicyError):
            yield fail("policy", str(trouble), "perpguard check names each line")
        return  # The vault's own trouble has been said.
    for problem in checked.warnings:
        yield warn("policy", problem.at(str(checked.file)), "perpguard check")
    yield ok("policy", f"{checked.policy.name}, {len(checked.policy.rules)} rules")


async def _venues(settings: Settings, vault: Vault) -> list[Finding]:
    try:
        policy = load_policy(policy_path(settings))
    except PolicyError:
        return []  # Said before.
    found = []
    for key in vault.accounts():
        if key.venue not in settings.venue_urls:
            said = f"it is on {key.venue}, which the settings do not have"
            found.append(fail(f"exchange of {key.account}", said, f"[venues.{key.venue}] in the settings"))
            continue
        found += [finding async for finding in look_at_venue(settings, vault, key, policy)]
    return found
