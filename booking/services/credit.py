"""Credit: points by dated rules, bans below the threshold, and what people say against them."""

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, Select, bindparam, exists, or_, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session, joinedload

from booking.domain import credit
from booking.domain.access import Actor, NotFound, Subject, require
from booking.domain.credit import Dated, Deed, Frame, Point, Rule
from booking.domain.hours import zone
from booking.domain.rules import Invalid, Reason, Refused
from booking.services import events
from models import (
    Appeal,
    Ban,
    Booking,
    BookingItem,
    CreditEntry,
    CreditRule,
    Facility,
    Instrument,
    Person,
)
from models.base import UtcDateTime

if TYPE_CHECKING:  # the list of gates names the one below
    from booking.services.gates import Wish

MOST_POINTS = 1000
LONGEST_BAN = timedelta(days=3660)

CLOCK = "Asia/Shanghai"
"""By whose days rules of all facilities begin and end."""


class Source(enum.StrEnum):
    """Whose rule counts, nearest first."""

    FACILITY = "facility"
    ALL = "all"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Standing:
    """How somebody stands at one facility: the score, how it came about, and the ban in force, if any."""

    facility: Facility
    rules: dict[str, Rule]
    score: int
    course: Sequence[Point]
    entries: Sequence[CreditEntry]
    ban: Ban | None


@dataclass(frozen=True, slots=True)
class Disputed:
    """Points against which somebody has said something."""

    entry: CreditEntry
    person: Person


# --- points ---------------------------------------------------------------------------------------


def note(
    session: Session,
    *,
    actor: Actor,
    person_id: UUID,
    facility_id: int,
    deed: Deed,
    booking_id: UUID,
    at: datetime,
    now: datetime,
) -> int:
    """Give or take the points of a deed, once for each booking, and give how many; a ban may follow.

    `at` is when it was done, whenever it was found out.
    """
    facility = session.get_one(Facility, facility_id)
    rules = rules_of(session, facility_id=facility_id, day=_day(facility, at))
    points = rules[deed].points
    if points == 0:
        return 0
    _lock_person(session, person_id)
    values = {
        "id": uuid4(),
        "person_id": person_id,
        "facility_id": facility_id,
        "booking_id": booking_id,
        "deed": deed.value,
        "points": points,
        "at": at,
        "note": "",
        "appeal": Appeal.NONE,
        "appeal_text": "",
        "answer": "",
    }
    make = postgresql_insert if session.get_bind().dialect.name == "postgresql" else sqlite_insert
    fresh = session.execute(
        make(CreditEntry)
        .values(values)
        .on_conflict_do_nothing(index_elements=["person_id", "deed", "booking_id"])
        .returning(CreditEntry.id)
    ).scalar_one_or_none()
    if fresh is None:
        return 0
    if points < 0:
        _told(session, actor, person_id, facility_id, deed, points, booking_id, now)
        _ban_if_low(session, actor, person_id, facility, rules, points, at, now)
    return points


def give_back(session: Session, *, actor: Actor, booking_id: UUID, deed: Deed, now: datetime) -> None:
    """Give the points of a deed back that was undone, and let its person book again if that is enough."""
    query = select(CreditEntry).where(
        CreditEntry.booking_id == booking_id,
        CreditEntry.deed == deed.value,
        CreditEntry.appeal == Appeal.NONE,
    )
    for entry in session.scalars(query).all():
        _lock_person(session, entry.person_id)
        entry.appeal, entry.answered_by, entry.answered_at = Appeal.GRANTED, actor.person_id, now
        session.flush()
        if entry.facility_id is not None:
            _lift_if_enough(session, actor, entry.person_id, entry.facility_id, now)


def noted(booking_id: Any, deed: Deed) -> ColumnElement[bool]:
    """Give the condition that a deed on a booking has its entry."""
    return exists().where(CreditEntry.booking_id == booking_id, CreditEntry.deed == deed.value)


