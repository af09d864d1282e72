"""The sheet lets nothing out that is not in the name set, and what it lets out is Prometheus's text format."""

from __future__ import annotations

import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from proxy.metrics import sheet as sheet_module
from proxy.metrics.names import METRICS, Type
from proxy.metrics.sheet import Sheet


def read(sheet: Sheet) -> dict[str, dict[frozenset[tuple[str, str]], float]]:
    """The samples by name, as a reader of Prometheus's understands them."""
    found: dict[str, dict[frozenset[tuple[str, str]], float]] = {}
    for family in text_string_to_metric_families(sheet.text().decode()):
        for sample in family.samples:
            found.setdefault(sample.name, {})[frozenset(sample.labels.items())] = sample.value
    return found


def test_what_is_put_is_read_back_with_its_labels() -> None:
    sheet = Sheet()
    sheet.put("store_up", True)
    sheet.put("holds", 3, account="demo", state="UNKNOWN")
    sheet.put("store_evicted_keys_total", 7)
    found = read(sheet)
    assert found["perpguard_store_up"] == {frozenset(): 1}
    assert found["perpguard_holds"] == {frozenset({("account", "demo"), ("state", "UNKNOWN")}): 3}
    assert found["perpguard_store_evicted_keys_total"] == {frozenset(): 7}


def test_a_text_of_the_venue_cannot_break_out_of_its_label() -> None:
    sheet = Sheet()
    evil = 'A"} 1\nperpguard_store_up 0\\'
    sheet.put("leverage_temperature", 1, symbol=evil)
    found = read(sheet)
    assert found == {"perpguard_leverage_temperature": {frozenset({("symbol", evil)}): 1}}


def test_a_histogram_adds_up_and_ends_at_infinity() -> None:
    sheet = Sheet()
    sheet.put_histogram("request_stage_seconds", [0.1, 1], [2, 3, 4], 9.5, gate="a", kind="entry", stage="hold")
    found = read(sheet)
    buckets = {dict(labels)["le"]: value for labels, value in found["perpguard_request_stage_seconds_bucket"].items()}
    assert buckets == {"0.1": 2, "1.0": 5, "+Inf": 9} or buckets == {"0.1": 2, "1": 5, "+Inf": 9}
    assert set(found["perpguard_request_stage_seconds_count"].values()) == {9}
    assert set(found["perpguard_request_stage_seconds_sum"].values()) == {9.5}


def test_what_is_not_known_is_absent() -> None:
    sheet = Sheet()
    sheet.put("leverage", None, account="demo")
    assert read(sheet) == {}


@pytest.mark.parametrize(
    ("name", "labels"),
    [("store_up", {"account": "demo"}), ("holds", {"account": "demo"}), ("holds", {})],
    ids=["one-too-many", "one-too-few", "none"],
)
def test_other_labels_than_the_name_set_has_are_a_bug(name: str, labels: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=name):
        Sheet().put(name, 1, **labels)


def test_a_name_that_is_not_in_the_set_is_a_bug() -> None:
    with pytest.raises(KeyError):
        Sheet().put("surprise", 1)
    with pytest.raises(ValueError, match="histogram"):
        Sheet().put("request_stage_seconds", 1, gate="a", kind="entry", stage="hold")
    with pytest.raises(ValueError, match="histogram"):
        Sheet().put_histogram("store_up", [1], [1, 1], 1)


def test_labels_without_end_do_not_fill_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheet_module, "SERIES_MAX", 50)
    sheet = Sheet()
    for number in range(1000):
        sheet.put("leverage_temperature", 1, symbol=f"S{number}")
        sheet.put_histogram("request_stage_seconds", [1], [1, 1], 1, gate=f"g{number}", kind="entry", stage="hold")
    found = read(sheet)
    assert len(found["perpguard_leverage_temperature"]) == 50
    assert sum(len(samples) for name, samples in found.items() if "stage" in name) <= 60


def test_the_names_keep_to_prometheuss_habits() -> None:
    for metric in METRICS.values():
        assert re.fullmatch(r"perpguard_[a-z][a-z0-9_]*", metric.full_name)
        assert (metric.type is Type.COUNTER) == metric.name.endswith("_total"), metric.name
        assert len(set(metric.labels)) == len(metric.labels)
        assert metric.help.endswith(".") and metric.unit, metric.name
        if "seconds" in metric.name:
            assert metric.unit.startswith("seconds"), metric.name
