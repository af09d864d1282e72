"""What a bot tried before comes back with its next order: sent or refused, and at which size it would have passed."""

import asyncio
import random
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from proxy.store.attempts import LINES_KEPT, NO_ATTEMPTS, KnownAttempts, Told, at_of
from proxy.store.gate_store import GateStore
from tests.proxy.store.builders import a_held_order, a_request

LATER = at_of(4_000_000_000_000_000)
"""What the store's clock shows where it was never set back."""


async def test_what_was_tried_before_comes_back_oldest_first_without_the_order_itself(gate):
    for hold_id, quantity in (("h1", "1"), ("h2", "2")):
        await gate.hold(a_request(hold_id, orders=(a_held_order(quantity=quantity),)))
    view = await gate.hold(a_request("h3", attempts_window_s=60))
    assert [(each.hold_id, each.orders[0].quantity, each.refused) for each in view.attempts] == [
        ("h1", Decimal(1), False),
        ("h2", Decimal(2), False),
    ]
    assert view.attempts[0].at <= view.attempts[1].at <= view.attempts[0].at + timedelta(seconds=60)


async def test_attempts_nobody_asks_for_do_not_travel(gate):
    await gate.hold(a_request("h1"))
    assert (await gate.hold(a_request("h2"))).attempts == ()


async def test_another_bot_and_another_account_have_attempts_of_their_own(gate):
    await gate.hold(a_request("h1"))
    assert (await gate.hold(a_request("h2", bot="other", attempts_window_s=60))).attempts == ()
    assert (await gate.hold(a_request("h3", account="other", attempts_window_s=60))).attempts == ()


async def test_a_refused_attempt_keeps_the_size_that_would_have_passed(gate):
    await gate.hold(a_request("h1"))
    await gate.refuse("demo", "demo-bot", "h1", [{"kind": "decision", "id": "h1"}], Decimal("0.5"))
    await gate.hold(a_request("h2"))
    await gate.refuse("demo", "demo-bot", "h2", [], None)
    view = await gate.hold(a_request("h3", attempts_window_s=60))
    assert [(each.hold_id, each.refused, each.refused_at_size) for each in view.attempts] == [
        ("h1", True, Decimal("0.5")),
        ("h2", True, None),
    ]
    assert [hold.hold_id for hold in view.holds] == []


async def test_an_attempt_that_was_sized_down_keeps_the_size_that_was_sent(gate):
    await gate.hold(a_request("h1", orders=(a_held_order(quantity="2"),)))
    assert await gate.shrink("demo", "demo-bot", "h1", a_held_order(quantity="0.5"))
    await gate.hold(a_request("h2", orders=(a_held_order(quantity="2"),)))
    assert await gate.shrink("demo", "demo-bot", "h2", a_held_order(quantity="0.5"))
    await gate.refuse("demo", "demo-bot", "h2", [], None)  # Kept back after all.
    assert not await gate.shrink("demo", "demo-bot", "gone", a_held_order(quantity="0.5"))
    view = await gate.hold(a_request("h3", attempts_window_s=60))
    told = [(each.hold_id, each.orders[0].quantity, each.refused, each.refused_at_size) for each in view.attempts]
    assert told == [("h1", Decimal(2), False, Decimal("0.5")), ("h2", Decimal(2), True, None)]
    assert [[order.quantity for order in hold.orders] for hold in view.holds] == [[Decimal("0.5")]]


async def test_a_question_asked_again_is_no_second_attempt(gate):
    await gate.hold(a_request("h1"))
    await gate.hold(a_request("h1", write_ahead=None, replay_window_ms=0))
    view = await gate.hold(a_request("h2", attempts_window_s=60))
    assert [each.hold_id for each in view.attempts] == ["h1"]


async def test_the_memory_is_bounded(gate, raw, keys, monkeypatch):
    monkeypatch.setattr("proxy.store.hold_script.ATTEMPTS_MAX", 3)
    for number in range(5):
        await gate.hold(a_request(f"h{number}"))
    key = keys.attempts("demo", "demo-bot")
    assert await raw.llen(key) == 3
    assert 0 < await raw.ttl(key) <= 86_400


