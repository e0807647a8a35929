"""Silence: steps of approval that nobody decides are called to mind, taken further, and end in time."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import exists, select, text
from sqlalchemy.orm import Session

from booking.domain import approvals as arithmetic
from booking.domain.access import SYSTEM
from booking.domain.approvals import Silence
from booking.domain.hours import zone
from booking.domain.lifecycle import Action, State
from booking.services import approval_steps, approvals, bookings, policies, series_approvals
from models import ApprovalStep, Approver, Booking, Facility

REMINDED_WITHIN = timedelta(days=16)
"""The last working day before a step is due is never longer ago, whatever the holidays."""


def without_steps(session: Session, *, now: datetime, limit: int = 200) -> list[UUID]:
    """Give the requests to come that have no steps: those from before there were any."""
    query = select(Booking.id).where(
        text("booking.state = 'requested'"),
        Booking.starts_at > now,
        ~exists().where(ApprovalStep.booking_id == Booking.id),
    )
    return list(session.scalars(query.order_by(Booking.starts_at).limit(limit)))


def adopt(session: Session, *, booking_id: UUID, now: datetime) -> bool:
    """Give a request its steps; False says that it has some, or is none any more."""
    booking = bookings.lock_for(session, actor=SYSTEM, booking_id=booking_id, action="booking.see")
    if booking.state is not State.REQUESTED or approval_steps.current(session, booking_ids=[booking_id]):
        return False
    approvals.adopt(session, booking=booking, now=now)
    return True


def to_remind(session: Session, *, now: datetime, limit: int = 200) -> list[UUID]:
    """Give the open steps of which it is time to remind."""
    query = (
        select(ApprovalStep)
        .where(
            text("approval_step.state = 'open'"),
            ApprovalStep.due_at.is_not(None),
            ApprovalStep.due_at > now,
            ApprovalStep.due_at <= now + REMINDED_WITHIN,
            ApprovalStep.reminded_at.is_(None),
        )
        .order_by(ApprovalStep.due_at)
    )
    found = [step.id for step in session.scalars(query) if _time_to_remind(session, step, now)]
    return found[:limit]


def _time_to_remind(session: Session, step: ApprovalStep, now: datetime) -> bool:
    if step.due_at is None or step.opened_at is None:
        return False
    tz = zone(session.get_one(Facility, step.facility_id).zone)
    days = policies.working_days_of(session, step.due_at.astimezone(tz).date())
    at = arithmetic.remind_at(step.due_at, step.opened_at, days=days, zone=tz)
    # One that opened less than a working day before it is due was told of just then.
    return step.opened_at < at <= now


def remind(session: Session, *, step_id: UUID, now: datetime) -> bool:
    """Remind those who have not spoken, once; False says that there is nothing to be reminded of any more.

    Dates of a series that wait for the same and come due together are called to mind in one message.
    """
    waiting = series_approvals.lock_siblings(session, step_id=step_id)
    if not waiting:
        return False
    _booking, first = waiting[0]
    if first.reminded_at is not None or first.due_at is None or first.due_at <= now:
        return False
    for booking, step in waiting:
        if step.reminded_at is None and step.due_at == first.due_at:
            step.reminded_at = now
            approval_steps.tell(
                session,
                actor=SYSTEM,
                kind="approval.reminded",
                booking=booking,
                step=step,
                together=step is not first,
                now=now,
            )
    session.flush()
    return True


def due(session: Session, *, now: datetime, limit: int = 200) -> list[UUID]:
    """Give the open steps that have come due, the oldest first."""
    query = select(ApprovalStep.id).where(text("approval_step.state = 'open'"), ApprovalStep.due_at <= now)
    return list(session.scalars(query.order_by(ApprovalStep.due_at).limit(limit)))


def settle(session: Session, *, step_id: UUID, now: datetime) -> bool:
    """Do with a step that came due what its rule says of silence; False says that somebody was faster.

    What is taken further comes due anew, so many working days from now; nothing outlasts the start. Dates of a series
    with which it is the same are settled together, and told of in one message.
    """
    waiting = series_approvals.lock_siblings(session, step_id=step_id)
    if not waiting or waiting[0][1].due_at is None or waiting[0][1].due_at > now:
        return False
    wanted = _what(*waiting[0], now)
    same = [
        (booking, step)
        for booking, step in waiting
        if step.due_at is not None and step.due_at <= now and _what(booking, step, now) is wanted
    ]
    series_id = waiting[0][0].series_id if len(same) > 1 else None
    for booking, step in same:
        _settle_one(session, wanted, booking, step, series_id, step is not waiting[0][1], now)
    dates = [booking for booking, _step in same]
    if series_id is not None and wanted is Silence.APPROVE:
        confirmed = tuple(booking for booking in dates if booking.state is State.CONFIRMED)
        decided = series_approvals.Decided(confirmed, (), ())
        series_approvals.tell(session, actor=SYSTEM, series_id=series_id, decided=decided, now=now)
    elif series_id is not None and wanted is Silence.EXPIRE:
        series_approvals.record(session, SYSTEM, "series.expired", series_id, dates, now)
    return True


def _what(booking: Booking, step: ApprovalStep, now: datetime) -> Silence:
    """Tell what silence means for a step now."""
    if booking.starts_at <= now or (step.on_silence is Silence.ESCALATE and step.escalated_at is not None):
        return Silence.EXPIRE
    return step.on_silence


def _settle_one(
    session: Session,
    wanted: Silence,
    booking: Booking,
    step: ApprovalStep,
    series_id: UUID | None,
    together: bool,
    now: datetime,
) -> None:
    if wanted is Silence.APPROVE:
        approvals.agree_by_silence(
            session,
            booking=booking,
            step_id=step.id,
            series_id=series_id,
            together=together,
            now=now,
        )
    elif wanted is Silence.ESCALATE:
        _escalate(session, booking, step, together, now)
    else:
        approval_steps.tell(
            session,
            actor=SYSTEM,
            kind="approval.expired",
            booking=booking,
            step=step,
            together=together,
            now=now,
        )
        mark = {} if series_id is None else {"series": str(series_id)}
        bookings.finish(session, actor=SYSTEM, booking=booking, action=Action.EXPIRE, now=now, **mark)


def _escalate(session: Session, booking: Booking, step: ApprovalStep, together: bool, now: datetime) -> None:
    """Ask those besides to whom the rule takes silence."""
    known = {row.person_id for row in step.approvers}
    asked = approval_steps.asked_of(
        session, booking=booking, step=step, plan=step.plan.get("escalate_to") or {}
    )
    step.approvers.extend(
        Approver(person_id=person, role=role)
        for person, role in sorted(asked.items(), key=lambda one: one[0])
        if person not in known and person != booking.person_id
    )
    # From here on one word is enough: those who were asked first have had their time.
    step.need = arithmetic.Need.ANY
    step.escalated_at = now
    step.reminded_at = None
    step.due_at = approval_steps.due_of(session, booking=booking, step=step, now=now)
    booking.version += 1
    booking.updated_at = now
    approval_steps.tell(
        session,
        actor=SYSTEM,
        kind="approval.escalated",
        booking=booking,
        step=step,
        together=together,
        now=now,
    )
    session.flush()
