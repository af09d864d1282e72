"""The whole of it: a market, a venue, a cast of accounts, and their streams with and without incidents."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sandbox.orderflow.accounts import account_names, clean_rows
from sandbox.orderflow.incidents.schedule import APART_S, Window, drawn_kinds, scheduled
from sandbox.orderflow.incidents.strange import KINDS, Incident, Strange, applied
from sandbox.orderflow.incidents.together import LASTS_MAX_S, together
from sandbox.orderflow.incidents.usual import Usual
from sandbox.orderflow.market import Market, generated_market
from sandbox.orderflow.rows import Rows
from sandbox.orderflow.venue import Weather

DAYS: Final = 29
LEARNING_DAYS: Final = 20
LEARNING_INCIDENTS_MAX: Final = 3
DAY_S: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Stream:
    """The orders of one account and what is wrong with them."""

    account: str
    rows: Rows
    incidents: tuple[Incident, ...]


class Simulation:
    """Twelve accounts (or `each` of every style) for so many days, all drawn from one seed.

    A detector learns until `test_from` (unix seconds) and is measured from then on.
    """

    def __init__(
        self,
        seed: int,
        days: int = DAYS,
        learning_days: int = LEARNING_DAYS,
        *,
        each: int = 2,
        market: Market | None = None,
    ) -> None:
        if not 1 <= learning_days < days:
            raise ValueError("there must be a day to learn, and a day to test after it")
        self.seed = seed
        self._market = generated_market(seed, days) if market is None else market
        weather = Weather(seed, self._market)
        self.clean: Mapping[str, Rows] = {
            account: clean_rows(account, seed, self._market, weather) for account in account_names(each)
        }
        self.start = self._market.start
        self.test_from = self.start + DAY_S * learning_days
        self.end = self.start + DAY_S * days

    def without_incidents(self) -> list[Stream]:
        """Every account as it is when nothing goes wrong."""
        return [Stream(account, rows, ()) for account, rows in self.clean.items()]

    def with_incidents(self) -> list[Stream]:
        """Every account with up to three incidents while a detector learns, afterwards one of each kind that makes
        sense for it, and two moments at which several accounts turn strange together."""
        # An account that has sent next to nothing has nothing that is usual; it stays as it is.
        usuals = {name: Usual(rows, list(self._market.tapes)) for name, rows in self.clean.items() if len(rows) >= 20}
        commons = self._together(usuals)
        streams = []
        for account, rows in self.clean.items():
            strange = [common[account] for common in commons if account in common]
            if account in usuals:
                strange += self._alone(account, usuals[account], strange)
            changed, labels = applied(account, rows, strange)
            streams.append(Stream(account, changed, tuple(labels)))
        return streams

    def _together(self, usuals: Mapping[str, Usual]) -> list[dict[str, Strange]]:
        rng = random.Random(f"{self.seed} together")
        middle = (self.test_from + self.end) / 2
        halves: list[Window] = [(self.test_from, middle), (middle, self.end)]
        return [
            together(usuals, round(rng.uniform(begin + APART_S, end - APART_S - LASTS_MAX_S), 3), rng)
            for begin, end in halves
        ]

    def _alone(self, account: str, usual: Usual, commons: list[Strange]) -> list[Strange]:
        rng = random.Random(f"{self.seed} {account} incidents")
        learning = (min(self.start + DAY_S, self.test_from - 2 * APART_S), self.test_from - APART_S)
        found = scheduled(account, usual, learning, rng, drawn_kinds(rng, LEARNING_INCIDENTS_MAX))
        taken = [strange.span(usual.rows) for strange in commons]
        return found + scheduled(account, usual, (self.test_from, self.end), rng, KINDS, taken)
