"""What a change of a policy is called: each kind of setting, rules that come and go, and the head."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxy.policy.comparing import Direction, compare, loosened
from proxy.policy.reading import parse_policy
from rules.outside import OutsideAction, OutsideActivity

HEAD = '[policy]\nname = "solo"\nowner = "risk@desk.example"\n'
RATE = "per_second = 1\nburst = 9"
DAY = "{ begins = 2026-12-01T06:00:00Z, ends = 2026-12-01T08:00:00Z }"
LONGER = "{ begins = 2026-12-01T06:00:00Z, ends = 2026-12-01T08:00:01Z }"
NEXT = "{ begins = 2026-12-02T06:00:00Z, ends = 2026-12-02T08:00:00Z }"
LOOSENED, TIGHTENED, NEUTRAL = Direction.LOOSENED, Direction.TIGHTENED, Direction.NEUTRAL


def a_rule(name: str, settings: str, enforcement: str = "enforce", level: str = "desk") -> str:
    return f'[{level}.{name}]\nenforcement = "{enforcement}"\n{settings}\n'


def told(old: str, new: str, head: str = HEAD) -> list[tuple[Direction, str]]:
    changes = compare(parse_policy(head + old), parse_policy(HEAD + new))
    return [(change.direction, str(change)) for change in changes]


def test_comments_and_order_are_no_change() -> None:
    one, other = a_rule("max_leverage", "limit = 3"), a_rule("price_collar", "band = 0.1")
    assert told(one + other, f"# words\n{other}\n{one}") == []


@pytest.mark.parametrize(
    ("rule", "old", "new", "direction", "words"),
    [
        ("max_order_value", "limit = 3", "limit = 3.5", LOOSENED, "limit: 3 -> 3.5"),
        ("max_order_value", "limit = 3", "limit = 2", TIGHTENED, "limit: 3 -> 2"),
        ("message_rate", RATE, "per_second = 1\nburst = 8", LOOSENED, "burst: 9 -> 8 (either way may be looser)"),
        ("message_rate", RATE, "per_second = 1\nburst = 10", LOOSENED, "burst: 9 -> 10 (either way may be looser)"),
        ("message_rate", RATE, f"{RATE}\ntighten = 0.5", LOOSENED, "0.9 -> 0.5"),
        ("message_rate", RATE, f"{RATE}\ntighten = 1", TIGHTENED, "0.9 -> 1"),
        ("own_share", "netting = false", "netting = true", LOOSENED, "netting: false -> true"),
        ("own_share", "netting = true", "netting = false", TIGHTENED, "netting: true -> false"),
        ("position_limit", "limit_notional = 1\nlimit_quantity = 1", "limit_notional = 1", LOOSENED, "1 -> not set"),
        ("position_limit", "limit_notional = 1", "limit_notional = 1\nlimit_quantity = 1", TIGHTENED, "not set -> 1"),
        ("unresolved_order", 'match = "side"', 'match = "price"', LOOSENED, "match: side -> price"),
        ("unresolved_order", 'match = "price"', 'match = "side"', TIGHTENED, "match: price -> side"),
        ("position_mode", 'mode = "hedge"', 'mode = "one_way"', LOOSENED, "one_way (either way may be looser)"),
        ("staged_response", "halt_at = 1", 'halt_at = 1\nof = ["bot"]', LOOSENED, "[bot, account, desk] -> [bot]"),
        ("delisting", "dates.AUSDT = 2026-12-01T09:00:00Z", "", LOOSENED, "+00:00} -> {}"),
        ("delisting", "", "dates.AUSDT = 2026-12-01T09:00:00Z", TIGHTENED, "{} -> {AUSDT = "),
        ("delisting", "dates.A = 2026-12-02T09:00:00Z", "dates.A = 2026-12-01T09:00:00Z", TIGHTENED, "12-02T09:00:00"),
        ("delisting", "dates.A = 2026-12-01T09:00:00Z", "dates.A = 2026-12-02T09:00:00Z", LOOSENED, "12-02T09:00:00"),
        (
            "delisting",
            "dates.A = 2026-12-01T09:00:00Z",
            "dates.A = 2026-12-02T09:00:00Z\ndates.B = 2026-12-02T09:00:00Z",
            LOOSENED,
            "dates",
        ),
        (
            "correlated_exposure",
            'clusters.a = ["A"]\ncluster_limits.a = 2\nlimit_notional = 1',
            'clusters.a = ["A"]\ncluster_limits.a = 1\nlimit_notional = 1',
            TIGHTENED,
            "cluster_limits: {a = 2} -> {a = 1}",
        ),
        (
            "correlated_exposure",
            'clusters.a = ["A"]\ncluster_notional = 3',
            'clusters.a = ["A"]\ncluster_notional = 3\ncluster_limits.a = 1',
            LOOSENED,
            "cluster_limits: {} -> {a = 1}",
        ),
        (
            "correlated_exposure",
            'limit_notional = 1\npairs."A:B" = 0.5',
            'limit_notional = 1\npairs."A:B" = 0.6',
            LOOSENED,
            "pairs: {A:B = 0.5} -> {A:B = 0.6} (either way may be looser)",
        ),
        ("order_types", 'types = ["LIMIT"]', 'types = ["LIMIT", "MARKET"]', LOOSENED, "[LIMIT] -> [LIMIT, MARKET]"),
        ("order_types", 'types = ["LIMIT", "MARKET"]', 'types = ["LIMIT"]', TIGHTENED, "[LIMIT, MARKET] -> [LIMIT]"),
        ("maintenance_window", f"windows = [{DAY}]", f"windows = [{DAY}, {NEXT}]", LOOSENED, "windows"),
        ("maintenance_window", f"windows = [{DAY}]", f"windows = [{LONGER}]", LOOSENED, "windows"),
        ("maintenance_window", f"windows = [{DAY}]", f"windows = [{DAY}]\nahead_s = 1801", LOOSENED, "1800 -> 1801"),
        ("maintenance_window", f"windows = [{DAY}, {NEXT}]", f"windows = [{DAY}]", LOOSENED, "windows"),
        ("maintenance_window", f"windows = [{DAY}]", f"windows = [{NEXT}]", LOOSENED, "windows"),
    ],
)  # fmt: skip
def test_a_setting_says_which_way_is_looser(rule: str, old: str, new: str, direction: Direction, words: str) -> None:
    ((found, text),) = told(a_rule(rule, old), a_rule(rule, new))
    assert found is direction and words in text and text.startswith(f"desk {rule} ")


@pytest.mark.parametrize(
    ("old", "new", "direction"),
    [
        ("enforce", "report", LOOSENED),
        ("enforce", "off", LOOSENED),
        ("report", "off", LOOSENED),
        ("off", "report", TIGHTENED),
        ("report", "enforce", TIGHTENED),
        ("off", "enforce", TIGHTENED),
    ],
)
def test_enforcing_less_is_looser(old: str, new: str, direction: Direction) -> None:
    rule = a_rule("max_leverage", "limit = 3", old), a_rule("max_leverage", "limit = 3", new)
    assert told(*rule) == [(direction, f"desk max_leverage enforcement: {old} -> {new}")]


@pytest.mark.parametrize(("enforcement", "removed"), [("enforce", LOOSENED), ("report", LOOSENED), ("off", NEUTRAL)])
def test_a_rule_that_goes_loosens_and_one_that_comes_tightens(enforcement: str, removed: Direction) -> None:
    rule = a_rule("max_leverage", "limit = 3", enforcement, "bot.grid")
    added = TIGHTENED if removed is LOOSENED else NEUTRAL
    assert told(rule, "") == [(removed, f"bot:grid max_leverage: {enforcement} -> no rule")]
    assert told("", rule) == [(added, f"bot:grid max_leverage: no rule -> {enforcement}")]


def test_the_same_limit_at_another_level_is_a_rule_that_goes_and_one_that_comes() -> None:
    old, new = a_rule("max_leverage", "limit = 3"), a_rule("max_leverage", "limit = 3", level="account.main")
    assert [direction for direction, _ in told(old, new)] == [LOOSENED, TIGHTENED]


def test_a_setting_of_a_rule_that_was_off_loosened_nothing() -> None:
    old, new = a_rule("max_leverage", "limit = 3", "off"), a_rule("max_leverage", "limit = 5")
    assert sorted(direction for direction, _ in told(old, new)) == [NEUTRAL, TIGHTENED]


def test_a_gate_s_default_is_what_it_is_compared_with() -> None:
    gate = a_rule("data_freshness", "mark_age_max_s = 5")
    assert told("", gate) == [(TIGHTENED, "desk data_freshness mark_age_max_s: 10 -> 5")]
    assert told(gate, "") == [(LOOSENED, "desk data_freshness mark_age_max_s: 5 -> 10")]


WINDOW = f"windows = [{DAY}]"
NO_TIMERS = "[kill.dead_man]\nenabled = false\n"


@pytest.mark.parametrize(
    ("level", "enforcement", "direction"),
    [
        ("desk", "enforce", LOOSENED),
        ("account.main", "enforce", LOOSENED),
        ("symbol.BTCUSDT", "enforce", LOOSENED),
        ("bot.grid", "enforce", TIGHTENED),
        ("desk", "report", TIGHTENED),
        ("desk", "off", NEUTRAL),
    ],
)
def test_a_maintenance_window_takes_the_exchange_s_dead_man_timers_away(
    level: str, enforcement: str, direction: Direction
) -> None:
    rule = a_rule("maintenance_window", WINDOW, enforcement, level)
    ((found, words),) = told("", rule)
    assert found is direction
    assert ("no dead-man timer of the exchange stands in a maintenance" in words) is (direction is LOOSENED)
    ((without, _),) = told(NO_TIMERS, NO_TIMERS + rule)
    assert without is (NEUTRAL if enforcement == "off" else TIGHTENED), "where there are none, none goes"


@pytest.mark.parametrize("before", ["report", "off"])
def test_a_maintenance_window_that_begins_to_be_enforced_takes_them_too(before: str) -> None:
    old, new = (a_rule("maintenance_window", WINDOW, each) for each in (before, "enforce"))
    assert [direction for direction, _ in told(old, new)] == [LOOSENED]
    assert [direction for direction, _ in told(NO_TIMERS + old, NO_TIMERS + new)] == [TIGHTENED]


def test_a_forced_flag_may_let_through_what_the_other_rules_refuse() -> None:
    forced = a_rule("reduce_only_exits", 'mode = "force"')
    required = a_rule("reduce_only_exits", 'mode = "require"')
    assert [direction for direction, _ in told("", forced)] == [LOOSENED]
    assert [direction for direction, _ in told("", required)] == [TIGHTENED]
    off = a_rule("reduce_only_exits", 'mode = "force"', "off")
    assert [direction for direction, _ in told(off, forced)] == [LOOSENED]


def test_name_and_owner_change_nothing() -> None:
    head = '[policy]\nname = "old"\nowner = "ann"\n'
    assert [direction for direction, _ in told("", "", head)] == [NEUTRAL, NEUTRAL]


@pytest.mark.parametrize(
    ("old", "direction"),
    [
        ('loosening = "two-people"', LOOSENED),
        ("loosening_delay_s = 3601", LOOSENED),
        ("loosening_delay_s = 3599", TIGHTENED),
    ],
)
def test_what_loosening_needs_is_itself_a_limit(old: str, direction: Direction) -> None:
    """The new policy asks for the default, an hour."""
    assert [found for found, _ in told("", "", f"{HEAD}{old}\n")] == [direction]


def outside(level: str, action: str) -> str:
    return f'[{level}.outside_activity]\naction = "{action}"\n'


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("", outside("desk", "reduce"), []),
        ("", outside("desk", "alert"), [(LOOSENED, "desk outside_activity action: reduce -> alert")]),
        ("", outside("account.main", "kill"), [(TIGHTENED, "account:main outside_activity action: reduce -> kill")]),
        ("", outside("account.main", "alert"), [(LOOSENED, "account:main outside_activity action: reduce -> alert")]),
        (outside("desk", "kill"), outside("desk", "kill") + outside("account.main", "alert"), []),
        (outside("desk", "alert"), "", [(TIGHTENED, "desk outside_activity action: alert -> reduce")]),
        (
            outside("desk", "kill"),
            outside("desk", "alert") + outside("account.desk", "kill"),
            [(LOOSENED, "desk outside_activity action: kill -> alert")],
        ),
    ],
)
def test_outside_activity_is_compared_by_what_holds(old: str, new: str, found: list[tuple[Direction, str]]) -> None:
    assert told(old, new) == found


@pytest.mark.parametrize("name", ["", ":", "desk", "*"])
def test_no_account_s_table_stands_in_for_the_desk_s(name: str) -> None:
    """Built by hand: a policy's text has no account without a name."""
    desk, account = (parse_policy(HEAD + outside("desk", action)) for action in ("kill", "alert"))
    beside = OutsideActivity(level=f"account:{name}", action=OutsideAction.KILL)
    changes = compare(desk, replace(account, outside=(*account.outside, beside)))
    assert [str(change) for change in loosened(changes)] == ["desk outside_activity action: kill -> alert"]


