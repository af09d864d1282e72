"""``perpguard signals``: it says what the warden tells, whichever way it is asked."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy import cli
from proxy.client import asking as control_client
from proxy.client.asking import NoAnswer, Refused

TOLD: dict[str, Any] = {
    "at": "2026-11-24T09:30:00Z",
    "forecasts": [
        {
            "signal": "barrier",
            "symbol": "BTCUSDT",
            "horizon_h": 24.0,
            "key": "down:0.05",
            "kind": "probability",
            "value": 0.0213,
            "age_s": 12.4,
            "method": "har-fhs 1",
            "n": 412,
            "skill": 0.081,
            "status": "unreliable",
            "why": "ECE .071 is above .05",
        }
    ],
    "anomalies": [{"level": "bot", "name": "grid", "value": 0.4, "why": "order size \x1b[31m"}],
    "temperatures": [
        {"symbol": "BTCUSDT", "value": None, "age_s": 3.0, "funding_a_day": None, "carry": []},
        {
            "symbol": "ETHUSDT",
            "value": 71.2,
            "age_s": 3.0,
            "funding_a_day": 0.0003,
            "carry": [{"account": "main", "position_side": "BOTH", "notional": 10_000.0, "a_day": -3.0}],
        },
    ],
    "cards": [],
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []

    def ask(settings: Any, method: str, path: str, body: Any = None) -> Any:
        found.append((method, path))
        return TOLD

    monkeypatch.setattr(control_client, "ask", ask)
    return found


def test_without_a_sub_command_everything_published_is_shown(tmp_path, asked, capsys):
    assert cli.main(["--data-dir", str(tmp_path), "signals"]) == 0
    assert asked == [("GET", "/api/signals")]
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == (
        "barrier BTCUSDT 24h down:0.05 probability=0.0213 age=12s method=har-fhs 1 n=412 skill=+0.081 "
        "status=unreliable (ECE .071 is above .05)"
    )
    assert "\x1b" not in shown[1], "what a bot named cannot drive the terminal"
    assert shown[2] == "temperature BTCUSDT not known of 100 age=3s (crowding, no prediction)"
    assert shown[3] == (
        "temperature ETHUSDT 71 of 100 longs_pay=0.0300%/day carry main=-3.00/day age=3s (crowding, no prediction)"
    )


@pytest.mark.parametrize("words", [["signals", "--json"], ["signals", "show", "--json"], ["signals", "--json", "show"]])
def test_json_is_what_the_warden_said(tmp_path, asked, capsys, words):
    assert cli.main(["--data-dir", str(tmp_path), *words]) == 0
    assert json.loads(capsys.readouterr().out) == TOLD


@pytest.mark.parametrize(("trouble", "code"), [(NoAnswer("nobody"), 3), (Refused("not so"), 1)])
def test_no_answer_and_a_refusal_are_told_apart(tmp_path, monkeypatch, capsys, trouble, code):
    def ask(*_: Any) -> Any:
        raise trouble

    monkeypatch.setattr(control_client, "ask", ask)
    assert cli.main(["--data-dir", str(tmp_path), "signals", "show"]) == code
    assert str(trouble) in capsys.readouterr().err


def test_odds_of_liquidation_stand_beside_what_a_jump_would_do(tmp_path, asked, capsys, monkeypatch):
    odds = [
        {"horizon_h": 24, "probability": 0.0213, "until_funding": False},
        {"horizon_h": 3.2, "probability": 0.004, "until_funding": True},
    ]
    stress = [{"move": -0.2, "hit": False, "left": 120.4}, {"move": -0.4, "hit": True, "left": 0.0}]
    leg = {"symbol": "BTCUSDT", "position_side": "BOTH", "odds": odds, "stress": stress}
    unknown = {"symbol": "ETHUSDT", "position_side": "BOTH", "odds": [], "stress": []}
    forecast = {"account": "main", "legs": [leg, unknown], "any_leg": odds, "cross": odds[:1]}
    forecast |= {"stress": stress, "cold": True}
    symbol = {
        "symbol": "BTCUSDT",
        "volatility": {"1": 0.012},
        "wild": None,
        "hours": 30,
        "method": "har-fhs/1",
        "cold": True,
        "alarmed": False,
        "is_wild": False,
    }
    monkeypatch.setitem(TOLD, "venues", [{"accounts": [{"forecast": forecast}], "symbols": [symbol]}])
    assert cli.main(["--data-dir", str(tmp_path), "signals"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[1:6] == [
        "liquidation main BTCUSDT BOTH 24h=0.0213 funding=0.004 jumps: -20% 120 left -40% ends it cold",
        "liquidation main ETHUSDT BOTH odds not known cold",
        "liquidation main any position 24h=0.0213 funding=0.004 cold",
        "liquidation main cross balance 24h=0.0213 jumps: -20% 120 left -40% ends it cold",
        "volatility BTCUSDT 1h=1.20% wild=not known hours=30 method=har-fhs/1 cold",
    ]