async def test_what_is_older_than_asked_for_stays_away(gate, raw, keys):
    await gate.hold(a_request("h1"))
    key = keys.attempts("demo", "demo-bot")
    line = await raw.lindex(key, 0)
    at_us, _, rest = line.partition("|")
    await raw.lset(key, 0, f"{int(at_us) - 61_000_000}|{rest}")
    assert (await gate.hold(a_request("h2", attempts_window_s=60))).attempts == ()
    assert [each.hold_id for each in (await gate.hold(a_request("h3", attempts_window_s=120))).attempts] == ["h1", "h2"]


async def test_what_held_nothing_pushes_out_no_memory(gate, raw, keys):
    """A bot could send refused exits and cancels without end: they cost nothing, and would make it forgotten."""
    await gate.hold(a_request("h1"))
    await gate.hold(a_request("exit", reserve=False))
    await gate.refuse("demo", "demo-bot", "exit", [{"kind": "decision", "id": "exit"}], None)
    assert await raw.llen(keys.attempts("demo", "demo-bot")) == 1
    assert await raw.xlen(keys.audit) == 3


@pytest.mark.parametrize("seed", range(4))
async def test_what_a_gate_remembers_and_is_told_is_what_the_store_has(server, desk, raw, keys, monkeypatch, seed):
    """Two gates, refusals, floods of one that the other has not seen, orders at once, and a memory that is wiped."""
    for module in ("attempts", "hold_script", "gate_store"):
        monkeypatch.setattr(f"proxy.store.{module}.ATTEMPTS_MAX", 12)
    chance, key = random.Random(seed), keys.attempts("demo", "demo-bot")
    gates = [GateStore(server.url, desk, timeout_s=2.0) for _ in range(2)]
    for number in range(60):
        gate, hold_id = chance.choice(gates), f"h{number}"
        has = NO_ATTEMPTS.followed_by(await raw.lrange(key, 0, -1)).since(at_of(0), LATER)
        view = await gate.hold(a_request(hold_id, attempts_window_s=600))
        assert view.attempts == has, f"after {number} orders"
        match chance.choice(["settled", "settled", "refused", "flood", "at once", "wiped"]):
            case "refused":
                await gate.refuse("demo", "demo-bot", hold_id, [], chance.choice([None, Decimal("0.5")]))
            case "flood":
                for each in range(chance.randint(7, 14)):
                    await gate.hold(a_request(f"{hold_id}.{each}"))
            case "at once":
                requests = [a_request(f"{hold_id}.{each}", attempts_window_s=600) for each in range(6)]
                views = sorted(await asyncio.gather(*map(gate.hold, requests)), key=lambda each: each.sequence)
                seen = [[each.hold_id for each in told.attempts] for told in views]
                assert all(each[-1 - place] == hold_id for place, each in enumerate(seen))
                assert all(later[:-1] == each[1 - len(later) :] for each, later in pairwise(seen))
            case "wiped" if chance.random() < 0.3:
                await raw.delete(key)
    for gate in gates:
        await gate.aclose()


async def test_a_clock_that_was_set_back_hides_none_that_is_wanted():
    told = NO_ATTEMPTS.followed_by([f"{at_us}|h{at_us}|TRIED|[]" for at_us in (100, 101, 50, 51)])
    assert [each.hold_id for each in told.since(at_of(60), LATER)] == ["h100", "h101"]


