"""For those who watch over the server: is it alive, is it fit, what did it do."""

import hmac
import ipaddress
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from flask import Response, abort, current_app, jsonify, request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

from booking import db
from booking.gateways import files
from booking.http import metrics, replica
from booking.http.context import settings
from booking.http.guard import open_to_all
from booking.http.identity import bearer, utc_now
from booking.services import health, jobs, mail_intake, notifications
from booking.services.health import Fault
from booking.web import blueprint

LOOKED_FOR = 2.0
"""Seconds for which a look at the database is good enough, so that asking often costs nothing."""


@dataclass
class _Look:
    """The last look of an application at its database."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    at: float = float("-inf")
    faults: list[Fault] = field(default_factory=list)


@blueprint.get("/healthz")
@open_to_all
def alive() -> Response:
    """Say that this process answers, and nothing about anything else."""
    response = jsonify(status="ok")
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.get("/readyz")
@open_to_all
def fit() -> tuple[Response, int]:
    """Say whether the server can do its work: 503 and a list where it cannot.

    Why is told only to those who may read the metrics.
    """
    faults = _faults()
    told = [
        {"code": fault.code, "detail": fault.detail} if _trusted() else {"code": fault.code}
        for fault in faults
    ]
    response = jsonify(status="failing" if faults else "ok", faults=told, **_replica_told())
    response.headers["Cache-Control"] = "no-store"
    return response, 503 if faults else 200


@blueprint.get("/metrics")
@open_to_all
def counts() -> Response:
    """Give what was counted, in the form that Prometheus reads."""
    if not _trusted():
        abort(403)
    found = metrics.registry()
    state = CollectorRegistry()
    state.register(_State())  # type: ignore[arg-type]
    response = Response(generate_latest(found) + generate_latest(state), content_type=CONTENT_TYPE_LATEST)
    response.headers["Cache-Control"] = "no-store"
    return response


def _trusted() -> bool:
    """Tell whether the asker may see figures: by the token, or, where none is set, from this very machine."""
    wanted = settings().metrics_token
    if wanted:
        return hmac.compare_digest((bearer() or "").encode(), wanted.encode())
    if settings().proxy_hops == 0 and (
        "X-Forwarded-For" in request.headers or "Forwarded" in request.headers
    ):
        return False  # from a proxy that nobody told us of, for somebody whom we cannot know
    try:
        return ipaddress.ip_address(request.remote_addr or "").is_loopback
    except ValueError:
        return False


def _faults() -> list[Fault]:
    last: _Look = current_app.extensions.setdefault("yiqi_health", _Look())
    with last.lock:
        if time.monotonic() - last.at > LOOKED_FOR:
            last.faults = _look()
            last.at = time.monotonic()
        return last.faults


def _look() -> list[Fault]:
    try:
        with db.rehearsal() as session:
            found = health.vitals(session, newest=db.newest_migration(), now=utc_now())
    except db.Unavailable as error:
        return [Fault("database", str(error))]
    free = files.free_bytes(settings().instance)
    return health.faults(
        found,
        newest=db.newest_migration(),
        free=free,
        production=settings().production,
        pooled=settings().pooled,
    )


def _replica_told() -> dict[str, str]:
    """Tell of the replica, where there is one: without it all is read in one place, which is no fault."""
    known = replica.of_app()
    if known is None:
        return {}
    known.serves(0)
    if not known.fault:
        return {"replica": "ok"}
    return {"replica": known.fault if _trusted() else "not read"}


class _State:
    """What the database knows: how much waits to be sent, and how the jobs went."""

    def collect(self) -> Iterator[Metric]:
        """Give it as of now; without a database only that there is none."""
        known = replica.of_app()
        if known is not None:
            up = float(known.serves(0))
            yield GaugeMetricFamily("yiqi_replica_up", "Whether the replica is read.", value=up)
        try:
            with db.reading() as session:
                backlog = notifications.backlog(session, now=utc_now())
                runs = jobs.runs(session)
                times = [(run.job, run.succeeded_at, run.failed_at) for run in runs]
                came_in = mail_intake.counts(session)
        except db.Unavailable:
            yield GaugeMetricFamily("yiqi_database_up", "Whether the database answers.", value=0)
            return
        yield GaugeMetricFamily("yiqi_database_up", "Whether the database answers.", value=1)
        age = (utc_now() - backlog.since).total_seconds() if backlog.since else 0.0
        yield GaugeMetricFamily(
            "yiqi_outbox_waiting", "Events and messages not sent yet.", value=backlog.waiting
        )
        yield GaugeMetricFamily("yiqi_outbox_age_seconds", "How long the oldest of them waits.", value=age)
        done = GaugeMetricFamily(
            "yiqi_job_last_success_timestamp_seconds",
            "When a job last did its work; `backup` too.",
            labels=["job"],
        )
        failed = GaugeMetricFamily(
            "yiqi_job_last_failure_timestamp_seconds", "When a job last failed.", labels=["job"]
        )
        for job, succeeded_at, failed_at in times:
            if succeeded_at:
                done.add_metric([job], succeeded_at.timestamp())
            if failed_at:
                failed.add_metric([job], failed_at.timestamp())
        mail = GaugeMetricFamily(
            "yiqi_mail_received",
            "Messages that came in over the last weeks, by what came of them; a `stranger` got no answer.",
            labels=["outcome"],
        )
        for outcome, number in came_in.items():
            mail.add_metric([outcome], number)
        yield mail
        yield done
        yield failed