def _told(
    session: Session,
    actor: Actor,
    person_id: UUID,
    facility_id: int,
    deed: str,
    points: int,
    booking_id: UUID | None,
    now: datetime,
) -> None:
    booking = session.get(Booking, booking_id) if booking_id else None
    events.record(
        session,
        actor=actor,
        kind="credit.changed",
        now=now,
        booking=booking,
        facility_id=facility_id,
        subject=str(person_id),
        person_id=str(person_id),
        deed=deed,
        points=points,
    )


def _ban_if_low(
    session: Session,
    actor: Actor,
    person_id: UUID,
    facility: Facility,
    rules: dict[str, Rule],
    points: int,
    at: datetime,
    now: datetime,
) -> None:
    """Ban somebody whose score is too low, from now on; its days are counted from the deed."""
    found = credit.score(_counting(session, person_id, facility.id), rules)
    days = credit.bans(found, found - points, rules)
    if days is None or _banned(session, person_id, {facility.id}, now) is not None:
        return
    until = at + timedelta(days=days)
    if until > now:
        _ban(
            session,
            actor=actor,
            person_id=person_id,
            facility_id=facility.id,
            until=until,
            reason="",
            made_by=None,
            now=now,
            score=found,
        )


def _lock_person(session: Session, person_id: UUID) -> None:
    """Let two deeds of one person be counted one after the other."""
    session.execute(select(Person.id).where(Person.id == person_id).with_for_update())


def _counting(session: Session, person_id: UUID, facility_id: int) -> list[tuple[datetime, int]]:
    """Give what counts for the score: all entries but those that were taken back on appeal."""
    query = select(CreditEntry.at, CreditEntry.points).where(
        CreditEntry.person_id == person_id,
        CreditEntry.facility_id == facility_id,
        CreditEntry.appeal != Appeal.GRANTED,
    )
    return [(at, points) for at, points in session.execute(query)]


def _day(facility: Facility, at: datetime) -> date:
    return at.astimezone(zone(facility.zone)).date()


def own(session: Session, *, actor: Actor, now: datetime) -> list[Standing]:
    """Give how the actor stands at each facility that has noted anything of them."""
    require(actor, "credit.see")
    if actor.person_id is None:
        return []
    return _standings(session, actor.person_id, None, now)


def of_person(
    session: Session, *, actor: Actor, facility_id: int, person_id: UUID, now: datetime
) -> Standing | None:
    """Give how somebody stands at a facility, None if it has noted nothing of them.

    :raises Forbidden: if the actor does not manage the facility
    """
    require(actor, "credit.keep", Subject(facility_id=facility_id))
    return next(iter(_standings(session, person_id, facility_id, now)), None)


def _standings(session: Session, person_id: UUID, facility_id: int | None, now: datetime) -> list[Standing]:
    query = select(CreditEntry).where(CreditEntry.person_id == person_id).order_by(CreditEntry.at.desc())
    entries: dict[int, list[CreditEntry]] = {}
    for entry in session.scalars(query):
        if entry.facility_id is not None and facility_id in (None, entry.facility_id):
            entries.setdefault(entry.facility_id, []).append(entry)
    bans: dict[int, Ban] = {}
    for ban in session.scalars(select(Ban).where(Ban.person_id == person_id, *_in_force(now))):
        if ban.facility_id is not None and facility_id in (None, ban.facility_id):
            bans[ban.facility_id] = ban
    places = session.scalars(
        select(Facility).where(Facility.id.in_({*entries, *bans})).order_by(Facility.code)
    )
    found = []
    for place in places:
        rules = rules_of(session, facility_id=place.id, day=_day(place, now))
        own_entries = entries.get(place.id, [])
        course = credit.course(
            ((one.at, one.points) for one in own_entries if one.appeal is not Appeal.GRANTED), rules
        )
        score = course[-1].score if course else rules[Frame.START].points
        found.append(Standing(place, rules, score, course, own_entries, bans.get(place.id)))
    return found


# --- rules ----------------------------------------------------------------------------------------


def rules_of(session: Session, *, facility_id: int | None, day: date) -> dict[str, Rule]:
    """Give the rule of every deed at a facility on a day; one statement."""
    return credit.in_force(_dated(session, facility_id), day)


