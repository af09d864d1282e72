"""What on the desk needs somebody now, worst first: the one list that a person on duty reads before anything else.

It repeats nothing but what the desk's view says; a limit is near from nine tenths of it on. That the list is empty says
that none of these is so, not that nothing can happen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from proxy.accounts.feed_state import FeedStatus
from proxy.console import words
from proxy.console.desk_views import AccountView, BotView, DeskView
from proxy.console.progress import Progress

NEAR: Final = 0.9
SHOWN: Final = 12
DRILL_DAYS_MAX: Final = 30
CLOCK_MS_MAX: Final = 1_000

BAD: Final = "bad"
WARN: Final = "warn"


@dataclass(frozen=True, slots=True)
class Item:
    """One thing: how grave it is (``bad`` or ``warn``), what, and the page that has more of it."""

    level: str
    subject: str
    text: str
    page: str = "/"


@dataclass(frozen=True, slots=True)
class Attention:
    """The gravest things, and how many there are beyond them."""

    items: tuple[Item, ...]
    left_out: int

    @property
    def level(self) -> str:
        """The gravest level, ``good`` when there is nothing."""
        return self.items[0].level if self.items else "good"


def attention_of(desk: DeskView, progress: Progress | None) -> Attention:
    """Everything that needs somebody, the bad before what is only to be watched."""
    found = sorted([*_of_desk(desk), *_of_stop(desk, progress), *_of_parts(desk)], key=lambda each: each.level != BAD)
    return Attention(tuple(found[:SHOWN]), max(len(found) - SHOWN, 0))


def _of_desk(desk: DeskView) -> Iterator[Item]:
    if desk.taken_by:
        yield Item(
            BAD, "Desk", f"is another guard's in this store, at {desk.taken_by}: entries are refused, exits pass"
        )
    if desk.state != "ACTIVE":
        yield _state(desk.state, "Desk", "/rearm")
    if not desk.archive.opened:
        yield Item(
            BAD,
            "Audit",
            f"does not open: entries are refused. {desk.archive.trouble or 'It is being opened'}",
            "/audit",
        )
    elif desk.archive.trouble:
        said = f"takes no records, and when too many wait entries are refused. {desk.archive.trouble}"
        yield Item(BAD, "Audit", said, "/audit")
    if not desk.store_ok:
        yield Item(BAD, "Store", "does not answer: entries are refused, exits pass")
    if desk.accounts and words.stale(desk.markets_age_s):
        age = words.age(desk.markets_age_s)
        said = "prices were never read" if age == "never" else f"prices are {age} old"
        yield Item(BAD, "Markets", f"{said}: entries are refused")
    for watchdog in desk.watchdogs:
        if watchdog.lost:
            yield Item(BAD, f"Watchdog {watchdog.name}", f"lost, {words.heard(watchdog.heard_age_s)}")
    if desk.drill is None:
        yield Item(WARN, "Drill", "the kill was never rehearsed here", "/drills")
    elif not desk.drill.passed:
        yield Item(BAD, "Drill", f"the last rehearsal{_whose(desk)} did not pass: {desk.drill.phase}", "/drills")
    elif desk.drill.age_s > DRILL_DAYS_MAX * 86_400:
        yield Item(WARN, "Drill", f"the last rehearsal{_whose(desk)} was {words.days(desk.drill.age_s)}", "/drills")
    if desk.drill is not None and desk.unrehearsed:
        yield Item(WARN, "Drill", f"the kill of {', '.join(desk.unrehearsed)} was never rehearsed", "/drills")


def _whose(desk: DeskView) -> str:
    """Which account's, where there are several."""
    return f" of {desk.drill.account}" if desk.drill is not None and len(desk.accounts) > 1 else ""


def _of_stop(desk: DeskView, progress: Progress | None) -> Iterator[Item]:
    if progress is None:
        return
    if progress.unreadable:
        yield Item(BAD, "Stop", "how far the stop is cannot be read")
    elif progress.running:
        yield Item(BAD, "Stop", f"{progress.scope} is being stopped")
    elif not progress.flat and not progress.flat_but_dust:
        yield Item(BAD, "Stop", f"the last stop of {progress.scope} did not end flat")
    if progress.unknown and not progress.unreadable:
        yield Item(BAD, "Stop", f"how the last stop of {', '.join(progress.unknown)} stands cannot be read")
    stopped = {f"account:{account.name}" for account in desk.accounts if account.state != "ACTIVE"}
    stopped |= {f"bot:{bot.name}" for bot in desk.bots if bot.state != "ACTIVE"}
    for scope in progress.left_open:
        if scope in stopped:  # Else people have looked.
            yield Item(BAD, scope.partition(":")[2], "its last stop did not end flat")


def _of_parts(desk: DeskView) -> Iterator[Item]:
    for account in desk.accounts:
        yield from _of_account(account)
    for bot in desk.bots:
        yield from _of_bot(bot)
    for symbol in desk.symbols:
        if symbol.state != "ACTIVE":
            yield _state(symbol.state, symbol.name, "/")
    for lease in desk.leases:
        if lease.left_s < 0:
            yield Item(
                WARN, f"Lease of {lease.bot}", f"ran out {words.age(-lease.left_s)} ago; {lease.step or 'waiting'}"
            )
    for proposal in desk.proposals:
        yield Item(WARN, "Policy", f"{proposal.policy_name}, looser, waits for somebody")
    for override in desk.overrides:
        if override.state == "REQUESTED":
            yield Item(WARN, "Override", f"{override.bot} asks for {override.symbol} past {override.rule}")


def _of_account(account: AccountView) -> Iterator[Item]:
    name = account.name
    if account.state != "ACTIVE":
        yield _state(account.state, name, "/rearm")
    if account.external_trader:
        yield Item(BAD, name, "is traded past the guard after a stop")
    if account.exchange_key not in ("sound", "unknown"):
        yield Item(BAD, name, f"exchange key: {account.exchange_key}")
    if account.feed.state == FeedStatus.STALE:
        yield Item(BAD, name, f"stream is stale: {account.feed.why}")
    if words.stale(account.known_age_s):
        yield Item(BAD, name, f"last confirmed {words.age(account.known_age_s)}")
    if account.unknown_holds:
        yield Item(WARN, name, f"{account.unknown_holds} orders whose outcome nobody knows")
    if abs(account.clock_offset_ms or 0) > CLOCK_MS_MAX:
        yield Item(WARN, name, f"the venue's clock differs by {account.clock_offset_ms} ms")
    for limit in account.limits:
        if limit.share >= NEAR:
            said = f"{words.limit_name(limit)} at {limit.share:.0%} of its limit"
            yield Item(BAD if limit.share > 1 else WARN, name, said, "/positions")
    if words.mood(account.anomaly) == "odd":
        yield Item(WARN, name, f"anomaly {words.share(account.anomaly):.2f}: {account.why}", "/signals")


def _of_bot(bot: BotView) -> Iterator[Item]:
    if bot.state != "ACTIVE":
        yield Item(WARN, bot.name, f"{_said(bot.state)}{f': {bot.stopped_for}' if bot.stopped_for else ''}", "/rearm")
    if words.mood(bot.anomaly) == "odd":
        yield Item(WARN, bot.name, f"anomaly {words.share(bot.anomaly):.2f}: {bot.why}", "/signals")


def _state(state: str, subject: str, page: str) -> Item:
    return Item(WARN if state == "REDUCING" else BAD, subject, _said(state), page)


def _said(state: str) -> str:
    return {"REDUCING": "is reduce-only", "HALTED": "is stopped"}.get(state, f"is {state}")
