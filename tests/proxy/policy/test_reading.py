"""A policy that cannot be read whole is not read at all, and says where and what would be right."""

from decimal import Decimal
from pathlib import Path

import pytest

from proxy.policy.problems import PROBLEMS_MAX
from proxy.policy.reading import POLICY_LENGTH_MAX, PolicyError, load_policy, parse_policy, policy_digest
from rules.catalog import CATALOG, EXIT_RULES, GATES
from rules.decision import Enforcement
from rules.kill.settings import KillSettings, Rearm
from rules.loosening import Loosening, Needs
from rules.market.data_freshness import DataFreshness
from rules.order.max_order_value import MaxOrderValue
from rules.outside import OutsideAction, outside_action
from rules.portfolio.correlated_exposure import CorrelatedExposure
from rules.position.reduce_only_exits import ExitMode, ReduceOnlyExits

HEAD = '[policy]\nname = "solo"\nowner = "risk@desk.example"\n'


def a_policy(text):
    return parse_policy(HEAD + text)


def a_rule(rule_id, settings, level="desk"):
    return f'[{level}.{rule_id}]\nenforcement = "enforce"\n{settings}\n'


def found(text, kind):
    return [rule for rule in a_policy(text).rules if type(rule) is kind]


def refused(text):
    with pytest.raises(PolicyError) as error:
        parse_policy(text)
    return str(error.value)


def test_a_policy_knows_its_name_its_owner_and_its_text():
    policy = a_policy("")
    assert (policy.name, policy.owner, policy.version) == ("solo", "risk@desk.example", policy_digest(HEAD))


def test_every_change_of_the_text_is_another_version():
    assert a_policy("").version != a_policy("\n").version


def test_the_gates_and_the_exit_collar_need_no_mention():
    assert {type(rule) for rule in a_policy("").rules} == {*GATES, *EXIT_RULES}


def test_a_gate_that_is_mentioned_is_there_once():
    (gate,) = found(a_rule("data_freshness", "mark_age_max_s = 5"), DataFreshness)
    assert gate.mark_age_max_s == 5


def test_a_gate_mentioned_at_another_level_keeps_the_desk_s_default():
    gates = found(a_rule("data_freshness", "mark_age_max_s = 5", "bot.grid"), DataFreshness)
    assert {(gate.level, gate.mark_age_max_s) for gate in gates} == {("desk", 10), ("bot:grid", 5)}


@pytest.mark.parametrize("level", ["desk", "account", "bot", "symbol"])
def test_a_limit_stands_at_its_level(level):
    place, name = ("desk", "desk") if level == "desk" else (f"{level}.X", f"{level}:X")
    (rule,) = found(a_rule("max_order_value", "limit = 1", place), MaxOrderValue)
    assert rule.level == name


@pytest.mark.parametrize("text", ["0.1", "0.30", "25000", "1e-05", "123456789012.123456789012345678", "1_000"])
def test_a_number_is_the_decimal_that_was_written(text):
    (rule,) = found(a_rule("max_order_value", f"limit = {text}"), MaxOrderValue)
    assert rule.limit == Decimal(text)


def test_a_whole_rule_is_read():
    text = a_rule("correlated_exposure", "limit_equity = 3\ndefault = -0.2") + (
        '[desk.correlated_exposure.pairs]\n"BTCUSDT:ETHUSDT" = 0.85\n'
    )
    (rule,) = found(text, CorrelatedExposure)
    assert (rule.limit_equity, rule.default, rule.pairs) == (3, Decimal("-0.2"), {"BTCUSDT:ETHUSDT": Decimal("0.85")})


