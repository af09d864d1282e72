"""The benchmark of deciding: that its files hold every rule, that none objects, and what it prints."""

from bench.decide.__main__ import HERE, UNDER_WAY, main, measure, report
from proxy.policy.reading import load_policy
from proxy.store.codec import build_snapshot, load
from rules.catalog import CATALOG


def test_the_account_is_the_one_the_limit_is_about():
    account = build_snapshot(load((HERE / "account.json").read_text(encoding="utf-8"))).account
    assert (len(account.positions), len(account.open_orders)) == (20, 50)


def test_the_policy_has_every_rule_and_none_refuses():
    picture = build_snapshot(load((HERE / "account.json").read_text(encoding="utf-8")))
    policy = load_policy(HERE / "policy.toml")
    assert {rule.rule_id for rule in policy.rules} == set(CATALOG)
    for changed in (False, True):
        for holds in UNDER_WAY:
            assert len(measure(picture, policy, 5, changed=changed, holds=holds)) == 5


def test_the_report_gives_median_and_tail():
    lines = report({"every rule": [1.0, 3.0, 2.0]}, 48, [2.0, 8.0, 4.0]).splitlines()
    assert lines[2] == "| every rule | 3 | 2 | 3 | 0.50 |"
    assert lines[-1].startswith("CPU time; 48 rules; the fixed loop of 3000 squares: 4 µs; ")


def test_it_runs(capsys):
    assert main(["--decisions", "2", "--rounds", "1"]) == 0
    told = capsys.readouterr().out
    for under_way in ("nothing under way", "three under way"):
        assert f"| empty policy, account just changed, {under_way} | 2 |" in told