async def test_what_lies_ahead_of_the_clock_counts_as_new_for_one_window_alone():
    """Dated by a clock that was put right since, it would count as made just now until the clock is there again."""
    told = NO_ATTEMPTS.followed_by(["100|h100|TRIED|[]", "200|h200|TRIED|[]"])
    assert [each.at for each in told.since(at_of(140), at_of(150))] == [at_of(150)]
    told = told.followed_by(["151|h151|TRIED|[]", "152|h200|REFUSED|"])
    assert [(each.hold_id, each.at, each.refused) for each in told.since(at_of(140), at_of(160))] == [
        ("h200", at_of(150), True),
        ("h151", at_of(151), False),
    ]
    assert [each.hold_id for each in told.since(at_of(151), at_of(161))] == ["h151"]
    assert told.mark == "152|h200|REFUSED|"


async def test_an_answer_of_before_does_not_mix_with_what_was_learnt_since():
    lines = [f"{number}|h{number}|TRIED|[]" for number in range(6)]
    known = KnownAttempts()
    first = known.read("demo", "a", NO_ATTEMPTS, False, lines[:2])
    late = known.of("demo", "a")
    assert _tried(known.read("demo", "a", first, True, lines[2:5])) == ["h0", "h1", "h2", "h3", "h4"]
    assert _tried(known.read("demo", "a", late, True, lines[2:3])) == ["h0", "h1", "h2"]
    assert _tried(known.read("demo", "a", known.of("demo", "a"), True, lines[3:])) == [f"h{n}" for n in range(6)]


async def test_a_refusal_changes_no_answer_of_before():
    known = KnownAttempts()
    first = known.read("demo", "a", NO_ATTEMPTS, False, ["1|h1|TRIED|[]", "2|h2|TRIED|[]", "3|h1|REFUSED|0.5"])
    later = known.read("demo", "a", first, True, ["4|h2|REFUSED|", "5|gone|REFUSED|1"])
    assert [(each.hold_id, each.refused, each.refused_at_size) for each in later.since(at_of(0), LATER)] == [
        ("h1", True, Decimal("0.5")),
        ("h2", True, None),
    ]
    assert [each.refused for each in first.since(at_of(0), LATER)] == [True, False]


async def test_an_attempt_is_read_once_for_all_orders_that_look_back_at_it():
    told = NO_ATTEMPTS.followed_by(["1|h1|TRIED|[]", "2|h2|TRIED|[]"])
    later = told.followed_by(["3|h2|REFUSED|"])
    assert told.since(at_of(0), LATER)[0] is later.since(at_of(0), LATER)[0]


async def test_an_attempt_that_nobody_looks_back_at_any_more_takes_no_room():
    told = NO_ATTEMPTS.followed_by(["1|h1|TRIED|[]", "2|h2|TRIED|[]"])
    assert len(told.since(at_of(1), LATER)) == 2
    assert [each.hold_id for each in told.since(at_of(2), LATER)] == ["h2"]
    assert [line.read is None for line in told.lines] == [True, False]
    assert [each.hold_id for each in told.since(at_of(1), LATER)] == ["h1", "h2"]


async def test_what_nobody_looks_back_at_is_not_read():
    told = NO_ATTEMPTS.followed_by(["1|h1|TRIED|no orders", "2|h2|TRIED|[]"])
    assert [each.hold_id for each in told.since(at_of(2), LATER)] == ["h2"]
    with pytest.raises(ValueError):
        told.since(at_of(1), LATER)


async def test_the_bots_of_long_ago_are_forgotten_first():
    known = KnownAttempts()
    for bot in range(LINES_KEPT // 400 + 5):
        known.read("demo", f"b{bot}", NO_ATTEMPTS, False, [f"{number}|h{number}|TRIED|[]" for number in range(400)])
        known.read("demo", "b0", known.of("demo", "b0"), False, ["1|h|TRIED|[]"])
    kept = [bot for bot in range(LINES_KEPT // 400 + 5) if known.of("demo", f"b{bot}").lines]
    assert sum(len(known.of("demo", f"b{bot}").lines) for bot in kept) <= LINES_KEPT
    assert 0 in kept and 1 not in kept and kept[-1] == LINES_KEPT // 400 + 4


def _tried(told: Told) -> list[str]:
    return [each.hold_id for each in told.since(at_of(0), LATER)]
