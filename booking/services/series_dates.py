"""What the rules say of many dates at once, and what could be had instead; as many statements for one as for all."""

import enum
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from itertools import islice
from uuid import UUID

from sqlalchemy.orm import Session

from booking.domain import availability as free_time
from booking.domain.access import Actor
from booking.domain.chemicals import Substance
from booking.domain.hours import DAY_MINUTES, instant, open_spans, zone
from booking.domain.occupation import Claim, Item
from booking.domain.policy import Timetable
from booking.domain.recurrence import Clock
from booking.domain.rules import Facts, Reason, refusals
from booking.domain.spans import Load, Span, busy, merge
from booking.services import approval_steps, availability, bookings, gates, occupation, policies
from booking.services.availability import Alternative
from booking.services.gates import Look, Wish
from booking.services.occupation import Locked
from models import Booking

DAY = timedelta(days=1)
OTHER_TIMES = 1
"""So many earlier ones and later ones are offered for a date that cannot be had."""

OTHER_PLACES = 2
MOST_TIMES = 100


class Way(enum.StrEnum):
    """What becomes of a date: as the rule says, otherwise, or not at all."""

    ASKED = "asked"
    OTHER = "other"
    SKIP = "skip"
    WAITLIST = "waitlist"
    EXCLUDED = "excluded"


BOOKED = frozenset({Way.ASKED, Way.OTHER})


@dataclass(frozen=True, slots=True)
class Choice:
    """What somebody wants for a date instead of what the rule says: another time, another instrument, or none."""

    way: Way
    instrument_id: int | None = None
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """A date with what is wanted on it; `booking` is the one that is changed, `before` is where it is now.

    `chemicals` None are those that the booking declared before.
    """

    day: date
    item: Item
    way: Way = Way.ASKED
    clock: Clock = Clock.PLAIN
    booking: Booking | None = None
    before: Mapping[int, Span] = field(default_factory=dict)
    chemicals: Sequence[Substance] | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """A date with all that the rules say of it. The reasons of one that is not to be booked stand in nobody's way."""

    day: date
    item: Item
    way: Way
    clock: Clock
    reasons: tuple[Reason, ...] = ()
    needs_approval: bool = False
    alternatives: tuple[Alternative, ...] = ()
    booking: Booking | None = None

    @property
    def booked(self) -> bool:
        """Tell whether time is wanted for it."""
        return self.way in BOOKED

    @property
    def stands_in_the_way(self) -> bool:
        """Tell whether it is wanted and cannot be had."""
        return self.booked and bool(self.reasons)

    @property
    def exceptional(self) -> bool:
        """Tell whether it is wanted and could be had by an exception."""
        return self.stands_in_the_way and all(reason.overridable for reason in self.reasons)


@dataclass(frozen=True, slots=True)
class _Ledger:
    """What was read once for all dates."""

    places: Locked
    timetables: dict[int, Timetable]
    facts: dict[int, Facts]

    def claims(self, item: Item) -> list[Claim]:
        """Give all that the item takes."""
        return occupation.claims([item], self.places.instruments, self.places.parts, self.timetables)

    def near(self, claims: Sequence[Claim], own: Mapping[int, Sequence[Load]]) -> dict[int, Facts]:
        """Give the facts about what is claimed, with no more loads than those that touch the claims."""
        within = Span(min(claim.span.start for claim in claims), max(claim.span.end for claim in claims))
        return {place: self.around(place, within, own) for place in {claim.instrument_id for claim in claims}}

    def around(self, place: int, within: Span, own: Mapping[int, Sequence[Load]]) -> Facts:
        """Give the facts about one instrument with no more loads than those that touch the span."""
        known = self.facts[place]
        loads = tuple(
            load
            for load in (*known.loads, *own.get(place, ()))
            if load.start < within.end and within.start < load.end
        )
        return replace(known, loads=loads)


def judge(
    session: Session,
    *,
    actor: Actor,
    whom: Actor,
    wanted: Sequence[Wanted],
    places: Locked,
    project_id: UUID | None,
    without: Collection[UUID] = (),
    alternatives: bool = True,
    now: datetime,
) -> list[Judged]:
    """Say of every date what stands against it, each after those before it.

    `without` names the bookings that give their time up. Dates that are left out are not judged.
    """
    asked = [one for one in wanted if one.way is not Way.EXCLUDED]
    if not asked:
        return [Judged(one.day, one.item, one.way, one.clock) for one in wanted]
    ledger = _read(session, [one.item for one in asked], places, actor, whom, now, without)
    first = bookings.wish_for(session, whom, None, [asked[0].item], places.instruments, project_id, now)
    first = replace(first, look=Look([one.item.span for one in asked]))
    own: dict[int, list[Load]] = {}
    beside: list[Item] = []
    found: list[Judged] = []
    by_rules: set[date] = set()
    for one in wanted:
        if one.way is Way.EXCLUDED:
            found.append(Judged(one.day, one.item, one.way, one.clock))
            continue
        claims = ledger.claims(one.item)
        against = refusals([one.item], claims, ledger.near(claims, own), now, before=one.before or None)
        if against:
            by_rules.add(one.day)
        wish = _wish(first, one, beside)
        reasons = policies.told(
            session,
            [*against, *gates.reasons(session, wish)],
            [one.item],
            places.instruments,
            ledger.timetables,
        )
        approval = bool(approval_steps.planned(session, actor=actor, wish=wish))
        found.append(
            Judged(one.day, one.item, one.way, one.clock, tuple(reasons), approval, booking=one.booking)
        )
        if one.way in BOOKED and not reasons:
            if one.booking is None:  # else the row that it changes counts for it
                beside.append(one.item)
            for claim in claims:
                own.setdefault(claim.instrument_id, []).append(Load(*claim.span, claim.quantity))
    if not alternatives or not by_rules:
        return found
    refused = [one for one in found if one.day in by_rules]
    instead = _instead(session, refused, ledger, own, actor, whom, now)
    return [replace(one, alternatives=tuple(instead.get(one.day, ()))) for one in found]


