"""Links in letters by which one of those who are asked decides a step; each works once, as long as the step."""

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking.domain import one_time
from booking.domain.access import Actor, NotFound
from booking.domain.approvals import StepState
from booking.services import acting, approval_steps, approvals, bookings, series_approvals
from booking.services.approvals import Voice
from booking.services.bookings import Stale
from booking.services.series_approvals import Waiting
from models import ApprovalStep, Approver, Booking, Delegation, Event, OneTimeLink, Purpose

KINDS = ("approval.opened", "approval.reminded", "approval.escalated")
"""The letters that bear such a link."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What stands behind a link: who was asked, about what; `voice` is None when the answer is no longer wanted.

    `others` are the dates of the same series that wait for the same word.
    """

    actor: Actor
    booking: Booking
    step: ApprovalStep
    voice: Voice | None
    used: bool
    others: tuple[Waiting, ...] = ()


def write(session: Session, *, key: str, now: datetime) -> None:
    """Make the links for all letters that are about to be dispatched, where there is none that still works."""
    waiting = session.scalars(
        select(Event).where(Event.dispatched_at.is_(None), Event.kind.in_(KINDS)).order_by(Event.id)
    )
    # What is told with another date of its series has no letter of its own.
    told = [event for event in waiting if not event.data.get("series")]
    for step_id in dict.fromkeys(UUID(str(event.data["step_id"])) for event in told):
        step = session.get(ApprovalStep, step_id)
        if step is not None and step.state is StepState.OPEN:
            _write_for(session, step, key, now)


def _write_for(session: Session, step: ApprovalStep, key: str, now: datetime) -> None:
    booking = session.get_one(Booking, step.booking_id)
    ends = step.due_at or booking.starts_at
    known = set(
        session.scalars(
            select(OneTimeLink.person_id).where(
                OneTimeLink.purpose == Purpose.DECIDE_STEP,
                OneTimeLink.subject == str(step.id),
                OneTimeLink.used_at.is_(None),
                OneTimeLink.expires_at >= ends,
            )
        )
    )
    for person_id in sorted(set(_asked(session, step, now)) - known):
        link_id = uuid4()
        session.add(
            OneTimeLink(
                id=link_id,
                person_id=person_id,
                purpose=Purpose.DECIDE_STEP,
                subject=str(step.id),
                secret_hash=one_time.hashed(one_time.secret(key, link_id)),
                created_at=now,
                expires_at=ends,
            )
        )
    session.flush()


def _asked(session: Session, step: ApprovalStep, now: datetime) -> Iterable[UUID]:
    """Give those who have not spoken, and who speaks for them while they are away."""
    silent = select(Approver.person_id).where(Approver.step_id == step.id, Approver.approves.is_(None))
    away = select(Delegation.delegate_id).where(
        Delegation.person_id.in_(silent), approval_steps.in_force(now)
    )
    return {*session.scalars(silent), *session.scalars(away)}


def opened(session: Session, *, link_id: UUID, secret: str, now: datetime) -> Opened:
    """Give what a link is about, without using it up; a link that was used, or is too late, tells that it is.

    :raises NotFound: if there is no such link, its secret is wrong, or its person may not sign in
    """
    link = session.get(OneTimeLink, link_id)
    if link is None or not hmac.compare_digest(link.secret_hash, one_time.hashed(secret)):
        raise NotFound("link", link_id)
    actor = acting.actor_of(session, link.person_id)
    step = session.get(ApprovalStep, UUID(link.subject)) if link.purpose is Purpose.DECIDE_STEP else None
    if actor is None or step is None:
        raise NotFound("link", link_id)
    # Who lost the right to see the booking since the letter learns no more of it.
    booking = bookings.get(session, actor=actor, booking_id=step.booking_id, now=now)
    used = link.used_at is not None
    voice = None
    if not used and link.expires_at > now:
        asked = approvals.asked(session, actor=actor, found=[booking], now=now)[booking.id]
        voice = next((one for one in asked.voices if one.step.id == step.id), None)
    others = series_approvals.beside(session, actor=actor, step=step, now=now) if voice else ()
    return Opened(actor, booking, step, voice, used, tuple(others))


def decide(
    session: Session,
    *,
    link_id: UUID,
    secret: str,
    approves: bool,
    comment: str,
    version: int | None,
    dates: Mapping[UUID, int] | None = None,
    now: datetime,
) -> Actor:
    """Decide the step of a link, use the link up, and give whose it is.

    `dates` are those of a series, with their versions, on which the word counts; without it, it is about one alone.

    :raises NotFound: if the link does not work
    :raises WrongMove: if the request was decided otherwise
    :raises Refused: if its time has passed, or the link's person has spoken already
    :raises Stale: if the request was changed after it was shown
    """
    # Locked first, so that of two clicks at once the second finds the link used.
    link = session.scalar(
        select(OneTimeLink)
        .where(OneTimeLink.id == link_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    found = opened(session, link_id=link_id, secret=secret, now=now)
    if link is None or found.used or link.expires_at <= now:
        raise NotFound("link", link_id)
    link.used_at = now
    if dates is not None:
        _decide_dates(session, found, approves, comment, dates, now)
        return found.actor
    command = approvals.approve if approves else approvals.reject
    command(
        session,
        actor=found.actor,
        booking_id=found.booking.id,
        comment=comment,
        version=version,
        step_id=found.step.id,
        now=now,
    )
    return found.actor


def _decide_dates(
    session: Session,
    found: Opened,
    approves: bool,
    comment: str,
    dates: Mapping[UUID, int],
    now: datetime,
) -> None:
    mine = {found.booking.id: found.step.id} | {booking.id: step.id for booking, step in found.others}
    if found.booking.series_id is None or dates.keys() - mine.keys():
        raise Stale  # one of them waits no more
    series_approvals.decide(
        session,
        actor=found.actor,
        series_id=found.booking.series_id,
        said=dict.fromkeys(dates, approves),
        comment=comment,
        versions=dates,
        steps=mine,
        now=now,
    )
