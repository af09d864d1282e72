"""What the warden publishes, as a gate last decoded it: an unchanged document is neither sent nor parsed again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from proxy.decoding import decoder
from proxy.store.keys import Keys
from proxy.store.view import View
from rules.account import Account
from rules.facts import AccountRecord, Conditions
from rules.instrument import Instrument
from rules.policy import Policy
from rules.snapshot import Market
from rules.usual import UsualOrders

Decode = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Document:
    """One published document; without a version there is none."""

    version: str = ""
    value: Any = None


_NONE: Final = Document()

_ACCOUNT: Final = decoder(Account)
_RECORD: Final = decoder(AccountRecord)
_MARKETS: Final = decoder(dict[str, Market])
_INSTRUMENTS: Final = decoder(dict[str, Instrument])
_CONDITIONS: Final = decoder(Conditions)
_USUAL: Final = decoder(UsualOrders)

ASKERS_MAX: Final = 4096
"""Bots on accounts whose documents' names are remembered; beyond it all are made anew."""


class Documents:
    """The documents of one desk, by their keys. ``policy_of`` makes a policy of its text, ``None`` of no policy."""

    def __init__(self, keys: Keys, policy_of: Callable[[str], Policy | None]) -> None:
        self._keys = keys
        self._policy_of = policy_of
        self._known: dict[str, Document] = {}
        self._concerning: dict[tuple[str, str, str], dict[str, Decode]] = {}

    def __getitem__(self, key: str) -> Document:
        return self._known.get(key, _NONE)

    def concerning(self, account: str, venue: str, bot: str) -> dict[str, Decode]:
        """What a request is judged on, and how each is read. The scripts know them by this order. Not to be changed."""
        asker = (account, venue, bot)
        known = self._concerning.get(asker)
        if known is None:
            if len(self._concerning) >= ASKERS_MAX:
                self._concerning.clear()
            known = self._concerning[asker] = self._named(account, venue, bot)
        return known

    def _named(self, account: str, venue: str, bot: str) -> dict[str, Decode]:
        keys = self._keys
        return {
            keys.account(account): decode_account,
            keys.record(account): _RECORD.decode,
            keys.markets(venue): decode_markets,
            keys.instruments(venue): _INSTRUMENTS.decode,
            keys.conditions(venue): _CONDITIONS.decode,
            keys.usual(bot): _USUAL.decode,
            keys.policy: self._policy_of,
        }

    def told(self, known: Document, key: str, version: str, body: str, decode: Decode) -> Document:
        """The document as the store had it: none without a version, without a body as it was ``known`` when asked.

        Between question and answer others may have been told of another version; what they remember is not what this
        answer says. Raises what decoding raises.
        """
        if version != "" and body == "":
            return known
        self._known[key] = found = Document(version, decode(body)) if version != "" else _NONE
        return found

    @property
    def policy(self) -> Policy | None:
        """The policy in force as last told, ``None`` when there is none or it cannot be read."""
        known: Policy | None = self[self._keys.policy].value
        return known

    def remember_policy(self, version: str, body: str) -> None:
        """The policy as the store has it now."""
        if version != self[self._keys.policy].version:
            self.told(_NONE, self._keys.policy, version, body, self._policy_of)

    def view(self, account: str, venue: str, bot: str = "", *, told: Mapping[str, Document] | None = None) -> View:
        """What a request is judged on: what was ``told``, or else is known; of holds, nothing.

        Without a ``bot`` nothing is said of what is usual: no exit is judged by that.
        """
        found = self.__getitem__ if told is None else told.__getitem__
        of_account, record, markets, instruments, conditions, usual, policy = map(
            found, self.concerning(account, venue, bot)
        )
        return View(
            sequence=0,
            controls={},
            key_disabled=False,
            anomaly=0.0,
            tokens={},
            holds=(),
            unreported=(),
            account=of_account.value,
            markets=markets.value or {},
            instruments=instruments.value or {},
            instruments_version=instruments.version,
            policy=policy.value,
            policy_version=policy.version,
            conditions=conditions.value,
            record=record.value,
            usual=usual.value,
        )


def decode_account(body: str) -> Account:
    """The account document."""
    return _ACCOUNT.decode(body)


def decode_markets(body: str) -> Mapping[str, Market]:
    """The venue's prices."""
    return _MARKETS.decode(body)
