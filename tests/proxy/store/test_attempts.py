"""What a bot tried before comes back with its next order: sent or refused, and at which size it would have passed."""

from datetime import timedelta
from decimal import Decimal

from tests.proxy.store.builders import a_held_order, a_request


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