def test_words_are_read_as_what_they_name():
    (rule,) = found(a_rule("reduce_only_exits", 'mode = "force"'), ReduceOnlyExits)
    assert (rule.mode, rule.enforcement) == (ExitMode.FORCE, Enforcement.ENFORCE)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (HEAD + "[dessk.max_leverage]\n", 'the top level has no "dessk"; did you mean "desk"?'),
        (HEAD + "[desk.max_leverge]\n", '[desk] has no "max_leverge"; did you mean "max_leverage"?'),
        (HEAD + a_rule("max_leverage", "limitt = 3"), '[desk.max_leverage] has no "limitt"; did you mean "limit"?'),
        (HEAD + "[bot.grid.max_leverge]\n", '[bot.grid] has no "max_leverge"; did you mean "max_leverage"?'),
        ('[policy]\nname = "a"\nownr = "b"\n', '[policy] has no "ownr"; did you mean "owner"?'),
        (HEAD + a_rule("trading_state", "zzz = 3"), '[desk.trading_state] has no "zzz"; known are enforcement'),
        (HEAD + a_rule("max_leverage", 'limit = 3\nlevel = "desk"'), '[desk.max_leverage] has no "level"'),
    ],
)
def test_an_unknown_key_is_told_with_what_was_meant(text, reason):
    assert reason in refused(text)


@pytest.mark.parametrize(
    "head",
    [
        "",
        '[policy]\nname = "a"\n',
        '[policy]\nname = "a"\nowner = ""\n',
        '[policy]\nname = "a"\nowner = "  "\n',
        '[policy]\nname = "a"\nowner = 5\n',
        '[policy]\nowner = "b"\n',
    ],
)
def test_a_policy_nobody_owns_is_none(head):
    assert "[policy] needs" in refused(head)


@pytest.mark.parametrize("level", ["account", "bot", "symbol"])
@pytest.mark.parametrize("name", ['""', "''"])
@pytest.mark.parametrize(
    "table", ['outside_activity]\naction = "kill"', 'resize]\nmode = "trim"', "max_leverage]\nlimit = 3"]
)
def test_a_level_has_a_name(level, name, table):
    words = f'line 5: [{level}.""] names no {level}: the name is empty'
    assert refused(f"{HEAD}\n[{level}.{name}.{table}\n") == words


def test_a_rule_that_does_not_say_whether_it_enforces_is_none():
    assert 'needs enforcement = "enforce", "report" or "off"' in refused(HEAD + "[desk.max_leverage]\nlimit = 3\n")


@pytest.mark.parametrize("word", ["Enforce", "on", "", "warn"])
def test_there_are_three_words_for_enforcement(word):
    text = f'[desk.max_leverage]\nenforcement = "{word}"\nlimit = 3\n'
    assert "[desk.max_leverage]" in refused(HEAD + text)


@pytest.mark.parametrize(
    "value", ["0", "-1", "-0.5", "0.0", "inf", "-inf", "nan", "true", '"3"', '"-3"', '"nan"', "[]"]
)
@pytest.mark.parametrize("rule", ["max_order_value", "max_leverage"])
def test_a_limit_is_a_number_above_zero(rule, value):
    assert f"[desk.{rule}]" in refused(HEAD + a_rule(rule, f"limit = {value}"))


@pytest.mark.parametrize("rule", ["price_collar", "exit_collar"])
@pytest.mark.parametrize("value", ["-0.05", '"-0.05"', "nan"])
def test_a_band_is_not_below_zero(rule, value):
    """An exit collar below zero would refuse exits at the mark itself."""
    assert f"[desk.{rule}]" in refused(HEAD + a_rule(rule, f"band = {value}"))


@pytest.mark.parametrize(
    ("rule", "settings", "name"),
    [
        ("concentration", "share_max = 0.4\nfull_book = 3", "gross_min"),
        ("funding_window", "ahead_s = 900", "rate_min"),
    ],
)
def test_a_threshold_of_nothing_may_be_written_and_one_below_may_not(rule, settings, name):
    assert f"{name} must not be negative" in refused(HEAD + a_rule(rule, f"{settings}\n{name} = -0.1"))
    (found,) = [
        each for each in parse_policy(HEAD + a_rule(rule, f"{settings}\n{name} = 0")).rules if each.rule_id == rule
    ]
    assert getattr(found, name) == 0


@pytest.mark.parametrize("value", ["1.5", "-1.5", "nan", "inf", '"0.5"', "true"])
def test_a_correlation_lies_between_minus_one_and_one(value):
    text = a_rule("correlated_exposure", "limit_equity = 3") + f'[desk.correlated_exposure.pairs]\n"A:B" = {value}\n'
    assert "[desk.correlated_exposure]" in refused(HEAD + text)


