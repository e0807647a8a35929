"""Permits of instruments: entered and renewed, ended on another day, struck out; whom that leaves without; warnings."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session

from booking.domain import permits as domain
from booking.domain.access import SYSTEM, Actor, NotFound, Subject, require
from booking.domain.hours import zone
from booking.domain.permits import OVER, WARNINGS, Term
from booking.domain.rules import Invalid
from booking.services import displacements, events, instruments, occupation, permit_needs
from models import Booking, Facility, Instrument, InstrumentPermit, Replan

LONGEST = {"name": 120, "number": 100, "note": 500}
LEAST_REASON, LONGEST_REASON = 3, 500
YEARS = range(2000, 2100)
"""Days of other years are slips of the pen."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A term of a permit as it is entered."""

    name: str
    number: str
    valid_from: date
    valid_until: date
    note: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """A term with the days that are left of it, the last one not counted; `renewed` where another lasts longer."""

    permit: InstrumentPermit
    days: int
    begun: bool
    renewed: bool


def listing(session: Session, *, actor: Actor, code: str, now: datetime) -> list[Standing]:
    """Give the permits of an instrument by name, the longest first.

    :raises NotFound: if there is no such instrument for this actor
    """
    row = instruments.by_code(session, actor=actor, code=code)
    today = now.astimezone(zone(_facility(session, row).zone)).date()
    found = sorted(_rows(session, row), key=lambda one: (one.name, -one.valid_until.toordinal()))
    return [
        Standing(one, (one.valid_until - today).days, one.valid_from <= today, _renewed(one, found))
        for one in found
    ]


def by_adding(session: Session, *, actor: Actor, code: str, draft: Draft, now: datetime) -> list[Booking]:
    """Give the bookings ahead that would lack a permit once this one is entered.

    :raises NotFound: if there is no such instrument for this actor
    :raises Forbidden: if the actor does not manage its facility
    :raises Invalid: if it makes no sense, or such a term begins on that day already
    """
    row = _kept(session, actor, code)
    checked = _checked(session, row, draft)
    terms = [*_terms(session, row), Term(checked.name, checked.valid_from, checked.valid_until)]
    return displacements.by_permits(session, row=row, terms=terms, now=now)


def add(
    session: Session, *, actor: Actor, code: str, draft: Draft, now: datetime
) -> tuple[InstrumentPermit, list[Booking], Replan | None]:
    """Enter a term of a permit, the first or a renewal; other places are looked for whom it leaves without.

    :raises NotFound: if there is no such instrument for this actor
    :raises Forbidden: if the actor does not manage its facility
    :raises Invalid: if it makes no sense, or such a term begins on that day already
    """
    row = _locked(session, actor, code, now)
    checked = _checked(session, row, draft)
    permit = InstrumentPermit(
        instrument_id=row.id,
        name=checked.name,
        number=checked.number,
        valid_from=checked.valid_from,
        valid_until=checked.valid_until,
        note=checked.note,
        created_by=actor.person_id,
        created_at=now,
    )
    session.add(permit)
    session.flush()
    _note(session, actor, "permit.added", row, permit, now)
    return permit, *_replan(session, actor, row, now)


def by_ending(
    session: Session, *, actor: Actor, code: str, permit_id: UUID, last_day: date, now: datetime
) -> list[Booking]:
    """Give the bookings ahead that would lack a permit if this one ended on another day.

    :raises NotFound: if there is no such instrument or permit for this actor
    :raises Forbidden: if the actor does not manage its facility
    :raises Invalid: if that is no other day, or before its first day
    """
    row = _kept(session, actor, code)
    permit = _of(session, row, permit_id)
    _check_last(permit, last_day)
    return displacements.by_permits(session, row=row, terms=_until(session, row, permit, last_day), now=now)


def covered(
    session: Session, *, actor: Actor, code: str, permit_id: UUID, last_day: date, now: datetime
) -> list[Booking]:
    """Give the bookings ahead that lack a permit now and would lack none if this one ended on another day.

    :raises NotFound: if there is no such instrument or permit for this actor
    :raises Forbidden: if the actor does not manage its facility
    """
    row = _kept(session, actor, code)
    permit = _of(session, row, permit_id)
    lacking = displacements.by_permits(session, row=row, terms=_terms(session, row), now=now)
    terms = _until(session, row, permit, last_day)
    still = {one.id for one in displacements.by_permits(session, row=row, terms=terms, now=now)}
    return [one for one in lacking if one.id not in still]


