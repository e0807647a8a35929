"""Quiet times: when a maintenance of some hours disturbs the least, and closing then, with other places looked for."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking.domain.access import Actor, Subject, require
from booking.domain.hours import WeeklyHours, open_spans, zone
from booking.domain.pricing import CustomerClass
from booking.domain.resolution.effort import Effort
from booking.domain.resolution.problem import SLOT
from booking.domain.rules import Invalid, Reason, Refused
from booking.domain.spans import Span, intersect
from booking.services import availability, closures, facilities, repair_pools, replans
from booking.services.lanes import Grid
from booking.services.repair_pools import LONGEST, Ground
from models import Booking, Closure, ClosureKind, Facility, Instrument, Replan

if TYPE_CHECKING:
    from booking.domain.resolution.repair import Window as Found

MOST = 5
"""So many times are told."""


@dataclass(frozen=True, slots=True)
class QuietTime:
    """A time for a maintenance, whom it would displace, and what finding them other places would disturb at most.

    `moved` of them find another place now, the others none; `classes` counts them by class of customer.
    """

    span: Span
    met: tuple[Booking, ...]
    cost: int
    moved: int
    classes: Mapping[CustomerClass, int]

    @property
    def without_place(self) -> int:
        """How many find no other place."""
        return len(self.met) - self.moved


def find(
    session: Session,
    *,
    actor: Actor,
    facility_id: int,
    instrument_ids: Sequence[int] = (),
    length: timedelta,
    within: Span,
    in_hours: bool,
    now: datetime,
) -> list[QuietTime]:
    """Give the times in a span at which closing some instruments, or by none the whole facility, disturbs the least.

    Several instruments are closed at the same time. With `in_hours` each lies within opening hours. A time that
    displaces nobody comes first; of those that displace the same bookings the earliest is told. Bookings of several
    items and those that have begun are never displaced.

    :raises Forbidden: if the actor does not manage the facility
    :raises NotFound: if an instrument is not the facility's
    :raises Invalid: if the length does not fit the span, or the span is over or too long
    """
    from booking.domain.resolution.repair import quietest  # noqa: PLC0415 - NumPy: only who asks loads it

    require(actor, "closure.make", Subject(facility_id=facility_id))
    availability.check_window(within)
    within = Span(max(within.start, now), within.end)
    if within.duration > LONGEST or within.duration < SLOT:
        raise Invalid({"to": "out_of_range"})
    if not SLOT <= length <= within.duration:
        raise Invalid({"length": "out_of_range"})
    facility = session.get_one(Facility, facility_id)
    chosen: list[int | None] = [*instrument_ids] or [None]
    places = sorted({place for one in chosen for place in closures.places(session, facility_id, one)})
    ground = repair_pools.survey(session, facility=facility, instrument_ids=places, span=within, now=now)
    over, read = ground.over, ground.read
    span = over.inside(within)
    if span is None:
        return []
    lanes = [lane for place in places for lane in read.by_instrument.get(place, ())]
    found = quietest(
        ground.pool,
        ground.plan,
        lanes,
        -(-length // SLOT),
        span,
        later={lane: read.setup[lane] for lane in lanes},
        inside=_inside(session, facility, instrument_ids, over) if in_hours else None,
        most=MOST,
        # A page waits: each gets the nearest place. The replan of what is chosen has the exact solver think about it.
        effort=Effort(work=0),
    )
    return [_told(one, ground, facility, length) for one in found]


def _inside(
    session: Session, facility: Facility, instrument_ids: Sequence[int], over: Grid
) -> list[tuple[int, int]]:
    """Give when all of some instruments, or by none the facility, are open."""
    rows = session.scalars(select(Instrument).where(Instrument.id.in_(instrument_ids))).all()
    weeks: list[Sequence[WeeklyHours]] = [
        hours for _zone, hours in availability.hours_of(session, rows).values()
    ]
    open_ = [over.span]
    for week in weeks or [facilities.hours(session, facility_id=facility.id)]:
        open_ = intersect(open_, list(open_spans(week, over.span, zone(facility.zone))))
    spans = (over.inside(span) for span in open_)
    return [span for span in spans if span is not None]


def _told(one: "Found", ground: Ground, facility: Facility, length: timedelta) -> QuietTime:
    start = ground.over.time(one.start)
    met = tuple(ground.bookings[number] for number in one.hit)
    own = facility.organisation_id
    classes = Counter(
        CustomerClass.INTERNAL if booking.organisation_id == own else CustomerClass.EXTERNAL
        for booking in met
    )
    return QuietTime(Span(start, start + length), met, one.repair.cost, one.repair.moved, classes)


def close(
    session: Session,
    *,
    actor: Actor,
    facility_id: int,
    instrument_ids: Sequence[int] = (),
    span: Span,
    displaces: int,
    kind: ClosureKind,
    reason: str,
    now: datetime,
) -> tuple[list[Closure], Replan | None]:
    """Close at a time that was found, and have other places looked for; `displaces` is how many it was to displace.

    Of several instruments each gets its closure, and what any of them displaces is looked at together.

    :raises Forbidden: if the actor does not manage the facility
    :raises Refused: if it meets more bookings by now, or the time has passed
    """
    made, met = closures.make_all(
        session,
        actor=actor,
        facility_id=facility_id,
        instrument_ids=sorted(set(instrument_ids)) or [None],
        span=span,
        kind=kind,
        reason=reason,
        imposed=displaces > 0,
        now=now,
    )
    if len(met) > displaces:
        raise Refused(
            [Reason("meets_bookings", {"bookings": len(met), "start": span.start, "end": span.end})]
        )
    if not met:
        return made, None
    if len(made) > 1:
        return made, replans.begin_together(session, actor=actor, closures=made, now=now)
    try:
        with session.begin_nested():
            return made, replans.begin(session, actor=actor, closure_id=made[0].id, now=now)
    except Refused:  # only people can move them
        return made, None
