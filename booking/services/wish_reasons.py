"""Why a wish found no place while its window lasted, and the next place that it could have; codes with figures."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from booking.domain import waitlist as line
from booking.domain.access import Actor, Forbidden, NotFound
from booking.domain.hours import open_spans, zone
from booking.domain.occupation import Item
from booking.domain.rules import Invalid
from booking.domain.spans import Load, Span, busy, intersect, subtract
from booking.services import acting, availability, bookings, line_routes
from models import Booking, Instrument, Occupation, Organisation, WaitlistEntry

AHEAD = timedelta(days=28)
"""So far after the window the next best place is looked for."""

MOST = 50
"""So many of the instruments that would do are looked at, and never more than a few statements."""


def why(session: Session, *, entry: WaitlistEntry, now: datetime) -> list[dict[str, Any]]:
    """Give what stood in the way of a wish whose window is over, by class and never by name, and what is next best."""
    if entry.steps:
        return _of_process(session, entry, now)
    rows = _instruments(session, entry)
    spans = line.read(entry.windows) or (Span(entry.window_starts_at, entry.window_ends_at),)
    return [*_blocked(session, entry, rows, spans), *_next_best(session, entry, rows, now)]


def so_far(session: Session, *, entry: WaitlistEntry, now: datetime) -> list[dict[str, Any]]:
    """Give what stands in the way of a wish that waits, in what is left of its windows, and what is next best."""
    if entry.steps:
        return _of_process(session, entry, now)
    rows = _instruments(session, entry)
    windows = line.read(entry.windows) or (Span(entry.window_starts_at, entry.window_ends_at),)
    spans = [Span(max(one.start, now), one.end) for one in windows if one.end > now]
    blocked = _blocked(session, entry, rows, spans) if spans else []
    return [*blocked, *_next_best(session, entry, rows, now)]


def _of_process(session: Session, entry: WaitlistEntry, now: datetime) -> list[dict[str, Any]]:
    person = acting.actor_of(session, entry.person_id)
    if person is None:
        return []
    return line_routes.why(session, entry=entry, person=person, ahead=AHEAD, now=now)


def _instruments(session: Session, entry: WaitlistEntry) -> Sequence[Instrument]:
    wanted = [place.instrument_id for place in entry.places]
    query = select(Instrument).where(Instrument.id.in_(wanted), Instrument.bookable)
    return session.scalars(query.order_by(Instrument.id).limit(MOST)).all()


def _blocked(
    session: Session, entry: WaitlistEntry, rows: Sequence[Instrument], spans: Sequence[Span]
) -> Iterable[dict[str, Any]]:
    if not rows:
        return [{"code": "no_match"}]
    length = timedelta(minutes=entry.minutes)
    hours = availability.hours_of(session, rows)
    opened = {
        row.id: [
            open_ for span in spans for open_ in open_spans(hours[row.id][1], span, zone(hours[row.id][0]))
        ]
        for row in rows
    }
    if not any(span.duration >= length for found in opened.values() for span in found):
        return [{"code": "not_open"}]
    loads, kinds, closures = _taken(session, rows, spans)
    for row in rows:
        free = subtract(intersect(opened[row.id], spans), busy(loads[row.id], row.units - entry.quantity))
        if any(span.duration >= length for span in free):
            return [{"code": "ruled_out"}]
    return [{"code": "taken_by", "kinds": dict(sorted(kinds.items())), "closures": closures}]


def _taken(
    session: Session, rows: Sequence[Instrument], spans: Sequence[Span]
) -> tuple[dict[int, list[Load]], Counter[str], int]:
    """Give what stood in the ledger, and how many bookings of each class of organisation and closures these were."""
    query = (
        select(
            Occupation.instrument_id,
            Occupation.starts_at,
            Occupation.ends_at,
            Occupation.quantity,
            Occupation.booking_id,
            Occupation.closure_id,
            Organisation.kind,
        )
        .outerjoin(Booking, Booking.id == Occupation.booking_id)
        .outerjoin(Organisation, Organisation.id == Booking.organisation_id)
        .where(
            Occupation.instrument_id.in_([row.id for row in rows]),
            or_(*((Occupation.starts_at < span.end) & (Occupation.ends_at > span.start) for span in spans)),
        )
    )
    loads: dict[int, list[Load]] = {row.id: [] for row in rows}
    bookings_met: dict[object, str] = {}
    closures_met = set()
    for row in session.execute(query):
        loads[row.instrument_id].append(Load(row.starts_at, row.ends_at, row.quantity))
        if row.booking_id is not None:
            bookings_met[row.booking_id] = row.kind.value if row.kind else "none"
        elif row.closure_id is not None:
            closures_met.add(row.closure_id)
    return loads, Counter(bookings_met.values()), len(closures_met)


def _next_best(
    session: Session, entry: WaitlistEntry, rows: Sequence[Instrument], now: datetime
) -> Iterable[dict[str, Any]]:
    """Give the first place after the window that every rule lets the person have, if there is one before long."""
    person = acting.actor_of(session, entry.person_id)
    if person is None or not rows:
        return
    for row, span in _first_places(session, entry, rows, person, now):
        if _could_book(session, entry, person, Item(row.id, span, entry.quantity), now):
            place = availability.zones(session, [row])[row.facility_id]
            yield {
                "code": "next_best",
                "instrument": row.code,
                "start": span.start.isoformat(),
                "end": span.end.isoformat(),
                "zone": place,
            }
            return


def _could_book(session: Session, entry: WaitlistEntry, person: Actor, item: Item, now: datetime) -> bool:
    try:
        verdict = bookings.dry_run(session, actor=person, items=[item], project_id=entry.project_id, now=now)
    except (NotFound, Forbidden, Invalid):
        return False  # they no longer work for the project, or may no longer see the instrument
    return verdict.allowed


def _first_places(
    session: Session, entry: WaitlistEntry, rows: Sequence[Instrument], person: Actor, now: datetime
) -> list[tuple[Instrument, Span]]:
    after = max(entry.window_ends_at - timedelta(minutes=entry.minutes), now)
    found = availability.first_uses(
        session,
        rows=rows,
        length=timedelta(minutes=entry.minutes),
        within=Span(after, after + AHEAD),
        quantity=entry.quantity,
        person_id=person.person_id,
        now=now,
    )
    return sorted(found, key=lambda one: (one[1], one[0].id))[:3]
