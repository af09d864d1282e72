"""The one round trip: it reserves in order, spends, writes ahead, and refuses at its bounds."""

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from proxy.store import hold_script
from proxy.store.gate_store import GateStore
from proxy.store.trouble import RequestReplayed, StoreFull, StoreUnavailable
from proxy.store.view import controls_for
from proxy.store.warden_store import VERSIONS_LOST_MAX
from rules.account import HoldStatus
from rules.facts import Score
from rules.model import TradingState
from tests.proxy.store.builders import a_bucket, a_held_order, a_request, publish


async def test_the_first_hold_sees_nobody_and_the_second_sees_the_first(gate):
    first = await gate.hold(a_request("h1"))
    second = await gate.hold(a_request("h2", bot="other"))
    assert first.holds == ()
    assert [(hold.hold_id, hold.bot, hold.status) for hold in second.holds] == [("h1", "demo-bot", HoldStatus.PENDING)]
    assert second.holds[0].orders == (a_held_order(),)


async def test_holds_have_one_order_across_accounts(gate):
    sequences = [(await gate.hold(a_request(f"h{n}", account=f"a{n % 2}"))).sequence for n in range(4)]
    assert sequences == [1, 2, 3, 4]


async def test_fifty_at_once_each_see_all_that_came_before(gate):
    views = await asyncio.gather(*(gate.hold(a_request(f"h{n}")) for n in range(50)))
    assert sorted(view.sequence for view in views) == list(range(1, 51))
    for view in views:
        assert [hold.sequence for hold in view.holds] == list(range(1, view.sequence))


async def test_accounts_do_not_see_each_other_s_holds(gate):
    await gate.hold(a_request("h1"))
    assert (await gate.hold(a_request("h2", account="other"))).holds == ()


async def test_desks_do_not_see_each_other_at_all(gate, server):
    await gate.hold(a_request("h1"))
    other = GateStore(server.url, "another-desk", timeout_s=2.0)
    view = await other.hold(a_request("h1"))
    await other.aclose()
    assert (view.sequence, view.holds) == (1, ())


async def test_what_reserves_nothing_leaves_no_hold(gate):
    view = await gate.hold(a_request("h1", reserve=False))
    assert view.sequence == 0
    assert (await gate.look("demo")).holds == ()


async def test_the_same_signed_request_is_taken_once(gate):
    await gate.hold(a_request("h1", replay_digest="same"))
    with pytest.raises(RequestReplayed):
        await gate.hold(a_request("h2", replay_digest="same"))
    assert [hold.hold_id for hold in (await gate.look("demo")).holds] == ["h1"]


async def test_of_twenty_racing_copies_one_is_taken(gate):
    answers = await asyncio.gather(
        *(gate.hold(a_request(f"h{n}", replay_digest="same")) for n in range(20)), return_exceptions=True
    )
    assert sum(isinstance(answer, RequestReplayed) for answer in answers) == 19


async def test_a_cancel_may_be_repeated_to_the_byte(gate):
    for _ in range(2):
        await gate.hold(a_request(reserve=False, replay_digest="same", replay_window_ms=0))


async def test_the_mark_of_a_request_is_forgotten_when_its_window_is_over(gate):
    await gate.hold(a_request("h1", replay_digest="same", replay_window_ms=20))
    await asyncio.sleep(0.05)
    await gate.hold(a_request("h2", replay_digest="same"))


async def test_the_intent_is_in_the_stream_before_anyone_decides(gate, warden):
    await gate.hold(a_request("h1"))
    assert [record for _, record in await warden.read_audit(block_ms=1)] == ['{"id":"h1","kind":"intent"}']


async def test_a_replayed_request_writes_nothing_ahead(gate, warden):
    await gate.hold(a_request("h1", replay_digest="same"))
    with pytest.raises(RequestReplayed):
        await gate.hold(a_request("h2", replay_digest="same"))
    assert len(await warden.read_audit(block_ms=1)) == 1


async def test_a_full_audit_takes_nothing_new(gate, monkeypatch):
    monkeypatch.setattr(hold_script, "AUDIT_LENGTH_MAX", 2)
    await gate.hold(a_request("h1"))
    await gate.hold(a_request("h2"))
    with pytest.raises(StoreFull, match="AUDIT_FULL"):
        await gate.hold(a_request("h3"))
    assert len((await gate.look("demo")).holds) == 2


async def test_an_archive_that_catches_up_opens_the_audit_again(gate, warden, monkeypatch):
    monkeypatch.setattr(hold_script, "AUDIT_LENGTH_MAX", 1)
    await gate.hold(a_request("h1"))
    await warden.trim_audit((await warden.read_audit(block_ms=1))[-1][0])
    await gate.hold(a_request("h2"))


