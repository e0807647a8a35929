"""Reading from a replica: feeds, catalogue, search and reports, never behind what the asker has written.

An answer to a request that wrote something says how far the log then was: browsers keep it in a cookie, programs
may send the header back. Whoever comes with such a place is answered from the replica once it has got there; a
token that may write and comes without one, from the database itself. So it is while the replica is away or behind.
"""

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from flask import Flask, Response, current_app, request
from prometheus_client import Counter
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from booking import db
from booking.config import Settings
from booking.domain.access import Scope
from booking.http.context import settings
from booking.http.identity import bearer, identity
from booking.services import health

HEADER = "Yiqi-Seen"
COOKIE = "yiqi_seen"
KEPT = 600
"""Seconds for which a browser keeps the place: longer than any replica that is read may be behind."""

LOOKED_FOR = 0.5
"""Seconds for which a look at the replica holds."""

SHUNNED = 5.0
"""Seconds for which a replica that did not answer is left alone."""

READS = Counter("yiqi_reads", "Requests that a replica may answer, by who did.", ["answered_by"])

ENDPOINTS = frozenset(
    {
        *("feeds.feed", "feeds.atom", "feeds.rss", "feeds.json_feed", "feeds.busy"),
        *("api-instruments.search", "api-instruments.one", "api-instrument-files.listing"),
        *("api-instrument-files.one", "api-facilities.listing", "api-facilities.one"),
        *("api-facilities.all_networks", "api-networks.one", "api-permits.listing"),
        *("api-availability.find", "api-availability.free", "api-availability.of_instrument"),
        *("api-availability.of_facility", "api-utilisation.of_facility", "api-utilisation.of_instrument"),
        *("web.catalogue", "web.instrument", "web.day", "web.free", "web.photo", "web.file", "web.screen"),
        *("web.all_facilities", "web.facility", "web.facility_sheet", "web.facility_sheet_file"),
        *("web.week_sheet", "web.week_sheet_file", "web.network", "web.network_logo"),
        *("web.officer", "web.officer_sheet", "web.export_bookings", "web.export_closures"),
        *("web.export_facilities", "web.export_instruments", "web.export_faults", "web.export_waitlist"),
    }
)
"""The views that may be answered by a replica, where all is read and a moment more or less is nothing."""

_PLACE = re.compile(r"([0-9A-F]{1,8})/([0-9A-F]{1,8})", re.ASCII)


def place(raw: str | None) -> int | None:
    """Give a place in the log as a number, None where none is told."""
    found = _PLACE.fullmatch(raw or "")
    return int(found[1], 16) << 32 | int(found[2], 16) if found else None


@dataclass
class Replica:
    """A replica, and what the last look at it found."""

    engine: Engine
    most_behind: float
    lock: threading.Lock = field(default_factory=threading.Lock)
    looked_at: float = float("-inf")
    good_for: float = 0.0
    reached: int = -1
    fault: str = "not looked at yet"

    def serves(self, seen: int) -> bool:
        """Tell whether it answers, is near enough, and has got as far as the asker has seen."""
        if time.monotonic() - self.looked_at > self.good_for and self.lock.acquire(blocking=False):
            # The others go by the last look meanwhile: one that does not answer makes one of them wait.
            try:
                self.look()
            finally:
                self.lock.release()
        return not self.fault and self.reached >= seen

    def look(self) -> None:
        """See how it is."""
        try:
            with db.elsewhere(self.engine), db.reading() as session:
                self.reached, self.fault = self._judged(session)
        except db.Unavailable as error:
            self.shun(str(error))
            return
        self.looked_at, self.good_for = time.monotonic(), LOOKED_FOR

    def shun(self, why: str) -> None:
        """Leave it alone for a while."""
        self.looked_at, self.good_for = time.monotonic(), SHUNNED
        self.reached, self.fault = -1, why or "no answer"

    def _judged(self, session: Session) -> tuple[int, str]:
        found = health.replica(session)
        reached = place(found.reached)
        if reached is None:
            # Promoted, or never one. A former primary that came back would be read here as if it were true.
            return -1, "the server is no replica"
        if found.behind is None or found.behind > self.most_behind:
            return reached, f"{found.behind or 0:.0f} s behind"
        return reached, ""


def init(app: Flask, told: Settings) -> None:
    """Use the replica of the settings, if they name one."""
    if not told.read_database_url or told.sqlite:
        return
    engine = db.another(told.read_database_url, pool_size=told.pool_size, **told.connecting)
    app.extensions["yiqi_replica"] = Replica(engine, told.read_lag_seconds)
    app.before_request(_begin)
    app.after_request(_tell)
    app.dispatch_request = _dispatching(app.dispatch_request)  # type: ignore[method-assign]


def of_app() -> Replica | None:
    """Give the replica of the application at hand, None without one."""
    found: Replica | None = current_app.extensions.get("yiqi_replica")
    return found


def _begin() -> None:
    db.committed()


def _tell(response: Response) -> Response:
    """Say how far the log was when all that this request wrote was in it."""
    if db.committed():
        seen = db.position()
        if bearer() is not None:
            response.headers[HEADER] = seen
        else:
            secure = settings().production
            response.set_cookie(COOKIE, seen, max_age=KEPT, secure=secure, httponly=True, samesite="Lax")
    return response


def _dispatching(here: Callable[..., Any]) -> Callable[..., Any]:
    def dispatch(*args: Any) -> Any:
        if request.method not in {"GET", "HEAD"} or request.endpoint not in ENDPOINTS:
            return here(*args)
        replica = of_app()
        seen = _seen()
        if replica is None or seen is None or not replica.serves(seen):
            READS.labels("database").inc()
            return here(*args)
        try:
            with db.elsewhere(replica.engine):
                answer = here(*args)
        except db.Unavailable as error:
            replica.shun(str(error))
            READS.labels("database").inc()
            return here(*args)
        READS.labels("replica").inc()
        return answer

    return dispatch


def _seen() -> int | None:
    """Give how far the asker has seen the log, None where that cannot be known."""
    if bearer() is None:
        return place(request.cookies.get(COOKIE)) or 0
    told = place(request.headers.get(HEADER))
    if told is None and identity().actor.scopes == frozenset({Scope.READ}):
        return 0
    return told
