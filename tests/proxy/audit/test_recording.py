"""The record of a decision: the picture it was made on, with account and instruments named by version."""

from __future__ import annotations

from proxy.audit.recording import Subject
from proxy.store.codec import dump, load, plain_snapshot
from rules.engine import decide
from tests.rules.builders import a_buy, a_policy, an_account


def test_the_record_has_the_whole_picture_but_what_it_names_by_version():
    world = an_account().long("BTCUSDT", "1").in_conditions("BTCUSDT", temperature="0.2").known_bot()
    world = world.used_to(any_size="100 200 300", symbols=("BTCUSDT",))
    world = world.having_tried(a_buy("BTCUSDT", "2"), seconds_ago=3)
    order, snapshot = a_buy("BTCUSDT", "1"), world.snapshot
    subject = Subject(decision_id="1", desk="d", bot="b", account="demo", venue="v", key_hint="k", route="r")
    for _ in range(2):
        decided = (decide(order, snapshot, a_policy()),)
        record = load(dump(subject.decision(snapshot, "7", (order,), decided, {})))
        whole = plain_snapshot(snapshot)
        named = {name: record["snapshot"][name] for name in ("account", "record", "instruments")}
        assert record["snapshot"] == whole | named
        assert named["account"] == {"$ref": f"account:{snapshot.account.name}@{snapshot.account.version}"}
        assert named["record"] == {"$ref": f"record:demo@{snapshot.record.version}", "symbols": []}
        assert named["instruments"] == {"$ref": "instruments:v@7", "symbols": sorted(snapshot.instruments)}
