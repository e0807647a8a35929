"""Approvals: the yes or no of those who are asked, and what becomes of a request that already holds its time."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, exists, func, or_, select, text
from sqlalchemy.orm import Session, selectinload

from booking.domain import approvals
from booking.domain.access import SYSTEM, VISITOR, Actor, Forbidden, NotFound, in_scope, require
from booking.domain.approvals import StepState, Who
from booking.domain.lifecycle import Action, State, WrongMove, after
from booking.domain.occupation import Item
from booking.domain.rules import Reason, Refused
from booking.domain.spans import Span
from booking.services import approval_steps, bookings, events
from booking.services.bookings import Stale
from booking.services.gates import Wish
from models import (
    ApprovalStep,
    Approver,
    Booking,
    BookingItem,
    Delegation,
    Instrument,
    Person,
    PersonState,
)

ACTION = "approval.decide"

MOST = 500
"""An inbox shows no more at once."""


@dataclass(frozen=True, slots=True)
class Voice:
    """A step on which somebody may speak, and for whom: by their own word, and in the place of these."""

    step: ApprovalStep
    own: bool
    instead_of: tuple[Person, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that waits for somebody's word: on which of its steps, and how many of a step have spoken."""

    booking: Booking
    voices: tuple[Voice, ...]
    steps: tuple[ApprovalStep, ...]

    @property
    def due_at(self) -> datetime | None:
        """Give when the first of the steps comes due."""
        return min((voice.step.due_at for voice in self.voices if voice.step.due_at), default=None)

    @property
    def asked_at(self) -> datetime:
        """Give since when it has waited for this person."""
        known = [voice.step.opened_at for voice in self.voices if voice.step.opened_at]
        return min(known, default=self.booking.created_at)


# --- yes and no -----------------------------------------------------------------------------------


def approve(
    session: Session,
    *,
    actor: Actor,
    booking_id: UUID,
    comment: str = "",
    version: int | None = None,
    step_id: UUID | None = None,
    series_id: UUID | None = None,
    now: datetime,
) -> Booking:
    """Say yes to the open steps of a request on which the actor may speak, or to one of them.

    The request is confirmed once every step is approved. `series_id` names the series of which several dates are
    decided at once.

    :raises NotFound: if there is none that this actor may see
    :raises Forbidden: if nobody asks for the actor's word
    :raises Stale: if the version is not the booking's
    :raises WrongMove: if it is no request any more
    :raises Refused: if its time has passed, or the actor has spoken already
    """
    return _decide(session, actor, booking_id, True, comment, version, step_id, series_id, now)


def reject(
    session: Session,
    *,
    actor: Actor,
    booking_id: UUID,
    comment: str = "",
    version: int | None = None,
    step_id: UUID | None = None,
    series_id: UUID | None = None,
    now: datetime,
) -> Booking:
    """Say no. It ends the request and gives its time back, unless another may still say yes to the step.

    :raises NotFound: if there is none that this actor may see
    :raises Forbidden: if nobody asks for the actor's word
    :raises Stale: if the version is not the booking's
    :raises WrongMove: if it is no request any more
    :raises Refused: if the actor has spoken already
    """
    return _decide(session, actor, booking_id, False, comment, version, step_id, series_id, now)


def _decide(
    session: Session,
    actor: Actor,
    booking_id: UUID,
    yes: bool,
    comment: str,
    version: int | None,
    step_id: UUID | None,
    series_id: UUID | None,
    now: datetime,
) -> Booking:
    require(actor, ACTION)
    booking = bookings.lock_for(session, actor=SYSTEM, booking_id=booking_id, action="booking.see")
    steps = _steps(session, booking, now)
    voices = [
        voice
        for voice in _voices(session, actor, {booking.id: booking}, {booking.id: steps}, now)[booking.id]
        if step_id in {None, voice.step.id}
    ]
    if not voices:
        _why_silent(session, actor, booking, steps, yes, version, now)
    if version is not None and version != booking.version:
        raise Stale
    after(booking.state, Action.APPROVE if yes else Action.REJECT)
    if yes and booking.ends_at <= now:
        raise Refused([Reason("past", {"now": now})])
    for voice in voices:
        _speak(session, actor, booking, voice, yes, comment, now)
    return _follow(session, actor, booking, steps, comment, series_id, now)


