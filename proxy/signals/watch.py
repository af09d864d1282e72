"""Feeds the anomaly score from the audit stream: what the archive remembers is what the score sees."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from proxy.signals.anomaly import Baseline, Observation, aged, from_plain, observe, to_plain
from proxy.signals.levels import level_scores
from proxy.store.codec import build_command, build_decision, build_snapshot
from proxy.store.warden_store import WardenStore
from rules.decision import Verdict
from rules.exposure import held_order, order_value
from rules.facts import Score
from rules.model import AmendOrder, Intent, PlaceOrder
from rules.snapshot import Snapshot

SCORE_FLOOR: Final = 0.001
"""A score below this is published no more: it has decayed to nothing."""


class AnomalyWatch:
    """Every bot's baseline, kept in memory; the scores of bots, accounts and desk are published to the store.

    ``traders`` says which bots trade which accounts: pairs of both.
    """

    def __init__(self, store: WardenStore, traders: Callable[[], Iterable[tuple[str, str]]]) -> None:
        self._store = store
        self._traders = traders
        self._baselines: dict[str, Baseline] = {}

    async def load(self) -> None:
        """Take over the baselines an earlier warden left. One that cannot be read starts anew."""
        for bot, fields in (await self._store.baselines()).items():
            try:
                self._baselines[bot] = from_plain(fields)
            except TypeError:
                self._baselines[bot] = Baseline()

    async def see(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Observe the decisions among ``records`` and publish the scores that moved."""
        moved: set[str] = set()
        for record in records:
            if record.get("kind") != "decision":
                continue
            bot = str(record.get("bot"))
            for observation in observations(record):
                self._baselines[bot] = observe(self._baselines.get(bot, Baseline()), observation)
                moved.add(bot)
        await self._publish(moved)

    def score(self, bot: str) -> Score:
        """A bot's score as of its last order, and what drove it."""
        baseline = self._baselines.get(bot, Baseline())
        return Score(value=baseline.score, why=baseline.why)

    def levels(self) -> dict[str, Score]:
        """The scores of every account (``account:NAME``) and of the ``desk``."""
        return level_scores({bot: self.score(bot) for bot in self._baselines}, self._traders())

    async def decay(self, at: float) -> None:
        """Publish the scores as time lets them fall; a quiet bot is forgiven without sending anything."""
        moved = {bot for bot, baseline in self._baselines.items() if baseline.score > SCORE_FLOOR}
        for bot in moved:
            self._baselines[bot] = aged(self._baselines[bot], at)
        await self._publish(moved)

    async def _publish(self, bots: Iterable[str]) -> None:
        """Publish the scores of these bots, and of the levels above them."""
        baselines = {bot: self._baselines[bot] for bot in bots}
        if not baselines:
            return
        scores = {f"bot:{bot}": self.score(bot) for bot in baselines} | self.levels()
        await self._store.publish_scores(scores, {bot: to_plain(baseline) for bot, baseline in baselines.items()})


def observations(record: Mapping[str, Any]) -> list[Observation]:
    """The entries of one decision record as the score sees them; exits and cancels are never held against a bot."""
    try:
        picture = {**record["snapshot"], "account": None, "instruments": {}}
        snapshot = build_snapshot(picture)
        decisions = [build_decision(decision) for decision in record["decisions"]]
        commands = [build_command(command) for command in record["commands"]]
    except (KeyError, TypeError, ValueError, msgspec.ValidationError):
        return []  # The archive keeps unreadable records; there is nothing to learn from them.
    found = []
    for command, decision in zip(commands, decisions, strict=False):
        if decision.intent is not Intent.ENTRY or not isinstance(command, PlaceOrder | AmendOrder):
            continue
        found.append(_observation(command, decision.verdict is Verdict.DENY, snapshot))
    return found


def _observation(command: PlaceOrder | AmendOrder, refused: bool, snapshot: Snapshot) -> Observation:
    order = held_order(command, snapshot)
    market = snapshot.markets.get(command.symbol)
    distance = None
    if market is not None and command.price is not None and market.mark_price > 0:
        distance = abs(float(command.price / market.mark_price) - 1.0)
    return Observation(
        at=snapshot.now.timestamp(),
        refused=refused,
        size=float(order_value(order, snapshot)) if order is not None else None,
        distance=distance,
    )
