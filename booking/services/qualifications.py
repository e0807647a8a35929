"""Qualifications: defined and taught by facilities, asked for, granted and taken away; asked for by the gates."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.orm import Session, joinedload

from booking.domain import qualifications as domain
from booking.domain.access import SYSTEM, Actor, Forbidden, NotFound, Subject, may, require
from booking.domain.hours import zone
from booking.domain.qualifications import Mode, Paper, Step
from booking.domain.rules import Invalid, Reason, Refused
from booking.services import events, qualification_needs
from models import (
    Booking,
    Category,
    Certificate,
    Facility,
    Instrument,
    Person,
    PersonState,
    Qualification,
    Rule,
    RuleKind,
    TrainingSession,
)

OPEN = (Step.REQUESTED, Step.SCHEDULED)
SEATED = (Step.SCHEDULED, Step.GRANTED)
"""Those who take a seat of a training session."""

MOST_MONTHS = 600
MOST_SEATS = 1000
LONGEST_NOTE = 500
MOST_TOLD = 10
"""A message names no more bookings; of the others it tells how many."""

_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a qualification is needed: a rule in force, on an instrument, a category, or the whole facility."""

    rule_id: int
    mode: Mode
    instrument: Instrument | None
    category: str | None
    since: date


@dataclass(frozen=True, slots=True)
class Seats:
    """A training session with the seats that are left."""

    row: TrainingSession
    trainer: str | None
    taken: int

    @property
    def free(self) -> int:
        """Give how many more may come."""
        return max(0, self.row.seats - self.taken)


# --- what a facility defines ----------------------------------------------------------------------


def listing(session: Session, *, facility_id: int | None = None) -> list[Qualification]:
    """Give the qualifications that can be had, of one facility or of all, by code."""
    query = select(Qualification).where(Qualification.retired_at.is_(None))
    if facility_id is not None:
        query = query.where(Qualification.facility_id == facility_id)
    return list(session.scalars(query.order_by(Qualification.code)))


def by_code(session: Session, *, code: str) -> Qualification:
    """Give a qualification that can be had.

    :raises NotFound: if there is none of this code
    """
    found = qualification_needs.by_codes(session, [code]).get(code)
    if found is None:
        raise NotFound("qualification", code)
    return found


def define(
    session: Session,
    *,
    actor: Actor,
    facility_id: int,
    code: str,
    name_zh: str = "",
    name_en: str = "",
    about_zh: str = "",
    about_en: str = "",
    months: int | None = None,
    now: datetime,
) -> Qualification:
    """Add a qualification that the facility gives.

    :raises Forbidden: if the actor does not manage the facility
    :raises Invalid: if the code is malformed or taken, it has no name, or the months make no sense
    """
    require(actor, "qualification.define", Subject(facility_id=facility_id))
    if not _CODE.fullmatch(code):
        raise Invalid({"code": "malformed" if code else "required"})
    if session.scalar(select(Qualification.id).where(Qualification.code == code)) is not None:
        raise Invalid({"code": "taken"})
    row = Qualification(facility_id=facility_id, code=code)
    _fill(row, name_zh, name_en, about_zh, about_en, months)
    session.add(row)
    session.flush()
    _tell(session, actor, "qualification.defined", row, now)
    return row


def redefine(
    session: Session,
    *,
    actor: Actor,
    code: str,
    name_zh: str,
    name_en: str,
    about_zh: str = "",
    about_en: str = "",
    months: int | None = None,
    now: datetime,
) -> Qualification:
    """Change its names and how long it lasts; what was granted before keeps its end.

    :raises NotFound: if there is none of this code
    :raises Forbidden: if the actor does not manage the facility
    :raises Invalid: if it has no name or the months make no sense
    """
    row = by_code(session, code=code)
    require(actor, "qualification.define", Subject(facility_id=row.facility_id))
    _fill(row, name_zh, name_en, about_zh, about_en, months)
    _tell(session, actor, "qualification.redefined", row, now)
    return row


