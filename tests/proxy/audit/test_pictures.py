"""A decision's picture put together again is, to the last byte, the one it was made on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.audit.documents import Document
from proxy.audit.pictures import DocumentMissing, resolved
from proxy.audit.recording import Subject
from proxy.gate.snapshots import _record_of
from proxy.store.codec import dump, load, plain, plain_snapshot
from rules.engine import decide
from rules.facts import AccountRecord, BotRecord, Holding
from tests.properties.strategies import records
from tests.rules.builders import NOW, a_buy, a_policy, an_account

SYMBOLS = ["BTCUSDT", "ETHUSDT", "DOGEUSDT"]
ORDER = a_buy("BTCUSDT", "1")


class Archived:
    """The documents of an archive, by reference."""

    def __init__(self, **documents: Any) -> None:
        self._documents = {reference.replace("__", ":").replace("_at_", "@"): of for reference, of in documents.items()}

    def decisions(self) -> Iterator[dict[str, Any]]:
        return iter(())

    def documents(self, reference: str) -> tuple[Document, ...]:
        found = self._documents.get(reference)
        return () if found is None else (Document(NOW - timedelta(seconds=1), found),)


def a_decision(whole: AccountRecord, bot: str, symbols: frozenset[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The record of a decision that was judged on a part of ``whole``, and its picture in full."""
    world = an_account()
    snapshot = replace(world.snapshot, bot=bot, record=_record_of(whole, bot, symbols), account=None, instruments={})
    subject = Subject(decision_id="1", desk="d", bot=bot, account="demo", venue="v", key_hint="k", route="r")
    decided = (decide(ORDER, snapshot, a_policy()),)
    record = load(dump(subject.decision(snapshot, "7", (ORDER,), decided, {})))
    return record, plain_snapshot(snapshot)


@given(records(), st.sampled_from(["demo-bot", "somebody"]), st.frozensets(st.sampled_from(SYMBOLS)))
def test_a_part_of_the_account_s_record_comes_back_out_of_the_whole(
    whole: AccountRecord, bot: str, symbols: frozenset[str]
) -> None:
    other = BotRecord(
        bot="other",
        first_seen=NOW,
        clean_since=NOW,
        holdings=(Holding(symbol="XRPUSDT", funding_stamps=1, conditional_proven=False),),
    )
    whole = replace(whole, bots=(other, *whole.bots))
    record, picture = a_decision(whole, bot, symbols)
    found = resolved(record, Archived(record__demo_at_1=load(dump(plain(whole)))))
    assert dump(found["record"]) == dump(picture["record"])


def test_a_decision_of_before_has_the_record_in_full() -> None:
    record, picture = a_decision(AccountRecord(account="demo", version=1, as_of=NOW), "demo-bot", frozenset())
    record["snapshot"]["record"] = picture["record"]
    assert resolved(record, Archived())["record"] == picture["record"]


def test_a_record_that_is_not_there_is_missed_by_name() -> None:
    record, _ = a_decision(AccountRecord(account="demo", version=1, as_of=NOW), "demo-bot", frozenset())
    with pytest.raises(DocumentMissing, match="record:demo@1 is missing") as missed:
        resolved(record, Archived())
    assert missed.value.kind == "record"
