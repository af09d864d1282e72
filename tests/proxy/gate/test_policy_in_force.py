"""Every order is judged under the policy that is in force in the store at the moment of its hold, on every gate."""

from decimal import Decimal

from proxy.gate.judge import Judge
from proxy.gate.policy import GatePolicy, policy_of
from proxy.store.gate_store import GateStore
from proxy.store.warden_store import WardenStore
from rules.flow.message_rate import MessageRate
from rules.order.max_order_value import MaxOrderValue
from tests.proxy.gate.conftest import asking, refusals
from tests.rules.builders import NOW, a_buy, a_sell, an_account
from tests.support.policies import a_policy, a_rule

SMALL = a_policy(a_rule("desk.max_order_value", limit=100))


async def test_a_change_is_in_force_with_the_very_next_order(desk):
    judge = desk.judge()
    first = await judge.judge(asking(a_buy("BTCUSDT", "1")))
    tightened = desk.under(MaxOrderValue(limit=Decimal(100)))
    second = await judge.judge(asking(a_buy("BTCUSDT", "1"), name="second"))
    assert first.cleared
    assert refusals(second) == ["ORDER_VALUE_ABOVE_LIMIT"]
    assert second.decisions[0].policy_version == tightened.version
    assert "second" not in await desk.holds()


async def test_an_order_that_meets_a_change_is_counted_and_written_down_once(desk):
    rate = MessageRate(per_second=Decimal("0.001"), burst=Decimal(2))
    judge = desk.judge()
    await judge.judge(asking(a_buy("BTCUSDT", "1"), name="before"))
    desk.under(rate)
    assert (await judge.judge(asking(a_buy("BTCUSDT", "1"), name="meets"))).cleared
    assert (await judge.judge(asking(a_buy("BTCUSDT", "1"), name="after"))).cleared
    assert refusals(await judge.judge(asking(a_buy("BTCUSDT", "1")))) == ["MESSAGE_RATE_ABOVE_LIMIT"]
    intents = [record["id"] for record in await desk.audit() if record["kind"] == "intent"]
    assert intents.count("meets") == 1
    assert set(await desk.holds()) == {"before", "meets", "after"}


async def test_a_policy_that_cannot_be_read_refuses_entries_and_lets_exits_go(desk):
    judge = desk.judge()
    await desk.knows(an_account().long("BTCUSDT", "1"))
    desk.publish_nonsense()
    entry = await judge.judge(asking(a_buy("BTCUSDT", "1")))
    assert not entry.cleared
    assert [breach.code for breach in entry.withheld.values()] == ["POLICY_UNKNOWN"]
    assert (await judge.judge(asking(a_sell("BTCUSDT", "1", reduce_only=True)))).cleared


async def test_two_gates_are_never_of_two_minds(server, desk):
    other = GateStore(server.url, desk.name, policy_of=policy_of, timeout_s=2.0)
    late = Judge(store=other, fence=desk.fence, journal=desk.journal, policy=desk.under(), now=lambda: NOW)
    warden = WardenStore(server.url, desk.name)
    await warden.publish_policy("small", SMALL)
    assert refusals(await late.judge(asking(a_buy("BTCUSDT", "1")))) == ["ORDER_VALUE_ABOVE_LIMIT"]
    await warden.aclose()
    await other.aclose()


async def test_what_looks_at_the_policy_without_an_order_follows_it(server, desk):
    store = GateStore(server.url, desk.name, policy_of=policy_of, timeout_s=2.0)
    policies = GatePolicy(store, desk.under())
    warden = WardenStore(server.url, desk.name)
    assert policies.in_force.name == "test"
    await warden.publish_policy("small", SMALL)
    await store.read_policy()
    assert [rule.rule_id for rule in policies.in_force.rules if isinstance(rule, MaxOrderValue)] == ["max_order_value"]
    await warden.aclose()
    await store.aclose()
