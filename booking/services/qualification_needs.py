"""What instruments need of those who use them: asked by the gates, of bookings ahead, and told beforehand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from booking.domain import qualifications as domain
from booking.domain.access import Actor
from booking.domain.hours import zone
from booking.domain.lifecycle import State
from booking.domain.occupation import Item
from booking.domain.policy import Moment, moment
from booking.domain.pricing import CustomerClass
from booking.domain.qualifications import Mode, Paper, Standing
from booking.domain.rules import Reason
from booking.domain.spans import Span
from booking.services import policies
from models import (
    Booking,
    BookingItem,
    Certificate,
    Facility,
    Instrument,
    InstrumentKind,
    Part,
    Qualification,
    RuleKind,
)

if TYPE_CHECKING:
    from booking.domain.policy import Rule as PolicyRule
    from booking.services.gates import Wish

AHEAD = (State.REQUESTED, State.CONFIRMED)
"""Bookings in these states still mean to be used."""


@dataclass(frozen=True, slots=True)
class Need:
    """What an instrument wants of those who use it, and how the reader stands to it; None: nobody is signed in."""

    qualification: Qualification
    mode: Mode
    standing: Standing | None
    until: date | None


class Use(NamedTuple):
    """Who uses what and when, as far as it decides what they need."""

    person_id: UUID
    items: Sequence[Item]
    instruments: Mapping[int, Instrument]


class Wanted(NamedTuple):
    """A qualification that must be held on a day: for an instrument that is booked, at it or at a station of it."""

    booked_id: int
    place: Instrument
    code: str
    mode: Mode
    day: date


# --- gates ----------------------------------------------------------------------------------------


def to_book(session: Session, wish: Wish) -> list[Reason]:
    """Refuse who lacks what must be held to book at all."""
    return [
        Reason("qualification_missing", params) for params in _lacking(session, wish, {Mode.BEFORE_BOOKING})
    ]


def to_start(session: Session, wish: Wish) -> list[Reason]:
    """Tell who lacks what may still be had until the start."""
    return [
        Reason("training_before_start", params) for params in _lacking(session, wish, {Mode.BEFORE_START})
    ]


def to_use(session: Session, wish: Wish) -> list[Reason]:
    """Turn away who comes without what the instrument needs today, however it was booked."""
    modes = {Mode.BEFORE_BOOKING, Mode.BEFORE_START}
    return [Reason("qualification_missing", params) for params in _lacking(session, wish, modes, today=True)]


def _lacking(session: Session, wish: Wish, modes: set[Mode], *, today: bool = False) -> list[dict[str, Any]]:
    """Give the figures of each lack, one for each instrument that is booked and each qualification."""
    rows = [wish.instruments[place] for place in dict.fromkeys(item.instrument_id for item in wish.items)]
    lines = frozenset(row.id for row in rows if row.kind is InstrumentKind.LINE)
    stations = wish.once(("stations", lines), lambda: _stations(session, lines))
    wanted = _wanted(session, wish, modes, stations, wish.now if today else None)
    if not wanted:
        return []
    codes = frozenset(one.code for one in wanted)
    known = wish.once(("qualifications", codes), lambda: by_codes(session, codes))
    ids = frozenset(row.id for row in known.values())
    people = wish.beside_them()
    papers = wish.once(("papers", people, ids), lambda: papers_of_all(session, people, ids))
    mine = papers.get(wish.person_id, {})
    return [figures for _, figures in _lacks(session, wanted, known, mine, wish.now)]


def _stations(session: Session, line_ids: Iterable[int]) -> dict[int, list[Instrument]]:
    """Give the stations that each line is made of: who uses the line uses them all."""
    wanted = list(line_ids)
    found: dict[int, list[Instrument]] = {}
    if not wanted:
        return found
    query = (
        select(Part.line_id, Instrument)
        .join(Instrument, Instrument.id == Part.station_id)
        .where(Part.line_id.in_(wanted))
        .order_by(Part.line_id, Part.position)
    )
    for line_id, row in session.execute(query):
        found.setdefault(line_id, []).append(row)
    return found


def _wanted(
    session: Session,
    use: Wish | Use,
    modes: set[Mode],
    stations: Mapping[int, Sequence[Instrument]],
    at: datetime | None,
) -> list[Wanted]:
    """Give what each item wants, of its stations too where it is a line; held on the day of use, or at a moment."""
    booked = [use.instruments[item.instrument_id] for item in use.items]
    parts = [station for row in booked for station in stations.get(row.id, ())]
    rules = policies.rules_for(session, [*booked, *parts], kinds=[RuleKind.QUALIFICATION])
    wanted = []
    for item, row in zip(use.items, booked, strict=True):
        for place in (row, *stations.get(row.id, ())):
            if not rules[place.id]:
                continue
            last = at or item.span.end - timedelta(microseconds=1)
            day = last.astimezone(zone(_facility(session, place).zone)).date()
            when = policies.moment_of(session, place, item, rules[place.id], use.person_id)
            found = domain.needs(rules[place.id], when, place.category_code)
            wanted += [
                Wanted(row.id, place, code, mode, day) for code, mode in found.items() if mode in modes
            ]
    return wanted


def _lacks(
    session: Session,
    wanted: Iterable[Wanted],
    known: Mapping[str, Qualification],
    papers: Mapping[int, Sequence[Paper]],
    now: datetime,
) -> list[tuple[Mode, dict[str, Any]]]:
    """Give what is wanted and not held, with when it must be; of a line and its stations the first that wants it."""
    lacks: dict[tuple[int, str], tuple[Mode, dict[str, Any]]] = {}
    for one in wanted:
        needed = known.get(one.code)
        if needed is None:  # the facility gives it no more: nobody could get it
            continue
        today = now.astimezone(zone(_facility(session, one.place).zone)).date()
        how, until = domain.standing(papers.get(needed.id, ()), one.day, today)
        key = one.booked_id, one.code
        first = key not in lacks or (one.mode is Mode.BEFORE_BOOKING and lacks[key][0] is not one.mode)
        if how is not Standing.HELD and first:
            lacks[key] = one.mode, _figures(one.place, needed, how, until)
    return list(lacks.values())


def wanting(session: Session, *, found: Iterable[Booking], now: datetime) -> dict[UUID, list[Reason]]:
    """Give what the people of bookings ahead lack by now; a constant number of statements for all of them.

    It was there when they booked, and was taken away, or ends too early; or it is still to be had before the start.
    """
    ahead = {row.id: row for row in found if row.state in AHEAD and row.ends_at > now}
    uses = {row.id: _use_of(row) for row in ahead.values()}
    rows = {place: row for use in uses.values() for place, row in use.instruments.items()}
    stations = _stations(session, [row.id for row in rows.values() if row.kind is InstrumentKind.LINE])
    policies.rules_for(session, [*rows.values(), *(part for parts in stations.values() for part in parts)])
    modes = {Mode.BEFORE_BOOKING, Mode.BEFORE_START}
    wanted = {place: _wanted(session, use, modes, stations, None) for place, use in uses.items()}
    codes = {one.code for every in wanted.values() for one in every}
    if not codes:
        return {}
    known = by_codes(session, codes)
    papers = papers_of_all(
        session, {row.person_id for row in ahead.values()}, [row.id for row in known.values()]
    )
    return {
        booking.id: [Reason(_SAID_AS[mode], figures) for mode, figures in lacks]
        for booking in ahead.values()
        if (lacks := _lacks(session, wanted[booking.id], known, papers.get(booking.person_id, {}), now))
    }


def bookings_without(session: Session, *, person_id: UUID, code: str, now: datetime) -> list[Booking]:
    """Give the bookings ahead of a person that need a qualification which they do not hold, the next first."""
    places = selectinload(Booking.items).joinedload(BookingItem.instrument).joinedload(Instrument.facility)
    query = (
        select(Booking)
        .where(Booking.person_id == person_id, Booking.state.in_(AHEAD), Booking.ends_at > now)
        .options(places)
        .order_by(Booking.starts_at, Booking.id)
    )
    found = session.scalars(query).all()
    lacks = wanting(session, found=found, now=now)
    return [row for row in found if any(one.params["qualification"] == code for one in lacks.get(row.id, ()))]


def _use_of(booking: Booking) -> Use:
    items = [Item(row.instrument_id, Span(row.starts_at, row.ends_at), row.quantity) for row in booking.items]
    return Use(booking.person_id, items, {row.instrument_id: row.instrument for row in booking.items})


_SAID_AS = {Mode.BEFORE_BOOKING: "qualification_missing", Mode.BEFORE_START: "training_before_start"}


def _figures(row: Instrument, needed: Qualification, how: Standing, until: date | None) -> dict[str, Any]:
    return {
        "instrument": row.code,
        "qualification": needed.code,
        "name_zh": needed.name_zh,
        "name_en": needed.name_en,
        "standing": how.value,
        "until": until.isoformat() if until else None,
    }


def _facility(session: Session, row: Instrument) -> Facility:
    return session.get_one(Facility, row.facility_id)


def by_codes(session: Session, codes: Iterable[str]) -> dict[str, Qualification]:
    query = select(Qualification).where(Qualification.code.in_(codes), Qualification.retired_at.is_(None))
    return {row.code: row for row in session.scalars(query)}


def papers_of(
    session: Session, person_id: UUID | None, qualification_ids: Iterable[int]
) -> dict[int, list[Paper]]:
    if person_id is None:
        return {}
    return papers_of_all(session, {person_id}, qualification_ids).get(person_id, {})


def papers_of_all(
    session: Session, people: Iterable[UUID], qualification_ids: Iterable[int]
) -> dict[UUID, dict[int, list[Paper]]]:
    wanted = list(qualification_ids)
    found: dict[UUID, dict[int, list[Paper]]] = {}
    if not wanted:
        return found
    query = select(
        Certificate.person_id, Certificate.qualification_id, Certificate.state, Certificate.expires_on
    ).where(Certificate.person_id.in_(list(people)), Certificate.qualification_id.in_(wanted))
    for person_id, qualification_id, state, expires_on in session.execute(query):
        found.setdefault(person_id, {}).setdefault(qualification_id, []).append(Paper(state, expires_on))
    return found


def of_instrument(session: Session, *, actor: Actor, instrument: Instrument, now: datetime) -> list[Need]:
    """Give what an instrument needs today of this reader, a line with its stations, and how they stand to it."""
    line = [instrument.id] if instrument.kind is InstrumentKind.LINE else []
    places = [instrument, *_stations(session, line).get(instrument.id, ())]
    rules = policies.rules_for(session, places, kinds=[RuleKind.QUALIFICATION])
    if not any(rules.values()):
        return []
    found: dict[str, Mode] = {}
    for place in places:
        when = _moment(session, actor, place, rules[place.id], now)
        for code, mode in domain.needs(rules[place.id], when, place.category_code).items():
            found[code] = Mode.BEFORE_BOOKING if Mode.BEFORE_BOOKING in {mode, found.get(code)} else mode
    known = by_codes(session, found)
    papers = papers_of(session, actor.person_id, [row.id for row in known.values()])
    today = now.astimezone(zone(_facility(session, instrument).zone)).date()
    return [
        Need(
            row,
            found[code],
            *(
                domain.standing(papers.get(row.id, ()), today, today)
                if actor.person_id is not None
                else (None, None)
            ),
        )
        for code, row in sorted(known.items())
    ]


def held(session: Session, *, actor: Actor, rows: Sequence[Instrument], now: datetime) -> dict[int, bool]:
    """Tell of each instrument that needs a qualification today whether this reader holds all of them.

    A constant number of statements however many instruments there are.
    """
    stations = _stations(session, [row.id for row in rows if row.kind is InstrumentKind.LINE])
    places = {row.id: [row, *stations.get(row.id, ())] for row in rows}
    every = {place.id: place for found in places.values() for place in found}
    rules = policies.rules_for(session, every.values(), kinds=[RuleKind.QUALIFICATION])
    wanted = {
        place: set(
            domain.needs(rules[place], _moment(session, actor, row, rules[place], now), row.category_code)
        )
        for place, row in every.items()
        if rules[place]
    }
    if not any(wanted.values()):
        return {}
    known = by_codes(session, set().union(*wanted.values()))
    papers = papers_of(session, actor.person_id, [row.id for row in known.values()])
    mine = set()
    for code, row in known.items():
        today = now.date()
        if domain.standing(papers.get(row.id, ()), today, today)[0] is Standing.HELD:
            mine.add(code)
    needed = {
        key: set().union(*(wanted.get(place.id, set()) for place in found)) & set(known)
        for key, found in places.items()
    }
    return {key: codes <= mine for key, codes in needed.items() if codes}


def _moment(
    session: Session, actor: Actor, instrument: Instrument, rules: Sequence[PolicyRule], now: datetime
) -> Moment:
    facility = _facility(session, instrument)
    found = (
        policies.customer_class(session, rules, actor.person_id, facility.organisation_id)
        if actor.person_id is not None
        else CustomerClass.EXTERNAL
    )
    tz = zone(facility.zone)
    by_kind = any(rule.day_kind is not None for rule in rules)
    days = policies.working_days_of(session, now.astimezone(tz).date()) if by_kind else None
    return moment(now, tz=tz, customer_class=found, day_kind=days.kind if days else None)