async def test_an_account_holds_no_more_than_its_bound(gate, monkeypatch):
    monkeypatch.setattr(hold_script, "HOLDS_MAX", 2)
    await gate.hold(a_request("h1"))
    await gate.hold(a_request("h2"))
    with pytest.raises(StoreFull, match="HOLDS_FULL"):
        await gate.hold(a_request("h3"))
    await gate.hold(a_request("h4", account="other"))
    await gate.hold(a_request("h5", reserve=False))


async def test_a_key_that_was_switched_off_is_said_at_once_and_on_again_too(gate, warden):
    await warden.set_key_disabled("pgk_1", disabled=True)
    assert (await gate.hold(a_request("h1"))).key_disabled
    assert not (await gate.hold(a_request("h2", guard_key="pgk_2"))).key_disabled
    await warden.set_key_disabled("pgk_1", disabled=False)
    assert not (await gate.hold(a_request("h3"))).key_disabled


async def test_the_controls_arrive_with_every_hold(gate, warden):
    await warden.set_state("desk", TradingState.REDUCING, generation=5, kill_running=None)
    await warden.set_state("account:demo", TradingState.HALTED, generation=6, kill_running=True)
    await warden.set_state("symbol:ETHUSDT", TradingState.REDUCING, generation=6, kill_running=None)
    view = await gate.hold(a_request())
    found = controls_for(view.controls, account="demo", bot="demo-bot", symbols=["BTCUSDT", "ETHUSDT"])
    assert (found.generation, found.desk, found.account) == (6, TradingState.REDUCING, TradingState.HALTED)
    assert (found.bot, found.symbol, found.kill_running) == (TradingState.ACTIVE, TradingState.REDUCING, True)
    other = controls_for(view.controls, account="other", bot="demo-bot", symbols=["BTCUSDT"])
    assert (other.account, other.symbol, other.kill_running) == (TradingState.ACTIVE, TradingState.ACTIVE, False)


async def test_a_kill_that_ended_lifts_its_latch_alone(gate, warden):
    await warden.set_state("account:demo", TradingState.HALTED, generation=1, kill_running=True)
    await warden.set_state("account:demo", TradingState.HALTED, generation=1, kill_running=False)
    view = await gate.hold(a_request())
    found = controls_for(view.controls, account="demo", bot="demo-bot", symbols=[])
    assert (found.kill_running, found.account) == (False, TradingState.HALTED)


async def test_a_state_that_this_gate_does_not_know_is_the_strictest(gate, raw, keys):
    await raw.hset(keys.controls, "bot:demo-bot", "DREAMING")
    found = controls_for((await gate.hold(a_request())).controls, account="demo", bot="demo-bot", symbols=[])
    assert (found.bot, found.account) == (TradingState.HALTED, TradingState.ACTIVE)


@pytest.mark.parametrize("body", ["{}", "not json", '{"as_of": 1}'])
async def test_what_cannot_be_decoded_is_as_good_as_no_answer_and_the_hold_is_undone(gate, raw, keys, body):
    await raw.hset(keys.record("demo"), mapping={"version": "1", "body": body})
    with pytest.raises(StoreUnavailable):
        await gate.hold(a_request("h1"))
    await gate._voiding.done()
    await raw.delete(keys.record("demo"))
    assert (await gate.hold(a_request("h2"))).holds == ()


async def tokens(gate, name, bucket, **counts):
    view = await gate.hold(a_request(name, buckets=(replace(bucket, **counts),)))
    return view.tokens[bucket.scope]


def roughly(tokens):
    """A bucket of a test flows by less than a thousandth."""
    return round(tokens, 2)


async def test_each_message_takes_a_token_until_there_is_none(gate):
    found = [roughly(await tokens(gate, f"h{n}", a_bucket(burst="3"))) for n in range(5)]
    assert found == [3, 2, 1, 0, 0]


async def test_what_spends_nothing_waits_for_nothing(gate):
    for number in range(4):
        await tokens(gate, f"h{number}", a_bucket(burst="3"))
    assert roughly(await tokens(gate, "exit", a_bucket(burst="3"), spend=0)) == 0


async def test_a_message_that_is_refused_for_its_rate_takes_no_token(gate):
    assert roughly(await tokens(gate, "h1", a_bucket(burst="3"), spend=2)) == 3
    assert roughly(await tokens(gate, "h2", a_bucket(burst="3"), spend=2)) == 1
    assert roughly(await tokens(gate, "h3", a_bucket(burst="3"), spend=1)) == 1