def end(
    session: Session,
    *,
    actor: Actor,
    code: str,
    permit_id: UUID,
    last_day: date,
    reason: str = "",
    now: datetime,
) -> tuple[InstrumentPermit, list[Booking], Replan | None]:
    """End a term on another day; other places are looked for whom it leaves without, and no longer for the others.

    :raises NotFound: if there is no such instrument or permit for this actor
    :raises Forbidden: if the actor does not manage its facility
    :raises Invalid: if that is no other day, or before its first day; or a later one without a reason
    """
    row = _locked(session, actor, code, now)
    permit = _of(session, row, permit_id)
    _check_last(permit, last_day)
    reason, before = " ".join(reason.split()), permit.valid_until
    if len(reason) > LONGEST_REASON:
        raise Invalid({"reason": "too_long_text"})
    if last_day > before and len(reason) < LEAST_REASON:
        raise Invalid({"reason": "required"})
    permit.valid_until, permit.warned_days = last_day, None
    session.flush()
    kind = "permit.ended" if last_day < before else "permit.prolonged"
    _note(session, actor, kind, row, permit, now, before=before.isoformat(), reason=reason)
    return permit, *_replan(session, actor, row, now)


def by_striking(
    session: Session, *, actor: Actor, code: str, permit_id: UUID, now: datetime
) -> list[Booking]:
    """Give the bookings ahead that would lack a permit without this row.

    :raises NotFound: if there is no such instrument or permit for this actor
    :raises Forbidden: if the actor does not manage its facility
    """
    row = _kept(session, actor, code)
    _of(session, row, permit_id)
    terms = [permit_needs.term(one) for one in _rows(session, row) if one.id != permit_id]
    return displacements.by_permits(session, row=row, terms=terms, now=now)


def strike(
    session: Session, *, actor: Actor, code: str, permit_id: UUID, now: datetime
) -> tuple[list[Booking], Replan | None]:
    """Strike a row out, as one entered by mistake; with the last of its name the instrument needs no such permit.

    :raises NotFound: if there is no such instrument or permit for this actor
    :raises Forbidden: if the actor does not manage its facility
    """
    row = _locked(session, actor, code, now)
    permit = _of(session, row, permit_id)
    session.delete(permit)
    session.flush()
    _note(session, actor, "permit.struck", row, permit, now)
    return _replan(session, actor, row, now)


# --- what runs out --------------------------------------------------------------------------------


def anything_runs_out(session: Session, *, now: datetime) -> bool:
    """Tell whether `warn` might find anything."""
    return session.scalar(select(InstrumentPermit.id).where(_running_out(now)).limit(1)) is not None


def warn(session: Session, *, now: datetime) -> int:
    """Record that permits run out, 60, 30 and 7 days before, and that they are over, each once; give how many.

    Of one that is renewed nothing is said.
    """
    found = session.scalars(
        select(InstrumentPermit)
        .where(_running_out(now))
        .order_by(InstrumentPermit.valid_until, InstrumentPermit.id)
        .with_for_update(skip_locked=True)
    ).all()
    said = 0
    for permit in found:
        row = session.get_one(Instrument, permit.instrument_id)
        today = now.astimezone(zone(_facility(session, row).zone)).date()
        due = domain.warning(permit.valid_until, today, permit.warned_days)
        if due is None:  # elsewhere the day has come, here not yet
            continue
        if not _renewed(permit, _rows(session, row)):
            kind = "permit.over" if due == OVER else "permit.expiring"
            _note(session, SYSTEM, kind, row, permit, now, days=(permit.valid_until - today).days)
            said += 1
        permit.warned_days = due
    session.flush()
    return said