def _why_silent(
    session: Session,
    actor: Actor,
    booking: Booking,
    steps: Sequence[ApprovalStep],
    yes: bool,
    version: int | None,
    now: datetime,
) -> None:
    """Say why the actor has no word on any of the steps.

    :raises Exception: always, of one sort or another
    """
    spoke = any(
        actor.person_id in {row.person_id, row.spoken_by} and row.approves is not None
        for step in steps
        for row in step.approvers
    )
    concerned = spoke or approval_steps.concerns(session, actor=actor, booking_id=booking.id, now=now)
    if not (concerned or bookings.may_on(actor, "booking.approve", booking)):
        if not bookings.may_on(actor, "booking.see", booking):
            raise NotFound("booking", booking.id)
        if not any(row.person_id == actor.person_id for step in steps for row in step.approvers):
            raise Forbidden(ACTION)
    if version is not None and version != booking.version:
        raise Stale
    if booking.state is not State.REQUESTED:
        raise WrongMove(booking.state, Action.APPROVE if yes else Action.REJECT)
    if spoke:
        raise Refused([Reason("already_decided")])
    raise Forbidden(ACTION)


def _steps(session: Session, booking: Booking, now: datetime) -> list[ApprovalStep]:
    """Give the steps of the booking's last round; a request from before there were any gets them now."""
    found = approval_steps.current(session, booking_ids=[booking.id]).get(booking.id, [])
    if not found and booking.state is State.REQUESTED:
        adopt(session, booking=booking, now=now)
        found = approval_steps.current(session, booking_ids=[booking.id]).get(booking.id, [])
    return found


def adopt(session: Session, *, booking: Booking, now: datetime) -> None:
    """Give a request that has no steps those of the rules in force; at least the managers are asked."""
    held = {row.instrument_id: row.instrument for row in booking.items}
    items = [Item(row.instrument_id, Span(row.starts_at, row.ends_at), row.quantity) for row in booking.items]
    whose = booking.person_id, booking.organisation_id, booking.project_id
    wish = Wish(*whose, items, held, now, booking.id)
    steps = approval_steps.planned(session, actor=VISITOR, wish=wish) or [
        approval_steps.Planned(place, approvals.PLAIN)
        for place in sorted({row.instrument.facility_id for row in booking.items})
    ]
    approval_steps.begin(session, actor=SYSTEM, booking=booking, steps=steps, now=now)


def _speak(
    session: Session,
    actor: Actor,
    booking: Booking,
    voice: Voice,
    yes: bool,
    comment: str,
    now: datetime,
) -> None:
    """Write the actor's word into a step, and see what it comes to."""
    step = voice.step
    absent = {person.id for person in voice.instead_of}
    rows = [
        row
        for row in step.approvers
        if row.approves is None
        and (row.person_id in absent or (voice.own and row.person_id == actor.person_id))
    ]
    outright = not rows
    if (
        outright and actor.person_id is not None
    ):  # an administrator, or a manager where nobody is left to speak
        row = Approver(step_id=step.id, person_id=actor.person_id)
        step.approvers.append(row)
        rows = [row]
    for row in rows:
        row.approves, row.comment, row.spoken_at, row.spoken_by = yes, comment, now, actor.person_id
    if outright:
        step.state = StepState.APPROVED if yes else StepState.REJECTED
    else:
        left = _still_asked(session, step)
        votes = [row.approves for row in step.approvers if row.approves is not None or row.person_id in left]
        step.state = approvals.verdict(step.need, votes, one_word=not step.name)
    if step.state is not StepState.OPEN:
        step.decided_at = now
    if step.name or absent:
        events.record(
            session,
            actor=actor,
            kind="approval.given" if yes else "approval.refused",
            now=now,
            booking=booking,
            facility_id=step.facility_id,
            step_id=str(step.id),
            step=step.name,
            comment=comment,
            instead_of=[person.name for person in voice.instead_of],
        )


def _still_asked(session: Session, step: ApprovalStep) -> set[UUID]:
    """Give those of a step's approvers who are active and still what they were asked as."""
    session.flush()
    query = (
        select(Approver.person_id)
        .join(ApprovalStep, ApprovalStep.id == Approver.step_id)
        .join(Booking, Booking.id == ApprovalStep.booking_id)
        .join(Person, Person.id == Approver.person_id)
        .where(Approver.step_id == step.id, Person.state == PersonState.ACTIVE, approval_steps.still_asked())
    )
    return set(session.scalars(query))


