"""What the warden publishes, as a gate last decoded it: an unchanged document is neither sent nor parsed again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from proxy.store.codec import build, load
from proxy.store.keys import Keys
from proxy.store.view import View
from rules.facts import AccountRecord, Conditions
from rules.instrument import Instrument
from rules.policy import Policy
from rules.snapshot import Account, Market

Decode = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Document:
    """One published document; without a version there is none."""

    version: str = ""
    value: Any = None


_NONE: Final = Document()


class Documents:
    """The documents of one desk, by their keys. ``policy_of`` makes a policy of its text, ``None`` of no policy."""

    def __init__(self, keys: Keys, policy_of: Callable[[str], Policy | None]) -> None:
        self._keys = keys
        self._policy_of = policy_of
        self._known: dict[str, Document] = {}

    def __getitem__(self, key: str) -> Document:
        return self._known.get(key, _NONE)

    def concerning(self, account: str, venue: str) -> dict[str, Decode]:
        """What a request on this account is judged on, and how each is read. The scripts know them by this order."""
        keys = self._keys
        return {
            keys.account(account): decode_account,
            keys.markets(venue): decode_markets,
            keys.instruments(venue): lambda body: build(load(body), dict[str, Instrument]),
            keys.conditions(venue): lambda body: build(load(body), Conditions),
            keys.record(account): lambda body: build(load(body), AccountRecord),
            keys.policy: self._policy_of,
        }

    def remember(self, key: str, version: str, body: str, decode: Decode) -> None:
        """What the store said of a document: no version when there is none, no body when it is as known."""
        if version == "":
            self._known[key] = _NONE
        elif body != "":
            self._known[key] = Document(version, decode(body))

    @property
    def policy(self) -> Policy | None:
        """The policy in force as last told, ``None`` when there is none or it cannot be read."""
        known: Policy | None = self[self._keys.policy].value
        return known

    def remember_policy(self, version: str, body: str) -> None:
        """The policy as the store has it now."""
        if version != self[self._keys.policy].version:
            self.remember(self._keys.policy, version, body, self._policy_of)

    def view(self, account: str, venue: str) -> View:
        """All that is known of what a request on this account is judged on; of holds and controls, nothing."""
        keys = self._keys
        instruments, policy = self[keys.instruments(venue)], self[keys.policy]
        return View(
            sequence=0,
            controls={},
            key_disabled=False,
            anomaly=0.0,
            tokens={},
            holds=(),
            unreported=(),
            account=self[keys.account(account)].value,
            markets=self[keys.markets(venue)].value or {},
            instruments=instruments.value or {},
            instruments_version=instruments.version,
            policy=policy.value,
            policy_version=policy.version,
            conditions=self[keys.conditions(venue)].value,
            record=self[keys.record(account)].value,
        )


def decode_account(body: str) -> Account:
    """The account document."""
    return build(load(body), Account)


def decode_markets(body: str) -> Mapping[str, Market]:
    """The venue's prices."""
    return build(load(body), dict[str, Market])