def _running_out(now: datetime) -> ColumnElement[bool]:
    """Find what `domain.warning` would speak of, where the day comes first."""
    today = now.astimezone(_EARLIEST).date()
    warned, until = InstrumentPermit.warned_days, InstrumentPermit.valid_until
    steps = zip((None, *WARNINGS), WARNINGS, strict=False)
    return or_(
        *(
            and_(
                warned.is_(None) if before is None else warned == before,
                until <= today + timedelta(days=days),
            )
            for before, days in steps
        )
    )


_EARLIEST = timezone(timedelta(hours=14))
"""Where each day begins first."""


# --- what they share ------------------------------------------------------------------------------


def _kept(session: Session, actor: Actor, code: str) -> Instrument:
    row = instruments.by_code(session, actor=actor, code=code)
    require(actor, "instrument.edit", Subject(facility_id=row.facility_id))
    return row


def _locked(session: Session, actor: Actor, code: str, now: datetime) -> Instrument:
    """Lock an instrument so that nobody books it meanwhile, and drop what is looked for because of its permits."""
    row = _kept(session, actor, code)
    displacements.drop_for_permits(session, actor=actor, row=row, now=now)
    occupation.lock(session, [row.id])
    return row


def _replan(
    session: Session, actor: Actor, row: Instrument, now: datetime
) -> tuple[list[Booking], Replan | None]:
    return displacements.permits_changed(session, actor=actor, row=row, terms=_terms(session, row), now=now)


def _facility(session: Session, row: Instrument) -> Facility:
    return session.get_one(Facility, row.facility_id)


def _rows(session: Session, row: Instrument) -> Sequence[InstrumentPermit]:
    query = select(InstrumentPermit).where(InstrumentPermit.instrument_id == row.id)
    return session.scalars(query).all()


def _terms(session: Session, row: Instrument) -> list[Term]:
    return [permit_needs.term(one) for one in _rows(session, row)]


def _of(session: Session, row: Instrument, permit_id: UUID) -> InstrumentPermit:
    permit = session.get(InstrumentPermit, permit_id, populate_existing=True)
    if permit is None or permit.instrument_id != row.id:
        raise NotFound("permit", permit_id)
    return permit


def _renewed(permit: InstrumentPermit, rows: Iterable[InstrumentPermit]) -> bool:
    return any(one.name == permit.name and one.valid_until > permit.valid_until for one in rows)


def _checked(session: Session, row: Instrument, draft: Draft) -> Draft:
    words = {name: " ".join(getattr(draft, name).split()) for name in LONGEST}
    errors = {name: "too_long_text" for name, text in words.items() if len(text) > LONGEST[name]}
    if not words["name"]:
        errors["name"] = "required"
    days = {"valid_from": draft.valid_from, "valid_until": draft.valid_until}
    errors |= {name: "out_of_range" for name, day in days.items() if day.year not in YEARS}
    if not errors and draft.valid_until < draft.valid_from:
        errors["valid_until"] = "inverted"
    if any((one.name, one.valid_from) == (words["name"], draft.valid_from) for one in _rows(session, row)):
        errors.setdefault("valid_from", "duplicate")
    if errors:
        raise Invalid(errors)
    return Draft(valid_from=draft.valid_from, valid_until=draft.valid_until, **words)


def _check_last(permit: InstrumentPermit, last_day: date) -> None:
    if last_day < permit.valid_from or last_day == permit.valid_until or last_day.year not in YEARS:
        raise Invalid({"last_day": "out_of_range"})


def _until(session: Session, row: Instrument, permit: InstrumentPermit, last_day: date) -> list[Term]:
    """Give the terms of an instrument as they would be if one of them ended on another day."""
    others = [permit_needs.term(one) for one in _rows(session, row) if one.id != permit.id]
    return [*others, Term(permit.name, permit.valid_from, last_day)]


def _note(
    session: Session,
    actor: Actor,
    kind: str,
    row: Instrument,
    permit: InstrumentPermit,
    now: datetime,
    **data: Any,
) -> None:
    events.record(
        session,
        actor=actor,
        kind=kind,
        now=now,
        facility_id=row.facility_id,
        subject=str(permit.id),
        instrument=row.code,
        permit=permit.name,
        number=permit.number,
        since=permit.valid_from.isoformat(),
        until=permit.valid_until.isoformat(),
        **data,
    )
