"""Who asks for a time that others were just refused is refused too, without its lock and another look."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking.domain.access import Actor
from booking.domain.chemicals import Substance
from booking.domain.hours import WeeklyHours
from booking.domain.occupation import Item
from booking.domain.rules import LONGEST, Refused, refusals
from booking.domain.spans import Load, Span
from booking.services import availability, bookings, gates, occupation, policies
from booking.services.crowd import Crowd
from models import Instrument, Occupation


@dataclass(frozen=True, slots=True)
class _Sight:
    """An instrument's days as anybody sees them who judges a wish by its rules."""

    within: Span
    seen: occupation.Locked
    loads: Mapping[int, tuple[Load, ...]]
    hours: Mapping[int, tuple[str, tuple[WeeklyHours, ...]]]
    held: Sequence[Span]
    """What somebody holds while they fill a form: for them it is free."""


def note(session: Session, *, crowd: Crowd, item: Item, now: datetime) -> None:
    """Look at the days of a time that was refused, so that the next who want it are refused without a lock."""
    within = _days(item)

    def read() -> tuple[_Sight, Mapping[int, Instrument]]:
        seen = occupation.unlocked(session, [item.instrument_id])
        rows = seen.instruments
        held = select(Occupation.starts_at, Occupation.ends_at).where(
            Occupation.instrument_id.in_(rows),
            Occupation.starts_at < within.end,
            Occupation.ends_at > within.start,
            Occupation.expires_at.is_not(None),
        )
        loads = occupation.look(session, rows, within, now=now).loads
        hours = availability.hours_of(session, rows.values())
        return _Sight(within, seen, loads, hours, [Span(*row) for row in session.execute(held)]), rows

    crowd.once(session, ("days", item.instrument_id, within.start), now, read)


def refuse_what_is_gone(
    session: Session,
    *,
    crowd: Crowd,
    actor: Actor,
    items: Sequence[Item],
    project_id: UUID | None,
    chemicals: Sequence[Substance],
    now: datetime,
) -> None:
    """Refuse a booking of a time that others were just refused, with every reason as ever, but without its lock.

    Nothing happens where that is not certain: the booking is tried.

    :raises Refused: if the time is taken
    """
    item = items[0]
    if len(items) != 1 or actor.person_id is None or item.span.duration > LONGEST:
        return
    sight: _Sight | None = crowd.known(session, ("days", item.instrument_id, _days(item).start), now)
    if sight is None:
        return
    rows = sight.seen.instruments
    bookings.require_visible(actor, [rows[item.instrument_id]])
    timetables = policies.timetables(session, rows.values(), person_id=actor.person_id)
    claims = occupation.claims(items, rows, sight.seen.parts, timetables)
    around = Span(min(claim.span.start for claim in claims), max(claim.span.end for claim in claims))
    if around.start < sight.within.start or around.end > sight.within.end:
        return
    if any(span.start < around.end and span.end > around.start for span in sight.held):
        return
    facts = availability.facts(session, rows.values(), sight.loads, timetables=timetables, hours=sight.hours)
    stand = refusals(items, claims, facts, now)
    if all(reason.code != "taken" for reason in stand):
        return
    wish = bookings.wish_for(session, actor, None, items, rows, project_id, now, chemicals)
    reasons = [*stand, *gates.reasons(session, wish)]
    raise Refused(policies.told(session, reasons, items, rows, timetables), items, wish)


def _days(item: Item) -> Span:
    """Give the day on which a use starts with the days around it."""
    midnight = item.span.start.replace(hour=0, minute=0, second=0, microsecond=0)
    return Span(midnight - timedelta(days=1), midnight + timedelta(days=3))