def _wish(first: Wish, one: Wanted, beside: Sequence[Item]) -> Wish:
    if one.booking is None:
        return replace(first, items=[one.item], beside=tuple(beside), chemicals=one.chemicals)
    whose = one.booking
    return replace(
        first,
        person_id=whose.person_id,
        organisation_id=whose.organisation_id,
        project_id=whose.project_id,
        items=[one.item],
        booking_id=whose.id,
        beside=tuple(beside),
        chemicals=one.chemicals,
    )


def _read(
    session: Session,
    items: Sequence[Item],
    places: Locked,
    actor: Actor,
    whom: Actor,
    now: datetime,
    without: Collection[UUID] = (),
) -> _Ledger:
    rows = [places.instruments[place] for place in dict.fromkeys(item.instrument_id for item in items)]
    timetables = policies.timetables(session, rows, person_id=whom.person_id)
    claims = occupation.claims(items, places.instruments, places.parts, timetables)
    # Other times of the same days are looked for as well.
    widest = Span(
        min(claim.span.start for claim in claims) - DAY, max(claim.span.end for claim in claims) + DAY
    )
    view = occupation.look(
        session, places.instruments, widest, now=now, without=without, person_id=actor.person_id
    )
    facts = availability.facts(session, places.instruments.values(), view.loads, timetables=timetables)
    return _Ledger(places, timetables, facts)


# --- what could be had instead --------------------------------------------------------------------


def _instead(
    session: Session,
    refused: Sequence[Judged],
    ledger: _Ledger,
    own: Mapping[int, Sequence[Load]],
    actor: Actor,
    whom: Actor,
    now: datetime,
) -> dict[date, list[Alternative]]:
    """Give for each refused date other times of that day, and equal instruments at the same time."""
    equal = _equal(session, refused, ledger.places, actor, whom, now)
    return {one.day: [*_other_times(one, ledger, own, now), *equal.get(one.day, ())] for one in refused}


def _other_times(
    one: Judged, ledger: _Ledger, own: Mapping[int, Sequence[Load]], now: datetime
) -> list[Alternative]:
    item, place = one.item, one.item.instrument_id
    known = ledger.facts[place]
    tz = zone(known.zone)
    day = Span(max(instant(one.day, 0, tz), now), instant(one.day, DAY_MINUTES, tz))
    if not known.bookable or day.start >= day.end:
        return []
    whole = Span(day.start, day.end + item.span.duration)
    near = ledger.around(place, whole.padded(DAY, DAY), own)
    opened, blocked = open_spans(known.hours, whole, tz), _blocked(place, whole, ledger, own)
    uses: set[Span] = set()
    for starting, policy in ledger.timetables[place].segments(day):
        levels = free_time.free_levels(opened, near.loads, known.units, policy, blocked=blocked)
        spans = merge(span for span, level in levels if level >= item.quantity)
        length = free_time.nearest_length(item.span.duration, policy)
        wish = Span(item.span.start, item.span.start + length)
        starts = free_time.nearest_starts(
            spans, wish, policy, now, known.zone, count=MOST_TIMES, starting=starting
        )
        uses |= {Span(start, start + length) for start in starts}
    nearest = sorted(uses - {item.span}, key=lambda use: (abs(use.start - item.span.start), use))
    earlier = (use for use in nearest if use.start <= item.span.start)
    later = (use for use in nearest if use.start > item.span.start)
    code = ledger.places.instruments[place].code
    return [
        Alternative(place, code, *use, "nearest")
        for use in (*islice(earlier, OTHER_TIMES), *islice(later, OTHER_TIMES))
    ]


def _blocked(line: int, within: Span, ledger: _Ledger, own: Mapping[int, Sequence[Load]]) -> list[Span]:
    """Give the time in which a station of the line has too little room for it."""
    found: list[Span] = []
    for part in ledger.places.parts.get(line, ()):
        units = ledger.places.instruments[part.station_id].units
        loads = ledger.around(part.station_id, within.padded(DAY, DAY), own).loads
        found += busy(loads, units - (part.units or units))
    return merge(found)


def _equal(
    session: Session, refused: Sequence[Judged], places: Locked, actor: Actor, whom: Actor, now: datetime
) -> dict[date, list[Alternative]]:
    asked = places.instruments[refused[0].item.instrument_id]
    rows = availability.equals(session, instrument=asked, quantity=max(one.item.quantity for one in refused))
    if not rows:
        return {}
    others = occupation.unlocked(session, (row.id for row in rows))
    wishes = {one.day: [Item(row.id, one.item.span, one.item.quantity) for row in rows] for one in refused}
    ledger = _read(session, [item for found in wishes.values() for item in found], others, actor, whom, now)
    return {
        day: [
            Alternative(item.instrument_id, others.instruments[item.instrument_id].code, *item.span, "equal")
            for item in islice((item for item in items if _fits(item, ledger, now)), OTHER_PLACES)
        ]
        for day, items in wishes.items()
    }


def _fits(item: Item, ledger: _Ledger, now: datetime) -> bool:
    claims = ledger.claims(item)
    return not refusals([item], claims, ledger.near(claims, {}), now)
