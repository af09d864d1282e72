"""Samples on their way out: nothing that is not in the name set gets onto the sheet, nor with other labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from proxy.metrics.names import METRICS, Metric, Type

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4

SERIES_MAX: Final = 20_000
"""Of one name. More is a mistake in the labels, and would be Prometheus's trouble before it is noticed."""


class Sheet(Collector):
    """Collects samples, then writes them out once."""

    def __init__(self) -> None:
        self._values: dict[str, dict[tuple[str, ...], float]] = {}
        self._histograms: dict[str, dict[tuple[str, ...], tuple[Sequence[tuple[str, float]], float]]] = {}

    def put(self, name: str, value: float | None, /, **labels: str) -> None:
        """One sample of a gauge or a counter; ``None`` is not known, and puts nothing."""
        metric = METRICS[name]
        if metric.type is Type.HISTOGRAM:
            raise ValueError(f"{name} is a histogram")
        place = _place(metric, labels)
        samples = self._values.setdefault(name, {})
        if value is not None and (place in samples or len(samples) < SERIES_MAX):
            samples[place] = float(value)

    def put_histogram(
        self, name: str, bounds: Sequence[float], counts: Sequence[int], total: float, /, **labels: str
    ) -> None:
        """One histogram: ``counts`` for each bucket alone, the last for what is beyond the last of ``bounds``."""
        metric = METRICS[name]
        if metric.type is not Type.HISTOGRAM:
            raise ValueError(f"{name} is no histogram")
        samples = self._histograms.setdefault(name, {})
        place = _place(metric, labels)
        if place not in samples and len(samples) * (len(bounds) + 3) >= SERIES_MAX:
            return
        so_far, buckets = 0, []
        for bound, count in zip((*(f"{bound:g}" for bound in bounds), "+Inf"), counts, strict=True):
            so_far += count
            buckets.append((bound, float(so_far)))
        samples[place] = (buckets, total)

    def collect(self) -> Iterator[Family]:
        """Every family that has a sample, in the order of the name set."""
        for metric in METRICS.values():
            samples = self._values.get(metric.name)
            histograms = self._histograms.get(metric.name)
            if histograms:
                family = HistogramMetricFamily(metric.full_name, metric.help, labels=metric.labels)
                for place, (buckets, total) in histograms.items():
                    family.add_metric(place, buckets, total)
                yield family
            elif samples:
                kind = CounterMetricFamily if metric.type is Type.COUNTER else GaugeMetricFamily
                plain = kind(metric.full_name, metric.help, labels=metric.labels)
                for place, value in samples.items():
                    plain.add_metric(place, value)
                yield plain

    def text(self) -> bytes:
        """The sheet in Prometheus's text format."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return generate_latest(registry)


def _place(metric: Metric, labels: dict[str, str]) -> tuple[str, ...]:
    if labels.keys() != set(metric.labels):
        raise ValueError(f"{metric.name} has the labels {', '.join(metric.labels) or 'none'}")
    return tuple(labels[name] for name in metric.labels)
