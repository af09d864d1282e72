"""Reads what the metrics door exposes, with Prometheus's own parser."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from proxy.metrics.names import PREFIX
from proxy.metrics.sheet import Sheet


def samples(text: str) -> dict[str, list[tuple[dict[str, str], float]]]:
    """The samples by name, without the prefix."""
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name.removeprefix(PREFIX), []).append((dict(sample.labels), sample.value))
    return found


def values(sheet: Sheet, name: str) -> list[tuple[dict[str, str], float]]:
    """Every sample of one name."""
    return samples(sheet.text().decode()).get(name, [])


def value(sheet: Sheet, name: str, /, **labels: str) -> float:
    """The one sample with exactly these labels."""
    (found,) = [number for place, number in values(sheet, name) if place == labels]
    return found
