"""Bots that a rule has stopped: HALTED, or reduce-only, until a named person lets each go on.

A rule only says so in its breach; this hears the decisions on their way to the archive and sets the bot's level in the
store, where every gate reads it. A small file in the data directory outlives the store. A stop found in one of the two
is carried to the other, a release never; nothing here loosens a state, but a person's word for that one bot.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from proxy.clock import utc_now
from proxy.kill.bot_files import BotFiles, BotStop, is_bot
from proxy.kill.rearm import RearmRefused, Rearms, objections, write_down
from proxy.record import Record
from proxy.store.client import STORE_TROUBLE
from proxy.store.codec import build_decision
from proxy.store.warden_store import WardenStore
from rules.decision import Breach, Decision, Enforcement, Verdict
from rules.model import TradingState

log = logging.getLogger("perpguard.kill")

MIRROR_EVERY_S: Final = 0.25
ACTED_MAX: Final = 1_000
"""Decisions remembered as acted upon. The archive may be told of a batch again; it must not stop a bot again. After a
restart they are known by their time: what a person has looked at lies before the re-arm."""


def bot_of(scope: str) -> str | None:
    """The bot that ``bot:NAME`` names, ``None`` for any other scope."""
    kind, _, name = scope.partition(":")
    return name if kind == "bot" and is_bot(name) else None


class BotStops:
    """The stopped bots of one desk.

    ``traders`` says which bots trade which accounts: pairs of both. ``generation`` is the kill's, which stands beside
    every state in the store.
    """

    def __init__(
        self,
        *,
        data_dir: Path,
        store: WardenStore,
        record: Record,
        traders: Callable[[], Iterable[tuple[str, str]]],
        generation: Callable[[], int],
    ) -> None:
        self._data_dir = data_dir
        self._files = BotFiles(data_dir)
        self._rearms = Rearms(data_dir)
        self._store = store
        self._record = record
        self._traders = traders
        self._generation = generation
        self._stops = self._files.read()
        self._acted: deque[str] = deque(maxlen=ACTED_MAX)
        self._truths = asyncio.Lock()

    def stop_of(self, bot: str) -> BotStop | None:
        """How far a bot is stopped, ``None`` for one that no rule has stopped."""
        return self._stops.get(bot)

    async def see(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Stop the bots whose refusals among ``records`` say so. Raises what the store client raises; then hear again.

        Only enforced breaches count, each once, and none of before a person last let the bot go on; a bot that is
        stopped as far already stays as it is.
        """
        for record in records:
            breach = _stopping_breach(record)
            if breach is None or record["id"] in self._acted:
                continue
            if not await asyncio.to_thread(self._was_looked_at, record):
                await self._stop(str(record["bot"]), breach, str(record["id"]))

    def _was_looked_at(self, record: Mapping[str, Any]) -> bool:
        """Whether a decision is of before its bot's last re-arm. A time of no zone says nothing of that, and neither
        does a re-arm of a clock that ran ahead: until then no breach would stop the bot."""
        rearmed_at = self._rearms.last(f"bot:{record['bot']}")
        try:
            at = datetime.fromisoformat(record["at"])
        except (KeyError, TypeError, ValueError):
            return False
        return rearmed_at is not None and at.tzinfo is not None and at < rearmed_at <= utc_now()

    async def reduce(self, bot: str, by: str, reason: str) -> bool:
        """Make a bot reduce-only until a person lets it go on. False when it is stopped as far already.

        Raises what the store client raises: then the bot goes on as it was.
        """
        stop = BotStop(state=TradingState.REDUCING, rule=by, reason=reason)
        async with self._truths:
            if not await self._impose(bot, stop):
                return False
        log.error("%s is %s until a person lets it go on: %s", f"bot:{bot}", stop.state.value, stop.reason)
        await self._record("bot.stopped", by, {"scope": f"bot:{bot}", "state": stop.state.value, "reason": reason})
        return True

    async def rearm(self, bot: str, name: str, reason: str, typed: str) -> int:
        """Let one bot go on; what stops its account or the desk stays. Returns the kill generation.

        Its earlier entries are forgotten: whoever lets it go on has looked at them, and they would stop it again.
        Raises ``RearmRefused``, or what the store client raises: then the bot stays stopped.
        """
        level = f"bot:{bot}"
        async with self._truths:
            refusals = objections(level, name, reason, typed)
            stopped = bot in self._stops or _state(await self._store.controls(), bot) is not TradingState.ACTIVE
            if refusals or not stopped:
                raise RearmRefused(level, refusals or ("no rule has stopped it",))
            await asyncio.to_thread(write_down, self._data_dir, level, name, reason)
            for trader, account in self._traders():
                if trader == bot:
                    await self._store.forget_attempts(account, bot)
            await self._set(bot, TradingState.ACTIVE)
            # Last: until the file is gone, the mirror and the next start take the bot for stopped.
            await asyncio.to_thread(self._files.remove, bot)
            self._stops.pop(bot, None)
        await self._record("rearm", name, {"scope": level, "reason": reason, "generation": self._generation()})
        return self._generation()

    async def mirror(self) -> None:
        """For ever: what the store or the file stops, the other stops too."""
        while True:
            try:
                async with self._truths:
                    await self._mirror_once()
            except STORE_TROUBLE as trouble:
                log.warning("the stopped bots cannot be compared with the store: %s", type(trouble).__name__)
            await asyncio.sleep(MIRROR_EVERY_S)

    async def _stop(self, bot: str, breach: Breach, decision_id: str) -> None:
        assert breach.stops_bot is not None  # noqa: S101 - _stopping_breach finds no other
        stop = BotStop(state=breach.stops_bot, rule=breach.rule_id, reason=f"{breach.code}: {breach.message}")
        async with self._truths:
            imposed = await self._impose(bot, stop)
            self._acted.append(decision_id)
        if not imposed:
            return
        log.error("%s is %s until a person lets it go on: %s", f"bot:{bot}", stop.state.value, stop.reason)
        detail = {"scope": f"bot:{bot}", "state": stop.state.value, "reason": stop.reason, "decision": decision_id}
        await self._record("bot.stopped", f"rule {stop.rule}", detail)

    async def _impose(self, bot: str, stop: BotStop) -> bool:
        """Set and keep a stop, unless the bot is stopped as far already. Called with the truths in hand."""
        known = self._stops.get(bot)
        severity = max(_state(await self._store.controls(), bot).severity, known.state.severity if known else 0)
        if severity >= stop.state.severity:
            return False
        await self._set(bot, stop.state)
        self._stops[bot] = stop
        await self._keep(bot)
        return True

    async def _mirror_once(self) -> None:
        controls = await self._store.controls()
        remembered, self._stops = self._stops, await asyncio.to_thread(self._files.read)
        for bot, stop in self._stops.items():
            if _state(controls, bot).severity < stop.state.severity:
                log.warning("the store had forgotten that bot:%s is %s", bot, stop.state.value)
                await self._set(bot, stop.state)
        for bot in filter(None, map(bot_of, controls)):
            state, kept = _state(controls, bot), self._stops.get(bot)
            if state.severity > (kept.state.severity if kept else 0):
                known = remembered.get(bot)
                found = BotStop(state=state, rule="", reason="found in the store")
                self._stops[bot] = known if known is not None and known.state is state else found
                await self._keep(bot)

    async def _set(self, bot: str, state: TradingState) -> None:
        await self._store.set_state(f"bot:{bot}", state, generation=self._generation(), kill_running=None)

    async def _keep(self, bot: str) -> None:
        try:
            await asyncio.to_thread(self._files.write, bot, self._stops[bot])
        except OSError as trouble:
            # The store stops the bot all the same; the mirror tries again.
            log.error("the stop of bot:%s is not on disk: %s", bot, trouble.strerror)


def _stopping_breach(record: Mapping[str, Any]) -> Breach | None:
    """The breach of a decision record that stops its bot furthest."""
    if record.get("kind") != "decision" or not isinstance(record.get("id"), str):
        return None
    try:
        refused = [build_decision(each) for each in record["decisions"] if each["verdict"] == Verdict.DENY.value]
    except (KeyError, TypeError, ValueError, msgspec.ValidationError):
        return None  # The archive keeps unreadable records; nobody is stopped for one.
    if not is_bot(str(record.get("bot"))):
        return None
    found = [breach for decision in refused for breach in _stopping(decision)]
    return max(found, key=lambda breach: breach.stops_bot.severity if breach.stops_bot else 0, default=None)


def _stopping(decision: Decision) -> list[Breach]:
    return [
        breach
        for breach in decision.breaches
        if breach.enforcement is Enforcement.ENFORCE and breach.stops_bot not in (None, TradingState.ACTIVE)
    ]


def _state(controls: Mapping[str, str], bot: str) -> TradingState:
    """The bot's own level; a word that is no state counts as HALTED."""
    try:
        return TradingState(controls.get(f"bot:{bot}", TradingState.ACTIVE.value))
    except ValueError:
        return TradingState.HALTED