def sources_of(session: Session, *, facility_id: int | None, day: date) -> dict[str, Source]:
    """Tell of every deed whose rule counts at a facility on a day."""
    found = credit.behind(_dated(session, facility_id), day)
    own = {name: Source.FACILITY if row.own else Source.ALL for name, row in found.items()}
    return {name.value: own.get(name, Source.DEFAULT) for name in credit.NAMES}


def _dated(session: Session, facility_id: int | None) -> list[Dated]:
    rows = session.scalars(
        select(CreditRule).where(or_(CreditRule.facility_id == facility_id, CreditRule.facility_id.is_(None)))
    )
    return [
        Dated(
            row.deed,
            Rule(row.points, row.ban_below, row.ban_days),
            row.facility_id is not None,
            row.valid_from,
            row.valid_to,
        )
        for row in rows
    ]


def own_rules(session: Session, *, actor: Actor, facility_id: int | None) -> list[CreditRule]:
    """Give all rules that a facility has set, or that are set for all of them, the newest first.

    :raises Forbidden: if the actor does not keep them
    """
    _require_keeper(actor, facility_id)
    query = select(CreditRule).where(_of(facility_id))
    return list(session.scalars(query.order_by(CreditRule.deed, CreditRule.valid_from.desc())))


def set_rule(
    session: Session,
    *,
    actor: Actor,
    facility_id: int | None,
    name: str,
    points: int = 0,
    ban_below: int | None = None,
    ban_days: int | None = None,
    valid_from: date,
    now: datetime,
) -> CreditRule:
    """Set how many points a deed gives from a day on; what was said for that day before is replaced.

    At a facility, or at all that say nothing else.

    :raises Forbidden: if the actor does not keep the rules there
    :raises Invalid: if it makes no sense, or would change what has been
    """
    _require_keeper(actor, facility_id)
    _check_rule(name, points, ban_below, ban_days, valid_from, _today(session, facility_id, now))
    rows = _said_of(session, facility_id, name)
    same = next((row for row in rows if row.valid_from == valid_from), None)
    row = same or CreditRule(facility_id=facility_id, deed=name, valid_from=valid_from, valid_to=None)
    row.points, row.ban_below, row.ban_days = points, ban_below, ban_days
    for other in rows:
        if other.valid_from < valid_from and (other.valid_to is None or other.valid_to > valid_from):
            other.valid_to = valid_from
    row.valid_to = min((other.valid_from for other in rows if other.valid_from > valid_from), default=None)
    session.add(row)
    events.record(
        session,
        actor=actor,
        kind="credit.rule_set",
        now=now,
        facility_id=facility_id,
        subject=name,
        points=points,
        ban_below=ban_below,
        ban_days=ban_days,
        valid_from=valid_from.isoformat(),
    )
    session.flush()
    return row


def end_rule(session: Session, *, actor: Actor, facility_id: int | None, name: str, now: datetime) -> None:
    """Let what stands above count again from today on: the rule of all, or the default; once is enough.

    :raises Forbidden: if the actor does not keep the rules there
    :raises NotFound: if there are no points of this name
    """
    _require_keeper(actor, facility_id)
    if name not in set(credit.NAMES):
        raise NotFound("credit_rule", name)
    today = _today(session, facility_id, now)
    open_ones = [
        row for row in _said_of(session, facility_id, name) if row.valid_to is None or row.valid_to > today
    ]
    if not open_ones:
        return
    for row in open_ones:
        if row.valid_from >= today:
            session.delete(row)
        else:
            row.valid_to = today
    events.record(
        session, actor=actor, kind="credit.rule_ended", now=now, facility_id=facility_id, subject=name
    )
    session.flush()


def _require_keeper(actor: Actor, facility_id: int | None) -> None:
    if facility_id is None:
        require(actor, "credit.keep_all")
    else:
        require(actor, "credit.keep", Subject(facility_id=facility_id))


def _of(facility_id: int | None) -> ColumnElement[bool]:
    return CreditRule.facility_id.is_(None) if facility_id is None else CreditRule.facility_id == facility_id


