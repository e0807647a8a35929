"""Feeds for calendar programs: events at `/calendars/<token>.ics`, busy time alone at `/calendars/<token>.ifb`."""

from collections.abc import Callable
from functools import partial

from flask import Blueprint, Response

from booking.db import Session
from booking.domain import calendars as ical
from booking.domain.calendars import Busy
from booking.domain.lifecycle import State
from booking.domain.occupation import Kind
from booking.domain.spans import Span
from booking.feeds import answers, rendering
from booking.feeds.answers import Asked, Form
from booking.http.context import settings
from booking.http.guard import open_to_all
from booking.services import feeds
from booking.services.feeds import CALLED_OFF, Entry
from models import CalendarScope

blueprint = Blueprint("feeds", __name__)


@blueprint.get("/calendars/<token>.ics")
@open_to_all
def feed(token: str) -> Response:
    """Give the calendar of a secret address."""
    return answers.give(token, EVENTS)


@blueprint.get("/calendars/<token>.ifb")
@open_to_all
def busy(token: str) -> Response:
    """Give the busy time of a secret address and nothing else, as one VFREEBUSY."""
    return answers.give(token, BUSY)


@blueprint.get("/robots.txt")
@open_to_all
def robots() -> Response:
    """Let calendars that obey robots.txt fetch feeds; `X-Robots-Tag` keeps these out of search engines."""
    return Response("User-agent: *\nAllow: /calendars/\n", mimetype="text/plain")


def _events(session: Session, asked: Asked) -> Callable[[], bytes]:
    fresh = rendering.read(session, asked.found, asked.rules, cancelled=asked.cancelled, now=asked.now)
    return partial(rendering.render, asked.found, fresh, asked.rules, asked.now)


def _busy(session: Session, asked: Asked) -> Callable[[], bytes]:
    found, rules, now = asked.found, asked.rules, asked.now
    host, secret = settings().host_name, rendering.secret_of_uids()
    keys = [key for key, _version in feeds.outline(session, found, rules=rules, now=now)]
    made = feeds.entries(session, found, keys=keys, host=host, secret=secret)
    told = [entry for some in made.values() for entry in some]
    told += feeds.others(session, found, rules=rules, host=host, secret=secret, now=now)
    window = Span(*ical.window(now, rules))
    periods: dict[Busy, list[Span]] = {}
    for entry in told:
        if entry.state not in CALLED_OFF:
            periods.setdefault(_kind(entry), []).append(Span(entry.starts_at, entry.ends_at))
    stamp = max((entry.updated_at for entry in told), default=window.start)
    uid = ical.busy_uid(f"busy-{found.link_id}", host, secret)
    return partial(ical.render_busy, uid, window, stamp, periods)


def _kind(entry: Entry) -> Busy:
    if entry.kind is None:
        return Busy.FREE
    if entry.kind is not Kind.BOOKING:
        return Busy.UNAVAILABLE
    return Busy.TENTATIVE if entry.state is State.REQUESTED else Busy.BUSY


EVENTS = Form("ics", "text/calendar", frozenset(CalendarScope), _events)
BUSY = Form("ifb", "text/calendar", feeds.WITH_BUSY, _busy)
