"""Metrics: what this server did, counted over all its processes; nothing in them tells who did it.

Where PROMETHEUS_MULTIPROC_DIR is set, as `yiqi serve` does, every process counts in files of that folder and
any of them can tell the sum.
"""

import os
import time

from flask import Flask, Response, g, request
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram
from prometheus_client.multiprocess import MultiProcessCollector

from booking.http import guard

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

REQUESTS = Counter("yiqi_requests", "Requests by route and status.", ["method", "route", "status"])
SECONDS = Histogram(
    "yiqi_request_seconds", "Time until the answer was ready, by route.", ["method", "route"], buckets=BUCKETS
)
BOOKINGS = Counter(
    "yiqi_booking_commands",
    "Commands on bookings, by what was asked and what came of it.",
    ["action", "outcome"],
)
REFUSALS = Counter(
    "yiqi_refusals",
    "Refusals told to programs, by reason; `taken` is a conflict with other bookings.",
    ["reason"],
)

_OUTCOMES = {409: "refused", 412: "stale", 422: "invalid"}


def init(app: Flask) -> None:
    """Count every request."""
    app.before_request(_begin)
    app.after_request(_end)


def refused(codes: list[str]) -> None:
    """Count the reasons of a refusal."""
    for code in codes:
        REFUSALS.labels(code).inc()


def registry() -> CollectorRegistry:
    """Give what was counted, by all processes where there are several."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    found = CollectorRegistry()
    MultiProcessCollector(found)  # type: ignore[no-untyped-call]
    return found


def _begin() -> None:
    g.counted_from = time.perf_counter()


def _end(response: Response) -> Response:
    # The route as it is written, not the path: a path holds ids, and there are too many of them.
    route = request.url_rule.rule if request.url_rule else "none"
    # The method is the client's word, and not every word is worth a series of its own.
    method = request.method if request.url_rule else "any"
    REQUESTS.labels(method, route, response.status_code).inc()
    if "counted_from" in g:
        SECONDS.labels(method, route).observe(time.perf_counter() - g.counted_from)
    _count_command(response)
    return response


def _count_command(response: Response) -> None:
    action = guard.of_request() if request.method in {"POST", "PATCH"} else None
    if action is None or not action.startswith("booking.") or request.path.endswith("/dry-run"):
        return
    if response.status_code < 300 and response.mimetype == "text/html":
        return  # a form shown again, to be looked at before it is sent
    BOOKINGS.labels(action.removeprefix("booking."), _outcome(response.status_code)).inc()


def _outcome(status: int) -> str:
    if status < 400:
        return "done"
    return _OUTCOMES.get(status, "failed" if status >= 500 else "rejected")