def retire(session: Session, *, actor: Actor, code: str, now: datetime) -> None:
    """Give it no more: nothing needs it from now on, and what is on its way to it is refused.

    :raises NotFound: if there is none of this code
    :raises Forbidden: if the actor does not manage the facility
    """
    row = by_code(session, code=code)
    require(actor, "qualification.define", Subject(facility_id=row.facility_id))
    row.retired_at = now
    waiting = select(Certificate).where(Certificate.qualification_id == row.id, Certificate.state.in_(OPEN))
    for found in session.scalars(waiting.options(*_whole())):
        _decide(session, actor, found, Step.REFUSED, "", now)
    _tell(session, actor, "qualification.retired", row, now)


def _fill(
    row: Qualification, name_zh: str, name_en: str, about_zh: str, about_en: str, months: int | None
) -> None:
    if not (name_zh.strip() or name_en.strip()):
        raise Invalid({"name_zh": "required"})
    if months is not None and not 1 <= months <= MOST_MONTHS:
        raise Invalid({"months": "out_of_range"})
    row.name_zh, row.name_en = name_zh.strip() or name_en.strip(), name_en.strip()
    row.about_zh, row.about_en, row.months = about_zh.strip(), about_en.strip(), months


def _tell(session: Session, actor: Actor, kind: str, row: Qualification, now: datetime, **data: Any) -> None:
    events.record(
        session, actor=actor, kind=kind, now=now, facility_id=row.facility_id, subject=row.code, **data
    )


def needed_at(session: Session, *, code: str, now: datetime) -> list[Place]:
    """Give where a qualification is needed, today or later, by its facility's own rules.

    :raises NotFound: if there is none of this code
    """
    row = by_code(session, code=code)
    today = _today(session, row, now)
    query = (
        select(Rule, Instrument)
        .outerjoin(Instrument, Instrument.id == Rule.instrument_id)
        .where(
            Rule.kind == RuleKind.QUALIFICATION,
            Rule.name == code,
            or_(Rule.facility_id == row.facility_id, Instrument.facility_id == row.facility_id),
            or_(Rule.valid_to.is_(None), Rule.valid_to > today),
        )
        .order_by(Instrument.code.nulls_first(), Rule.id)
    )
    return [
        Place(rule.id, domain.mode_of(rule.data), instrument, rule.data.get("category"), rule.valid_from)
        for rule, instrument in session.execute(query)
    ]


def need(
    session: Session,
    *,
    actor: Actor,
    code: str,
    instrument_id: int | None = None,
    category: str | None = None,
    mode: Mode = Mode.BEFORE_BOOKING,
    now: datetime,
) -> int:
    """Want the qualification of those who use an instrument, a category of them, or any of the facility's.

    It counts from today on; what was said of the same place before ends. Gives the rule's id.

    :raises NotFound: if there is no such qualification or instrument at its facility
    :raises Forbidden: if the actor does not manage the facility
    :raises Invalid: if there is no such category, or both an instrument and a category are named
    """
    row = by_code(session, code=code)
    require(actor, "qualification.define", Subject(facility_id=row.facility_id))
    if instrument_id is not None:
        if category:
            raise Invalid({"category": "unknown"})
        if session.get_one(Instrument, instrument_id).facility_id != row.facility_id:
            raise NotFound("instrument", instrument_id)
    if category and session.get(Category, category) is None:
        raise Invalid({"category": "unknown"})
    for place in needed_at(session, code=code, now=now):
        here = place.instrument.id if place.instrument else None
        if here == instrument_id and (place.category or None) == (category or None):
            _end(session, place.rule_id, _today(session, row, now))
    rule = Rule(
        facility_id=row.facility_id if instrument_id is None else None,
        instrument_id=instrument_id,
        kind=RuleKind.QUALIFICATION,
        name=code,
        data={"mode": mode.value} | ({"category": category} if category else {}),
        valid_from=_today(session, row, now),
        created_by=actor.person_id,
        created_at=now,
    )
    session.add(rule)
    session.flush()
    _tell(session, actor, "qualification.needed", row, now, rule=rule.id, mode=mode.value)
    return rule.id


