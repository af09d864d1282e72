"""What nothing has explained yet, found by its key and by what would explain it. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Final

from proxy.accounts.findings import Finding
from proxy.accounts.forwarded import Explanation

SUSPICIONS_MAX: Final = 20_000
"""An order and its fill for each event that is told at once after an outage (``bookkeeper.UNSAID_MAX``): a stranger's
among a desk's own is seen. What comes beyond it is not looked at, and that is a finding itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspicion:
    """A finding that a record of the guard, written before ``seen``, may still explain, by any one of
    ``explanations``."""

    finding: Finding
    seen: float
    due: float
    explanations: tuple[Explanation, ...]


class Suspicions:
    """Those of one account, oldest first."""

    def __init__(self) -> None:
        self._all: dict[Hashable, Suspicion] = {}
        # Each record that is heard asks what it explains: after an outage many times ten thousand.
        self._explained_by: dict[Explanation, dict[Hashable, None]] = {}

    def __contains__(self, key: Hashable) -> bool:
        return key in self._all

    def __iter__(self) -> Iterator[tuple[Hashable, Suspicion]]:
        """Every key and its suspicion, as it is now."""
        return iter(tuple(self._all.items()))

    @property
    def full(self) -> bool:
        """Whether no more are to be put."""
        return len(self._all) >= SUSPICIONS_MAX

    def put(self, key: Hashable, suspicion: Suspicion) -> None:
        """Suspect this."""
        self.drop(key)
        self._all[key] = suspicion
        for explanation in suspicion.explanations:
            self._explained_by.setdefault(explanation, {})[key] = None

    def drop(self, key: Hashable) -> Suspicion | None:
        """It is explained, or found; ``None`` when it was not suspected."""
        suspicion = self._all.pop(key, None)
        for explanation in suspicion.explanations if suspicion is not None else ():
            keys = self._explained_by[explanation]
            keys.pop(key, None)
            if not keys:
                del self._explained_by[explanation]
        return suspicion

    def explained_by(self, explanation: Explanation) -> list[Hashable]:
        """The keys of what this would explain, oldest first."""
        return list(self._explained_by.get(explanation, ()))