def _said_of(session: Session, facility_id: int | None, name: str) -> Sequence[CreditRule]:
    return session.scalars(select(CreditRule).where(_of(facility_id), CreditRule.deed == name)).all()


def _today(session: Session, facility_id: int | None, now: datetime) -> date:
    if facility_id is None:
        return now.astimezone(zone(CLOCK)).date()
    return _day(session.get_one(Facility, facility_id), now)


def _check_rule(
    name: str,
    points: int,
    ban_below: int | None,
    ban_days: int | None,
    valid_from: date,
    today: date,
) -> None:
    errors = {}
    if name not in set(credit.NAMES):
        errors["deed"] = "unknown"
    if abs(points) > MOST_POINTS or (name in set(Frame) and points < 0):
        errors["points"] = "out_of_range"
    if name != Frame.THRESHOLD and (ban_below is not None or ban_days is not None):
        errors["ban_below"] = "unknown"
    if (ban_below is None) != (ban_days is None):
        errors["ban_days" if ban_days is None else "ban_below"] = "required"
    if ban_below is not None and not 0 < ban_below <= MOST_POINTS:
        errors["ban_below"] = "out_of_range"
    if ban_days is not None and not 0 < ban_days <= LONGEST_BAN.days:
        errors["ban_days"] = "out_of_range"
    if valid_from < today or valid_from.year >= 2100:
        errors["valid_from"] = "out_of_range"
    if errors:
        raise Invalid(errors)


# --- appeals --------------------------------------------------------------------------------------


def appeal(session: Session, *, actor: Actor, entry_id: UUID, text: str, now: datetime) -> CreditEntry:
    """Say why points were not deserved; once for each entry.

    :raises NotFound: if the actor has no such entry
    :raises Refused: if nothing was taken, or it was appealed against before
    :raises Invalid: if nothing is said
    """
    require(actor, "credit.appeal")
    entry = session.scalars(
        select(CreditEntry)
        .where(CreditEntry.id == entry_id, CreditEntry.person_id == actor.person_id)
        .with_for_update()
    ).one_or_none()
    if entry is None:
        raise NotFound("credit_entry", entry_id)
    if not text.strip():
        raise Invalid({"text": "required"})
    if entry.points >= 0 or entry.appeal is not Appeal.NONE:
        raise Refused([Reason("appeal_settled", {"appeal": entry.appeal.value})])
    entry.appeal, entry.appeal_text, entry.appealed_at = Appeal.OPEN, text, now
    _note_appeal(session, actor, entry, "appeal.opened", now)
    session.flush()
    return entry


def decide(
    session: Session, *, actor: Actor, entry_id: UUID, grant: bool, answer: str = "", now: datetime
) -> CreditEntry:
    """Give the points of an appeal back, or not; a ban for too few points ends with it if they are enough again.

    :raises NotFound: if there is no such entry at a facility that the actor manages
    :raises Refused: if nobody appealed, or it is decided
    :raises Invalid: if points are kept without a word
    """
    entry = session.scalars(
        select(CreditEntry).where(CreditEntry.id == entry_id).with_for_update()
    ).one_or_none()
    if entry is None:
        raise NotFound("credit_entry", entry_id)
    require(actor, "credit.keep", Subject(facility_id=entry.facility_id))
    if entry.appeal is not Appeal.OPEN:
        raise Refused([Reason("appeal_settled", {"appeal": entry.appeal.value})])
    if not grant and not answer.strip():
        raise Invalid({"answer": "required"})
    entry.appeal = Appeal.GRANTED if grant else Appeal.DENIED
    entry.answer, entry.answered_by, entry.answered_at = answer, actor.person_id, now
    session.flush()
    _note_appeal(session, actor, entry, "appeal.decided", now)
    if grant and entry.facility_id is not None:
        _lift_if_enough(session, actor, entry.person_id, entry.facility_id, now)
    session.flush()
    return entry


