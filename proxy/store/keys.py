"""The names of things in the store. All keys of a desk share one hash tag, so that one script may touch them all
and a cluster shards by desk."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

DESKS: Final = "perpguard:{*}:*"
"""As the store matches names: every key of every desk. What it is of is told by the functions below, never by such a
pattern: an account or a bot may be named as one of our keys ends."""

_OF_A_DESK: Final = re.compile(r"perpguard:\{[^{}]*\}:(?P<what>[^:]+)(?P<whose>:.*)?", re.DOTALL)


def is_account(key: str) -> bool:
    """Whether this is the account document of any desk (``Keys.account``)."""
    found = _OF_A_DESK.fullmatch(key)
    return found is not None and found["what"] == "account" and found["whose"] is not None


def is_of_desk(key: str, names: Collection[str]) -> bool:
    """Whether this is one of the keys of these names that a desk has once, such as ``Keys.epoch``."""
    found = _OF_A_DESK.fullmatch(key)
    return found is not None and found["what"] in names and found["whose"] is None


def last_of(account_key: str) -> str:
    """Where the document of this key (``Keys.account``) is put when it is not to be believed any more."""
    return account_key.replace("}:account:", "}:last-account:", 1)


@dataclass(frozen=True, slots=True)
class Keys:
    """Key names of one desk."""

    desk: str

    def _key(self, name: str) -> str:
        return f"perpguard:{{{self.desk}}}:{name}"

    @property
    def controls(self) -> str:
        """Hash: ``generation``, trading states by level, ``killed:bot:NAME``, ``kill:SCOPE`` while a kill runs, and
        ``guard``, the id of the guard whose desk it is."""
        return self._key("controls")

    @property
    def guard(self) -> str:
        """String: ``ID|WHERE`` of the guard whose desk it is, until its lease is over."""
        return self._key("guard")

    @property
    def whose(self) -> str:
        """Hash: account to ``GUARD|DIGEST``, whose what the store has of it is; "" to the guard that was here last,
        "|claimed" to the one that claimed the desk last, and "|left", until it is taken over, to the one before it."""
        return self._key("whose")

    @property
    def gates(self) -> str:
        """Hash: gate to ``GENERATION|MICROSECONDS``, the newest controls it obeys and when it last asked."""
        return self._key("gates")

    @property
    def reports(self) -> str:
        """Hash: ``HOST/PLACE`` of a gate to what it counted and how it is doing (``proxy.store.gate_report``)."""
        return self._key("reports")

    @property
    def disabled(self) -> str:
        """Hash of guard keys that are off."""
        return self._key("disabled")

    @property
    def sequence(self) -> str:
        """Counter that orders the holds of the desk."""
        return self._key("sequence")

    @property
    def audit(self) -> str:
        """Stream of audit records on their way to the archive."""
        return self._key("audit")

    @property
    def scores(self) -> str:
        """Hash: ``bot:NAME``, ``account:NAME`` or ``desk`` to ``SCORE|WHY``, the anomaly score and what drove it."""
        return self._key("scores")

    @property
    def baselines(self) -> str:
        """Hash: bot to the state its anomaly score is computed from."""
        return self._key("baselines")

    @property
    def policy(self) -> str:
        """Document: the text of the policy in force; its version is the text's digest."""
        return self._key("policy")

    @property
    def overrides(self) -> str:
        """Hash: id to override, of those that were granted, not used yet and not known to have expired."""
        return self._key("overrides")

    @property
    def epoch(self) -> str:
        """Which life of the store this is. Missing means that writes were lost."""
        return self._key("epoch")

    @property
    def filled(self) -> str:
        """String: the run id of the server that the warden has filled; gates ask no other (``proxy.store.lean``)."""
        return self._key("filled")

    @property
    def beat(self) -> str:
        """String: the guard's last sign of life, sealed (``proxy.watchdog.beat``)."""
        return self._key("beat")

    @property
    def turn(self) -> str:
        """Hash: who acts on the desk (a kill of the warden's, a watchdog's), until when, how long a turn is, and its
        number."""
        return self._key("turn")

    @property
    def leases(self) -> str:
        """Hash: ``ACCOUNT|BOT`` to ``UNTIL|TTL|STEPS`` in microseconds of the store's clock, or ``released``."""
        return self._key("leases")

    def holds(self, account: str) -> str:
        """Hash of the holds of one account."""
        return self._key(f"holds:{account}")

    def unreported(self, account: str) -> str:
        """Hash of the orders of one account whose answer was lost and whose bot has not read them since."""
        return self._key(f"unreported:{account}")

    def attempts(self, account: str, bot: str) -> str:
        """List of a bot's earlier entries on one account, oldest first (``proxy.store.attempts``)."""
        return self._key(f"attempts:{account}:{bot}")

    def usual(self, bot: str) -> str:
        """Document: what orders of one bot are usual."""
        return self._key(f"usual:{bot}")

    def record(self, account: str) -> str:
        """Document: what the warden remembers of one account and its bots."""
        return self._key(f"record:{account}")

    def owners(self, account: str) -> str:
        """Hash: the venue's number of an order or a trade of one account to the bot whose it is."""
        return self._key(f"owners:{account}")

    def owners_by_age(self, account: str) -> str:
        """List of the fields of ``owners``, oldest first."""
        return self._key(f"owners-by-age:{account}")

    def timers(self, account: str) -> str:
        """Hash: ``BOT|SYMBOL`` to ``DUE|COUNTDOWN`` of the bot's dead-man timer, in microseconds of the store's clock;
        the moment alone where it is to run out now, or where an earlier version armed it."""
        return self._key(f"deadman:{account}")

    def running_timers(self, account: str) -> str:
        """Hash: dead-man timers that ran out and are not done, to the end of their warden's lease."""
        return self._key(f"deadman-running:{account}")

    def account(self, account: str) -> str:
        """Document: the account as last surveyed."""
        return self._key(f"account:{account}")

    def last_account(self, account: str) -> str:
        """Document: the account as it was when the store was distrusted. The next warden begins there; no gate asks."""
        return last_of(self.account(account))

    def doubted(self, account: str) -> str:
        """String: there from when the store was distrusted until nobody need doubt the times of the account's holds."""
        return self._key(f"doubted:{account}")

    def of_account(self, account: str) -> tuple[str, ...]:
        """Everything that is of one account alone; its document, where that is put aside, and its record first."""
        own = (self.account, self.last_account, self.record, self.holds, self.unreported, self.owners)
        more = (self.owners_by_age, self.timers, self.running_timers, self.doubted)
        return tuple(key(account) for key in (*own, *more))

    def markets(self, venue: str) -> str:
        """Document: prices of the venue's symbols."""
        return self._key(f"markets:{venue}")

    def conditions(self, venue: str) -> str:
        """Document: what the warden has measured of the venue's markets."""
        return self._key(f"conditions:{venue}")

    def signals(self, venue: str) -> str:
        """Document: what the signals say of one venue, for people; rules read forecasts in the records."""
        return self._key(f"signals:{venue}")

    def instruments(self, venue: str) -> str:
        """Document: the venue's instruments."""
        return self._key(f"instruments:{venue}")

    def budget(self, venue: str) -> str:
        """Document: the venue's limits, and how much of each is kept for the kill."""
        return self._key(f"budget:{venue}")

    def budget_used(self, venue: str) -> str:
        """Hash: counter of the venue to ``WINDOW:COUNT``, what it last said of it to any of our processes."""
        return self._key(f"budget-used:{venue}")

    def silences(self, venue: str) -> str:
        """Hash: way to the venue to ``END:STATUS:TOLD:KEPT``, the silence that it demands of it; moments of the
        store's own time in milliseconds."""
        return self._key(f"silences:{venue}")

    def clock(self, venue: str) -> str:
        """String: the venue's time less the store's, in microseconds."""
        return self._key(f"clock:{venue}")

    def bucket(self, scope: str) -> str:
        """Hash: one token bucket."""
        return self._key(f"bucket:{scope}")

    def seen(self, digest: str) -> str:
        """Marks one signed request as used."""
        return self._key(f"seen:{digest}")

    def void(self, hold_id: str) -> str:
        """Marks a hold that its gate gave up on."""
        return self._key(f"void:{hold_id}")