@pytest.mark.parametrize(
    ("rule", "settings"),
    [
        ("position_limit", ""),
        ("correlated_exposure", ""),
        ("max_order_value", ""),
        ("message_rate", "per_second = 1"),
        ("message_rate", "per_second = 1\nburst = 0.5"),
        ("message_rate", "per_second = 1\nburst = 2\ntighten = 1.1"),
        ("data_freshness", "mark_age_max_s = 1.5"),
        ("data_freshness", "mark_age_max_s = 0"),
        ("reduce_only_exits", 'mode = "froce"'),
        ("correlated_exposure", "limit_equity = 1\nstress_floor = 2"),
        ("correlated_exposure", "limit_equity = 1\nhedge_credit = -0.1"),
        ("max_order_volume", ""),
        ("price_collar", "band = 0.1\nwindow_s = 120\nwindow_band = 0.1"),
        ("price_collar", "band = 0.1\nwindow_s = 60"),
        ("price_collar", "band = 0.1\nwindow_s = 60\nwindow_band = 0"),
        ("trigger_source", 'allow = "index"'),
        ("order_types", ""),
        ("order_types", "types = []"),
        ("order_types", 'types = ["limit"]'),
        ("order_types", 'time_in_force = ["DAY"]'),
        ("duplicate_order", "window_s = 3601"),
        ("duplicate_order", "window_s = 1\nrepeats = 0"),
        ("conditional_probation", ""),
        ("self_trade", 'across = "account"'),
        ("self_trade", "reach = 0"),
    ],
)
def test_a_rule_that_could_not_work_is_none_and_its_place_is_told(rule, settings):
    assert f"[desk.{rule}]" in refused(HEAD + a_rule(rule, settings))


@pytest.mark.parametrize("gate", [gate.rule_id for gate in GATES])
@pytest.mark.parametrize("word", ["off", "report"])
@pytest.mark.parametrize("place", ["desk", "bot.grid"])
def test_a_gate_cannot_be_switched_off(gate, word, place):
    assert f"{gate} cannot be switched off" in refused(f'{HEAD}[{place}.{gate}]\nenforcement = "{word}"\n')


@pytest.mark.parametrize("rule", sorted(set(CATALOG) - {gate.rule_id for gate in GATES}))
def test_every_other_rule_may_only_report(rule):
    example = CATALOG[rule].example.replace('"enforce"', '"report"')
    policy = a_policy(example or f'[desk.{rule}]\nenforcement = "report"\n')
    assert {each.enforcement for each in policy.rules if each.rule_id == rule} == {Enforcement.REPORT}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[desk.margin_budget]\nlimit = 1\nleverage = 1", "is set aside for one bot"),
        ("[symbol.BTCUSDT.own_share]", "an account is shared whole or not"),
    ],
)
def test_a_rule_at_a_level_it_does_not_have_is_refused(text, why):
    place, _, settings = text.partition("\n")
    assert why in refused(f'{HEAD}{place}\nenforcement = "enforce"\n{settings}\n')


@pytest.mark.parametrize(
    "text",
    [
        "not toml",
        HEAD + "[desk]\nmax_order_value = 3\n",
        HEAD + "[account]\ndemo = 3\n",
        'policy = "x"\n',
        'desk = "x"\n' + HEAD,
        'bot = "x"\n' + HEAD,
        HEAD + HEAD,
        HEAD + a_rule("max_leverage", "limit = 3") * 2,
        HEAD + "#" * POLICY_LENGTH_MAX,
        HEAD + "x = " + "9" * 5_000,
        HEAD + "x = 1e99999999999999999999",
        HEAD + "x = " + "[" * 50_000,
        HEAD + a_rule("max_leverage", "limit" + ".a" * 50_000 + " = 3"),
    ],
    ids=lambda text: text[-20:],
)
def test_what_is_no_policy_is_refused_and_never_raised_otherwise(text):
    assert refused(text)


