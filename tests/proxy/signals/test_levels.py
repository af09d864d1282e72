"""One odd bot is its own matter; several at once are their account's, and accounts the desk's."""

from __future__ import annotations

import itertools

import pytest

from proxy.signals.levels import level_scores
from rules.facts import Score


def levels(traders=None, **values):
    """The levels over bots of these scores; all trade one account unless ``traders`` says otherwise."""
    bots = {name: Score(value=value, why="order rate") for name, value in values.items()}
    return level_scores(bots, traders or [(name, "main") for name in values])


def test_one_odd_bot_leaves_its_account_and_the_desk_calm():
    assert levels(odd=1.0, calm=0.0, quiet=0.1) == {"account:main": Score(), "desk": Score()}


def test_two_odd_bots_are_their_account_s_matter():
    score = levels(a=0.9, b=0.6)["account:main"]
    assert score.value == pytest.approx(0.6)
    assert score.why == "a 0.90 (order rate); b 0.60 (order rate)"


def test_more_of_them_add_up():
    assert levels(a=0.9, b=0.5, c=0.5)["account:main"].value == pytest.approx(0.75)
    assert levels(a=0.5, b=0.5, c=0.5, d=0.5)["account:main"].value == pytest.approx(0.875)


def test_what_any_bot_has_now_and_then_does_not_add_up():
    many = {f"bot{number}": 0.19 for number in range(50)}
    assert levels(**many)["account:main"] == Score()
    assert levels(a=0.9, b=0.2)["account:main"].value == pytest.approx(0.2)


def test_odd_bots_of_one_account_are_not_the_desk_s_matter():
    assert levels([("a", "main"), ("b", "main"), ("c", "second")], a=1.0, b=1.0, c=0.0)["desk"] == Score()


def test_odd_bots_of_two_accounts_are():
    found = levels([("a", "main"), ("b", "second")], a=0.8, b=0.6)
    assert found["account:main"] == found["account:second"] == Score()
    assert found["desk"].value == pytest.approx(0.6)
    assert found["desk"].why == "main 0.80 (a 0.80 (order rate)); second 0.60 (b 0.60 (order rate))"


def test_an_account_counts_for_the_desk_with_all_its_bots():
    traders = [("a", "main"), ("b", "main"), ("c", "second")]
    assert levels(traders, a=0.5, b=0.5, c=0.9)["desk"].value == pytest.approx(0.75)


def test_at_most_three_are_named():
    why = levels(a=0.9, b=0.8, c=0.7, d=0.6, e=0.5)["account:main"].why
    assert why == "a 0.90 (order rate); b 0.80 (order rate); c 0.70 (order rate); 2 more"
    assert levels(a=0.9, b=0.8, c=0.7)["account:main"].why.count("more") == 0


def test_a_bot_without_a_score_is_calm_and_a_desk_without_bots_too():
    assert level_scores({}, [("a", "main")]) == {"account:main": Score(), "desk": Score()}
    assert level_scores({"gone": Score(value=1.0)}, []) == {"desk": Score()}


def test_a_score_beyond_one_is_one():
    assert levels(a=1.5, b=1.5)["account:main"].value == 1.0


def test_the_order_of_bots_does_not_matter():
    values = {"a": 0.9, "b": 0.9, "c": 0.3}
    found = [levels(**dict(order)) for order in itertools.permutations(values.items())]
    assert all(each == found[0] for each in found)