def need_no_more(session: Session, *, actor: Actor, code: str, rule_id: int, now: datetime) -> None:
    """Want it at this place no more, from today on.

    :raises NotFound: if there is no such rule in force
    :raises Forbidden: if the actor does not manage the facility
    """
    row = by_code(session, code=code)
    require(actor, "qualification.define", Subject(facility_id=row.facility_id))
    if rule_id not in {place.rule_id for place in needed_at(session, code=code, now=now)}:
        raise NotFound("rule", rule_id)
    _end(session, rule_id, _today(session, row, now))
    _tell(session, actor, "qualification.needed_no_more", row, now, rule=rule_id)


def places_to_want_it(
    session: Session, *, actor: Actor, facility_id: int
) -> tuple[list[Instrument], list[Category]]:
    """Give the instruments of a facility and their categories, for its staff to choose from."""
    require(actor, "qualification.train", Subject(facility_id=facility_id))
    rows = session.scalars(
        select(Instrument).where(Instrument.facility_id == facility_id).order_by(Instrument.code)
    ).all()
    codes = {row.category_code for row in rows if row.category_code}
    found = session.scalars(select(Category).where(Category.code.in_(codes)).order_by(Category.code))
    return list(rows), list(found)


def _end(session: Session, rule_id: int, today: date) -> None:
    """End a rule; one that has not been in force for a day is gone, its event stays."""
    rule = session.get_one(Rule, rule_id)
    if rule.valid_from >= today:
        session.delete(rule)
    else:
        rule.valid_to = today
    session.flush()


def _today(session: Session, row: Qualification, now: datetime) -> date:
    return now.astimezone(zone(session.get_one(Facility, row.facility_id).zone)).date()


# --- training sessions ----------------------------------------------------------------------------


def plan(
    session: Session,
    *,
    actor: Actor,
    code: str,
    starts_at: datetime,
    ends_at: datetime,
    seats: int,
    place: str = "",
    trainer_id: UUID | None = None,
    now: datetime,
) -> TrainingSession:
    """Offer a time at which the qualification is taught.

    :raises NotFound: if there is no such qualification
    :raises Forbidden: if the actor is not of the facility's staff
    :raises Invalid: if the time is inverted or over, or the seats make no sense
    """
    row = by_code(session, code=code)
    require(actor, "qualification.train", Subject(facility_id=row.facility_id))
    if starts_at >= ends_at:
        raise Invalid({"end": "inverted"})
    if ends_at <= now or ends_at - starts_at > timedelta(days=60):
        raise Invalid({"end": "out_of_range"})
    if not 1 <= seats <= MOST_SEATS:
        raise Invalid({"seats": "out_of_range"})
    made = TrainingSession(
        qualification_id=row.id,
        trainer_id=trainer_id or actor.person_id,
        starts_at=starts_at,
        ends_at=ends_at,
        place=place.strip(),
        seats=seats,
    )
    session.add(made)
    session.flush()
    _tell(session, actor, "qualification.session_planned", row, now, session_id=str(made.id))
    return made


def call_off(session: Session, *, actor: Actor, session_id: UUID, now: datetime) -> None:
    """Call a training session off; those who meant to come wait for another.

    :raises NotFound: if there is none, or it was called off
    :raises Forbidden: if the actor is not of the facility's staff
    """
    found = _lock_session(session, session_id)
    row = session.get_one(Qualification, found.qualification_id)
    require(actor, "qualification.train", Subject(facility_id=row.facility_id))
    found.cancelled_at = now
    coming = select(Certificate).where(
        Certificate.session_id == session_id, Certificate.state == Step.SCHEDULED
    )
    for certificate in session.scalars(coming.options(*_whole())):
        certificate.state, certificate.session_id = Step.REQUESTED, None
        _note(session, actor, "qualification.session_cancelled", certificate, now)
    _tell(session, actor, "qualification.session_called_off", row, now, session_id=str(session_id))
    session.flush()