def _note_appeal(session: Session, actor: Actor, entry: CreditEntry, kind: str, now: datetime) -> None:
    events.record(
        session,
        actor=actor,
        kind=kind,
        now=now,
        facility_id=entry.facility_id,
        subject=str(entry.id),
        person_id=str(entry.person_id),
        deed=entry.deed,
        points=entry.points,
        granted=entry.appeal is Appeal.GRANTED,
        comment=entry.answer if kind == "appeal.decided" else entry.appeal_text[:500],
    )


def _lift_if_enough(session: Session, actor: Actor, person_id: UUID, facility_id: int, now: datetime) -> None:
    facility = session.get_one(Facility, facility_id)
    rules = rules_of(session, facility_id=facility_id, day=_day(facility, now))
    limit = rules[Frame.THRESHOLD].ban_below
    if limit is not None and credit.score(_counting(session, person_id, facility_id), rules) < limit:
        return
    query = select(Ban).where(
        Ban.person_id == person_id,
        Ban.facility_id == facility_id,
        Ban.made_by.is_(None),
        *_in_force(now),
    )
    for ban in session.scalars(query).all():
        _lift(session, actor, ban, "", now)


def appeals(session: Session, *, actor: Actor, facility_id: int) -> list[Disputed]:
    """Give the appeals that wait for an answer, the oldest first.

    :raises Forbidden: if the actor does not manage the facility
    """
    require(actor, "credit.keep", Subject(facility_id=facility_id))
    query = (
        select(CreditEntry, Person)
        .join(Person, Person.id == CreditEntry.person_id)
        .where(CreditEntry.facility_id == facility_id, CreditEntry.appeal == Appeal.OPEN)
        .order_by(CreditEntry.appealed_at)
    )
    return [Disputed(entry, person) for entry, person in session.execute(query)]


# --- bans -----------------------------------------------------------------------------------------


def ban(
    session: Session,
    *,
    actor: Actor,
    facility_id: int,
    email: str,
    until: datetime,
    reason: str,
    now: datetime,
) -> Ban:
    """Let somebody who has booked here before book no more until a time; what is booked stays booked.

    :raises Forbidden: if the actor does not manage the facility
    :raises Invalid: if nobody of this address has ever booked here, or there is no reason or no sensible end
    """
    require(actor, "credit.keep", Subject(facility_id=facility_id))
    errors = {}
    person = customer(session, facility_id=facility_id, email=email)
    if person is None:
        errors["email"] = "unknown"
    if not reason.strip():
        errors["reason"] = "required"
    if not now < until <= now + LONGEST_BAN:
        errors["until"] = "out_of_range"
    if errors or person is None:
        raise Invalid(errors)
    return _ban(
        session,
        actor=actor,
        person_id=person.id,
        facility_id=facility_id,
        until=until,
        reason=reason,
        made_by=actor.person_id,
        now=now,
    )


def customer(session: Session, *, facility_id: int, email: str) -> Person | None:
    """Give the person of an address who has ever booked at the facility; whom it does not know it is not told of."""
    booked = exists().where(
        Booking.person_id == Person.id,
        BookingItem.booking_id == Booking.id,
        BookingItem.instrument_id == Instrument.id,
        Instrument.facility_id == facility_id,
    )
    return session.scalars(select(Person).where(Person.email == email.strip().lower(), booked)).one_or_none()


def _ban(
    session: Session,
    *,
    actor: Actor,
    person_id: UUID,
    facility_id: int,
    until: datetime,
    reason: str,
    made_by: UUID | None,
    now: datetime,
    **figures: Any,
) -> Ban:
    row = Ban(
        person_id=person_id,
        facility_id=facility_id,
        reason=reason,
        starts_at=now,
        ends_at=until,
        made_by=made_by,
    )
    session.add(row)
    session.flush()
    events.record(
        session,
        actor=actor,
        kind="ban.made",
        now=now,
        facility_id=facility_id,
        subject=str(row.id),
        person_id=str(person_id),
        until=until.isoformat(),
        reason=reason,
        **figures,
    )
    session.flush()
    return row