@pytest.mark.parametrize(
    "line",
    [
        "limit" + ".a" * 32 + " = 3",
        "[desk" + ".a" * 32 + "]",
        "[[ desk" + " . a" * 32 + " ]]",
        'x = { y = 1, "\\"b"' + ".'c'.d" * 16 + " = 2 }",
        "limit" + ".a" * (POLICY_LENGTH_MAX // 2 - 100) + " = 3",
    ],
    ids=lambda text: text[:12],
)
def test_a_name_of_too_many_parts_is_refused_unread(line):
    assert refused(f"{HEAD}\n{line}\n") == "line 5: tables are nested more than 32 deep"


def test_what_only_looks_like_a_long_name_is_none():
    text = ".".join("a" * 40)
    policy = parse_policy(f'# {text}\n[policy]\nname = "solo"\nowner = "{text}"\n')
    assert policy.owner == text


def test_so_many_things_are_told_and_no_more_is_looked_for():
    told = refused(HEAD + "".join(f"[desk.rule_{number}]\n" for number in range(5_000))).splitlines()
    assert len(told) == PROBLEMS_MAX + 1
    assert (
        told[0].startswith('line 4: [desk] has no "rule_0"') and told[-1] == "no more than that is looked for at once"
    )


def test_a_policy_may_be_so_long_and_no_longer():
    a_policy("#" * (POLICY_LENGTH_MAX - len(HEAD)))
    assert refused(HEAD + "#" * (POLICY_LENGTH_MAX - len(HEAD) + 1)) == "a policy has at most 262144 characters"


HIDING = "A\\u001b[1A\\u001b[2Kx"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (HEAD.replace("solo", HIDING), "line 2: [policy] name must be printable"),
        (HEAD.replace("risk@desk", HIDING), "line 3: [policy] owner must be printable"),
        (HEAD.replace("risk@desk", "a\u202eb"), "line 3: [policy] owner must be printable"),
        (HEAD.replace("risk@desk", "a\\nb"), "line 3: [policy] owner must be printable"),
        (
            HEAD + a_rule("max_leverage", "limit = 3", f'bot."{HIDING}"'),
            "line 4: [bot] has a name that is not printable",
        ),
        (HEAD + f'[bot."{HIDING}".resize]\nmode = "trim"\n', "line 4: [bot] has a name that is not printable"),
        (HEAD + f'"{HIDING}" = 3\n', "line 4: [policy] has a name that is not printable"),
        (
            HEAD + a_rule("correlated_exposure", f'limit_equity = 3\nclusters = {{a = ["BTCUSDT", "{HIDING}"]}}'),
            "line 7: [desk.correlated_exposure.clusters.a] 1 must be printable",
        ),
        (
            HEAD + a_rule("x", f'expression = "order.side == \'BUY\'"\nmessage = "{HIDING}"', "desk.custom"),
            "line 7: [desk.custom.x] message must be printable",
        ),
    ],
)
def test_what_would_hide_something_from_whoever_reads_it_is_refused_and_spelled_out(text, why):
    words = refused(text)
    assert why in words
    assert all(line.isprintable() for line in words.split("\n"))


def test_a_file_is_named_in_what_is_wrong_with_it(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(HEAD.replace("owner", "ownr"))
    with pytest.raises(PolicyError) as error:
        load_policy(path)
    assert f'{path}:3: [policy] has no "ownr"; did you mean "owner"?' in str(error.value).splitlines()


@pytest.mark.parametrize("content", [None, b"\xff\xfe"], ids=["missing", "not UTF-8"])
def test_a_file_that_cannot_be_read_is_named_too(tmp_path, content):
    path = tmp_path / "mine.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(PolicyError, match=r"mine\.toml"):
        load_policy(path)


def test_the_demo_s_policy_limits_what_it_says():
    policy = load_policy(Path("configs/policies/demo.toml"))
    limits = {rule.level: rule.limit for rule in policy.rules if type(rule) is MaxOrderValue}
    assert limits == {"desk": 25_000, "bot:demo-bot": 20_000}


# Outside activity: the one table that is no rule of an order


def test_outside_activity_reduces_unless_the_policy_says_otherwise():
    assert outside_action(a_policy("").outside, "main") is OutsideAction.REDUCE


def test_the_strictest_of_the_desk_s_and_the_account_s_action_holds():
    tables = '[desk.outside_activity]\naction = "alert"\n[account.main.outside_activity]\naction = "kill"\n'
    policy = a_policy(tables)
    assert outside_action(policy.outside, "main") is OutsideAction.KILL
    assert outside_action(policy.outside, "other") is OutsideAction.ALERT
    assert {type(rule) for rule in policy.rules} == {*GATES, *EXIT_RULES}


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ('[desk.outside_activity]\naction = "panic"', '[desk.outside_activity] needs action = "alert", "reduce"'),
        ("[account.main.outside_activity]", "[account.main.outside_activity] needs action"),
        ('[desk.outside_activity]\nactoin = "kill"', 'did you mean "action"'),
        ("[desk]\noutside_activity = 1", "[desk.outside_activity] must be a table"),
        ('[bot.grid.outside_activity]\naction = "kill"', '[bot.grid] has no "outside_activity"'),
    ],
)
def test_an_outside_activity_table_that_is_wrong_is_refused(table, reason):
    assert reason in refused(HEAD + table)