async def test_an_empty_bucket_that_only_reports_spares_none_that_refuses(gate):
    """An operator who tries a limit for one bot in report mode must not switch the desk's own off by it."""
    reported = replace(a_bucket(burst="1", scope="bot"), spend=1, refuses=False)
    enforced = replace(a_bucket(burst="3", scope="desk"), spend=1)
    found = []
    for number in range(5):
        view = await gate.hold(a_request(f"h{number}", buckets=(reported, enforced)))
        found.append((roughly(view.tokens["bot"]), roughly(view.tokens["desk"])))
    assert found == [(1, 3), (0, 2), (0, 1), (0, 0), (0, 0)]


async def test_a_bucket_that_only_reports_is_charged_though_one_that_refuses_is_empty(gate):
    reported = replace(a_bucket(burst="9", scope="bot"), spend=1, refuses=False)
    enforced = replace(a_bucket(burst="1", scope="desk"), spend=1)
    for number in range(3):
        view = await gate.hold(a_request(f"h{number}", buckets=(reported, enforced)))
    assert (roughly(view.tokens["bot"]), roughly(view.tokens["desk"])) == (7, 0)


async def test_of_two_buckets_one_that_is_empty_keeps_the_other_full(gate):
    small, large = a_bucket(burst="1", scope="small"), a_bucket(burst="9", scope="large")
    for number in range(3):
        view = await gate.hold(a_request(f"h{number}", buckets=(small, large)))
    assert roughly(view.tokens["large"]) == 8


async def test_what_never_waits_takes_tokens_down_to_none_and_what_comes_later_waits(gate):
    bucket = a_bucket(burst="3", spend=0)
    assert roughly(await tokens(gate, "h1", bucket, drain=2)) == 1
    assert roughly(await tokens(gate, "h2", bucket, drain=2)) == 0
    assert roughly(await tokens(gate, "h3", bucket, spend=1)) == 0


async def test_what_never_waits_is_counted_before_what_it_comes_with(gate):
    assert roughly(await tokens(gate, "h1", a_bucket(burst="3"), spend=1, drain=2)) == 1
    assert roughly(await tokens(gate, "h2", a_bucket(burst="3"), spend=1)) == 0


async def test_a_refused_entry_does_not_give_back_what_was_drained_with_it(gate):
    assert roughly(await tokens(gate, "h1", a_bucket(burst="3"), spend=2, drain=2)) == 1
    assert roughly(await tokens(gate, "h2", a_bucket(burst="3"), spend=0)) == 1


async def test_a_bucket_that_nothing_is_spent_from_holds_up_no_other(gate):
    empty, full = a_bucket(scope="amends", spend=0), a_bucket(scope="main", burst="9")
    await tokens(gate, "h1", empty, drain=3)
    for number in range(2):
        view = await gate.hold(a_request(f"n{number}", buckets=(empty, full)))
    assert (roughly(view.tokens["amends"]), roughly(view.tokens["main"])) == (0, 8)


async def test_tokens_flow_in_at_their_rate_and_never_above_the_burst(gate):
    bucket = a_bucket(per_second="100", burst="10")
    await tokens(gate, "h1", bucket, spend=10)
    await asyncio.sleep(0.05)
    flowed = await tokens(gate, "h2", bucket, spend=0)
    assert 4 <= flowed <= 10
    await asyncio.sleep(0.2)
    assert await tokens(gate, "h3", bucket, spend=0) == 10


async def test_a_strange_bot_s_tokens_flow_slower_and_a_share_is_kept_back(gate, warden):
    bucket = a_bucket(per_second="100", burst="10", tighten="0.9", own=True)
    await warden.publish_scores({"bot:demo-bot": Score(value=1.0)}, {})
    assert roughly(await tokens(gate, "h1", bucket)) == 10
    assert roughly(await tokens(gate, "h2", bucket, spend=1)) <= 10
    await tokens(gate, "h3", bucket, spend=1)
    # Nine of ten are kept back: one message went, and at a tenth of the rate the next is 100 ms away.
    assert Decimal(9) <= await tokens(gate, "h4", bucket, spend=0) < Decimal("9.9")


async def test_an_odd_bot_does_not_slow_the_bucket_that_it_shares(gate, warden):
    bucket = a_bucket(per_second="100", burst="10", tighten="1")
    await warden.publish_scores({"bot:odd": Score(value=1.0), "bot:calm": Score()}, {})
    await gate.hold(a_request("c0", bot="calm", buckets=(replace(bucket, spend=10),)))
    for number in range(10):
        await asyncio.sleep(0.02)
        await gate.hold(a_request(f"o{number}", bot="odd", buckets=(bucket,)))
    calm = await gate.hold(a_request("c1", bot="calm", buckets=(bucket,)))
    assert calm.tokens[bucket.scope] >= 9, "of the odd bot's messages one in ten tokens goes, for nine are kept back"


