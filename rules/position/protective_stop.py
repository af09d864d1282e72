"""protective_stop: no new risk on an account that holds a leg without a protective stop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, ClassVar

from rules.account import Account, Position
from rules.ages import seconds
from rules.decision import Breach
from rules.fresh import fresh_record
from rules.model import ENTRY, Command
from rules.protection import Band, is_protected
from rules.rule import FACTS_UNKNOWN, Looser, Rule, Setting
from rules.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectiveStop(Rule):
    """Every open leg has a stop that closes all of it, within `within_s` seconds of its entry.

    A protective stop is a `STOP`, `STOP_MARKET` or, if allowed, trailing order that is reduce-only, closes the position
    or closes a hedge leg; several may share a leg. Its trigger loses at most `distance_max` of the leg's entry price
    and, unless it is at the entry or in profit, at least `distance_min`. The limit of a `STOP` must be at its trigger
    or on the costly side of it (a SELL's at or below, a BUY's at or above); one priced by `priceMatch` does not count.
    Even so a market that jumps past the limit leaves it unfilled; a `STOP_MARKET` closes. Take-profits are no
    protection.

    While any leg has been without one for longer, entries on the account are refused: send the stop, and they pass.
    Stops, exits and cancels are never refused. For a symbol's own table only that symbol's legs and orders count.

    Cancelling the last stop of a leg passes too. If the rule is enforced and no other stop stands `replace_s` seconds
    later, with the leg still open, the account turns reduce-only until a named person re-arms it, and the alarm is in
    the log and the audit (`protection.lost`).
    """

    rule_id: ClassVar[str] = "protective_stop"
    codes: ClassVar[Mapping[str, str]] = {
        "PROTECTIVE_STOP_MISSING": "a leg has been without a protective stop for longer than `within_s`",
        FACTS_UNKNOWN: "the account, or since when its legs are unprotected, is not known or too old",
    }
    clauses: ClassVar[Sequence[str]] = ("RTS 6 art. 15(4)",)
    example: ClassVar[str] = """
[desk.protective_stop]
enforcement = "enforce"
within_s = 10
distance_max = 0.05
"""

    within_s: Annotated[int, Setting("seconds from the entry to the stop", Looser.HIGHER)]
    distance_max: Annotated[Decimal, Setting("fraction of the entry price that the stop may lose", Looser.HIGHER)]
    distance_min: Annotated[Decimal | None, Setting("fraction of the entry price", Looser.LOWER)] = None
    trailing: Annotated[
        bool,
        Setting("`true` or `false`; count trailing stops, whose distance and activation nobody sees", Looser.HIGHER),
    ] = False
    replace_s: Annotated[
        int, Setting("seconds in which a cancelled last stop may be replaced, as bots do that move it", Looser.HIGHER)
    ] = 5
    facts_age_max_s: Annotated[int, Setting("seconds; age of the account's record", Looser.HIGHER)] = 10

    def __post_init__(self) -> None:
        if self.level.startswith("bot:"):
            raise ValueError("protective_stop is set for the desk, an account or a symbol: a leg is the account's")
        if self.distance_min is not None and self.distance_min > self.distance_max:
            raise ValueError("protective_stop needs a distance_min of at most distance_max")

    @property
    def band(self) -> Band:
        """Where a stop must stand."""
        return Band(distance_max=self.distance_max, distance_min=self.distance_min, trailing=self.trailing)

    @property
    def symbol(self) -> str:
        """The symbol whose legs it is about, "" for all."""
        level, _, name = self.level.partition(":")
        return name if level == "symbol" else ""

    def check(self, command: Command, snapshot: Snapshot) -> Breach | None:
        """Refuse entries while a leg has been unprotected for too long, or it is not known for how long."""
        if not isinstance(command, ENTRY):
            return None
        account = snapshot.account
        if account is None:
            return self.unknown("the account")
        bare = account.found(self._bare)
        if not bare:
            return None
        record = fresh_record(snapshot, self.facts_age_max_s)
        if record is None:
            return self.unknown("since when the account's legs are without a stop")
        since = {(each.symbol, each.position_side): each.since for each in record.unprotected}
        # A leg that the record does not list has lost its stop, or was opened, since it was written.
        ages = [
            (abs(snapshot.now - since.get((leg.symbol, leg.position_side), record.as_of)), leg.symbol, leg)
            for leg in bare
        ]
        age, _, leg = max(ages, key=lambda each: each[:2])
        return self._missing(leg, age) if age > seconds(self.within_s) else None

    def _bare(self, account: Account) -> list[Position]:
        """The legs without full protection, of which nothing but the account decides."""
        band = self.band
        return [
            leg
            for leg in account.positions
            if self.symbol in ("", leg.symbol) and not is_protected(leg, account.orders(leg.symbol), band)
        ]

    def _missing(self, leg: Position, age: timedelta) -> Breach:
        seconds = f"{age.total_seconds():.0f} s"
        side = "SELL" if leg.quantity > 0 else "BUY"
        return self.breach(
            "PROTECTIVE_STOP_MISSING",
            f"the {leg.symbol} position has been without a protective stop for {seconds}",
            observed=seconds,
            limit=f"{self.within_s} s",
            advice=f"send a reduce-only {side} stop for all of it,"
            f" at most {self.distance_max:f} of the entry price away",
        )
