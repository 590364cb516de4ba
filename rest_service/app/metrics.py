"""`/metrics` for Prometheus: the number and duration of requests, the connection pool, database errors.

It needs no key, like the health pages: it shows numbers by route and no stored data. Prometheus reaches it
inside the network; outside, the port is published on 127.0.0.1 alone.
"""

from collections.abc import Iterable

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Histogram, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.pool import QueuePool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from .database import Database

PATH = "/metrics"
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """The figures of one application."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Histogram(
            "rest_request_seconds",
            "Requests by method, route and status.",
            ["method", "route", "status"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._known: dict[tuple[str, str, int], Histogram] = {}
        self._inside: _Inside | None = None

    def observe(self, scope: Scope, status: int, seconds: float) -> None:
        """Count a request that was answered, under the path of its route."""
        # a stranger's method can be anything, and each label would be kept for ever
        method = scope["method"] if scope["method"] in _METHODS else "other"
        labels = (method, _route(scope), status)
        # `labels()` takes a lock and looks up the child at each call
        histogram = self._known.get(labels)
        if histogram is None:
            histogram = self._known[labels] = self._requests.labels(*labels)
        histogram.observe(seconds)

    def watch(self, database: Database) -> None:
        """Show the figures of this database instead of those of the one before."""
        if self._inside is not None:
            self.registry.unregister(self._inside)
        self._inside = _Inside(database)
        self.registry.register(self._inside)

    async def page(self, _request: Request) -> Response:
        """`GET /metrics`."""
        return Response(generate_latest(self.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


class _Inside(Collector):
    """Figures that the database keeps itself, read for each page."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def collect(self) -> Iterable[Metric]:
        pool = self._database.engine.pool
        if isinstance(pool, QueuePool):
            connections = GaugeMetricFamily(
                "rest_pool_connections", "Connections to PostgreSQL.", labels=["state"]
            )
            connections.add_metric(["in_use"], pool.checkedout())
            connections.add_metric(["idle"], pool.checkedin())
            yield connections
        watch = self._database.watch
        errors = CounterMetricFamily("rest_database_errors", "Errors by SQLSTATE.", labels=["sqlstate"])
        for state, count in watch.errors.items():
            errors.add_metric([state], count)
        yield errors
        yield CounterMetricFamily("rest_slow_queries", "Statements above SLOW_QUERY_MS.", value=watch.slow)


def _route(scope: Scope) -> str:
    path: str | None = getattr(scope.get("route"), "path", None)
    if path is None:
        return "none"
    # a route knows its path below the router it was made for, and that router stands under /api
    under_api = scope["path"].startswith("/api/") and not path.startswith("/api/")
    return f"/api{path}" if under_api else path
