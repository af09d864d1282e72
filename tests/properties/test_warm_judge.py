"""A gate that has judged before judges the next order as one that was started just now, to the last byte it writes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import event, given
from hypothesis import strategies as st

from proxy.audit.recording import Subject
from proxy.gate.asking import hold_request, read_off
from proxy.gate.counting import kind_of
from proxy.gate.ruling import JudgedRequest
from proxy.gate.snapshots import snapshot_of
from proxy.store import codec, hold_script, unreported, view
from proxy.store.attempts import NO_ATTEMPTS, KnownAttempts
from proxy.store.codec import dump, plain
from proxy.store.documents import Document, Documents
from proxy.store.hold_script import attempts_of, hold_arguments, hold_keys, view_of
from proxy.store.holds import KnownHolds
from proxy.store.keys import Keys
from rules.engine import decide_batch
from rules.exposure import held_order
from rules.model import AmendOrder, TradingState
from rules.policy import Policy
from tests.properties.rule_strategies import all_rules, rule_lists
from tests.properties.strategies import books, commands, examples, prices, symbols, worlds
from tests.rules.builders import NOW, World, a_policy

VENUE, BOT, KEYS = "binanceusdm", "demo-bot", Keys("desk")
CACHED = (
    codec._written_measure,
    hold_script._lasting,
    hold_script._override,
    hold_script._score,
    unreported._decode,
    view._controls,
)


class Gate:
    """What of a gate process outlives an order: its documents, holds and attempts, and the policies it has read."""

    def __init__(self) -> None:
        self.policies: dict[str, Policy] = {}
        self.holds = KnownHolds()
        self.attempts = KnownAttempts()
        self.documents = Documents(KEYS, lambda version: self.policies[version])

    def judges(self, request: JudgedRequest, told: Told) -> tuple[Any, ...]:
        """The question, the decisions and the record, all as bytes or to be compared."""
        known = self.documents.concerning("demo", VENUE, BOT)
        before = {key: self.documents[key] for key in known}
        self.policies.setdefault(told.policy.version, replace(told.policy))
        policy = self.policies[told.policy.version]
        reading = read_off(request, lambda: self._snapshot(request, self.documents.view("demo", VENUE), False))
        asked = hold_request(request, reading, policy, NOW)
        found: dict[str, Document] = {}
        for (key, decode), body in zip(known.items(), told.bodies(), strict=True):
            version = str(hash(body)) if body else ""
            unchanged = version == before[key].version
            found[key] = self.documents.told(before[key], key, version, "" if unchanged else body, decode)
        documents = self.documents.view("demo", VENUE, BOT, told=found)
        tried = self.attempts.of("demo", BOT)
        reply = told.reply(len(asked.buckets), tried.mark)
        tried = self.attempts.read("demo", BOT, tried, *attempts_of(reply))
        seen = view_of(documents, self.holds, tried, asked, reply)
        snapshot = self._snapshot(request, seen, True)
        decisions = decide_batch(request.commands, snapshot, policy)
        record = request.subject.decision(snapshot, seen.instruments_version, request.commands, decisions, {})
        question = hold_keys(KEYS, asked, known), hold_arguments(asked, [], NO_ATTEMPTS)
        if isinstance(request.commands[0], AmendOrder):
            question = [], []  # It is asked off the picture before, which a gate without a past has not got.
        return question, snapshot, decisions, dump(record)

    @staticmethod
    def _snapshot(request: JudgedRequest, seen: view.View, reachable: bool) -> Any:
        return snapshot_of(request, seen, now=NOW, stopped=False, reachable=reachable)


class Told:
    """What the store says at one moment: a world as its scripts and the warden write it."""

    def __init__(self, world: World, policy: Policy, controls: dict[str, str], lines: list[str]) -> None:
        self.world, self.policy, self.controls, self.lines = world, policy, controls, lines

    def bodies(self) -> list[str]:
        """The documents, in the order in which the scripts know them."""
        seen = self.world.snapshot
        parts = (seen.account, seen.record, seen.markets, seen.instruments, seen.conditions, seen.usual)
        return [*("" if part is None else dump(plain(part)).decode() for part in parts), self.policy.version]

    def reply(self, buckets: int, mark: str) -> list[Any]:
        """The rest of what ``hold.lua`` returns to a gate that knows the attempts up to ``mark``."""
        seen = self.world.snapshot
        flat = [text for each in seen.holds for text in (each.hold_id, self._state(each))]
        scores = [f"{seen.anomaly:.4f}|as usual", "", ""]
        lost = [dump(each).decode() for each in seen.unreported]
        leave = [dump(each).decode() for each in seen.overrides]
        controls = [text for pair in self.controls.items() for text in pair]
        known = [number for number, line in enumerate(self.lines) if mark and line.startswith(mark)]
        tried = [1, self.lines[known[0] + 1 :]] if known else [0, self.lines]
        now = str(int(NOW.timestamp() * 1_000_000))
        return ["OK", 7, controls, 0, scores, ["3.500000"] * buckets, flat, [], lost, tried, leave, now]

    @staticmethod
    def _state(hold: Any) -> str:
        return f"{hold.sequence}|{hold.status.value}|1|{hold.bot}|{dump(hold.orders).decode()}"


def a_request(number: int, world: World, command: Any) -> JudgedRequest:
    subject = Subject(
        decision_id=f"d{number}",
        desk="desk",
        bot=BOT,
        account="demo",
        venue=VENUE,
        key_hint="1234",
        route="POST /fapi/v1/order",
    )
    return JudgedRequest(
        subject=subject,
        guard_key="g",
        kind=kind_of((command,)),
        commands=(command,),
        replay_digest=f"r{number}",
        replay_window_ms=5000,
    )


def fresh() -> Gate:
    """A gate of a process that was started just now."""
    for cached in CACHED:
        cached.cache_clear()
    return Gate()


@given(st.data(), st.one_of(books(), worlds()), rule_lists(all_rules), rule_lists(all_rules))
@examples(12)
def test_what_a_gate_keeps_never_outlives_what_it_was_made_of(data, world, rules, other_rules):
    policies = [replace(a_policy(*rules), version="one"), replace(a_policy(*other_rules), version="two")]
    warm, policy, controls, lines = fresh(), policies[0], {"generation": "1"}, list[str]()
    for number in range(4):
        command = data.draw(commands(world))
        told = Told(world, policy, dict(controls), list(lines))
        answered = warm.judges(a_request(number, world, command), told)
        again = warm.judges(a_request(number, world, command), told)
        assert answered == again == fresh().judges(a_request(number, world, command), told)
        if (order := held_order(command, world.snapshot)) is not None:
            at_us = int((NOW - timedelta(seconds=3 - number)).timestamp() * 1_000_000)
            lines.append(f"{at_us}|d{number}|TRIED|{dump((order,)).decode()}")
        change = data.draw(st.sampled_from(["price", "listing", "policy", "state", "refusal", "worth", "score"]))
        event(change)
        symbol = data.draw(symbols)
        match change:
            case "price":
                world = world.marked(symbol, str(data.draw(prices(symbol, band_percent=5))))
            case "listing":
                world = world.listing(symbol, tiers=())
            case "policy":
                policy = data.draw(st.sampled_from(policies))
            case "state":
                level = data.draw(st.sampled_from(["desk", f"bot:{BOT}", f"symbol:{symbol}", "ramp:desk"]))
                controls[level] = "0.25" if level == "ramp:desk" else data.draw(st.sampled_from(TradingState)).value
            case "refusal":
                size = data.draw(st.sampled_from(["", "1", "0.5"]))
                lines.append(f"{int(NOW.timestamp() * 1_000_000)}|d{number}|REFUSED|{size}")
            case "worth" if world.account is not None:
                world = world.worth(str(data.draw(st.integers(-1_000, 400_000))))
            case _:
                world = world.behaving(data.draw(st.sampled_from([0.0, 0.25, 1.0])))
