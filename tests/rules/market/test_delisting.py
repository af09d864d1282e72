"""A contract that will be settled and closed soon takes no new position."""

from datetime import UTC, datetime, timedelta

import pytest

from proxy.policy.reading import PolicyError, parse_policy
from rules.market.delisting import Delisting
from tests.rules.builders import NOW, a_buy, a_sell, an_account, judged

DAY = timedelta(days=1)
ENTRY = a_buy("BTCUSDT", "1")
RULE = Delisting()
HEAD = '[policy]\nname = "test"\nowner = "risk@desk.example"\n\n[desk.delisting]\nenforcement = "enforce"\n'


def breach(rule, world=None, command=ENTRY):
    return rule.check(command, (world or an_account()).snapshot)


def listed_until(at):
    return an_account().listing("BTCUSDT", delisted_at=at)


@pytest.mark.parametrize(
    ("ahead", "refused"),
    [
        (DAY + timedelta(microseconds=1), False),
        (DAY, True),
        (timedelta(0), True),
        (-30 * DAY, True),
    ],
    ids=["long before", "a day before", "as it is delisted", "long after"],
)
@pytest.mark.parametrize("source", ["listing", "policy"])
def test_only_exits_pass_from_a_day_before(source, ahead, refused):
    at = NOW + ahead
    found = breach(RULE, listed_until(at)) if source == "listing" else breach(Delisting(dates={"BTCUSDT": at}))
    assert (found is not None) is refused


def test_how_long_ahead_may_be_set():
    world = listed_until(NOW + timedelta(seconds=3600))
    assert breach(Delisting(ahead_s=3599), world) is None
    assert breach(Delisting(ahead_s=3600), world) is not None


@pytest.mark.parametrize(("listed", "written"), [(1, 5), (5, 1)], ids=["the listing", "the policy"])
def test_the_earliest_date_counts(listed, written):
    rule = Delisting(dates={"BTCUSDT": NOW + written * timedelta(hours=1)})
    found = breach(rule, listed_until(NOW + listed * timedelta(hours=1)))
    assert found.message == "BTCUSDT is delisted at 2026-11-24 10:30:00 UTC"
    assert found.limit == "2026-11-23 10:30:00 UTC"


def test_a_later_date_does_not_put_off_an_earlier_one():
    assert breach(Delisting(dates={"BTCUSDT": NOW + 30 * DAY}), listed_until(NOW)) is not None
    assert breach(Delisting(dates={"BTCUSDT": NOW}), listed_until(NOW + 30 * DAY)) is not None


def test_the_refusal_says_when_and_names_the_open_position():
    world = listed_until(NOW + timedelta(hours=6)).long("ETHUSDT", "3").short("BTCUSDT", "0.250")
    found = breach(RULE, world)
    assert found.code == "DELISTING_ANNOUNCED"
    assert (found.observed, found.limit) == ("2026-11-24 09:30:00 UTC", "2026-11-23 15:30:00 UTC")
    assert found.advice == "reduce-only orders and cancels pass; open: short 0.25 BTCUSDT"


@pytest.mark.parametrize("world", [listed_until(NOW).long("ETHUSDT", "3"), listed_until(NOW).unsurveyed()])
def test_without_a_position_there_is_nothing_to_close(world):
    assert breach(RULE, world).advice == "no position is open; cancels pass"


def test_a_symbol_without_a_date_passes():
    assert breach(RULE) is None
    assert breach(Delisting(dates={"BTCUSDT": NOW}), command=a_buy("ETHUSDT", "1")) is None


def test_a_symbol_the_venue_does_not_list_is_not_known():
    found = breach(RULE, an_account().unlisted("BTCUSDT"))
    assert (found.code, found.message) == ("FACTS_UNKNOWN", "the listing of BTCUSDT is not known now")


def test_a_shrinking_order_without_the_flag_is_no_exit():
    world = listed_until(NOW).long("BTCUSDT", "1")
    assert breach(RULE, world, a_sell("BTCUSDT", "1")) is not None
    assert judged(ENTRY, world, RULE).breaches[0].headroom is None


def test_dates_are_read_from_a_policy():
    policy = parse_policy(f"{HEAD}ahead_s = 60\ndates = {{ LUNAUSDT = 2026-12-01T10:00:00+01:00 }}\n")
    (rule,) = [rule for rule in policy.rules if isinstance(rule, Delisting)]
    assert (rule.ahead_s, rule.dates) == (60, {"LUNAUSDT": datetime(2026, 12, 1, 9, tzinfo=UTC)})


@pytest.mark.parametrize("date", ["2026-12-01T09:00:00", "2026-12-01", '"soon"', "5"])
def test_a_date_says_its_offset_from_utc(date):
    with pytest.raises(PolicyError, match=r"LUNAUSDT|dates"):
        parse_policy(f"{HEAD}dates = {{ LUNAUSDT = {date} }}\n")


def test_a_time_without_offset_is_named():
    with pytest.raises(ValueError, match=r"^dates: LUNAUSDT must say its offset from UTC, as in 2026-12-01T06:00:00Z$"):
        Delisting(dates={"LUNAUSDT": NOW.replace(tzinfo=None)})
