"""Wishes by words, class and abilities: which instruments match is found anew as long as they wait."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking.domain.access import Actor, NotFound
from booking.domain.rules import Invalid, Refused
from booking.services import acting, catalogue, line_routes, routes, waitlist
from booking.services.catalogue import Filters
from models import EntryState, Instrument, WaitlistEntry, WaitlistInstrument


def to_match(session: Session, *, now: datetime) -> list[UUID]:
    """Give the places in the line whose instruments were not all named, those that have waited longest first."""
    waiting = select(WaitlistEntry.id, WaitlistEntry.filters, WaitlistEntry.steps).where(
        WaitlistEntry.state == EntryState.WAITING, WaitlistEntry.window_ends_at > now
    )
    return [
        row.id
        for row in session.execute(waiting.order_by(WaitlistEntry.joined_at, WaitlistEntry.id))
        if row.filters or any(step["filters"] for step in row.steps)
    ]


def match_anew(session: Session, *, entry_id: UUID, now: datetime) -> bool:
    """Let a place in the line be for the instruments that match by now; False says that nothing has changed.

    What is new is looked at in the next turn; what matches no more, or is withdrawn, is waited for no longer.
    """
    seen = session.scalars(waitlist.loaded().where(WaitlistEntry.id == entry_id)).one_or_none()
    person = acting.actor_of(session, seen.person_id) if seen is not None else None
    if seen is None or person is None:
        return False
    before = {place.instrument_id for place in seen.places}
    wanted = _matching(session, seen, person, before, now)
    if wanted == before:
        return False
    # The instruments are locked before the place in the line, as everybody does.
    waitlist.lock_shared(session, sorted(wanted | before))
    entry = waitlist.locked(session, entry_id=entry_id)
    if entry is None or entry.state is not EntryState.WAITING:
        return False
    entry.places = [one for one in entry.places if one.instrument_id in wanted]
    new = sorted(wanted - {one.instrument_id for one in entry.places})
    entry.places += [WaitlistInstrument(instrument_id=place) for place in new]
    session.flush()
    if new:
        waitlist.look_again(session, entry, new, now)
    return True


def still(session: Session, *, person: Actor, filters: dict[str, str], places: Iterable[int]) -> list[int]:
    """Give those of the instruments that match as yet."""
    wanted = list(places)
    query = select(Instrument.id).where(
        Instrument.id.in_(wanted),
        Instrument.id.in_(catalogue.matching(Filters(**filters), person)),
        Instrument.bookable,
    )
    found = set(session.scalars(query))
    return [place for place in wanted if place in found]


def _matching(
    session: Session, entry: WaitlistEntry, person: Actor, before: set[int], now: datetime
) -> set[int]:
    """Give what matches by now; what is new must be usable but for the time being taken, as when one joins."""
    try:
        if entry.steps:
            options = routes.options_of(session, person, line_routes.read(entry.steps))
            return {row.id for some in options for row in some}
        found = set(waitlist.instruments_for(session, actor=person, filters=Filters(**entry.filters)))
    except (Invalid, NotFound):
        return set()
    new = session.scalars(
        select(Instrument).where(Instrument.id.in_(found - before)).order_by(Instrument.id)
    ).all()
    window = waitlist.window_of(entry)
    try:
        usable = waitlist.usable(session, person, new, window, entry.minutes, entry.quantity, now)
    except Refused:
        usable = []
    return (found & before) | set(usable)
