"""Settings, policy and vault read as the guard reads them, and what a person should look at.

Problems keep the guard from starting. Warnings do not: a limit for a bot that nobody knows, or one that never applies.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from proxy.policy.comparing import Change, Direction, compare, compare_rules, loosened
from proxy.policy.places import Place, line_of_lines
from proxy.policy.problems import PolicyError, Problem, meant, shown
from proxy.policy.reading import load_policy, read_policy
from proxy.policy.shelf import Shelf
from proxy.settings import Settings, SettingsError, unknown_variables
from proxy.supervision.starting import check_startable
from proxy.vault.errors import VaultError
from proxy.vault.opening import open_unambiguous
from proxy.vault.vault import Vault
from proxy.venues.binance.client_ids import TagsClash
from rules.decision import Enforcement
from rules.policy import Policy
from rules.rule import Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What was read. ``accounts`` is ``None`` when the vault was not opened. ``warnings`` are about the policy's file,
    ``of_settings`` about the settings."""

    file: Path
    policy: Policy
    accounts: tuple[str, ...] | None
    warnings: tuple[Problem, ...]
    of_settings: tuple[Problem, ...] = ()


def check_all(settings: Settings) -> Checked:
    """Everything the settings name. Raises what ``up`` does: ``SettingsError``, ``PolicyError``, ``VaultError``,
    ``TagsClash`` or ``TlsMissing``.
    """
    policy, text = read_policy(settings.policy)
    changes = _since_active(settings, policy)
    vault = open_unambiguous(settings, os.environ)
    check_startable(settings, {key.account for key in vault.accounts()})
    return Checked(
        file=settings.policy,
        policy=policy,
        accounts=tuple(key.account for key in vault.accounts()),
        warnings=(
            *_strangers(policy, text, vault),
            *_never_applies(policy, text),
            *_loosens(changes),
            *_takes_effect(changes),
        ),
        of_settings=(*_channels_unknown(settings, vault), *_unread(), *_anchor_without_a_folder(settings)),
    )


def check_file(file: Path, settings: Callable[[], Settings]) -> Checked:
    """One policy's text; it is also written, and checked, where no guard is, and is compared with nothing there.

    Raises ``PolicyError``.
    """
    policy, text = read_policy(file)
    vault: Vault | None = None
    active: Iterable[Problem] = ()
    try:
        known = settings()
        active = _beside_active(known, policy)
        vault = open_unambiguous(known, os.environ, ask=False)
    except (SettingsError, VaultError, TagsClash):
        pass  # What was found until then is told.
    return Checked(
        file=file,
        policy=policy,
        accounts=tuple(key.account for key in vault.accounts()) if vault is not None else None,
        warnings=(
            *(_strangers(policy, text, vault) if vault is not None else ()),
            *_never_applies(policy, text),
            *active,
        ),
    )


def _since_active(settings: Settings, policy: Policy) -> tuple[Change, ...]:
    """The changes to the active policy of the data directory; none where none is active.

    Raises ``PolicyError``, or ``OSError`` where nobody may look.
    """
    active = Shelf(settings.data_dir).active_path
    return compare(load_policy(active), policy) if active.exists() else ()


def _beside_active(settings: Settings, policy: Policy) -> tuple[Problem, ...]:
    """What the policy would loosen. An active one that cannot be read is no fault of this policy's."""
    try:
        return tuple(_loosens(_since_active(settings, policy)))
    except (PolicyError, OSError) as trouble:
        return (Problem(f"not compared with the active policy: {str(trouble).splitlines()[0]}"),)


def _strangers(policy: Policy, text: str, vault: Vault) -> Iterator[Problem]:
    """Levels that no order will ever be at."""
    known = {
        "account": sorted(key.account for key in vault.accounts()),
        "bot": sorted({key.bot for key in vault.guard_keys()}),
    }
    line = line_of_lines(text)
    for kind, name in sorted(_levels(policy)):
        place: Place = (kind, name)
        if kind in known and name not in known[kind]:
            hint = meant(name, known[kind]) if known[kind] else "; it knows none"
            yield Problem(f"{shown(place)}: the vault knows no {kind} {name}{hint}", line(place))
        elif kind == "symbol" and name != name.upper():
            yield Problem(f'{shown(place)}: symbols are in capitals; did you mean "{name.upper()}"?', line(place))


def _channels_unknown(settings: Settings, vault: Vault) -> Iterator[Problem]:
    known = sorted(channel.name for channel in vault.alert_channels())
    for name in settings.alerts.unknown(known):
        hint = meant(name, known) if known else "; it knows none"
        yield Problem(f"[alerts.channels.{name}] of the settings: the vault knows no alert channel {name}{hint}")


def _unread() -> Iterator[Problem]:
    known = [f"PERPGUARD_{name}".upper() for name in Settings.model_fields]
    for name in unknown_variables(os.environ):
        hint = "".join(f'; did you mean "{each}"?' for each in get_close_matches(name.upper(), known, n=1))
        yield Problem(f"{name} of the environment does nothing: no setting has that name{hint}")


def _anchor_without_a_folder(settings: Settings) -> Iterator[Problem]:
    """It keeps nobody from starting: the disk it is on may come later."""
    anchor = settings.audit_anchor
    if anchor is not None and not anchor.parent.is_dir():
        yield Problem(f"audit_anchor: {anchor.parent} is no folder, so no anchor is kept there")


def _levels(policy: Policy) -> set[tuple[str, str]]:
    tables = {table.level for table in policy.outside} | {table.level for table in policy.resizes}
    levels = {rule.level for rule in policy.rules} | tables
    return {(kind, name) for kind, _, name in (level.partition(":") for level in levels) if name}


def _never_applies(policy: Policy, text: str) -> Iterator[Problem]:
    """Limits of all levels apply together, so one that is looser than the desk's is never the one that refuses."""
    line = line_of_lines(text)
    desk = {rule.rule_id: rule for rule in policy.rules if rule.level == "desk"}
    for rule in policy.rules:
        above = desk.get(rule.rule_id)
        if rule.level == "desk" or above is None or not _both_enforced(rule, above):
            continue
        changes = compare_rules(above, rule)
        if changes and _is_looser(changes) and _is_tighter(compare_rules(rule, above)):
            kind, _, name = rule.level.partition(":")
            place = (kind, name, rule.rule_id)
            words = ", ".join(f"{change.setting} is {change.old}" for change in changes)
            yield Problem(f"{shown(place)} never refuses: the desk's {words}, and applies too", line(place))


def _is_looser(changes: Iterable[Change]) -> bool:
    return all(change.direction is Direction.LOOSENED and not change.why for change in changes)


def _is_tighter(changes: Iterable[Change]) -> bool:
    """Of lists and tables each may be looser than the other: what one lets through, the other may refuse."""
    return all(change.direction is Direction.TIGHTENED for change in changes)


def _both_enforced(*rules: Rule) -> bool:
    return all(rule.enforcement is Enforcement.ENFORCE for rule in rules)


def _loosens(changes: tuple[Change, ...]) -> Iterator[Problem]:
    for change in loosened(changes):
        yield Problem(f"looser than the active policy, so it waits for approval: {change}")


def _takes_effect(changes: tuple[Change, ...]) -> Iterator[Problem]:
    if changes and not loosened(changes):
        count = "1 change takes" if len(changes) == 1 else f"{len(changes)} changes take"
        yield Problem(f"not the active policy; {count} effect at the next start")
