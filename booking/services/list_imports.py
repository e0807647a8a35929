"""Imports of people with their roles, and of closures: all of a sheet or nothing, and a second time nothing."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking.domain.access import Actor, Forbidden, NotFound, Role, could, require
from booking.domain.hours import instant, zone
from booking.domain.inventory import Note
from booking.domain.lists import ClosureRow, Listed, PersonRow
from booking.domain.rules import Invalid, Refused
from booking.domain.sheets import MOST_ERRORS, CellError
from booking.domain.spans import Span
from booking.services import accounts, closures, events, facilities
from booking.services.imports import Broken, Change, Outcome
from models import Closure, ClosureKind, Facility, Instrument, Network, Organisation, PersonState

DAY = 24 * 60

_Row = TypeVar("_Row", PersonRow, ClosureRow)


def people(session: Session, *, actor: Actor, listed: Listed[PersonRow], key: str, now: datetime) -> Outcome:
    """Give people their roles; who has no account gets one, and a letter by which they come in.

    :raises Forbidden: if the actor does not administer
    :raises Broken: with every error; the caller's transaction must be rolled back
    """
    require(actor, "person.administer")
    made: list[tuple[str, str]] = []
    changed: list[Change] = []

    def write(row: PersonRow) -> None:
        email = accounts.clean_email(row.email)
        place = accounts.place_for(session, role=row.role, code=row.place)
        if place is None:
            raise Invalid({"place": "unknown_place"})
        person = accounts.by_email(session, email=email)
        if person is not None and person.state is not PersonState.ACTIVE:
            raise Invalid({"email": "nobody"})
        fresh = person is None
        if person is None:
            name = row.name or email.partition("@")[0]
            person = accounts.create(session, email=email, name=name, confirmed=False, now=now)
        if accounts.holds(session, person=person, role=row.role, place=place):
            return
        accounts.write_role(
            session,
            actor=actor,
            person=person,
            role=row.role,
            organisation=place if isinstance(place, Organisation) else None,
            facility=place if isinstance(place, Facility) else None,
            network=place if isinstance(place, Network) else None,
            invited=fresh,
            now=now,
        )
        if fresh:
            accounts.invite(session, actor=actor, person=person, role=row.role, place=place, key=key, now=now)
            made.append(("person", email))
        else:
            changed.append(Change("person", email, {"role": ("", _role_at(row.role, row.place))}))

    _each(listed, write)
    return _outcome(session, actor, "people.imported", listed, made, changed, [], now)


def _role_at(role: Role, place: str) -> str:
    return f"{role.value} {place}"


def closings(session: Session, *, actor: Actor, listed: Listed[ClosureRow], now: datetime) -> Outcome:
    """Close what a sheet says; a closure that is there already, of the same time and kind, stays as it is.

    :raises Forbidden: if the actor manages no facility
    :raises Broken: with every error; the caller's transaction must be rolled back
    """
    if not could(actor, "closure.make"):
        raise Forbidden("closure.make", sign_in=not actor.signed_in)
    made: list[tuple[str, str]] = []
    notes: list[Note] = []

    def write(row: ClosureRow) -> None:
        facility = _facility(session, row)
        instrument_id = _instrument(session, facility, row)
        span = _span(facility, row)
        if _is_there(session, facility, instrument_id, span, row):
            return
        _closure, met = closures.make(
            session,
            actor=actor,
            facility_id=facility.id,
            instrument_id=instrument_id,
            span=span,
            kind=ClosureKind(row.kind),
            reason=row.reason,
            imposed=row.imposed,
            now=now,
        )
        called = f"{row.instrument or row.facility} {row.first_day} – {row.last_day}"
        made.append(("closure", called))
        if met:
            notes.append(Note(called, "displaces", {"bookings": len(met)}))

    _each(listed, write)
    return _outcome(session, actor, "closures.imported", listed, made, [], notes, now)


def _facility(session: Session, row: ClosureRow) -> Facility:
    try:
        return facilities.by_code(session, code=row.facility)
    except NotFound:
        raise Invalid({"facility": "unknown_place"}) from None


def _instrument(session: Session, facility: Facility, row: ClosureRow) -> int | None:
    if not row.instrument:
        return None
    wanted = select(Instrument.id).where(
        Instrument.code == row.instrument, Instrument.facility_id == facility.id
    )
    found = session.scalar(wanted)
    if found is None:
        raise Invalid({"instrument": "unknown_place"})
    return found


def _span(facility: Facility, row: ClosureRow) -> Span:
    clock = zone(facility.zone)
    start = instant(row.first_day, row.from_minute, clock)
    last, until = row.last_day, row.until_minute
    end = instant(last + timedelta(days=until // DAY), until % DAY, clock)
    if start >= end:
        raise Invalid({"last_day": "inverted"})
    return Span(start, end)


def _is_there(
    session: Session, facility: Facility, instrument_id: int | None, span: Span, row: ClosureRow
) -> bool:
    query = select(Closure.id).where(
        Closure.facility_id == facility.id,
        Closure.instrument_id.is_not_distinct_from(instrument_id),
        Closure.starts_at == span.start,
        Closure.ends_at == span.end,
        Closure.kind == ClosureKind(row.kind),
        Closure.lifted_at.is_(None),
    )
    return session.scalars(query).first() is not None


def _each(listed: Listed[_Row], write: Callable[[_Row], None]) -> None:
    """Write row after row, and say of every one what is wrong with it.

    :raises Broken: with every error
    """
    if listed.errors:
        raise Broken(listed.errors)
    errors: list[CellError] = []
    for row in listed.rows:
        try:
            write(row)
        except Invalid as wrong:
            errors += [
                CellError(row.row, "", column, code, {"value": getattr(row, column, "")})
                for column, code in wrong.errors.items()
            ]
        except Refused as refused:
            errors += [
                CellError(row.row, "", "", reason.code, dict(reason.params)) for reason in refused.reasons
            ]
        except Forbidden:
            errors.append(CellError(row.row, "", "", "not_allowed_here"))
    if errors:
        raise Broken(errors[:MOST_ERRORS])


def _outcome(
    session: Session,
    actor: Actor,
    kind: str,
    listed: Listed[_Row],
    made: list[tuple[str, str]],
    changed: list[Change],
    notes: list[Note],
    now: datetime,
) -> Outcome:
    unchanged = len(listed.rows) - len(made) - len(changed)
    if made or changed:
        events.record(
            session,
            actor=actor,
            kind=kind,
            now=now,
            file=listed.name,
            created=[called for _sort, called in made],
            changed=[change.code for change in changed],
        )
    return Outcome(tuple(made), tuple(changed), unchanged, tuple(notes))
