"""What an account's ledger was told and has not written down yet. It is told without waiting for the disk."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from proxy.accounts.proportions import signed_split
from proxy.exchange.payloads import FundingRow
from proxy.exchange.statement_payloads import funding_row_id
from proxy.ledger.books.attribution import NamedBy
from proxy.ledger.books.book import JudgedOrder, JudgedOutcome, LedgerBook
from proxy.ledger.books.judging import judged_orders, judged_outcomes

WAITING_MAX: Final = 20_000
"""Of each kind, while the disk refuses. Names are asked of the venue again; of the rest the oldest is lost."""


class Inbox:
    """One account's."""

    def __init__(self, account: str) -> None:
        self._account = account
        self._names: deque[NamedBy] = deque(maxlen=WAITING_MAX)
        self._fundings: deque[tuple[str, Mapping[str, Decimal]]] = deque(maxlen=WAITING_MAX)
        self._judged: deque[JudgedOrder] = deque(maxlen=WAITING_MAX)
        self._outcomes: deque[JudgedOutcome] = deque(maxlen=WAITING_MAX)

    def name(self, order: NamedBy) -> None:
        """Whose order this is."""
        self._names.append(order)

    def share_funding(self, row: FundingRow, weights: Mapping[str, Decimal]) -> None:
        """A row of funding, and the bots' holdings it was shared out by. Without any it is the account's."""
        if sum(weights.values(), Decimal(0)):
            self._fundings.append((funding_row_id(row), signed_split(row.amount, weights)))

    def hear(self, record: Mapping[str, Any]) -> None:
        """A record on its way to the archive."""
        if record.get("kind") == "decision":
            self._judged.extend(judged_orders(record))
        elif record.get("kind") == "outcome":
            self._outcomes.extend(judged_outcomes(record))

    def flush(self, book: LedgerBook) -> None:
        """Write down what has come by now; what cannot be stays for the next time. Raises ``BooksUnavailable``."""
        names, judged, outcomes = list(self._names), list(self._judged), list(self._outcomes)
        if names:
            book.name_orders(self._account, names)
            _drop(self._names, len(names))
        while self._fundings:
            book.share_funding(self._account, *self._fundings[0])
            self._fundings.popleft()
        if judged or outcomes:
            book.add_judged(self._account, judged, outcomes)
            _drop(self._judged, len(judged))
            _drop(self._outcomes, len(outcomes))


def _drop(waiting: deque[Any], count: int) -> None:
    for _ in range(min(count, len(waiting))):
        waiting.popleft()