def lift(
    session: Session,
    *,
    actor: Actor,
    ban_id: UUID,
    reason: str = "",
    facility_id: int | None = None,
    now: datetime,
) -> Ban:
    """End a ban before its day; doing so again changes nothing. It must be the facility's, if one is named.

    :raises NotFound: if there is none
    :raises Forbidden: if the actor does not manage its facility
    """
    row = session.scalars(select(Ban).where(Ban.id == ban_id).with_for_update()).one_or_none()
    if row is None or facility_id not in (None, row.facility_id):
        raise NotFound("ban", ban_id)
    require(actor, "credit.keep", Subject(facility_id=row.facility_id))
    if row.lifted_at is None:
        _lift(session, actor, row, reason, now)
    session.flush()
    return row


def _lift(session: Session, actor: Actor, row: Ban, reason: str, now: datetime) -> None:
    row.lifted_at, row.lifted_by = now, actor.person_id
    events.record(
        session,
        actor=actor,
        kind="ban.lifted",
        now=now,
        facility_id=row.facility_id,
        subject=str(row.id),
        person_id=str(row.person_id),
        reason=reason,
    )


def bans(session: Session, *, actor: Actor, facility_id: int, now: datetime) -> list[Ban]:
    """Give the bans of a facility that are in force, those that end soonest first.

    :raises Forbidden: if the actor does not manage the facility
    """
    require(actor, "credit.keep", Subject(facility_id=facility_id))
    query: Select[Ban] = select(Ban).where(Ban.facility_id == facility_id, *_in_force(now))
    return list(session.scalars(query.options(joinedload(Ban.person)).order_by(Ban.ends_at)))


def _in_force(now: Any) -> tuple[ColumnElement[bool], ...]:
    return Ban.lifted_at.is_(None), Ban.starts_at <= now, Ban.ends_at > now


BARRED = (
    exists()
    .where(
        Ban.person_id == bindparam("whose"),
        *_in_force(bindparam("now", type_=UtcDateTime)),
    )
    .label("barred")
)
"""Whether somebody is banned anywhere: asked with another statement, so that `_BANS` is asked of few."""

# Asked with every booking: made once, see services.sign_in.
_BANS = (
    select(Ban)
    .where(
        Ban.person_id.in_(bindparam("people", expanding=True)),
        *_in_force(bindparam("now")),
        or_(Ban.facility_id.in_(bindparam("facilities", expanding=True)), Ban.facility_id.is_(None)),
    )
    .order_by(Ban.ends_at)
)


def _banned(session: Session, person_id: UUID, facilities: Iterable[int], now: datetime) -> Ban | None:
    return _bans_of(session, [person_id], facilities, now).get(person_id)


def _bans_of(
    session: Session, people: Iterable[UUID], facilities: Iterable[int], now: datetime
) -> dict[UUID, Ban]:
    """Give the ban of each of these people who may not book at one of the facilities: the one that ends last."""
    where = {"people": list(people), "facilities": list(set(facilities)), "now": now}
    return {ban.person_id: ban for ban in session.scalars(_BANS, where)}


def banned(session: Session, wish: "Wish") -> list[Reason]:
    """Refuse somebody who may not book here; what they have booked they may still change."""
    if wish.barred is False:
        return []
    places = {wish.instruments[item.instrument_id].facility_id for item in wish.items}
    people = wish.beside_them()
    banned_ones = wish.once(
        ("bans", people, frozenset(places)), lambda: _bans_of(session, people, places, wish.now)
    )
    found = banned_ones.get(wish.person_id)
    if found is None or _is_theirs(session, wish):
        return []
    place = session.get_one(Facility, found.facility_id or min(places))
    figures: Mapping[str, Any] = {
        "until": found.ends_at,
        "zone": place.zone,
        "facility": place.code,
        "facility_zh": place.name_zh,
        "facility_en": place.name_en,
    }
    return [Reason("banned", figures, overridable=True)]


def _is_theirs(session: Session, wish: "Wish") -> bool:
    if wish.booking_id is None:
        return False
    return session.scalar(select(Booking.person_id).where(Booking.id == wish.booking_id)) == wish.person_id
