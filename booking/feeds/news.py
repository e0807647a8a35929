"""News of time that came free, for readers of news: `/calendars/<token>` with .atom, .rss or .json behind it."""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial

from flask import Response

from booking import i18n
from booking.db import Session
from booking.domain import calendars as ical
from booking.domain import hours, syndication
from booking.domain.syndication import Channel, Item
from booking.feeds import answers, rendering
from booking.feeds.answers import Asked, Form
from booking.feeds.ics import blueprint
from booking.http.context import public_url_for, settings
from booking.http.guard import open_to_all
from booking.i18n import gettext as _
from booking.i18n import name_of
from booking.services import feeds, freed_time
from booking.services.feeds import Feed
from booking.services.freed_time import News

Write = Callable[[Channel, Sequence[Item]], bytes]


@blueprint.get("/calendars/<token>.atom")
@open_to_all
def atom(token: str) -> Response:
    """Give the news of freed time as Atom."""
    return answers.give(token, ATOM)


@blueprint.get("/calendars/<token>.rss")
@open_to_all
def rss(token: str) -> Response:
    """Give the news of freed time as RSS."""
    return answers.give(token, RSS)


@blueprint.get("/calendars/<token>.json")
@open_to_all
def json_feed(token: str) -> Response:
    """Give the news of freed time as a JSON Feed."""
    return answers.give(token, JSON)


def _read(write: Write, session: Session, asked: Asked) -> Callable[[], bytes]:
    told = (
        freed_time.news(session, asked.found, rules=asked.rules, now=asked.now)
        if asked.found.readable
        else []
    )
    return partial(_written, write, asked, told)


def _written(write: Write, asked: Asked, told: Sequence[News]) -> bytes:
    with i18n.use_locale(asked.found.locale):
        channel = _channel(asked.found, told, asked)
        return write(channel, list(map(_item, told)))


def _channel(found: Feed, told: Sequence[News], asked: Asked) -> Channel:
    about = _("Time that came free in the last two weeks and still is.")
    title = found.name or rendering.title_of(found) if found.readable else _("Yiqi")
    if not found.readable:
        about = _("You may no longer see what this calendar showed. You can remove the subscription.")
    return Channel(
        id=f"urn:uuid:{found.link_id}",
        title=_("%(name)s: freed time", name=title),
        about=about,
        url=public_url_for("web.free"),
        language=i18n.language_tag(found.locale),
        author="Yiqi",
        changed=max((one.freed_at for one in told), default=ical.midnight(asked.now)),
    )


def _item(one: News) -> Item:
    """Tell of freed time on the clock of its facility."""
    name, facility = name_of(one.place), name_of(one.place.facility)
    spans = [i18n.format_span(start, end, one.zone) for start, end in one.spans]
    first = one.spans[0]
    return Item(
        id=f"tag:{settings().host_name},2026:came-free/{one.id}",
        title=_("%(instrument)s is free: %(time)s", instrument=name, time=spans[0]),
        text="\n".join(
            [*spans, ", ".join(part for part in (one.place.location, facility) if part), one.zone]
        ),
        url=public_url_for(
            "web.new_booking",
            instrument=one.place.code,
            start=_local(first.start, one.zone),
            end=_local(first.end, one.zone),
        ),
        at=one.freed_at,
    )


def _local(at: datetime, zone: str) -> str:
    """Write a time as the form of a booking takes it, on the clock of the facility."""
    return at.astimezone(hours.zone(zone)).strftime("%Y-%m-%dT%H:%M")


ATOM = Form("atom", "application/atom+xml", feeds.WITH_NEWS, partial(_read, syndication.atom))
RSS = Form("rss", "application/rss+xml", feeds.WITH_NEWS, partial(_read, syndication.rss))
JSON = Form("json", "application/feed+json", feeds.WITH_NEWS, partial(_read, syndication.json_feed))