def test_a_bot_whose_entries_are_sized_down_gets_more_through() -> None:
    trim, refuse = ('[bot.grid.resize]\nmode = "trim"\n', '[bot.grid.resize]\nmode = "refuse"\n')
    assert told("", trim) == told(refuse, trim) == [(LOOSENED, "bot:grid resize mode: refuse -> trim")]
    assert told(trim, "") == [(TIGHTENED, "bot:grid resize mode: trim -> refuse")]
    assert told("", refuse) == []


def custom(name: str, expression: str) -> str:
    return f'[desk.custom.{name}]\nenforcement = "enforce"\nexpression = "{expression}"\nmessage = "no"\n'


def test_a_desk_s_own_rule_is_compared_by_its_name_and_its_expression() -> None:
    one, other = custom("one", "order.side == 'BUY'"), custom("other", "order.side == 'SELL'")
    assert told(one + other, other + one) == []
    assert told(one, one + other) == [(TIGHTENED, "desk custom:other: no rule -> enforce")]
    assert told(one, "") == [(LOOSENED, "desk custom:one: enforce -> no rule")]
    ((direction, words),) = told(one, custom("one", "order.side == 'SELL'"))
    assert direction is LOOSENED and words.startswith("desk custom:one expression: ")


def test_loosenings_come_first() -> None:
    old = a_rule("max_leverage", "limit = 3") + a_rule("max_order_value", "limit = 3")
    new = a_rule("max_leverage", "limit = 2") + a_rule("max_order_value", "limit = 4")
    changes = compare(parse_policy(HEAD + old), parse_policy(HEAD + new))
    assert [change.direction for change in changes] == [LOOSENED, TIGHTENED]
    assert [change.rule_id for change in loosened(changes)] == ["max_order_value"]


@pytest.mark.parametrize(
    ("old", "new", "direction", "words"),
    [
        ("delay_s = 900", "delay_s = 60", LOOSENED, "kill rearm delay_s: 900 -> 60"),
        ("delay_s = 900", "delay_s = 901", TIGHTENED, "kill rearm delay_s: 900 -> 901"),
        ("", 'needs = "two-people"', LOOSENED, "kill rearm needs: delay -> two-people"),
    ],
)
def test_how_the_desk_is_stopped_and_started_again_is_compared(
    old: str, new: str, direction: Direction, words: str
) -> None:
    assert told(f"[kill.rearm]\n{old}\n", f"[kill.rearm]\n{new}\n") == [(direction, words)]


def test_a_kill_table_that_says_what_holds_without_it_changes_nothing() -> None:
    assert told("", '[kill.rearm]\nneeds = "delay"\n') == []
