"""Targets of utilisation: how much a facility's instruments, or one of them, shall be booked from a day on."""

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from booking.domain.access import Actor, NotFound, Subject, require
from booking.domain.rules import Invalid
from booking.domain.utilisation import Measure
from booking.services import closures, events
from models import Instrument, UtilisationTarget

ACTION = "target.keep"
MOST = {Measure.PERCENT: 100, Measure.HOURS: 8784}
YEARS = range(2000, 2101)


@dataclass(frozen=True, slots=True)
class Draft:
    """What a target shall say; without a value there is none from that day on."""

    measure: Measure
    value: int | None
    valid_from: date


def listing(session: Session, *, actor: Actor, facility_id: int) -> list[UtilisationTarget]:
    """Give all targets of a facility and of its instruments, the facility's first, the newest first.

    :raises Forbidden: if the actor is not of the facility's staff
    """
    require(actor, "utilisation.read", Subject(facility_id=facility_id))
    query = select(UtilisationTarget).where(
        or_(
            UtilisationTarget.facility_id == facility_id,
            UtilisationTarget.instrument_id.in_(
                select(Instrument.id).where(Instrument.facility_id == facility_id)
            ),
        )
    )
    rows = session.scalars(query.order_by(UtilisationTarget.valid_from.desc()))
    return sorted(rows, key=lambda row: row.instrument_id or 0)


def put(
    session: Session,
    *,
    actor: Actor,
    facility_id: int,
    instrument_id: int | None,
    draft: Draft,
    now: datetime,
) -> UtilisationTarget:
    """Set a target from a day on, in the place of one that began on the same day.

    :raises Forbidden: if the actor does not manage the facility
    :raises NotFound: if the instrument is not the facility's
    :raises Invalid: if the figure or the day makes no sense
    """
    require(actor, ACTION, Subject(facility_id=facility_id))
    closures.places(session, facility_id, instrument_id)
    errors = {}
    if draft.value is not None and not 1 <= draft.value <= MOST[draft.measure]:
        errors["value"] = "too_small" if draft.value < 1 else "too_large"
    if draft.valid_from.year not in YEARS:
        errors["valid_from"] = "out_of_range"
    if errors:
        raise Invalid(errors)
    whose = (
        UtilisationTarget.instrument_id == instrument_id
        if instrument_id is not None
        else UtilisationTarget.facility_id == facility_id
    )
    session.execute(delete(UtilisationTarget).where(whose, UtilisationTarget.valid_from == draft.valid_from))
    row = UtilisationTarget(
        facility_id=facility_id if instrument_id is None else None,
        instrument_id=instrument_id,
        measure=draft.measure,
        value=draft.value,
        valid_from=draft.valid_from,
        created_by=actor.person_id,
        created_at=now,
    )
    session.add(row)
    session.flush()
    _note(session, actor, row, facility_id, now, drops=False)
    return row


def drop(session: Session, *, actor: Actor, facility_id: int, target_id: UUID, now: datetime) -> None:
    """Take a target away, as if it had never been said.

    :raises Forbidden: if the actor does not manage the facility
    :raises NotFound: if there is no such target there
    """
    require(actor, ACTION, Subject(facility_id=facility_id))
    row = next(
        (one for one in listing(session, actor=actor, facility_id=facility_id) if one.id == target_id), None
    )
    if row is None:
        raise NotFound("target", target_id)
    _note(session, actor, row, facility_id, now, drops=True)
    session.delete(row)
    session.flush()


def _note(
    session: Session, actor: Actor, row: UtilisationTarget, facility_id: int, now: datetime, *, drops: bool
) -> None:
    events.record(
        session,
        actor=actor,
        kind="target.dropped" if drops else "target.set",
        now=now,
        facility_id=facility_id,
        subject=str(row.id),
        instrument_id=row.instrument_id,
        measure=row.measure.value,
        value=row.value,
        valid_from=row.valid_from.isoformat(),
    )
