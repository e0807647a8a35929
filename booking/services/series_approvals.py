"""Approvals of series: dates that wait for the same word are decided together, and told of in one message."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select, text
from sqlalchemy.orm import Session, selectinload

from booking.domain.access import Actor, NotFound, require
from booking.domain.approvals import StepState
from booking.domain.lifecycle import State
from booking.domain.rules import Invalid
from booking.services import approvals, bookings, events, occupation
from booking.services.approvals import ACTION, Asked
from booking.services.bookings import Stale
from models import ApprovalStep, Booking, BookingItem, Instrument, Series

Waiting = tuple[Booking, ApprovalStep]


@dataclass(frozen=True, slots=True)
class Decided:
    """What became of dates that were decided together; what still waits for others is in neither heap."""

    approved: tuple[Booking, ...]
    rejected: tuple[Booking, ...]
    waiting: tuple[Booking, ...]


def grouped(found: Iterable[Asked]) -> list[list[Asked]]:
    """Put together what is one question: the dates of a series of which the same steps wait for somebody."""
    groups: dict[object, list[Asked]] = {}
    for one in found:
        steps = frozenset((voice.step.facility_id, voice.step.stage, voice.step.name) for voice in one.voices)
        whose = one.booking.series_id, one.booking.person_id, steps
        groups.setdefault(whose if one.booking.series_id else one.booking.id, []).append(one)
    return [sorted(group, key=lambda one: one.booking.starts_at) for group in groups.values()]


def asked(session: Session, *, actor: Actor, series_id: UUID, now: datetime) -> list[Asked]:
    """Give the dates of a series that wait for the actor's word, by start.

    :raises NotFound: if none of it waits for them
    """
    require(actor, ACTION)
    query = select(Booking.id).where(Booking.series_id == series_id, text("booking.state = 'requested'"))
    found = bookings.by_ids(session, ids=session.scalars(query))
    known = approvals.asked(session, actor=actor, found=found, now=now)
    waiting = [known[booking.id] for booking in found if known[booking.id].voices]
    if not waiting:
        raise NotFound("series", series_id)
    return waiting


def decide(
    session: Session,
    *,
    actor: Actor,
    series_id: UUID,
    said: Mapping[UUID, bool],
    comment: str = "",
    versions: Mapping[UUID, int] | None = None,
    steps: Mapping[UUID, UUID] | None = None,
    now: datetime,
) -> Decided:
    """Say yes or no to dates of a series, each by its booking's id; all of them or none.

    `steps` names for each the one step that is decided; without it all on which the actor may speak.

    :raises NotFound: if there is no such date for this actor
    :raises Forbidden: if nobody asks for the actor's word
    :raises Stale: if a version is not the booking's
    :raises WrongMove: if one of them is no request any more
    :raises Refused: if the time of one has passed, or the actor has spoken already
    :raises Invalid: if nothing is said
    """
    require(actor, ACTION)
    if not said:
        raise Invalid({"dates": "required"})
    found = lock_together(session, said)
    row = session.get(Series, series_id)
    if row is None or any(booking.series_id != series_id for booking in found):
        raise NotFound("series", series_id)
    done = []
    for booking in found:
        command = approvals.approve if said[booking.id] else approvals.reject
        done.append(
            command(
                session,
                actor=actor,
                booking_id=booking.id,
                comment=comment,
                version=(versions or {}).get(booking.id),
                step_id=(steps or {}).get(booking.id),
                series_id=series_id,
                now=now,
            )
        )
    decided = Decided(
        tuple(one for one in done if one.state is State.CONFIRMED),
        tuple(one for one in done if one.state is State.REJECTED),
        tuple(one for one in done if one.state is State.REQUESTED),
    )
    tell(session, actor=actor, series_id=series_id, decided=decided, comment=comment, now=now)
    return decided


def beside(session: Session, *, actor: Actor, step: ApprovalStep, now: datetime) -> list[Waiting]:
    """Give the other dates of a series that wait for the same word of the actor's as an open step, by start."""
    booking = session.get_one(Booking, step.booking_id)
    if booking.series_id is None:
        return []
    found = bookings.by_ids(
        session, ids=session.scalars(_beside(step, booking).where(Booking.id != booking.id))
    )
    known = approvals.asked(session, actor=actor, found=found, now=now)
    same = step.facility_id, step.stage, step.name
    return [
        (one, voice.step)
        for one in found
        for voice in known[one.id].voices
        if (voice.step.facility_id, voice.step.stage, voice.step.name) == same
    ]


