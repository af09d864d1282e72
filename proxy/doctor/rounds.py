"""The doctor's round: everything that is looked at, in the order in which one thing rests on another."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from functools import partial
from typing import Final

from proxy.clock import utc_now
from proxy.doctor.checking import check_all
from proxy.doctor.finding import Finding, fail, ok, warn
from proxy.doctor.guard import look_at_guard
from proxy.doctor.machine import look_at_drills, look_at_machine
from proxy.doctor.part import looked_through, secrets_in, secrets_of
from proxy.doctor.store import look_at_store
from proxy.doctor.venue import look_at_venue
from proxy.policy.problems import PolicyError
from proxy.policy.reading import load_policy
from proxy.policy.shelf import policy_path
from proxy.settings import Settings, SettingsError
from proxy.tls.shelf import TlsMissing
from proxy.vault.errors import VaultError, VaultMissing
from proxy.vault.keys import KeyState
from proxy.vault.opening import open_unambiguous
from proxy.vault.vault import Vault
from proxy.venues.binance.client_ids import TagsClash

_NO_VAULT: Final = "perpguard keys add-exchange makes one"
_NOT_OPENED: Final = "PERPGUARD_PASSPHRASE, or the file that passphrase_file names, must hold this vault's passphrase"


def looked(read_settings: Callable[[], Settings], *, offline: bool) -> Iterator[Finding]:
    """Every finding, as soon as it is known. ``offline`` asks no exchange."""
    try:
        settings = read_settings()
    except SettingsError as trouble:
        yield fail("settings", str(trouble), "mend the settings file or the PERPGUARD_ variables")
        return
    yield ok("settings", "can be read")
    secrets, vaults = [*secrets_of(settings, os.environ)], list[Vault]()

    def keep(vault: Vault) -> None:
        vaults.append(vault)
        secrets.extend(secrets_in(vault))

    yield from looked_through("machine", lambda: look_at_machine(settings, utc_now()), secrets)
    yield from looked_through("vault", lambda: _vault(settings, keep), secrets)
    accounts = [key.account for vault in vaults for key in vault.accounts()]
    yield from looked_through("drill", lambda: look_at_drills(settings, accounts, utc_now()), secrets)
    yield from looked_through("policy", lambda: _policy(settings, vault_said=not vaults), secrets)
    yield from looked_through("store", lambda: asyncio.run(look_at_store(settings)), secrets)
    yield from looked_through("guard", lambda: look_at_guard(settings), secrets)
    if vaults and not offline:
        yield from looked_through("exchanges", lambda: _venues(settings, vaults[0], secrets), secrets)


def _vault(settings: Settings, keep: Callable[[Vault], None]) -> Iterator[Finding]:
    try:
        vault = open_unambiguous(settings, os.environ)
    except (VaultError, TagsClash, EOFError) as trouble:
        yield fail("vault", str(trouble), _NO_VAULT if isinstance(trouble, VaultMissing) else _NOT_OPENED)
        return
    keep(vault)
    yield _keys(vault)
    yield from _disabled(vault)
    yield from _channels(settings, vault)


def _keys(vault: Vault) -> Finding:
    accounts, bots = vault.accounts(), vault.guard_keys()
    if not accounts:
        return fail("vault", "it holds no exchange key", "perpguard keys add-exchange")
    if not bots:
        return warn("vault", "no bot has a guard key", "perpguard keys issue --bot NAME --account NAME")
    return ok("vault", f"{len(accounts)} accounts, {len(bots)} guard keys")


def _disabled(vault: Vault) -> Iterator[Finding]:
    """Bots of whose keys none is obeyed: nothing of theirs passes, not even an exit."""
    keys = vault.guard_keys()
    obeyed = {key.bot for key in keys if key.state is KeyState.ACTIVE}
    for bot in sorted({key.bot for key in keys} - obeyed):
        said = "none of its guard keys is obeyed: everything of it is refused"
        yield warn(f"guard keys of {bot}", said, "if that is not on purpose: perpguard keys enable, or keys issue")


def _channels(settings: Settings, vault: Vault) -> Iterator[Finding]:
    for name in settings.alerts.unknown(channel.name for channel in vault.alert_channels()):
        said = f"the settings say how loud {name} is, and the vault has no channel of that name: nothing is told there"
        yield warn("alert channels", said, "perpguard alerts channels list; mend the name, or add the channel")


def _policy(settings: Settings, *, vault_said: bool) -> Iterator[Finding]:
    """``vault_said``: the vault could not be opened, and why not has been said."""
    try:
        checked = check_all(settings)
    except PolicyError as trouble:
        yield fail("policy", str(trouble), "perpguard check names each line")
        return
    except (SettingsError, TlsMissing) as trouble:
        yield fail("settings", str(trouble), "mend the settings file or the PERPGUARD_ variables")
        return
    except (VaultError, TagsClash, EOFError) as trouble:
        if not vault_said:  # A pipe, or a person, gives the passphrase once.
            yield warn("policy", f"not compared with the vault, which opens no more: {trouble}", _NOT_OPENED)
        return
    for problem in checked.warnings:
        yield warn("policy", problem.at(str(checked.file)), "perpguard check")
    yield ok("policy", f"{checked.policy.name}, {len(checked.policy.rules)} rules")


def _venues(settings: Settings, vault: Vault, secrets: Iterable[str]) -> Iterator[Finding]:
    try:
        policy = load_policy(policy_path(settings))
    except PolicyError:
        return  # Said before.
    for key in vault.accounts():
        check = f"exchange of {key.account}"
        if key.venue not in settings.venue_urls:
            said = f"it is on {key.venue}, which the settings do not have"
            yield fail(check, said, f"[venues.{key.venue}] in the settings")
            continue
        look = partial(look_at_venue, settings, vault, key, policy)
        yield from looked_through(check, partial(_as_they_come, look), secrets)


def _as_they_come(look: Callable[[], AsyncIterator[Finding]]) -> Iterator[Finding]:
    """What a look that waits for answers finds, one by one, for a caller that has no loop of its own."""

    async def following() -> Finding | None:
        return await anext(findings, None)

    with asyncio.Runner() as runner:
        findings = look()
        while (finding := runner.run(following())) is not None:
            yield finding
