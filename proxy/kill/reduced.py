"""Accounts that something has made reduce-only, until they are re-armed: one small file each,
``kill/accounts/NAME.json``.

Gates read it in the store; the file outlives the store. A file reduces its account by being there, whatever it holds;
what it holds says who made it so, why and when. Nothing here loosens a state, but the re-arm of that very account:
what is older than that, as ``kill/rearm.jsonl`` has it, is over, also where its file could not be taken away.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from proxy.clock import utc_now
from proxy.decoding import build
from proxy.disk import make_directory, remove_file, replace_file
from proxy.kill.rearm import Rearms, last_rearm
from proxy.store.codec import dump, load, plain
from proxy.store.scope import Scope
from proxy.store.warden_store import WardenStore
from rules.model import TradingState

log = logging.getLogger("perpguard.kill")

_SUFFIX: Final = ".json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reduced:
    """Who made an account reduce-only (empty: not known), why in words, and when."""

    by: str
    reason: str
    at: datetime


class ReducedFiles:
    """The files of one data directory."""

    def __init__(self, data_dir: Path) -> None:
        self._directory = data_dir / "kill" / "accounts"

    def read(self) -> dict[str, Reduced | None]:
        """Every account that has a file; ``None`` for one whose file cannot be read. Raises ``OSError``."""
        found: dict[str, Reduced | None] = {}
        for path in self._directory.iterdir() if self._directory.is_dir() else ():
            name = path.name.removesuffix(_SUFFIX)
            if name != path.name and _is_account(name):
                found[name] = _content(path)
        return found

    def write(self, account: str, reduced: Reduced) -> None:
        """Keep it, on disk when this returns. Raises ``OSError``."""
        make_directory(self._directory)
        replace_file(self._path(account), dump(plain(reduced)))

    def remove(self, account: str) -> None:
        """Forget it. Raises ``OSError``; then it stands."""
        remove_file(self._path(account))

    def _path(self, account: str) -> Path:
        return self._directory / f"{account}{_SUFFIX}"


class ReducedAccounts:
    """The reduce-only accounts of one desk. Everything here is called while the truths are in hand.

    ``generation`` is the kill's, which stands beside every state in the store.
    """

    def __init__(self, data_dir: Path, store: WardenStore, generation: Callable[[], int]) -> None:
        self._data_dir = data_dir
        self._files = ReducedFiles(data_dir)
        self._store = store
        self._generation = generation
        self._rearms = Rearms(data_dir)
        self._known: dict[str, Reduced] = {}
        self._said: set[str] = set()

    def keep(self, account: str, by: str, reason: str) -> bool:
        """Write it down, before the store is told; whether the disk took it. If not, it is tried again."""
        self._known[account] = self._reduced_now(account, by, reason)
        return self._write(account)

    def keep_on(self, account: str) -> None:
        """A re-arm was written down and came to nothing: what was kept of the account stands as from now on."""
        kept = self._known.get(account) or self._on_disk().get(account)
        if kept is not None:
            self.keep(account, kept.by, kept.reason)

    def forget(self, account: str) -> None:
        """Neither the disk nor the store took it: the account goes on as it was."""
        self._known.pop(account, None)

    def lift(self, account: str) -> None:
        """A person has re-armed the account, and it is written down when. A file that does not go is over by that."""
        self._known.pop(account, None)
        self._said.discard(account)
        self._take_away(account)

    async def compare(self, controls: Mapping[str, str], stopped: Set[Scope]) -> None:
        """Tell the store what it has forgotten, and take over what it alone knows, as an older guard left it.

        ``controls`` are the store's; ``stopped`` is what a kill has stopped, which says more. Raises what the store
        client raises.
        """
        self._forget_rearmed()
        on_disk = self._on_disk()
        self._take_up(on_disk, controls)
        for account in self._known.keys() - on_disk.keys():
            self._write(account)
        for account in self._known:
            scope = Scope(account)
            if scope not in stopped and _state(controls, scope) == TradingState.ACTIVE.value:
                log.error("the store had forgotten that %s is reduce-only", scope)
                await self.tell(account)

    async def tell(self, account: str) -> None:
        """Make the account reduce-only for every gate. Raises what the store client raises."""
        await self._store.set_state(
            Scope(account).control, TradingState.REDUCING, generation=self._generation(), kill_running=None
        )

    def _on_disk(self) -> Mapping[str, Reduced | None]:
        """What has a file; as known, where the disk does not say."""
        try:
            return self._files.read()
        except OSError as trouble:
            log.error("which accounts are reduce-only cannot be read from the disk: %s", trouble.strerror)
            return self._known

    def _take_up(self, on_disk: Mapping[str, Reduced | None], controls: Mapping[str, str]) -> None:
        for account, reduced in on_disk.items():
            if account in self._known:
                continue
            if reduced is None:
                log.error("the file of %s cannot be read; it stays reduce-only", Scope(account))
            elif self._is_over(account, reduced):
                self._take_away(account)
                continue
            self._known[account] = reduced or self._reduced_now(account, "", "its file cannot be read")
        for account in _reducing(controls) - self._known.keys():
            log.warning("%s is reduce-only in the store alone; it is written down", Scope(account))
            self._known[account] = self._reduced_now(account, "", "found in the store")

    def _forget_rearmed(self) -> None:
        """Another warden on this data directory may have re-armed what this one remembers."""
        for account in [account for account, reduced in self._known.items() if self._is_over(account, reduced)]:
            del self._known[account]

    def _is_over(self, account: str, reduced: Reduced) -> bool:
        """Whether the account was re-armed after it was made reduce-only. A time of no zone says nothing of that."""
        rearmed_at = self._rearms.last(str(Scope(account)))
        return rearmed_at is not None and reduced.at.tzinfo is not None and reduced.at < rearmed_at

    def _reduced_now(self, account: str, by: str, reason: str) -> Reduced:
        """Never older than the last re-arm, whichever way the clock was set meanwhile: that would end it at once."""
        now, rearmed_at = utc_now(), last_rearm(self._data_dir, str(Scope(account)))
        return Reduced(by=by, reason=reason, at=now if rearmed_at is None else max(now, rearmed_at))

    def _write(self, account: str) -> bool:
        try:
            self._files.write(account, self._known[account])
        except OSError as trouble:
            if account not in self._said:  # It is tried four times a second: said once.
                log.error("that %s is reduce-only is not on disk: %s", Scope(account), trouble.strerror)
            self._said.add(account)
            return False
        self._said.discard(account)
        return True

    def _take_away(self, account: str) -> None:
        try:
            self._files.remove(account)
        except OSError as trouble:
            if account not in self._said:
                text = "%s was re-armed, and its file in kill/accounts cannot be removed: %s"
                log.error(text, Scope(account), trouble.strerror)
            self._said.add(account)
        else:
            self._said.discard(account)


def _reducing(controls: Mapping[str, str]) -> set[str]:
    """The accounts that are reduce-only in the store."""
    found = set()
    for level, state in controls.items():
        kind, _, name = level.partition(":")
        if kind == "account" and state == TradingState.REDUCING.value and _is_account(name):
            found.add(name)
    return found


def _state(controls: Mapping[str, str], scope: Scope) -> str:
    return controls.get(scope.control, TradingState.ACTIVE.value)


def _is_account(name: str) -> bool:
    """Whether an account can bear this name: it becomes part of a path."""
    try:
        return Scope(name).account is not None
    except ValueError:
        return False


def _content(path: Path) -> Reduced | None:
    try:
        return build(load(path.read_bytes()), Reduced)
    except (OSError, msgspec.DecodeError, msgspec.ValidationError):
        return None
