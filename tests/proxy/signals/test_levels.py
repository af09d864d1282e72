"""One odd bot is its own matter; several at once are their account's, and accounts the desk's."""

from __future__ import annotations

import itertools

import pytest

from proxy.signals.levels import account_score, level_scores
from proxy.signals.published import published, score_of
from rules.facts import Score

ONCE_A_DAY = published(0.0)


def levels(traders=None, **values):
    """The levels over bots of these scores; all trade one account unless ``traders`` says otherwise."""
    bots = {name: Score(value=value, why="order rate") for name, value in values.items()}
    return level_scores(bots, traders or [(name, "main") for name in values])


def test_one_odd_bot_leaves_its_account_and_the_desk_calm():
    assert levels(odd=1.0, calm=0.0, quiet=0.0) == {"account:main": Score(), "desk": Score()}


def test_two_odd_bots_are_their_account_s_matter():
    score = levels(a=0.9, b=0.6)["account:main"]
    assert 0.6 < score.value < 0.9
    assert score.why == "a 0.90 (order rate); b 0.60 (order rate)"


def test_two_bots_that_are_each_odd_once_a_day_are_so_together_once_in_five_days():
    value = levels(a=ONCE_A_DAY, b=ONCE_A_DAY)["account:main"].value
    assert 10 ** score_of(value) == pytest.approx(5, rel=0.1)


def test_among_many_bots_two_are_odd_at_once_sooner():
    quiet = {f"quiet{number}": 0.0 for number in range(48)}
    few = levels(a=ONCE_A_DAY, b=ONCE_A_DAY)["account:main"]
    many = levels(a=ONCE_A_DAY, b=ONCE_A_DAY, **quiet)["account:main"]
    assert few.value > many.value > 0


def test_the_more_are_odd_at_once_the_more_unusual_it_is():
    found = [levels(**{f"bot{n}": ONCE_A_DAY if n < odd else 0.0 for n in range(10)}) for odd in range(1, 8)]
    values = [each["account:main"].value for each in found]
    assert values == sorted(values)
    assert values[0] == 0.0
    assert values[-1] > 0.9


def test_a_bot_that_gets_odder_never_makes_a_level_calmer():
    steps = [0.0, 0.2, ONCE_A_DAY, 0.7, 0.9, 1.0]
    values = [levels(a=step, b=0.6, c=0.3, d=0.1)["account:main"].value for step in steps]
    assert values == sorted(values)


def test_what_any_bot_has_now_and_then_does_not_add_up():
    assert levels(**{f"bot{number}": 0.49 for number in range(50)})["account:main"] == Score()


def test_odd_bots_of_one_account_are_not_the_desk_s_matter():
    assert levels([("a", "main"), ("b", "main"), ("c", "second")], a=1.0, b=1.0, c=0.0)["desk"] == Score()


def test_odd_bots_of_two_accounts_are():
    found = levels([("a", "main"), ("b", "second")], a=0.8, b=0.6)
    assert found["account:main"] == found["account:second"] == Score()
    assert found["desk"].value > 0.6
    assert found["desk"].why == "main 0.80 (a 0.80 (order rate)); second 0.60 (b 0.60 (order rate))"


def test_an_account_counts_for_the_desk_with_its_bots_together_when_that_is_more():
    traders = [("a", "main"), ("b", "main"), ("c", "second")]
    alone = levels([("a", "main"), ("c", "second")], a=0.6, c=1.0)["desk"].value
    assert levels(traders, a=0.6, b=0.6, c=1.0)["desk"].value > alone


def test_at_most_three_are_named():
    why = levels(a=0.8, b=0.8, c=0.8, d=0.8, e=0.8)["account:main"].why
    assert why == "a 0.80 (order rate); b 0.80 (order rate); c 0.80 (order rate); 2 more"
    assert "more" not in levels(a=0.9, b=0.8, c=0.8)["account:main"].why


def test_the_order_of_bots_does_not_matter():
    values = {"a": 0.9, "b": 0.9, "c": 0.5}
    found = [levels(**dict(order)) for order in itertools.permutations(values.items())]
    assert all(each == found[0] for each in found)


def test_a_bot_nobody_has_scored_has_done_nothing_unusual():
    assert level_scores({}, [("a", "main"), ("b", "second")]) == {
        "account:main": Score(),
        "account:second": Score(),
        "desk": Score(),
    }


def test_a_bot_that_trades_two_accounts_is_one_odd_bot_of_the_desk():
    found = levels([("arb", "main"), ("arb", "hedge"), ("calm", "main"), ("other", "third")], arb=0.9, calm=0.0)
    assert found["desk"] == found["account:main"] == found["account:hedge"] == Score()


def test_a_bot_that_trades_two_accounts_leaves_one_of_them_to_its_neighbour():
    for shared in ("alpha", "omega"):
        found = levels([("arb", shared), ("arb", "hedge"), ("b", shared)], arb=0.9, b=0.6)
        assert found["desk"].value > 0.6


@pytest.mark.parametrize(("one", "two"), [("1", "2"), ("2", "1")])
def test_what_accounts_are_called_does_not_matter(one, two):
    found = levels([("a", one), ("a", two), ("b", one), ("calm", two)], a=0.9, b=0.85, calm=0.0)
    assert found["desk"].value > 0.85, "b can stand in one only, so a stands in two"
    both = levels([("a", one), ("a", two), ("b", one), ("b", two), ("calm", one)], a=0.9, b=0.85, calm=0.0)
    assert both["desk"].value > 0.85
    alone = levels([("a", one), ("a", two), ("b", one), ("calm", two)], a=0.9, b=0.0, calm=0.0)
    assert alone["desk"] == Score(), "one odd bot counts once"


def test_bots_that_are_odd_together_on_two_accounts_are_so_once():
    traders = [(bot, account) for account in ("main", "hedge") for bot in ("a", "b", "c", "d")]
    assert levels(traders, a=0.9, b=0.9, c=0.0, d=0.0)["account:main"].value > 0.9
    assert levels(traders, a=0.9)["desk"] == Score()


def test_an_account_that_one_bot_trades_is_as_odd_as_that_bot():
    bots = {"grid": Score(value=0.97, why="order rate"), "calm": Score(), "maker": Score(value=0.9)}
    assert account_score("main", bots, [("grid", "main"), ("calm", "second")]) == bots["grid"]
    assert account_score("main", bots, [("grid", "main"), ("grid", "main")]) == bots["grid"], "two keys of one bot"
    assert account_score("main", bots, [("grid", "main"), ("calm", "main")]) == Score()
    both = [("grid", "main"), ("maker", "main")]
    assert account_score("main", bots, both) == level_scores(bots, both)["account:main"] != Score()
    assert account_score("main", bots, []) == Score()