@pytest.mark.parametrize(
    ("score", "tighten", "forgotten_s"), [(0.0, "1", 61), (1.0, "0.9", 70), (1.0, "0.999999999999999", 1e12)]
)
async def test_a_bucket_is_forgotten_once_it_would_be_full_again(gate, warden, raw, keys, score, tighten, forgotten_s):
    await warden.publish_scores({"bot:demo-bot": Score(value=score)}, {})
    await tokens(gate, "h1", a_bucket(per_second="10", burst="10", tighten=tighten, own=True))
    left_s = await raw.pttl(keys.bucket("rate@desk")) / 1000
    assert forgotten_s - 5 < left_s <= forgotten_s


async def test_a_bucket_that_nothing_flows_into_is_not_forgotten(gate, warden, raw, keys):
    bucket = a_bucket(per_second="10", burst="10", tighten="1", own=True)
    await tokens(gate, "h1", bucket)
    await warden.publish_scores({"bot:demo-bot": Score(value=1.0)}, {})
    await tokens(gate, "h2", bucket)
    assert await raw.pttl(keys.bucket("rate@desk")) == -1
    await warden.publish_scores({"bot:demo-bot": Score(value=0.5)}, {})
    await tokens(gate, "h3", bucket)
    assert 0 < await raw.pttl(keys.bucket("rate@desk")) <= 62_000


async def test_the_anomaly_score_is_the_bot_s_own(gate, warden):
    await warden.publish_scores({"bot:demo-bot": Score(value=0.5, why="order | rate")}, {"demo-bot": {"orders": 3}})
    assert (await gate.hold(a_request("h1"))).anomaly == 0.5
    assert (await gate.hold(a_request("h2", bot="other"))).anomaly == 0.0
    assert await warden.scores() == {"bot:demo-bot": Score(value=0.5, why="order | rate")}
    assert await warden.baselines() == {"demo-bot": {"orders": 3}}


async def test_the_account_arrives_when_it_is_new_and_is_remembered(gate, warden):
    assert (await gate.hold(a_request("h1"))).account is None
    await publish(warden, 1)
    assert (await gate.hold(a_request("h2"))).account.version == 1
    assert (await gate.hold(a_request("h3"))).account.version == 1
    await publish(warden, 2)
    assert (await gate.hold(a_request("h4"))).account.version == 2


async def test_an_unchanged_document_is_not_sent_again(gate, warden, raw, keys):
    await publish(warden, 1)
    first = await gate.hold(a_request("h1"))
    await raw.hset(keys.account("demo"), "body", "never read")
    assert (await gate.hold(a_request("h2"))).account is first.account


async def test_an_account_that_was_forgotten_is_known_no_more(gate, warden):
    await publish(warden, 1)
    await gate.hold(a_request("h1"))
    await warden.distrust(["demo"])
    assert (await gate.hold(a_request("h2"))).account is None
    assert not await warden.has_epoch()


async def test_the_warden_begins_where_the_account_was_put_aside(gate, warden):
    assert await warden.last_account("demo") is None
    await publish(warden, 3)
    assert await warden.last_account("demo") == await warden.account("demo")
    for _ in range(2):
        await warden.distrust(["demo", "never published"])
        assert await warden.account("demo") is None
        assert (await warden.last_account("demo")).version == 3 + VERSIONS_LOST_MAX


async def test_a_server_that_was_not_filled_is_asked_for_nothing(gate, warden, raw, keys):
    await publish(warden, 1)
    run_id, filled = await warden.server()
    assert filled == ""
    await warden.fill("another")
    with pytest.raises(StoreUnavailable) as trouble:
        await gate.hold(a_request("h1"))
    assert not trouble.value.asked
    assert await raw.hlen(keys.holds("demo")) == 0
    await warden.fill(run_id)
    assert await warden.server() == (run_id, run_id)
    await gate.warm()
    assert (await gate.hold(a_request("h2"))).account.version == 1


async def test_a_script_the_store_forgot_is_sent_again_and_runs_once(gate, raw):
    await gate.hold(a_request("h1"))
    await raw.script_flush()
    assert (await gate.hold(a_request("h2"))).sequence == 2
    await raw.script_flush()
    await gate.settle("demo", "h1", "RELEASE", [])
    assert [hold.hold_id for hold in (await gate.look("demo")).holds] == ["h2"]