def agree_by_silence(
    session: Session,
    *,
    booking: Booking,
    step_id: UUID,
    series_id: UUID | None = None,
    together: bool = False,
    now: datetime,
) -> Booking:
    """Approve a step of a locked request since its rule takes silence for a yes.

    `series_id` as in `approve`; `together` says that those who were silent hear of it with another date.
    """
    steps = _steps(session, booking, now)
    step = next(step for step in steps if step.id == step_id)
    step.state, step.decided_at = StepState.APPROVED, now
    approval_steps.tell(
        session,
        actor=SYSTEM,
        kind="approval.unanswered",
        booking=booking,
        step=step,
        together=together,
        now=now,
    )
    return _follow(session, SYSTEM, booking, steps, "", series_id, now)


def _follow(
    session: Session,
    actor: Actor,
    booking: Booking,
    steps: Sequence[ApprovalStep],
    comment: str,
    series_id: UUID | None,
    now: datetime,
) -> Booking:
    """Do what the steps now come to: end the request, open the next stage, or confirm."""
    together = {} if series_id is None else {"series": str(series_id)}
    if any(step.state is StepState.REJECTED for step in steps):
        return bookings.finish(
            session, actor=actor, booking=booking, action=Action.REJECT, now=now, reason=comment, **together
        )
    booking.version += 1
    booking.updated_at = now
    if approval_steps.advance(session, actor=actor, booking=booking, steps=steps, now=now):
        booking.apply(Action.APPROVE)
        booking.sequence += 1
        events.record(
            session,
            actor=actor,
            kind="booking.approved",
            now=now,
            booking=booking,
            facility_id=booking.items[0].instrument.facility_id,
            comment=comment,
            version=booking.version,
            **together,
        )
    session.flush()
    return booking


# --- what waits for whom --------------------------------------------------------------------------


def inbox(session: Session, *, actor: Actor, now: datetime | None = None) -> list[Booking]:
    """Give the requests that wait for this person, those that begin soonest first.

    Without `now` those are left out that wait for somebody who is away.
    """
    ids = session.scalars(waiting_ids(actor, now).order_by(Booking.starts_at, Booking.id).limit(MOST)).all()
    return bookings.by_ids(session, ids=ids)


def asked(session: Session, *, actor: Actor, found: Iterable[Booking], now: datetime) -> dict[UUID, Asked]:
    """Give for each of these requests on which steps the actor may speak; the statements do not grow with them."""
    known = {booking.id: booking for booking in found}
    steps = approval_steps.current(session, booking_ids=known)
    voices = _voices(session, actor, known, steps, now)
    return {
        booking.id: Asked(booking, tuple(voices[booking.id]), tuple(steps.get(booking.id, ())))
        for booking in known.values()
    }


def waiting(session: Session, *, actor: Actor, now: datetime | None = None) -> int:
    """Count the requests that wait for this person, the dates of a series as one; one statement."""
    questions = func.count(func.distinct(func.coalesce(Booking.series_id, Booking.id)))
    return session.scalar(select(questions).where(Booking.id.in_(waiting_ids(actor, now)))) or 0


def takes_part(session: Session, *, actor: Actor, now: datetime) -> bool:
    """Tell whether the actor's word was ever asked for, or they decide for somebody now."""
    asked = exists().where(Approver.person_id == actor.person_id)
    away = exists().where(approval_steps.away_for(actor.person_id, now))
    return actor.signed_in and bool(session.scalar(select(or_(asked, away))))


def waiting_ids(actor: Actor, now: datetime | None) -> Select[UUID]:
    """Say how to read the ids of the requests that wait for this person, as `inbox` does."""
    # The state stands in the text, since SQLite uses a partial index only where it sees its condition.
    query = select(Booking.id).where(text("booking.state = 'requested'"))
    if not in_scope(actor, ACTION):
        return query.where(text("1 = 0"))
    if actor.administrator:
        return query
    steps = (
        select(ApprovalStep.id)
        .join(Approver, Approver.step_id == ApprovalStep.id)
        .where(
            ApprovalStep.booking_id == Booking.id,
            ApprovalStep.state == StepState.OPEN,
            Approver.approves.is_(None),
            approval_steps.spoken_for(actor, now),
            approval_steps.still_asked(),
        )
        .correlate(Booking)
    )
    return query.where(or_(exists(steps), _without_steps(actor)))