# Where it is wrong, and everything that is


def test_everything_wrong_is_told_at_once_each_with_its_line():
    text = """[policy]
name = "solo"
loosening = "three-people"

[desk.max_leverage]
enforcement = "enforced"
limit = 0

[desk.max_order_vlaue]
limit = 3

[bot.grid.price_collar]   # and no enforcement
bnad = 0.1
"""
    with pytest.raises(PolicyError) as error:
        parse_policy(text)
    assert str(error.value).splitlines() == [
        'line 1: [policy] needs owner = "...", such as "risk@desk.example"',
        'line 3: [policy] loosening is "two-people" or "delay"',
        'line 6: [desk.max_leverage] enforcement cannot be "enforced"; did you mean "enforce"?',
        "line 7: [desk.max_leverage] limit must be above zero, not 0",
        'line 9: [desk] has no "max_order_vlaue"; did you mean "max_order_value"?',
        'line 12: [bot.grid.price_collar] needs enforcement = "enforce", "report" or "off"',
        "line 12: [bot.grid.price_collar] needs band (fraction through the reference)",
        'line 13: [bot.grid.price_collar] has no "bnad"; did you mean "band"?',
    ]


def test_a_line_that_is_no_toml_is_named():
    assert refused(HEAD + "[desk.max_leverage\n") == "line 4: not TOML: Expected ']' at the end of a table declaration"


def test_settings_that_contradict_each_other_are_refused_at_their_table():
    text = HEAD + '\n[symbol.BTCUSDT.leverage_temperature]\nenforcement = "enforce"\nlimit = 0.5\nwarn_at = 0.4\n'
    assert refused(text).startswith("line 5: [symbol.BTCUSDT.leverage_temperature] ")


def test_each_of_a_desk_s_own_rules_tells_what_is_wrong_with_it():
    rule = '[desk.custom.{}]\nenforcement = "enforce"\nmessage = "no"\nexpression = "{}"\n'
    text = HEAD + rule.format("one", "ordr.side == 'BUY'") + rule.format("two", "order.side == 'BUY'")
    text += rule.format("three", "order.sid == 'BUY'") + '[bot.grid.resize]\nmode = "trm"\n'
    assert [line[:38] for line in refused(text).splitlines()] == [
        "line 4: [desk.custom] one: knows no or",
        "line 12: [desk.custom] three: order ha",
        "line 17: [bot.grid.resize] needs mode ",
    ]


def test_a_name_with_a_dot_is_shown_as_it_must_be_written():
    assert '[bot."my.bot"] has no "x"' in refused(HEAD + '[bot."my.bot".x]\n')


# What loosening needs


def test_without_a_word_loosening_waits_an_hour():
    assert a_policy("").loosening == Loosening(needs=Needs.DELAY, delay_s=3600)


@pytest.mark.parametrize(
    ("words", "loosening"),
    [
        ('loosening = "two-people"', Loosening(needs=Needs.TWO_PEOPLE)),
        ('loosening = "delay"\nloosening_delay_s = 60', Loosening(needs=Needs.DELAY, delay_s=60)),
        ("loosening_delay_s = 604800", Loosening(needs=Needs.DELAY, delay_s=604_800)),
    ],
)
def test_a_policy_says_what_loosening_it_needs(words, loosening):
    assert parse_policy(f"{HEAD}{words}\n").loosening == loosening


@pytest.mark.parametrize("delay", ["59", "604801", "0", "-1", "3600.0", '"3600"', "true"])
def test_a_delay_is_a_minute_to_a_week(delay):
    assert "line 4: [policy] loosening_delay_s is a whole number" in refused(f"{HEAD}loosening_delay_s = {delay}\n")


