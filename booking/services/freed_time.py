"""News of freed time: what came free lately on the instruments of a feed, and still is."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking.domain import calendars as ical
from booking.domain.calendars import FeedRules
from booking.domain.spans import Span, intersect, merge
from booking.services import feeds, policies
from booking.services.feeds import Feed, Place
from models import CameFree, Facility, Instrument, Network


@dataclass(frozen=True, slots=True)
class News:
    """Time on an instrument that came free lately, and what of it still is."""

    id: int
    place: Place
    zone: str
    freed_at: datetime
    spans: tuple[Span, ...]


FRESH = timedelta(days=14)
"""So long it is news that time came free."""

MOST_NEWS = 100


def news(session: Session, found: Feed, *, rules: FeedRules, now: datetime) -> list[News]:
    """Give what came free lately on the instruments of a feed and still is free, the latest first.

    It changes with what is booked, and of itself at midnight.
    """
    today = ical.midnight(now)
    query = select(CameFree).where(CameFree.freed_at > today - FRESH, CameFree.ends_at > today)
    if isinstance(found.subject, (Facility, Network)):
        query = query.where(feeds.in_subject(found.subject, CameFree.instrument_id))
    else:
        named = [row.id for row in feeds.instruments_of(found.subject)]
        query = query.where(CameFree.instrument_id.in_(named))
    rows = list(
        session.scalars(query.order_by(CameFree.freed_at.desc(), CameFree.id.desc()).limit(MOST_NEWS))
    )
    wanted = {row.instrument_id for row in rows}
    subjects = session.scalars(select(Instrument).where(Instrument.id.in_(wanted), Instrument.bookable)).all()
    free = feeds.free_spans(session, found, subjects, rules, now, today)
    places = feeds.places_of(session, free)
    facilities = policies.facilities_of(session, {place.facility_id for place in places.values()})
    told = []
    for row in rows:
        still = [span for span, _ in free.get(row.instrument_id, ())]
        if spans := tuple(intersect([Span(row.starts_at, row.ends_at)], merge(still))):
            place = places[row.instrument_id]
            told.append(News(row.id, place, facilities[place.facility_id].zone, row.freed_at, spans))
    return told