def sessions(
    session: Session, *, qualification_ids: Iterable[int], now: datetime, since: timedelta = timedelta(0)
) -> list[Seats]:
    """Give the training sessions that are not over, or not for longer than `since`, the next first."""
    taken = (
        select(Certificate.session_id, func.count().label("taken"))
        .where(Certificate.state.in_(SEATED))
        .group_by(Certificate.session_id)
        .subquery()
    )
    query = (
        select(TrainingSession, Person.name, func.coalesce(taken.c.taken, 0))
        .outerjoin(taken, taken.c.session_id == TrainingSession.id)
        .outerjoin(Person, Person.id == TrainingSession.trainer_id)
        .where(
            TrainingSession.qualification_id.in_(list(qualification_ids)),
            TrainingSession.cancelled_at.is_(None),
            TrainingSession.ends_at > now - since,
        )
        .order_by(TrainingSession.starts_at, TrainingSession.id)
    )
    return [Seats(*row) for row in session.execute(query)]


def _lock_session(session: Session, session_id: UUID) -> TrainingSession:
    found = session.scalar(
        select(TrainingSession)
        .where(TrainingSession.id == session_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if found is None or found.cancelled_at is not None:
        raise NotFound("training session", session_id)
    return found


# --- from the request to the grant ----------------------------------------------------------------


def ask(
    session: Session,
    *,
    actor: Actor,
    code: str,
    session_id: UUID | None = None,
    note: str = "",
    now: datetime,
) -> Certificate:
    """Ask for a qualification; with a training session, take a seat in it.

    :raises NotFound: if there is no such qualification or session
    :raises Refused: if it is on its way or held already, or the session is full or has begun
    """
    require(actor, "qualification.ask")
    if actor.person_id is None:
        raise Forbidden("qualification.ask", sign_in=True)
    row = _lock(session, code)
    today = _today(session, row, now)
    held = session.scalars(
        select(Certificate).where(
            Certificate.person_id == actor.person_id, Certificate.qualification_id == row.id
        )
    ).all()
    if any(paper.state in OPEN for paper in held):
        raise Refused([Reason("already_asked", _named(row))])
    lasting = [paper for paper in held if Paper(paper.state, paper.expires_on).covers(today)]
    soon = today + domain.RENEWABLE
    if any(paper.expires_on is None or paper.expires_on > soon for paper in lasting):
        raise Refused([Reason("already_qualified", _named(row))])
    certificate = Certificate(
        person_id=actor.person_id,
        qualification_id=row.id,
        state=Step.REQUESTED,
        note=note.strip()[:LONGEST_NOTE],
        requested_at=now,
    )
    certificate.person = session.get_one(Person, actor.person_id)
    certificate.qualification, certificate.session = row, None
    session.add(certificate)
    session.flush()
    if session_id is not None:
        _seat(session, certificate, session_id, now)
    _note(session, actor, "qualification.requested", certificate, now, note=certificate.note)
    session.flush()
    return certificate


def schedule(
    session: Session, *, actor: Actor, certificate_id: UUID, session_id: UUID, now: datetime
) -> Certificate:
    """Give a request a seat in a training session, or another one; for the person and for the staff.

    :raises NotFound: if there is no such request or session for this actor
    :raises Refused: if it is decided already, or the session is full or has begun
    """
    certificate = _lock_certificate(session, actor, certificate_id, "qualification.ask")
    _wants(certificate, *OPEN)
    if certificate.session_id != session_id:
        _seat(session, certificate, session_id, now)
        _note(session, actor, "qualification.scheduled", certificate, now)
    session.flush()
    return certificate


def withdraw(session: Session, *, actor: Actor, certificate_id: UUID, now: datetime) -> Certificate:
    """Take one's own request back, and give the seat free.

    :raises NotFound: if there is no such request of this actor
    :raises Refused: if it is decided already
    """
    certificate = _lock_certificate(session, actor, certificate_id, "qualification.ask")
    if certificate.person_id != actor.person_id:
        raise Forbidden("qualification.ask")
    _wants(certificate, *OPEN)
    return _decide(session, actor, certificate, Step.WITHDRAWN, "", now)


def grant(
    session: Session,
    *,
    actor: Actor,
    certificate_id: UUID,
    granted_on: date | None = None,
    expires_on: date | None = None,
    note: str = "",
    now: datetime,
) -> Certificate:
    """Say that somebody has it; it lasts as long as the qualification says, unless an end is named.

    :raises NotFound: if there is no such request for this actor
    :raises Forbidden: if the actor is not of the facility's staff
    :raises Refused: if it is decided already
    :raises Invalid: if it would end before it begins, or begin in the future
    """
    certificate = _lock_certificate(session, actor, certificate_id, "qualification.train")
    _wants(certificate, *OPEN)
    return _grant(session, actor, certificate, granted_on, expires_on, note, now)


def award(
    session: Session,
    *,
    actor: Actor,
    code: str,
    person_id: UUID,
    granted_on: date | None = None,
    expires_on: date | None = None,
    note: str = "",
    now: datetime,
) -> Certificate:
    """Grant it to somebody who did not ask here, or renew it; a request on its way is what is granted.

    :raises NotFound: if there is no such qualification
    :raises Forbidden: if the actor is not of the facility's staff
    :raises Invalid: if there is no such person, or it would end before it begins
    """
    row = _lock(session, code)
    require(actor, "qualification.train", Subject(facility_id=row.facility_id))
    person = session.get(Person, person_id)
    if person is None or person.state is not PersonState.ACTIVE:
        raise Invalid({"person": "unknown"})
    waiting = session.scalar(
        select(Certificate)
        .where(
            Certificate.person_id == person_id,
            Certificate.qualification_id == row.id,
            Certificate.state.in_(OPEN),
        )
        .options(*_whole())
    )
    certificate = waiting or Certificate(
        person_id=person_id, qualification_id=row.id, state=Step.REQUESTED, requested_at=now, session=None
    )
    certificate.person, certificate.qualification = person, row
    session.add(certificate)
    session.flush()
    return _grant(session, actor, certificate, granted_on, expires_on, note, now)


def refuse(
    session: Session, *, actor: Actor, certificate_id: UUID, reason: str, now: datetime
) -> Certificate:
    """Refuse a request, with a reason.

    :raises NotFound: if there is no such request for this actor
    :raises Forbidden: if the actor is not of the facility's staff
    :raises Refused: if it is decided already
    :raises Invalid: if no reason is given
    """
    certificate = _lock_certificate(session, actor, certificate_id, "qualification.train")
    _wants(certificate, *OPEN)
    return _decide(session, actor, certificate, Step.REFUSED, _reason(reason), now)


def revoke(
    session: Session,
    *,
    actor: Actor,
    certificate_id: UUID,
    reason: str,
    expires_on: date | None = None,
    now: datetime,
) -> Certificate:
    """Take a qualification away, with a reason, at once or from a day on that is earlier than its end.

    Who comes then to use what needs it is turned away. The person hears which of their bookings need it, and so do
    the managers where these are.

    :raises NotFound: if there is no such certificate for this actor
    :raises Forbidden: if the actor does not manage the facility
    :raises Refused: if it is not granted
    :raises Invalid: if no reason is given, or the day is not between today and its end
    """
    certificate = _lock_certificate(session, actor, certificate_id, "qualification.define")
    _wants(certificate, Step.GRANTED)
    words = _reason(reason)
    if expires_on is None:
        certificate.state = Step.REVOKED
    else:
        _end_early(session, certificate, expires_on, now)
    session.flush()
    flagged = qualification_needs.bookings_without(
        session, person_id=certificate.person_id, code=certificate.qualification.code, now=now
    )
    told: dict[str, Any] = {"bookings": [_entry(one) for one in flagged[:MOST_TOLD]], "count": len(flagged)}
    done = _decide(
        session, actor, certificate, certificate.state, words, now, kind="qualification.revoked", **told
    )
    _flag(session, actor, certificate, flagged, words, now)
    return done


def _end_early(session: Session, certificate: Certificate, expires_on: date, now: datetime) -> None:
    today = _today(session, certificate.qualification, now)
    if expires_on <= today or (certificate.expires_on is not None and expires_on >= certificate.expires_on):
        raise Invalid({"expires_on": "out_of_range"})
    certificate.expires_on, certificate.warned_days = expires_on, None


def _flag(
    session: Session,
    actor: Actor,
    certificate: Certificate,
    flagged: Iterable[Booking],
    reason: str,
    now: datetime,
) -> None:
    """Tell each facility, once, which bookings there nobody could check in to any more."""
    there: dict[int, list[Booking]] = {}
    for row in flagged:
        for place in sorted({item.instrument.facility_id for item in row.items}):
            there.setdefault(place, []).append(row)
    for place, rows in sorted(there.items()):
        events.record(
            session,
            actor=actor,
            kind="qualification.flagged",
            now=now,
            facility_id=place,
            subject=str(certificate.id),
            person_id=str(certificate.person_id),
            certificate_id=str(certificate.id),
            bookings=[_entry(row, place) for row in rows[:MOST_TOLD]],
            count=len(rows),
            reason=reason,
            until=certificate.expires_on.isoformat()
            if certificate.state is Step.GRANTED and certificate.expires_on
            else None,
            **_named(certificate.qualification),
        )


def _entry(row: Booking, facility_id: int | None = None) -> dict[str, str]:
    """Give what a message says of a booking; to a facility only what is its own."""
    items = [item for item in row.items if facility_id in {None, item.instrument.facility_id}]
    return {
        "id": str(row.id),
        "what": ", ".join(item.instrument.code for item in items),
        "start": items[0].starts_at.isoformat(),
        "end": items[-1].ends_at.isoformat(),
        "zone": items[0].instrument.facility.zone,
    }


def require_staff(session: Session, *, actor: Actor, code: str) -> None:
    """Let only the staff of the facility pass that gives it.

    :raises NotFound: if there is no such qualification
    :raises Forbidden: if the actor is not of them
    """
    place = by_code(session, code=code).facility_id
    require(actor, "qualification.train", Subject(facility_id=place))


def _lock(session: Session, code: str) -> Qualification:
    """Lock a qualification, so that of two requests one waits for the other."""
    found = session.scalar(
        select(Qualification)
        .where(Qualification.code == code, Qualification.retired_at.is_(None))
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if found is None:
        raise NotFound("qualification", code)
    return found


def _lock_certificate(session: Session, actor: Actor, certificate_id: UUID, action: str) -> Certificate:
    """Lock a certificate that the actor may see, and ask for the right."""
    locked = session.scalar(select(Certificate.id).where(Certificate.id == certificate_id).with_for_update())
    if locked is None:
        raise NotFound("certificate", certificate_id)
    found = session.scalars(
        select(Certificate)
        .where(Certificate.id == certificate_id)
        .options(*_whole())
        .execution_options(populate_existing=True)
    ).one()
    place = Subject(facility_id=found.qualification.facility_id)
    own = found.person_id == actor.person_id
    if not own and not may(actor, "qualification.train", place):
        raise NotFound("certificate", certificate_id)
    if action == "qualification.ask":
        require(actor, action)
    else:
        require(actor, action, place)
    return found


def _whole() -> tuple[Any, ...]:
    return (
        joinedload(Certificate.person),
        joinedload(Certificate.qualification),
        joinedload(Certificate.session),
    )


def _wants(certificate: Certificate, *steps: Step) -> None:
    if certificate.state not in steps:
        raise Refused([Reason("certificate_decided", {"step": certificate.state.value})])


def _seat(session: Session, certificate: Certificate, session_id: UUID, now: datetime) -> None:
    """Take a seat; of two who want the last one, one waits for the other and finds it taken."""
    found = _lock_session(session, session_id)
    if found.qualification_id != certificate.qualification_id:
        raise NotFound("training session", session_id)
    if found.starts_at <= now:
        raise Refused([Reason("past", {"now": now})])
    taken = session.scalar(
        select(func.count())
        .select_from(Certificate)
        .where(Certificate.session_id == session_id, Certificate.state.in_(SEATED))
    )
    if (taken or 0) >= found.seats:
        raise Refused([Reason("session_full", {"seats": found.seats})])
    certificate.session_id, certificate.session = session_id, found
    certificate.state = Step.SCHEDULED


def _grant(
    session: Session,
    actor: Actor,
    certificate: Certificate,
    granted_on: date | None,
    expires_on: date | None,
    note: str,
    now: datetime,
) -> Certificate:
    today = _today(session, certificate.qualification, now)
    since = granted_on or today
    if since > today:
        raise Invalid({"granted_on": "out_of_range"})
    until = expires_on or domain.expiry(since, certificate.qualification.months)
    if until is not None and until <= max(since, today):
        raise Invalid({"expires_on": "inverted"})
    certificate.granted_on, certificate.expires_on = since, until
    certificate.warned_days = None
    return _decide(session, actor, certificate, Step.GRANTED, note.strip()[:LONGEST_NOTE], now)


def _decide(
    session: Session,
    actor: Actor,
    certificate: Certificate,
    step: Step,
    reason: str,
    now: datetime,
    *,
    kind: str = "",
    **data: Any,
) -> Certificate:
    certificate.state = step
    certificate.decided_at, certificate.decided_by = now, actor.person_id
    if reason:
        certificate.note = reason
    until = certificate.expires_on.isoformat() if step is Step.GRANTED and certificate.expires_on else None
    kind = kind or f"qualification.{step.value}"
    _note(session, actor, kind, certificate, now, reason=reason, until=until, **data)
    session.flush()
    return certificate


def _reason(text: str) -> str:
    reason = text.strip()
    if not reason:
        raise Invalid({"reason": "required"})
    return reason[:LONGEST_NOTE]


def _named(row: Qualification) -> dict[str, Any]:
    return {"qualification": row.code, "name_zh": row.name_zh, "name_en": row.name_en}


def _note(
    session: Session, actor: Actor, kind: str, certificate: Certificate, now: datetime, **data: Any
) -> None:
    """Record what happened to a certificate, with all that a message of it needs."""
    row, training = certificate.qualification, certificate.session
    events.record(
        session,
        actor=actor,
        kind=kind,
        now=now,
        facility_id=row.facility_id,
        subject=str(certificate.id),
        person_id=str(certificate.person_id),
        certificate_id=str(certificate.id),
        session_starts=training.starts_at.isoformat() if training is not None else None,
        **_named(row),
        **data,
    )


# --- what is read ---------------------------------------------------------------------------------


def own(session: Session, *, actor: Actor) -> list[Certificate]:
    """Give the actor's certificates, of each qualification the newest first."""
    require(actor, "qualification.own")
    query = (
        select(Certificate)
        .where(Certificate.person_id == actor.person_id)
        .options(*_whole())
        .order_by(Certificate.requested_at.desc(), Certificate.id)
    )
    return list(session.scalars(query))


def get(session: Session, *, actor: Actor, certificate_id: UUID) -> Certificate:
    """Give one certificate, for its person and for the staff of its facility.

    :raises NotFound: if there is none that this actor may see
    """
    found = session.scalars(
        select(Certificate).where(Certificate.id == certificate_id).options(*_whole())
    ).one_or_none()
    if found is None or not (
        (actor.person_id == found.person_id and may(actor, "qualification.own"))
        or may(actor, "qualification.train", Subject(facility_id=found.qualification.facility_id))
    ):
        raise NotFound("certificate", certificate_id)
    return found


def of_facility(
    session: Session,
    *,
    actor: Actor,
    facility_id: int,
    steps: Iterable[Step] = (),
    code: str | None = None,
    page: int = 1,
    page_size: int = 50,
) -> tuple[list[Certificate], int]:
    """Give the certificates of a facility's qualifications, for its staff, and how many there are in all.

    Those that wait come by age, of the others what runs out first comes first.

    :raises Forbidden: if the actor is not of the facility's staff
    """
    require(actor, "qualification.train", Subject(facility_id=facility_id))
    wanted = list(steps)
    chosen: Select[Any] = (
        select(Certificate)
        .join(Qualification, Qualification.id == Certificate.qualification_id)
        .where(Qualification.facility_id == facility_id)
    )
    if wanted:
        chosen = chosen.where(Certificate.state.in_(wanted))
    if code is not None:
        chosen = chosen.where(Qualification.code == code)
    total = session.scalar(chosen.with_only_columns(func.count()).order_by(None)) or 0
    # Who has asked anew, and got it, is not listed with what has run out.
    by_age = bool(wanted) and set(wanted) <= set(OPEN)
    order = (
        (Certificate.requested_at, Certificate.id)
        if by_age
        else (Certificate.expires_on.asc().nulls_last(), Certificate.id)
    )
    rows = session.scalars(
        chosen.options(*_whole()).order_by(*order).limit(page_size).offset((page - 1) * page_size)
    )
    return list(rows), total


def waiting(session: Session, *, facility_id: int) -> int:
    """Count the requests that wait for a facility."""
    query = (
        select(func.count())
        .select_from(Certificate)
        .join(Qualification, Qualification.id == Certificate.qualification_id)
        .where(Qualification.facility_id == facility_id, Certificate.state.in_(OPEN))
    )
    return session.scalar(query) or 0


# --- what runs out --------------------------------------------------------------------------------


def anything_runs_out(session: Session, *, now: datetime) -> bool:
    """Tell whether `warn` would find anything."""
    return session.scalar(select(Certificate.id).where(_running_out(now)).limit(1)) is not None


def warn(session: Session, *, now: datetime, limit: int = 200) -> int:
    """Record that certificates run out, 30 and 7 days before, each once; give how many were looked at.

    Who holds the same for longer by another certificate is not told.
    """
    found = session.scalars(
        select(Certificate)
        .where(_running_out(now))
        .options(joinedload(Certificate.session))
        .order_by(Certificate.expires_on, Certificate.id)
        .limit(limit)
        .with_for_update(skip_locked=True, of=Certificate)
    ).all()
    for certificate in found:
        row = session.get_one(Qualification, certificate.qualification_id)
        until, today = certificate.expires_on, now.date()
        days = domain.warning(until, today, certificate.warned_days) if until else None
        renewed = qualification_needs.papers_of(session, certificate.person_id, [row.id])[row.id]
        if until and row.retired_at is None and not any(paper.covers(until) for paper in renewed):
            certificate.qualification, left = row, (until - today).days
            _note(
                session,
                SYSTEM,
                "qualification.expiring",
                certificate,
                now,
                days=left,
                until=until.isoformat(),
            )
        # Also of what needs no word it is noted, so that it does not come up again.
        certificate.warned_days = days
    session.flush()
    return len(found)


def _running_out(now: datetime) -> ColumnElement[bool]:
    """Find what `domain.warning` would speak of; the day is the server's, a day more or less is no matter."""
    first, last = domain.WARNINGS
    today = now.date()
    return and_(
        Certificate.state == Step.GRANTED,
        Certificate.expires_on > today,
        or_(
            and_(Certificate.warned_days.is_(None), Certificate.expires_on <= today + timedelta(days=first)),
            and_(Certificate.warned_days == first, Certificate.expires_on <= today + timedelta(days=last)),
        ),
    )
