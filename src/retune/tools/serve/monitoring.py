"""What the server counts, in the form that Prometheus reads."""

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from retune.tools.serve.schemas import ModelBody

_SECONDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
_SIZES = (1, 2, 4, 8, 16, 32)


class Monitor:
    """The figures of one server.

    Attributes:
        requests: for answers, by HTTP status.
        seconds: from the head of a request to its answer.
        in_progress: requests that are read or wait for an answer.
        batch_windows: windows that were predicted together.
        batch_requests: requests whose windows were predicted together.
    """

    content_type = CONTENT_TYPE_LATEST

    def __init__(self, model: ModelBody) -> None:
        registry = self._registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        self.requests = Counter(
            "retune_requests", "Requests for answers.", ["status"], registry=registry
        )
        self.seconds = Histogram(
            "retune_request_seconds", "Time of answers.", buckets=_SECONDS, registry=registry
        )
        self.in_progress = Gauge(
            "retune_requests_in_progress", "Requests without an answer yet.", registry=registry
        )
        self.batch_windows = Histogram(
            "retune_batch_windows", "Windows of a batch.", buckets=_SIZES, registry=registry
        )
        self.batch_requests = Histogram(
            "retune_batch_requests", "Requests of a batch.", buckets=_SIZES, registry=registry
        )
        info = Gauge("retune_model", "The model.", ["name", "variant"], registry=registry)
        info.labels(model.name, model.variant or "").set(1)

    def count_batch(self, windows: int, requests: int) -> None:
        """Count a batch."""
        self.batch_windows.observe(windows)
        self.batch_requests.observe(requests)

    def text(self) -> bytes:
        """Return all figures."""
        return generate_latest(self._registry)
