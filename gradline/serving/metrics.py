"""What is counted, for Prometheus.

Labels are bounded: a path that is not known counts under "other", and so does a method;
no label comes out of a request.
"""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from gradline import __version__

#: Prometheus' own format, which every version of it reads.
TEXT = "text/plain; version=0.0.4; charset=utf-8"

_METHODS = frozenset(["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"])

#: Seconds, from a single row to a large batch.
_BUCKETS = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0),
)


class Metrics:
    """Counters of one server.

    Args:
        target: what the model predicts.
        version: the model's fingerprint.
        hands: how many requests for predictions are in hand now.
    """

    def __init__(self, target: str, version: str, hands: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        self._known: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._answers = Counter(
            "gradline_requests",
            "Requests answered.",
            ["route", "method", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "gradline_request_seconds",
            "Seconds from a request's head to the end of its answer.",
            ["route"],
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._rows = Counter(
            "gradline_rows_predicted", "Rows predicted.", registry=self._registry
        )
        self._refused = Counter(
            "gradline_requests_refused",
            "Requests refused to protect the server.",
            ["reason"],
            registry=self._registry,
        )
        Gauge(
            "gradline_predictions_in_flight",
            "Requests for predictions in hand.",
            registry=self._registry,
        ).set_function(hands)
        Gauge(
            "gradline_model_info",
            "The model that is served: always 1.",
            ["target", "version", "gradline"],
            registry=self._registry,
        ).labels(target, version, __version__).set(1)
        ProcessCollector(registry=self._registry)

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count an answer.

        Args:
            route: one that is known, or "other".
            method: of the request.
            status: of the answer.
            seconds: it took.
        """
        method = method if method in _METHODS else "other"
        key = (route, method, status)
        found = self._known.get(key)
        if found is None:  # to look them up takes as long as to count
            count = self._answers.labels(route, method, str(status))
            found = self._known[key] = (count, self._seconds.labels(route))
        found[0].inc()
        found[1].observe(seconds)
        reason = _REASONS.get(status)
        if reason is not None:
            self._refused.labels(reason).inc()

    def predicted(self, rows: int) -> None:
        """Count rows."""
        self._rows.inc(rows)

    def text(self) -> bytes:
        """All of it in Prometheus' own format."""
        return generate_latest(self._registry)


_REASONS = {
    403: "origin",
    408: "slow",
    413: "size",
    421: "host",
    503: "busy",
    504: "time",
}
