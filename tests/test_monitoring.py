"""Dashboards and alert rules ask for what the guard exposes, and for nothing else."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from configs.grafana.generate import DASHBOARDS, written
from proxy.gate.counting import Kind, Stage, TurnedAway
from proxy.metrics.names import METRICS, PREFIX, Metric, Type
from proxy.metrics.page import LABELS

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
RULES = CONFIGS / "prometheus-rules.yml"
DATASOURCE = CONFIGS / "grafana" / "provisioning" / "datasources" / "prometheus.yml"

SELECTOR = re.compile(r"\b(perpguard_\w+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"')
GROUPING = re.compile(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)")
ADDED = {"job", "instance"}
"""By Prometheus, to everything it scrapes."""

KNOWN_VALUES: dict[str, set[str]] = {
    "kind": {kind.name.lower() for kind in Kind} | {"plain", "conditional"},
    "stage": {stage.name.lower() for stage in Stage},
    "reason": {why.name.lower() for why in TurnedAway},
    "verdict": {"allow", "deny", "withhold", "would_deny"},
    "result": {"accepted", "rejected", "unknown", "not_sent"},
    "state": {"PENDING", "ACCEPTED", "UNKNOWN", "REQUESTED", "GRANTED"},
    "level": {"desk", "account", "bot"},
}


def rules() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"][0]["rules"]
    return found


def panels() -> Iterator[dict[str, Any]]:
    for path in sorted(DASHBOARDS.glob("*.json")):
        for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]:
            if panel["type"] != "row":
                yield panel


def asked() -> Iterator[tuple[str, str, str]]:
    """Where an expression stands, itself, and the text its labels are put into."""
    for rule in rules():
        yield rule["alert"], rule["expr"], rule["annotations"]["summary"].replace("$labels.", "")
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], target["expr"], target["legendFormat"]


def metric_of(name: str) -> Metric:
    """The metric of a series' name: a histogram is asked by its parts."""
    short = name.removeprefix(PREFIX)
    if short in METRICS and METRICS[short].type is not Type.HISTOGRAM:
        return METRICS[short]
    base, _, part = short.rpartition("_")
    assert part in ("bucket", "sum", "count") and METRICS[base].type is Type.HISTOGRAM, name
    return METRICS[base]


EXPRESSIONS = list(asked())


@pytest.mark.parametrize(("where", "expression", "text"), EXPRESSIONS, ids=[each[0] for each in EXPRESSIONS])
def test_an_expression_names_what_is_exposed_with_the_labels_it_has(where: str, expression: str, text: str) -> None:
    named = SELECTOR.findall(expression)
    assert named or expression.startswith('up{job="perpguard"}')
    known = set(ADDED)
    for name, matchers in named:
        metric = metric_of(name)
        own = {*metric.labels, *ADDED, *(("le",) if name.endswith("_bucket") else ())}
        known |= own
        for label, wanted in MATCHER.findall(matchers):
            assert label in own, f"{name} has no label {label}"
            assert set(wanted.split("|")) <= KNOWN_VALUES.get(label, set(wanted.split("|"))), f"{label}={wanted}"
    grouped = {label.strip() for labels in GROUPING.findall(expression) for label in labels.split(",")}
    assert grouped <= known
    shown = set(re.findall(r"\{\{\s*(\w+)\s*\}\}", text))
    assert shown <= (grouped - {"le"} if GROUPING.search(expression) and "on (" not in expression else known)


@pytest.mark.parametrize(("where", "expression", "text"), EXPRESSIONS, ids=[each[0] for each in EXPRESSIONS])
def test_counters_are_asked_for_their_rate(where: str, expression: str, text: str) -> None:
    for name, _ in SELECTOR.findall(expression):
        if metric_of(name).type is not Type.GAUGE:
            assert re.search(rf"(rate|increase|changes)\({name}", expression), name


def test_the_dashboards_are_those_that_the_generator_writes() -> None:
    assert {path.name: path.read_text(encoding="utf-8") for path in DASHBOARDS.glob("*")} == written()


def test_panels_ask_the_datasource_that_is_provisioned_and_do_not_overlap() -> None:
    (source,) = yaml.safe_load(DATASOURCE.read_text(encoding="utf-8"))["datasources"]
    for name, text in written().items():
        taken: set[tuple[int, int]] = set()
        for panel in json.loads(text)["panels"]:
            place = panel["gridPos"]
            cells = {
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            }
            assert not cells & taken and place["x"] + place["w"] <= 24, f"{name}: {panel['title']}"
            taken |= cells
            if panel["type"] != "row":
                assert panel["datasource"] == {"type": source["type"], "uid": source["uid"]}


@pytest.mark.parametrize(
    "expression",
    ["perpguard_store_up", 'perpguard_holds{state="UNKNOWN"}', "perpguard_audit_lag_seconds", "perpguard_feed_up",
     "perpguard_kill_running", "perpguard_last_kill_flat", "perpguard_last_bot_kill_flat"],
    ids=["store", "holds", "archive", "feed", "kill", "not-flat", "bot-not-flat"],
)  # fmt: skip
def test_what_must_not_go_unseen_has_an_alert(expression: str) -> None:
    assert any(rule["expr"].startswith(expression) for rule in rules())


def test_bots_that_are_made_to_wait_are_told_of_by_what_was_refused_for_use_begins_anew_each_minute() -> None:
    (rule,) = [each for each in rules() if each["alert"] == "PerpguardBudgetLow"]
    assert '{code="VENUE_BUDGET_RESERVED"}' in rule["expr"], "orders"
    assert f'{{reason="{TurnedAway.BUDGET.name.lower()}"}}' in rule["expr"], "reads"
    assert "increase(" in rule["expr"] and "for" not in rule