def _without_steps(actor: Actor) -> ColumnElement[bool]:
    """Say in SQL that a request has no steps yet, and the actor manages all of it."""
    items = select(BookingItem.booking_id).join(Instrument, Instrument.id == BookingItem.instrument_id)
    return and_(
        ~exists().where(ApprovalStep.booking_id == Booking.id),
        Booking.id.in_(items.where(Instrument.facility_id.in_(actor.manages))),
        Booking.id.not_in(items.where(Instrument.facility_id.not_in(actor.manages))),
    )


def _voices(
    session: Session,
    actor: Actor,
    known: dict[UUID, Booking],
    steps: dict[UUID, list[ApprovalStep]],
    now: datetime,
) -> dict[UUID, list[Voice]]:
    """Give on which open steps of each booking the actor may speak, and for whom."""
    open_steps = [step for found in steps.values() for step in found if step.state is StepState.OPEN]
    if not open_steps or not in_scope(actor, ACTION):
        return {booking_id: [] for booking_id in known}
    entitled = _entitled(session, [step.id for step in open_steps])
    away = set(
        session.scalars(select(Delegation.person_id).where(approval_steps.away_for(actor.person_id, now)))
    )
    found: dict[UUID, list[Voice]] = {booking_id: [] for booking_id in known}
    for step in open_steps:
        voice = _voice(actor, known[step.booking_id], step, entitled.get(step.id, set()), away)
        if voice is not None:
            found[step.booking_id].append(voice)
    return found


def _entitled(session: Session, step_ids: Sequence[UUID]) -> dict[UUID, set[UUID]]:
    """Give who may still speak on each step: they have not yet, and are what they were asked as."""
    query = (
        select(Approver.step_id, Approver.person_id)
        .join(ApprovalStep, ApprovalStep.id == Approver.step_id)
        .join(Booking, Booking.id == ApprovalStep.booking_id)
        .join(Person, Person.id == Approver.person_id)
        .where(
            Approver.step_id.in_(step_ids),
            Approver.approves.is_(None),
            Person.state == PersonState.ACTIVE,
            approval_steps.still_asked(),
        )
    )
    found: dict[UUID, set[UUID]] = {}
    for step_id, person_id in session.execute(query):
        found.setdefault(step_id, set()).add(person_id)
    return found


def _voice(
    actor: Actor, booking: Booking, step: ApprovalStep, entitled: set[UUID], away: set[UUID]
) -> Voice | None:
    own = actor.person_id in entitled
    instead_of = tuple(
        row.person
        for row in step.approvers
        if row.person_id in entitled & away
        # Nobody decides about their own time, not in another's place either.
        and booking.person_id != actor.person_id
    )
    if own or instead_of:
        return Voice(step, own, instead_of)
    spoke = any(row.person_id == actor.person_id and row.approves is not None for row in step.approvers)
    if actor.administrator and not spoke and (booking.person_id != actor.person_id or not step.name):
        return Voice(step, True, ())
    asks_managers = step.plan.get("approvers", {}).get("role") == Who.MANAGER
    if not entitled and asks_managers and step.facility_id in actor.manages and not spoke:
        return Voice(step, True, ())  # those who were asked have all gone
    return None


def steps_of(
    session: Session, *, actor: Actor, booking_id: UUID, now: datetime
) -> tuple[Booking, list[ApprovalStep]]:
    """Give every step that a booking ever had, round by round, with who said what.

    :raises NotFound: if there is no such booking for this actor
    """
    booking = bookings.get(session, actor=actor, booking_id=booking_id, now=now)
    query = (
        select(ApprovalStep)
        .options(selectinload(ApprovalStep.approvers).joinedload(Approver.person))
        .where(ApprovalStep.booking_id == booking_id)
        .order_by(ApprovalStep.round, ApprovalStep.stage, ApprovalStep.facility_id, ApprovalStep.name)
    )
    return booking, list(session.scalars(query))
