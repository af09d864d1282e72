"""Rules from installed distributions: named by a policy, checked, and no start without them."""

import sys
from decimal import Decimal
from pathlib import Path

import pytest

from proxy.policy.reading import PolicyError, parse_policy
from rules.decision import Verdict
from rules.engine import decide
from tests.rules.builders import a_buy, a_cancel, a_sell, an_account, codes

RULE = '''
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, ClassVar, Mapping

from rules.exposure import held_order
from rules.rule import Looser, Rule, Setting


@dataclass(frozen=True, slots=True, kw_only=True)
class LotCap(Rule):
    """No order of more than ``limit`` base units."""

    rule_id: ClassVar[str] = "lot_cap"
    codes: ClassVar[Mapping[str, str]] = {"LOTS_ABOVE_CAP": "the order has more base units than `limit`"}
    sized: ClassVar[bool] = True

    limit: Annotated[Decimal, Setting("base units", Looser.HIGHER)]

    def check(self, command, snapshot):
        order = held_order(command, snapshot)
        if order is None or order.quantity <= self.limit:
            return None
        return self.breach("LOTS_ABOVE_CAP", f"order of {order.quantity}", observed=f"{order.quantity}")
'''


@pytest.fixture
def site(tmp_path, monkeypatch):
    """An empty directory of installed packages."""
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("deskpack")]:
        del sys.modules[name]


def install(site: Path, source: str = RULE, point: str = "lot_cap = deskpack:LotCap", name: str = "deskpack") -> None:
    """A distribution as an installer leaves it: a module, and metadata beside it."""
    (site / f"{name}.py").write_text(source)
    info = site / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[perpguard.rules]\n{point}\n")


def a_policy(table: str = '[desk.lot_cap]\nenforcement = "enforce"\nlimit = 2\n'):
    return parse_policy(f'[policy]\nname = "test"\nowner = "risk@desk.example"\n{table}')


def test_a_policy_that_names_it_has_it(site):
    install(site)
    policy = a_policy()
    assert decide(a_buy("BTCUSDT", "2"), an_account().snapshot, policy).verdict is Verdict.ALLOW
    decision = decide(a_buy("BTCUSDT", "3"), an_account().snapshot, policy)
    assert (codes(decision), decision.headroom) == (["LOTS_ABOVE_CAP"], Decimal(2))


def test_it_meets_no_exit_and_no_cancel(site):
    install(site)
    world = an_account().long("BTCUSDT", "5")
    for command in (a_sell("BTCUSDT", "5", reduce_only=True), a_cancel()):
        assert decide(command, world.snapshot, a_policy()).verdict is Verdict.ALLOW


def test_it_is_told_after_the_catalog_s_own(site):
    install(site)
    tables = [f'[desk.{name}]\nenforcement = "enforce"\nlimit = 1\n' for name in ("lot_cap", "max_order_value")]
    decision = decide(a_buy("BTCUSDT", "3"), an_account().snapshot, a_policy("".join(tables)))
    assert codes(decision) == ["ORDER_VALUE_ABOVE_LIMIT", "LOTS_ABOVE_CAP"]


def test_a_package_that_no_policy_names_is_not_even_imported(site):
    install(site, "raise SystemError")
    assert a_policy("").rules


def test_its_settings_are_read_as_strictly_as_any(site):
    install(site)
    for wrong in ("limit = -1", 'limit = "2"', "limt = 2", ""):
        with pytest.raises(PolicyError, match=r"desk\.lot_cap"):
            a_policy(f'[desk.lot_cap]\nenforcement = "enforce"\n{wrong}\n')


def test_an_unknown_rule_may_be_meant_as_one_of_a_package(site):
    install(site)
    with pytest.raises(PolicyError, match='did you mean "lot_cap"'):
        a_policy('[desk.lot_cape]\nenforcement = "enforce"\n')


@pytest.mark.parametrize(
    ("source", "point", "words"),
    [
        ("import nothing_there", "lot_cap = deskpack:LotCap", "package deskpack cannot be imported: ModuleNotFound"),
        ("raise OSError('no licence')", "lot_cap = deskpack:LotCap", "cannot be imported: OSError: no licence"),
        ("", "lot_cap = deskpack:LotCap", "cannot be imported: AttributeError"),
        ("LotCap = 3", "lot_cap = deskpack:LotCap", "is no dataclass derived"),
        ("class LotCap: pass", "lot_cap = deskpack:LotCap", "is no dataclass derived"),
        (RULE.replace("frozen=True, ", ""), "lot_cap = deskpack:LotCap", "cannot be imported: TypeError"),
        (RULE.replace('"lot_cap"', '"other"'), "lot_cap = deskpack:LotCap", "calls itself 'other'"),
        (RULE.replace("def check", "def chek"), "lot_cap = deskpack:LotCap", "has no check"),
        (RULE.replace("LOTS_ABOVE_CAP", "lots"), "lot_cap = deskpack:LotCap", "needs codes"),
        (RULE.replace("codes:", "words:"), "lot_cap = deskpack:LotCap", "needs codes"),
        (
            RULE.replace('Annotated[Decimal, Setting("base units", Looser.HIGHER)]', "Decimal"),
            "lot_cap = deskpack:LotCap",
            "for limit",
        ),
    ],
)
def test_one_that_is_no_proper_rule_keeps_the_guard_from_starting(site, source, point, words):
    install(site, source, point)
    with pytest.raises(PolicyError) as refused:
        a_policy()
    assert words in str(refused.value)
    assert "lot_cap of package deskpack" in str(refused.value)


def test_no_package_takes_the_place_of_a_rule_of_the_catalog(site):
    install(site, RULE.replace('"lot_cap"', '"max_order_value"'), "max_order_value = deskpack:LotCap")
    policy = a_policy('[desk.max_order_value]\nenforcement = "enforce"\nlimit = 1000\n')
    assert codes(decide(a_buy("BTCUSDT", "1"), an_account().snapshot, policy)) == ["ORDER_VALUE_ABOVE_LIMIT"]


def test_two_packages_with_one_name_are_one_too_many(site):
    install(site)
    install(site, point="lot_cap = deskpack2:LotCap", name="deskpack2")
    with pytest.raises(PolicyError, match="offered by deskpack and deskpack2"):
        a_policy()