def lock_together(session: Session, booking_ids: Iterable[UUID]) -> list[Booking]:
    """Lock the instruments of several bookings in one go, then read the bookings, by start.

    :raises NotFound: if there is one that does not exist
    :raises Stale: if one was moved to another instrument meanwhile
    """
    ids = set(booking_ids)
    places = session.scalars(
        select(BookingItem.instrument_id).where(BookingItem.booking_id.in_(ids)).distinct()
    )
    locked = occupation.lock(session, places)
    found = bookings.by_ids(session, ids=ids)
    if ids - {booking.id for booking in found}:
        raise NotFound("booking", next(iter(ids - {booking.id for booking in found})))
    if any(item.instrument_id not in locked.instruments for booking in found for item in booking.items):
        raise Stale
    return found


def tell(
    session: Session, *, actor: Actor, series_id: UUID, decided: Decided, comment: str = "", now: datetime
) -> None:
    """Record what was decided of a series, of which its person hears in one message; nothing if all still waits."""
    dates = [*decided.approved, *decided.rejected]
    for person_id in sorted({booking.person_id for booking in dates}):
        own = [booking for booking in dates if booking.person_id == person_id]
        approved = sum(booking.state is State.CONFIRMED for booking in own)
        counts = {"approved": approved, "rejected": len(own) - approved}
        record(session, actor, "series.decided", series_id, own, now, comment=comment, **counts)


def record(
    session: Session,
    actor: Actor,
    kind: str,
    series_id: UUID,
    dates: Sequence[Booking],
    now: datetime,
    **data: Any,
) -> None:
    """Record what happened to dates of a series, all of one person, at once."""
    row = session.get_one(Series, series_id)
    place = session.get_one(Instrument, row.instrument_id)
    starts = sorted(one.starts_at for one in dates)
    events.record(
        session,
        actor=actor,
        kind=kind,
        now=now,
        facility_id=place.facility_id,
        subject=f"series:{series_id}",
        person_id=str(dates[0].person_id),
        series=str(series_id),
        instrument=place.code,
        dates=len(dates),
        first=starts[0].isoformat(),
        last=starts[-1].isoformat(),
        **data,
    )
    session.flush()


def lock_siblings(session: Session, *, step_id: UUID) -> list[Waiting]:
    """Lock an open step's booking with the dates of the same series, the same person's, that wait for the same step.

    The step itself comes first; nothing is given when it is not open any more.
    """
    step = session.get(ApprovalStep, step_id, populate_existing=True)
    if step is None:
        return []
    booking = session.get_one(Booking, step.booking_id)
    ids = {booking.id}
    if booking.series_id is not None:
        ids |= set(session.scalars(_beside(step, booking)))
    requested = {one.id: one for one in lock_together(session, ids) if one.state is State.REQUESTED}
    query = select(ApprovalStep).where(
        ApprovalStep.booking_id.in_(requested),
        ApprovalStep.state == StepState.OPEN,
        ApprovalStep.facility_id == step.facility_id,
        ApprovalStep.stage == step.stage,
        ApprovalStep.name == step.name,
    )
    approvers = selectinload(ApprovalStep.approvers)
    found = session.scalars(query.options(approvers).execution_options(populate_existing=True)).all()
    waiting = [(requested[one.booking_id], one) for one in found]
    first = [one for one in waiting if one[1].id == step_id]
    return [*first, *(one for one in waiting if one[1].id != step_id)] if first else []


def _beside(step: ApprovalStep, booking: Booking) -> Select[UUID]:
    return (
        select(Booking.id)
        .join(ApprovalStep, ApprovalStep.booking_id == Booking.id)
        .where(
            Booking.series_id == booking.series_id,
            Booking.person_id == booking.person_id,
            text("booking.state = 'requested'"),
            ApprovalStep.state == StepState.OPEN,
            ApprovalStep.facility_id == step.facility_id,
            ApprovalStep.stage == step.stage,
            ApprovalStep.name == step.name,
        )
    )