def test_two_people_need_no_delay():
    words = 'loosening = "two-people"\nloosening_delay_s = 3600\n'
    assert "says nothing where two people decide" in refused(HEAD + words)


def test_the_tables_of_the_kill_are_read_and_what_is_not_written_has_its_default():
    kill = a_policy("[kill.rearm]\ndelay_s = 900\n").kill
    assert kill == KillSettings(rearm=Rearm(delay_s=900))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("kill = 1", "[kill] must hold tables [kill.NAME]"),
        ("[kill]\nrearm = 1", "[kill.rearm] must be a table"),
        ("[kill.rearn]", '[kill] has no "rearn"; did you mean "rearm"?'),
        ("[kill.rearm]\ndelay = 900", '[kill.rearm] has no "delay"; did you mean "delay_s"?'),
        ("[kill.rearm]\ndelay_s = 0", "[kill.rearm] delay_s must be above zero, not 0"),
        ("[kill.triggers]\nfacts_age_max_s = 1000000000", "[kill.triggers] facts_age_max_s must be at most 999999999"),
        ("[kill.flatten]\nladder_s = 100000000000000", "[kill.flatten] ladder_s must be at most 999999999"),
        ("[kill.drill]\nmax_age_days = 1000000000", "[kill.drill] max_age_days must be at most 999999999"),
    ],
)
def test_a_wrong_table_of_the_kill_is_told(text, reason):
    assert reason in refused(text)


@pytest.mark.parametrize(
    ("table", "setting"),
    [
        ("kill.triggers", "daily_loss_reduce"),
        ("kill.triggers", "daily_loss_kill"),
        ("kill.triggers", "drawdown_reduce"),
        ("kill.triggers", "drawdown_kill"),
        ("kill.triggers", "liquidation_probability_reduce"),
        ("kill.triggers", "liquidation_probability_kill"),
        ("kill.triggers", "liquidation_distance_kill"),
        ("kill.triggers", "anomaly_reduce"),
        ("kill.flatten", "depth_share"),
        ("kill.flatten", "band_first"),
        ("kill.flatten", "band_last"),
        ("desk.daily_loss", "limit_equity"),
    ],
)
def test_a_fraction_that_was_meant_in_percent_is_told_with_its_line(table, setting):
    head = f"{HEAD}[{table}]\n" + ('enforcement = "enforce"\n' if table.startswith("desk") else "")
    assert parse_policy(f"{head}{setting} = 1\n")
    line = head.count("\n") + 1
    assert refused(f"{head}{setting} = 5\n") == f"line {line}: [{table}] {setting} is a fraction, at most 1, not 5"


CUSTOM_TABLE = '[{}.custom.cap]\nenforcement = "enforce"\nexpression = "order.quantity < 1"\nmessage = "too much"\n'


@pytest.mark.parametrize(
    ("one", "other"), [("desk", "bot.grid"), ("account.main", "symbol.BTCUSDT"), ("desk", "symbol.BTCUSDT")]
)
def test_one_name_is_one_custom_rule_for_every_order(one, other):
    said = refused(HEAD + CUSTOM_TABLE.format(one) + CUSTOM_TABLE.format(other))
    level = one.replace(".", ":")
    assert said == (
        f"line 8: [{other}.custom.cap] has the name of another rule, at {level}, and an override would lift both:"
        " give it one of its own"
    )


def test_of_two_bots_each_may_have_a_custom_rule_of_that_name():
    assert parse_policy(HEAD + CUSTOM_TABLE.format("bot.grid") + CUSTOM_TABLE.format("bot.trend"))


@pytest.mark.parametrize("field", ["name", "owner"])
@pytest.mark.parametrize("value", ["0x" + "f" * 5000, "1", "true", "[]"])
def test_a_name_that_is_no_text_is_told_with_its_line(field, value):
    lines = {"name": '"solo"', "owner": '"risk@desk.example"'} | {field: value}
    said = refused("[policy]\n" + "".join(f"{key} = {each}\n" for key, each in lines.items()))
    assert said.startswith(f"line {2 if field == 'name' else 3}: [policy] needs {field}")
