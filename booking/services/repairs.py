"""Repairs: what a facility makes of a report; an instrument that is put down is closed, and opens when it is mended."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from booking.domain.access import Actor, NotFound, Subject, require
from booking.domain.rules import Invalid, Reason, Refused
from booking.domain.spans import Span
from booking.services import closures, faults
from models import Booking, ClosureKind, Fault, FaultState, Instrument


def confirm(
    session: Session,
    *,
    actor: Actor,
    fault_id: UUID,
    down_until: datetime | None = None,
    answer: str = "",
    now: datetime,
) -> tuple[Fault, list[Booking]]:
    """Say that it is so. With `down_until` the instrument is closed till then; give the bookings that displaces.

    :raises NotFound: if there is no such report
    :raises Forbidden: if the actor does not manage the facility
    :raises Refused: if it is settled already
    :raises Invalid: if the time lies behind
    """
    fault = _open(session, actor, fault_id, FaultState.OPEN)
    met: list[Booking] = []
    if down_until is not None:
        if down_until <= now:
            raise Invalid({"down_until": "out_of_range"})
        closure, met = closures.make(
            session,
            actor=actor,
            facility_id=fault.instrument.facility_id,
            instrument_id=fault.instrument_id,
            span=Span(now, down_until),
            kind=ClosureKind.BREAKDOWN,
            reason=answer[:500],
            imposed=True,
            now=now,
        )
        fault.closure_id = closure.id
        fault.stops_work = True
    _settle(session, actor, fault, FaultState.CONFIRMED, answer, now)
    return fault, met


def mend(session: Session, *, actor: Actor, fault_id: UUID, answer: str = "", now: datetime) -> Fault:
    """Say that it is mended; the instrument opens again at once.

    :raises NotFound: if there is no such report
    :raises Forbidden: if the actor does not manage the facility
    :raises Refused: if it is settled already
    """
    fault = _open(session, actor, fault_id, FaultState.OPEN, FaultState.CONFIRMED)
    if fault.closure_id is not None:
        closures.lift(session, actor=actor, closure_id=fault.closure_id, now=now)
    _settle(session, actor, fault, FaultState.MENDED, answer, now)
    return fault


def dismiss(session: Session, *, actor: Actor, fault_id: UUID, answer: str, now: datetime) -> Fault:
    """Say that nothing is wrong, and why.

    :raises NotFound: if there is no such report
    :raises Forbidden: if the actor does not manage the facility
    :raises Refused: if it is settled already
    :raises Invalid: if it is not said why
    """
    fault = _open(session, actor, fault_id, FaultState.OPEN)
    if not answer.strip():
        raise Invalid({"answer": "required"})
    _settle(session, actor, fault, FaultState.DISMISSED, answer, now)
    return fault


def _open(session: Session, actor: Actor, fault_id: UUID, *states: FaultState) -> Fault:
    """Lock a report, so that two who settle it come one after the other."""
    session.execute(select(Fault.id).where(Fault.id == fault_id).with_for_update())
    fault = session.scalars(
        select(Fault)
        .where(Fault.id == fault_id)
        .options(joinedload(Fault.instrument).joinedload(Instrument.facility), joinedload(Fault.person))
        .execution_options(populate_existing=True)
    ).one_or_none()
    if fault is None:
        raise NotFound("fault", fault_id)
    require(actor, "fault.settle", Subject(facility_id=fault.instrument.facility_id))
    if fault.state not in states:
        raise Refused([Reason("fault_settled", {"state": fault.state.value})])
    return fault


def _settle(
    session: Session, actor: Actor, fault: Fault, state: FaultState, answer: str, now: datetime
) -> None:
    fault.state, fault.answer = state, answer
    fault.settled_at, fault.settled_by = now, actor.person_id
    faults.note(session, actor, fault, fault.instrument, f"fault.{state.value}", now, comment=answer[:500])