def test_every_alert_says_how_urgent_it_is_and_in_a_sentence_what_it_means() -> None:
    for rule in rules():
        assert rule["labels"] in ({"severity": "critical"}, {"severity": "warning"}), rule["alert"]
        assert rule["annotations"]["summary"].endswith("."), rule["alert"]
    assert len({rule["alert"] for rule in rules()}) == len(rules())


def test_every_label_is_explained_and_no_more() -> None:
    used = {label for metric in METRICS.values() for label in metric.labels}
    assert used == set(LABELS)


TOLD: list[dict[str, Any]] = [
    {
        "interval": "5s",
        "input_series": [
            {"series": "perpguard_store_up", "values": "1x5 0x20"},
            {"series": 'perpguard_kill_running{account="main"}', "values": "0x10 1x20"},
            {"series": 'perpguard_last_kill_flat{account="other"}', "values": "1x60"},
            {"series": 'perpguard_kill_running{account="other"}', "values": "0x60"},
            {"series": 'perpguard_last_bot_kill_flat{account="other",bot="grid"}', "values": "0x60"},
            {"series": "perpguard_drill_passed", "values": "1x60"},
            {"series": 'perpguard_account_drill_passed{account="main"}', "values": "1x60"},
            {"series": 'perpguard_account_drill_passed{account="other"}', "values": "0x60"},
            {"series": 'perpguard_feed_up{account="main"}', "values": "1x30"},
            {"series": 'perpguard_holds{account="main",state="UNKNOWN"}', "values": "2x60"},
            {"series": "perpguard_audit_lag_seconds", "values": "0x60"},
            {"series": 'perpguard_orders_total{gate="h/gate-0",account="main",result="unknown"}', "values": "0x5 9x60"},
            {"series": 'perpguard_requests_refused_total{gate="h/gate-0",reason="budget"}', "values": "0x5 9x60"},
        ],
        "alert_rule_test": [
            {"eval_time": "20s", "alertname": "PerpguardStoreDown", "exp_alerts": []},
            {
                "eval_time": "60s",
                "alertname": "PerpguardStoreDown",
                "exp_alerts": [
                    {
                        "exp_labels": {"severity": "critical"},
                        "exp_annotations": {
                            "summary": "The store is down; entries are refused, exits and cancels pass."
                        },
                    }
                ],
            },
            {
                "eval_time": "60s",
                "alertname": "PerpguardKillRunning",
                "exp_alerts": [
                    {
                        "exp_labels": {"severity": "critical", "account": "main"},
                        "exp_annotations": {"summary": "A kill of main is under way."},
                    }
                ],
            },
            {"eval_time": "60s", "alertname": "PerpguardKillNotFlat", "exp_alerts": []},
            {
                "eval_time": "60s",
                "alertname": "PerpguardBotKillNotFlat",
                "exp_alerts": [
                    {
                        "exp_labels": {"severity": "critical", "account": "other", "bot": "grid"},
                        "exp_annotations": {
                            "summary": "The last kill of grid on other ended and did not read back flat."
                        },
                    }
                ],
            },
            {"eval_time": "20s", "alertname": "PerpguardBudgetLow", "exp_alerts": []},
            {
                "eval_time": "60s",
                "alertname": "PerpguardBudgetLow",
                "exp_alerts": [
                    {
                        "exp_labels": {"severity": "warning"},
                        "exp_annotations": {
                            "summary": "Bots were made to wait; what was left of the exchange's request budget is kept "
                            "for the kill."
                        },
                    }
                ],
            },
            {
                "eval_time": "120s",
                "alertname": "PerpguardDrillOld",
                "exp_alerts": [
                    {
                        "exp_labels": {"severity": "warning", "account": "other"},
                        "exp_annotations": {
                            "summary": "The last rehearsal of a kill of other is older than thirty days, did not pass, "
                            "or never was."
                        },
                    }
                ],
            },
            {"eval_time": "120s", "alertname": "PerpguardFeedStale", "exp_alerts": []},
            {"eval_time": "120s", "alertname": "PerpguardArchiveBehind", "exp_alerts": []},
            {
                "eval_time": "120s",
                "alertname": "PerpguardUnknownHolds",
                "exp_alerts": [
                    {
                        "exp_labels": {"severity": "warning", "account": "main", "state": "UNKNOWN"},
                        "exp_annotations": {"summary": "Of 2 requests on main nobody knows what became of them."},
                    }
                ],
            },
            {
                "eval_time": "120s",
                "alertname": "PerpguardUnknownOutcomes",
                "exp_alerts": [
                    {
                        "exp_labels": {"severity": "warning", "account": "main"},
                        "exp_annotations": {
                            "summary": "The venue left several orders of main without an answer within five minutes."
                        },
                    }
                ],
            },
        ],
    }
]


@pytest.mark.full
@pytest.mark.skipif(shutil.which("promtool") is None, reason="Debian's prometheus is not installed")
def test_prometheus_itself_takes_the_configuration_and_the_rules_fire_when_they_should(tmp_path: Path) -> None:
    (tmp_path / "told.yml").write_text(
        yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "5s", "tests": TOLD})
    )
    for check in (
        ["check", "config", "--syntax-only", str(CONFIGS / "prometheus.yml")],
        ["check", "rules", str(RULES)],
        ["test", "rules", str(tmp_path / "told.yml")],
    ):
        done = subprocess.run(["promtool", *check], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_runbook_says_what_to_do_about_every_alert() -> None:
    page = (CONFIGS.parent / "docs" / "runbook.md").read_text(encoding="utf-8")
    told = re.findall(r"`(Perpguard\w+)`", page)
    assert set(told) == {rule["alert"] for rule in rules()}
