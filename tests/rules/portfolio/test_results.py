"""What the three rules about results have in common: whose result, known or not, and that the way out stays open."""

from decimal import Decimal

import pytest

from rules.decision import Enforcement, Verdict
from rules.model import Side
from rules.performance import Whose
from rules.portfolio.daily_loss import DailyLoss
from rules.portfolio.drawdown import Drawdown
from rules.portfolio.profit_lock import ProfitLock
from tests.rules.builders import a_buy, a_cancel, a_sell, an_account, an_amend, an_open_order, codes, judged

SETTINGS = [
    (DailyLoss, {"limit": Decimal(100)}, "DAILY_LOSS_REACHED"),
    (Drawdown, {"limit": Decimal("0.1")}, "DRAWDOWN_ABOVE_LIMIT"),
    (ProfitLock, {"arm_at": Decimal(100), "give_back": Decimal("0.5")}, "PROFIT_GIVEN_BACK_ABOVE_LIMIT"),
]
BAD = {"day_pnl": "-200", "day_peak": "300", "equity": "800", "equity_peak": "1000"}
ENTRY = a_buy("BTCUSDT", "0.001")

each_rule = pytest.mark.parametrize(
    ("kind", "settings", "code"), SETTINGS, ids=lambda value: getattr(value, "rule_id", "")
)


def breach(rule, world, command=ENTRY):
    return rule.check(command, world.snapshot)


@each_rule
def test_a_good_record_lets_pass_and_a_bad_one_does_not(kind, settings, code):
    assert judged(ENTRY, an_account().performing(), kind(**settings)).verdict is Verdict.ALLOW
    decision = judged(ENTRY, an_account().performing(**BAD), kind(**settings))
    assert (codes(decision), decision.headroom) == ([code], None)
    assert decision.advice == ("reduce-only orders and cancels pass",)


@each_rule
def test_each_is_of_the_account_or_of_the_asking_bot(kind, settings, code):
    bots = kind(**settings, of=Whose.BOT)
    accounts = kind(**settings)
    bad_bot = an_account().performing().performing(of="demo-bot", **BAD)
    assert (breach(accounts, bad_bot), breach(bots, bad_bot).code) == (None, code)
    bad_account = an_account().performing(**BAD).performing(of="demo-bot")
    assert (breach(accounts, bad_account).code, breach(bots, bad_account)) == (code, None)
    bad_other = an_account().performing().performing(of="other-bot", **BAD).performing(of="demo-bot")
    assert breach(bots, bad_other) is None
    assert "the bot" in breach(bots, bad_bot).message
    assert "the account" in breach(accounts, bad_account).message


@each_rule
def test_what_is_not_known_or_too_old_refuses(kind, settings, code):
    rule = kind(**settings)
    assert breach(rule, an_account()).code == "FACTS_UNKNOWN"
    assert breach(rule, an_account().recorded()).code == "FACTS_UNKNOWN"
    known = an_account().performing()
    for seconds in (60, -60):
        assert breach(rule, known.recorded(seconds_ago=seconds)) is None
    for seconds in (60.001, -60.001):
        assert breach(rule, known.recorded(seconds_ago=seconds)).code == "FACTS_UNKNOWN"
    assert breach(kind(**settings, facts_age_max_s=5), known.recorded(seconds_ago=5.001)).code == "FACTS_UNKNOWN"
    assert "the account" in breach(rule, an_account()).message
    assert "the bot" in breach(kind(**settings, of=Whose.BOT), an_account()).message


@each_rule
def test_a_bot_that_never_traded_has_lost_nothing(kind, settings, code):
    rule = kind(**settings, of=Whose.BOT)
    assert breach(rule, an_account().performing()) is None
    assert breach(rule, an_account().performing(**BAD)) is None
    assert breach(rule, an_account().recorded()).code == "FACTS_UNKNOWN"
    assert breach(rule, an_account().performing().known_bot()).code == "FACTS_UNKNOWN"
    assert breach(rule, an_account().performing().unsurveyed()).code == "FACTS_UNKNOWN"


@each_rule
def test_a_bot_with_a_share_that_the_record_does_not_know_is_refused(kind, settings, code):
    rule = kind(**settings, of=Whose.BOT)
    assert breach(rule, an_account().performing().sharing("demo-bot", "ETHUSDT", "1")).code == "FACTS_UNKNOWN"
    assert breach(rule, an_account().performing().sharing("other-bot", "ETHUSDT", "1")) is None


@each_rule
def test_exits_and_cancels_pass(kind, settings, code):
    for world in (an_account().performing(**BAD), an_account()):
        rule = kind(**settings)
        exit_order = a_sell("BTCUSDT", "1", reduce_only=True)
        assert judged(exit_order, world.long("BTCUSDT", "1"), rule).verdict is Verdict.ALLOW
        assert judged(a_cancel(), world, rule).verdict is Verdict.ALLOW
        assert breach(rule, world.long("BTCUSDT", "1"), exit_order) is None


@each_rule
def test_an_amend_is_an_entry(kind, settings, code):
    world = an_account().performing(**BAD).resting(an_open_order(Side.BUY, "BTCUSDT", "1", "40000", order_id="5"))
    assert breach(kind(**settings), world, an_amend(Side.BUY, "BTCUSDT", "2", "40000", order_id="5")).code == code


@each_rule
def test_in_report_mode_it_refuses_nothing(kind, settings, code):
    decision = judged(ENTRY, an_account().performing(**BAD), kind(**settings, enforcement=Enforcement.REPORT))
    assert (decision.verdict, [each.code for each in decision.would_deny]) == (Verdict.ALLOW, [code])


@each_rule
def test_levels_apply_together(kind, settings, code):
    loose = {
        name: value * 5 if name in ("limit", "arm_at") and value > 1 else value for name, value in settings.items()
    }
    decision = judged(ENTRY, an_account().performing(**BAD), kind(**loose), kind(**settings, level="bot:demo-bot"))
    assert "bot:demo-bot" in [each.level for each in decision.breaches]


@each_rule
def test_nothing_known_is_nothing_measured(kind, settings, code):
    assert kind(**settings).measure(ENTRY, an_account().snapshot) == ()
