"""Routes for those who wait for a process: kept, tried whenever time comes free, and told why there is none yet."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking.domain.access import Actor, Forbidden, NotFound
from booking.domain.occupation import Item
from booking.domain.rules import Invalid
from booking.domain.spans import Span
from booking.services import availability, routes
from booking.services.catalogue import Filters
from booking.services.routes import Route, Step
from models import Instrument, OfferState, WaitlistEntry, WaitlistOffer

MOST_TRIES = 6
"""So many routes are tried, one later than the other, before the next in line has their turn."""

Answerable = Callable[[Instrument, datetime], bool]
"""Whether an offer on an instrument, of a use that begins then, can still be answered."""


def least(steps: Sequence[Step]) -> int:
    """Give the least minutes from the first start to the last end."""
    return sum(step.minutes for step in steps) + sum(step.lag[0] for step in steps[1:])


def kept(steps: Iterable[Step]) -> list[dict[str, Any]]:
    """Give steps as they are kept."""
    return [
        {
            "minutes": step.minutes,
            "code": step.code,
            "any_of": list(step.any_of),
            "filters": step.filters.kept,
            "lag": list(step.lag),
            "family": step.family,
            "draws": dict(step.draws),
            "quantity": step.quantity,
        }
        for step in steps
    ]


def read(steps: Iterable[Mapping[str, Any]]) -> list[Step]:
    """Give the steps that are kept so."""
    return [
        Step(
            minutes=one["minutes"],
            code=one["code"],
            any_of=tuple(one["any_of"]),
            filters=Filters(**one["filters"]),
            lag=(one["lag"][0], one["lag"][1]),
            family=one["family"],
            draws=one["draws"],
            quantity=one["quantity"],
        )
        for one in steps
    ]


# --- a trial --------------------------------------------------------------------------------------


def first_route(
    session: Session, *, entry: WaitlistEntry, person: Actor, answerable: Answerable, now: datetime
) -> tuple[Item, ...]:
    """Give the items of the earliest route that the rules let somebody have and that they have not let pass.

    None if there is none. Instruments are found anew by words, classes and abilities.
    """
    passed = _passed(session, entry.id)
    start = max(entry.window_starts_at, now)
    for _ in range(MOST_TRIES):
        route = find(session, entry=entry, person=person, within=(start, entry.window_ends_at), now=now)
        if route is None or not route.items:
            return ()
        first = route.items[0]
        new = (first.instrument_id, first.span.start) not in passed
        if route.allowed and new and (entry.at_once or answerable(route.instruments[0], first.span.start)):
            return route.items
        start = first.span.end
    return ()


def find(
    session: Session,
    *,
    entry: WaitlistEntry,
    person: Actor,
    within: tuple[datetime, datetime],
    now: datetime,
) -> Route | None:
    """Give the earliest route for who waits; None if they may no longer, or the time is over."""
    start, end = within
    if start >= end:
        return None
    try:
        return routes.find(
            session,
            actor=person,
            steps=read(entry.steps),
            within=Span(start, end),
            project_id=entry.project_id,
            now=now,
        )
    except (NotFound, Forbidden, Invalid):
        return None


def _passed(session: Session, entry_id: UUID) -> set[tuple[int, datetime]]:
    query = select(WaitlistOffer.instrument_id, WaitlistOffer.starts_at).where(
        WaitlistOffer.entry_id == entry_id,
        WaitlistOffer.state.in_((OfferState.DECLINED, OfferState.SILENT)),
    )
    return {(place, start) for place, start in session.execute(query)}


# --- an offer -------------------------------------------------------------------------------------


def following(items: Sequence[Item]) -> list[list[Any]]:
    """Give where the steps after the first go, as an offer keeps it."""
    return [
        [item.instrument_id, item.span.start.isoformat(), item.span.end.isoformat()] for item in items[1:]
    ]


def places_of(offer: WaitlistOffer) -> list[tuple[int, Span]]:
    """Give where each step of an offer goes; of one that is no process its only place."""
    rest = [
        (int(place), Span(datetime.fromisoformat(start), datetime.fromisoformat(end)))
        for place, start, end in offer.following
    ]
    return [(offer.instrument_id, Span(offer.starts_at, offer.ends_at)), *rest]


def items_of(session: Session, *, actor: Actor, entry: WaitlistEntry, offer: WaitlistOffer) -> list[Item]:
    """Give the items of a process that is offered: its steps on the instruments and at the times that are held."""
    places = places_of(offer)
    query = select(Instrument.id, Instrument.code).where(Instrument.id.in_([one for one, _ in places]))
    codes = {row.id: row.code for row in session.execute(query)}
    steps = [
        replace(step, code=codes[place], any_of=(), filters=Filters())
        for step, (place, _) in zip(read(entry.steps), places, strict=True)
    ]
    at = [(codes[place], span.start) for place, span in places]
    return routes.at(session, actor=actor, steps=steps, places=at)


def why(
    session: Session, *, entry: WaitlistEntry, person: Actor, ahead: timedelta, now: datetime
) -> list[dict[str, Any]]:
    """Give what stands in the way of a process, and the first route after its window; codes with figures."""
    told: list[dict[str, Any]] = []
    start = max(entry.window_starts_at, now)
    now_free = find(session, entry=entry, person=person, within=(start, entry.window_ends_at), now=now)
    if now_free is None or not now_free.items:
        step = now_free.reasons[0].params.get("step") if now_free is not None and now_free.reasons else None
        told.append({"code": "no_route", "step": step})
    elif not now_free.allowed:
        told.append({"code": "ruled_out"})
    after = max(entry.window_ends_at - timedelta(minutes=entry.minutes), now)
    later = find(session, entry=entry, person=person, within=(after, after + ahead), now=now)
    if later is not None and later.allowed:
        first, row = later.items[0], later.instruments[0]
        told.append(
            {
                "code": "next_best",
                "instrument": row.code,
                "start": first.span.start.isoformat(),
                "end": later.items[-1].span.end.isoformat(),
                "zone": availability.zones(session, [row])[row.facility_id],
            }
        )
    return told
