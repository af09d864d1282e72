"""`perpguard audit why` as one types it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.audit.place import archive_place
from proxy.cli import main
from tests.proxy.audit.conftest import TIGHTER, Desk

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    desk = Desk()
    desk.write(archive_place(tmp_path, {}), desk.day())

    def command(*arguments: str) -> tuple[int, str, str]:
        code = main(["--data-dir", str(tmp_path), "audit", "why", *arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return command


def test_every_rule_is_printed_in_its_order(run: Run) -> None:
    code, out, _ = run("d-1")
    assert code == 0
    assert "BUY 3 BTCUSDT MARKET: DENY max_order_value ORDER_VALUE_ABOVE_LIMIT; largest size allowed 1.666" in out
    assert out.index("trading_state") < out.index("denied")


def test_another_size_is_judged_under_the_policy_that_is_in_force_too(run: Run, tmp_path: Path) -> None:
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy" / "active.toml").write_text(TIGHTER)
    code, out, _ = run("d-1", "--quantity", "1", "--json")
    told = json.loads(out)
    assert (code, told["then"]["verdict"], told["now"]["verdict"]) == (0, "ALLOW", "DENY")
    assert told["now"]["largest"] == "0.833"


def test_without_a_policy_in_force_the_recorded_one_alone_is_asked(run: Run) -> None:
    code, out, _ = run("d-1", "--quantity", "1")
    assert code == 0
    assert "ALLOW; largest size allowed 1.666" in out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        pytest.param(("d-99",), 1, "no decision is archived under d-99", id="no such decision"),
        pytest.param(("d-1", "--price", "1"), 2, "--price goes with --quantity", id="a price alone"),
        pytest.param(("d-1", "--quantity", "x"), 2, "quantity is a number above zero", id="no number"),
    ],
)
def test_what_cannot_be_told_is_said(run: Run, arguments: tuple[str, ...], code: int, said: str) -> None:
    answered, _, complaint = run(*arguments)
    assert (answered, said in complaint) == (code, True)
