"""The state machine of an override: two people, one use, an end that stays an end."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import event as seen
from hypothesis import given
from hypothesis import strategies as st

from proxy.overrides.files import OverrideFiles
from proxy.overrides.lifecycle import (
    PENDING_FOR,
    Approved,
    Event,
    Expired,
    OverrideState,
    Phase,
    Requested,
    Used,
    Withdrawn,
    begin,
    evolve,
    objections,
    replay,
)
from proxy.people.names import same_person
from rules.decision import Verdict
from rules.engine import decide
from rules.facts import Override
from rules.model import PlaceOrder, Side
from rules.order.max_order_value import MaxOrderValue
from tests.properties.strategies import examples
from tests.proxy.overrides.builders import requested, terms
from tests.rules.builders import NOW, a_buy, a_policy, a_sell, an_account

LATER = NOW + timedelta(minutes=1)
TINY = timedelta(microseconds=1)
ASKED = begin(requested())
GRANTED = evolve(ASKED, Approved(by="Ben Ode", at=LATER, store="s1"))
USED = Used(at=LATER, decision_id="d1")
WITHDRAWN = Withdrawn(by="Cleo", at=LATER, why="taken back")


def test_another_person_puts_it_in_force_for_as_long_as_was_asked() -> None:
    assert (ASKED.phase, ASKED.until) == (Phase.REQUESTED, NOW + PENDING_FOR)
    assert GRANTED.phase is Phase.GRANTED
    assert GRANTED.override == Override(
        override_id="0123456789",
        rule_id="max_order_value",
        bot="demo-bot",
        symbol="BTCUSDT",
        side=Side.BUY,
        quantity_max=Decimal(2),
        expires_at=LATER + timedelta(minutes=10),
        ticket="RISK-17",
        requested_by="Ann Lee",
        approved_by="Ben Ode",
    )


@pytest.mark.parametrize(
    "name", ["Ann Lee", "ann lee", "ANN  LEE", " AnnLee ", "ann.lee", "Ann-Lee", "Ánn Lee", "Ａnn Lee"]
)
def test_whoever_asks_does_not_approve_however_the_name_is_spelled(name: str) -> None:
    assert evolve(ASKED, Approved(by=name, at=LATER, store="s1")) == ASKED
    (objection,) = objections(ASKED, name, LATER)
    assert "another person must" in objection


@pytest.mark.parametrize("name", ["Ann Lees", "Ann", "Lee Ann", "Ben"])
def test_another_name_is_another_person(name: str) -> None:
    assert objections(ASKED, name, LATER) == ()


def test_a_request_waits_for_so_long_and_no_longer() -> None:
    last = NOW + PENDING_FOR
    assert evolve(ASKED, Approved(by="Ben", at=last - TINY, store="s")).phase is Phase.GRANTED
    assert objections(ASKED, "Ben", last) == ("the request has expired",)
    assert evolve(ASKED, Approved(by="Ben", at=last, store="s")) == ASKED
    assert evolve(ASKED, Expired(at=last - TINY)) == ASKED
    assert evolve(ASKED, Expired(at=last)).phase is Phase.EXPIRED


def test_both_objections_are_made_at_once() -> None:
    assert len(objections(ASKED, "ann lee", NOW + PENDING_FOR)) == 2


def test_what_is_in_force_expires_when_its_time_is_over() -> None:
    assert evolve(GRANTED, Expired(at=GRANTED.until - TINY)) == GRANTED
    assert evolve(GRANTED, Expired(at=GRANTED.until)).phase is Phase.EXPIRED


def test_what_is_in_force_is_not_approved_again() -> None:
    again = Approved(by="Cleo", at=LATER + timedelta(minutes=9), store="s2")
    assert evolve(GRANTED, again) == GRANTED
    assert objections(GRANTED, "Cleo", LATER) == ("it is GRANTED already",)


def test_only_what_is_in_force_is_used() -> None:
    assert evolve(ASKED, USED) == ASKED
    used = evolve(GRANTED, USED)
    assert (used.phase, used.decision_id) == (Phase.USED, "d1")
    with pytest.raises(AssertionError):
        _ = used.override


@pytest.mark.parametrize("state", [ASKED, GRANTED], ids=["asked", "granted"])
def test_it_is_withdrawn_at_any_time(state: OverrideState) -> None:
    assert evolve(state, WITHDRAWN).phase is Phase.WITHDRAWN


@pytest.mark.parametrize("last", [USED, Expired(at=GRANTED.until), WITHDRAWN], ids=lambda each: type(each).__name__)
def test_an_end_is_an_end(last: Event) -> None:
    ended = evolve(GRANTED, last)
    assert ended.phase.final
    for late in (requested(), Approved(by="Cleo", at=NOW, store="s2"), USED, Expired(at=GRANTED.until), WITHDRAWN):
        assert evolve(ended, late) == ended


# What people and gates do, in any order, and what then is let pass

people = st.sampled_from(["Ann Lee", "ann  LEE", "Ben Ode", "Cleo"])
moments = st.sampled_from([5, 20, 40, 300, 1700, 3600]).map(lambda seconds: NOW + timedelta(seconds=seconds))
asked_terms = st.builds(
    terms,
    bot=st.sampled_from(["demo-bot"] * 9 + ["other"]),
    symbol=st.sampled_from(["BTCUSDT"] * 9 + ["ETHUSDT"]),
    side=st.sampled_from([Side.BUY] * 3 + [Side.SELL]),
    quantity_max=st.integers(1, 4).map(Decimal),
    lasts_s=st.sampled_from([30, 600, 3600]),
)
orders = st.builds(
    lambda make, symbol, quantity: make(symbol, str(quantity)),
    st.sampled_from([a_buy] * 3 + [a_sell]),
    st.sampled_from(["BTCUSDT"] * 5 + ["ETHUSDT"]),
    st.integers(1, 4),
)
approvals = st.builds(Approved, by=people, at=moments, store=st.just("s"))
endings = st.one_of(
    st.builds(Expired, at=moments),
    st.builds(Withdrawn, by=people, at=moments, why=st.just("taken back")),
)
steps = st.sampled_from([approvals] * 3 + [endings] + [orders] * 6).flatmap(lambda each: each)
POLICY = a_policy(MaxOrderValue(limit=Decimal(10)))
WORLD = an_account()


def let_pass(order: PlaceOrder, state: OverrideState, now: datetime) -> bool:
    """Whether a gate lets the order pass by this override. The world stands still, so the override comes nearer."""
    in_force = ()
    if state.phase is Phase.GRANTED:
        in_force = (replace(state.override, expires_at=NOW + (state.until - now)),)
    decision = decide(order, WORLD.under(*in_force).snapshot, POLICY)
    assert (decision.verdict is Verdict.ALLOW) == (decision.overrides != ())
    return decision.overrides != ()


@given(asked_terms, people, st.lists(steps, min_size=4, max_size=14))
@examples(300)
def test_it_serves_one_fitting_order_in_time_after_two_people(asked, by, plan):
    events: list[Event] = [Requested(override_id="0123456789", terms=asked, by=by, at=NOW)]
    state, now, uses, approvers = evolve(None, events[0]), NOW, 0, set()
    for step in plan:
        if isinstance(step, PlaceOrder):
            now += timedelta(seconds=10)
            if not let_pass(step, state, now):
                continue
            uses += 1
            assert (step.symbol, step.side, "demo-bot") == (asked.symbol, asked.side, asked.bot)
            assert step.quantity is not None and step.quantity <= asked.quantity_max
            assert now < state.until <= now + timedelta(seconds=asked.lasts_s)
            assert approvers and not any(same_person(each, by) for each in approvers)
            events.append(Used(at=now, decision_id="d"))
        else:
            now = max(now, step.at)
            events.append(replace(step, at=now))
        before, state = state.phase, evolve(state, events[-1])
        if (before, state.phase) == (Phase.REQUESTED, Phase.GRANTED):
            approvers.add(state.approved_by)
    seen(f"{state.phase}, used {uses}")
    assert uses <= 1
    assert (uses == 1) == (state.phase is Phase.USED)
    assert replay(events) == state


# On disk


def test_what_was_written_is_read_again(tmp_path) -> None:
    files = OverrideFiles(tmp_path)
    assert files.read() == {}
    files.write("0123456789", [requested()])
    approved = Approved(by="Ben Ode", at=LATER, store="s1")
    files.write("0123456789", [requested(), approved])
    again = OverrideFiles(tmp_path).read()
    assert again == {"0123456789": (requested(), approved)}
    assert replay(again["0123456789"]) == GRANTED
    files.remove("0123456789")
    files.remove("0123456789")
    assert files.read() == {}


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{", b"5", b"[5]", b'[{"type":"Requested"}]', b'[{"type":"Nothing"}]', b'[{"at":"x"}]', b"[[]]"],
)
def test_a_damaged_file_grants_nothing(tmp_path, content: bytes) -> None:
    files = OverrideFiles(tmp_path)
    files.write("0123456789", [requested()])
    (tmp_path / "overrides" / "0123456789").write_bytes(content)
    assert files.read() == {}


def test_a_file_of_another_name_is_no_override(tmp_path) -> None:
    files = OverrideFiles(tmp_path)
    files.write("0123456789", [requested()])
    directory = tmp_path / "overrides"
    for name in ("0123456789.next", "aaaaaaaaaa", "0123456789~"):
        (directory / name).write_bytes((directory / "0123456789").read_bytes())
    assert list(files.read()) == ["0123456789"]
