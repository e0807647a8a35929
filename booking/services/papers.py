"""Papers of a booking: safety data sheets, protocols, permits; seen by those who may see the booking."""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session, undefer

from booking.domain import papers
from booking.domain.access import SYSTEM, Actor, Forbidden, NotFound, require
from booking.domain.lifecycle import HOLDS
from booking.domain.rules import Invalid, Reason, Refused
from booking.services import bookings, events
from models import Booking, BookingPaper, PaperKind

ACTION = "paper.add"


def add(
    session: Session,
    *,
    actor: Actor,
    booking_id: UUID,
    kind: PaperKind,
    title: str,
    number: str = "",
    content: bytes | None = None,
    now: datetime,
) -> BookingPaper:
    """Put a paper to a booking: a file, or a permit by its number alone.

    :raises NotFound: if there is no such booking for this actor
    :raises Forbidden: if the actor may see but not change it
    :raises Invalid: if the paper makes no sense, or is of a kind that is not kept
    :raises Refused: if there are too many of them, or the booking came to nothing
    """
    require(actor, ACTION)
    media = _check(kind, title, number, content)
    booking = bookings.lock_for(session, actor=actor, booking_id=booking_id, action="booking.change")
    if booking.state not in HOLDS:
        raise Refused([Reason("no_papers_any_more")])
    if session.scalar(select(func.count()).where(BookingPaper.booking_id == booking_id)) == papers.MOST:
        raise Refused([Reason("too_many_papers", {"most": papers.MOST})])
    row = BookingPaper(
        booking_id=booking_id,
        kind=kind,
        title=title,
        number=number,
        media_type=media,
        digest=hashlib.sha256(content).digest() if content else None,
        content=content or None,
        added_by=actor.person_id,
        added_at=now,
    )
    session.add(row)
    session.flush()
    _record(session, actor, "paper.added", booking, row, now)
    return row


def _check(kind: PaperKind, title: str, number: str, content: bytes | None) -> str:
    errors = {}
    for name, text, longest in (
        ("title", title, papers.LONGEST_TITLE),
        ("number", number, papers.LONGEST_NUMBER),
    ):
        if len(text) > longest:
            errors[name] = "too_long_text"
        elif not text.isprintable():
            errors[name] = "control_characters"
    if not title:
        errors["title"] = "required"
    if not content and not (kind is PaperKind.PERMIT and number):
        errors["file"] = "required"
    if errors:
        raise Invalid(errors)
    return papers.media_type(content) if content else ""


def remove(session: Session, *, actor: Actor, booking_id: UUID, paper_id: UUID, now: datetime) -> None:
    """Take a paper away; that it was there, and what it was, stays in the history.

    :raises NotFound: if there is none that this actor may see
    :raises Forbidden: if they neither added it nor manage the facility
    """
    require(actor, ACTION)
    booking = bookings.lock_for(session, actor=SYSTEM, booking_id=booking_id, action="booking.see")
    row = _one(session, actor, booking_id, paper_id)
    if row.added_by != actor.person_id and not bookings.may_on(actor, "booking.approve", booking):
        raise Forbidden(ACTION)
    session.delete(row)
    _record(session, actor, "paper.removed", booking, row, now)
    session.flush()


def of_booking(session: Session, *, booking_id: UUID) -> Sequence[BookingPaper]:
    """Give the papers of a booking without their contents, for who has been let see the booking."""
    query = select(BookingPaper).where(BookingPaper.booking_id == booking_id)
    return session.scalars(query.order_by(BookingPaper.added_at, BookingPaper.id)).all()


def counts(session: Session, *, booking_ids: Iterable[UUID]) -> dict[UUID, int]:
    """Count the papers of several bookings; one statement."""
    query = select(BookingPaper.booking_id, func.count()).where(
        BookingPaper.booking_id.in_(list(booking_ids))
    )
    found = session.execute(query.group_by(BookingPaper.booking_id))
    return {row[0]: row[1] for row in found}


def listing(
    session: Session, *, actor: Actor, booking_id: UUID, now: datetime
) -> tuple[Booking, Sequence[BookingPaper]]:
    """Give a booking and its papers without their contents.

    :raises NotFound: if there is no such booking for this actor
    """
    booking = bookings.get(session, actor=actor, booking_id=booking_id, now=now)
    return booking, of_booking(session, booking_id=booking_id)


def read(
    session: Session, *, actor: Actor, booking_id: UUID, paper_id: UUID, now: datetime
) -> tuple[BookingPaper, bytes]:
    """Give a paper with its content.

    :raises NotFound: if there is none that this actor may see, or it is a number without a file
    """
    row = _one(session, actor, booking_id, paper_id, now=now, whole=True)
    if row.content is None:
        raise NotFound("paper", paper_id)
    return row, row.content


def _one(
    session: Session,
    actor: Actor,
    booking_id: UUID,
    paper_id: UUID,
    *,
    now: datetime | None = None,
    whole: bool = False,
) -> BookingPaper:
    bookings.get(session, actor=actor, booking_id=booking_id, now=now)
    query = select(BookingPaper).where(BookingPaper.id == paper_id, BookingPaper.booking_id == booking_id)
    row = session.scalar(query.options(undefer(BookingPaper.content)) if whole else query)
    if row is None:
        raise NotFound("paper", paper_id)
    return row


def _record(
    session: Session, actor: Actor, kind: str, booking: Booking, row: BookingPaper, now: datetime
) -> None:
    events.record(
        session,
        actor=actor,
        kind=kind,
        now=now,
        booking=booking,
        facility_id=booking.items[0].instrument.facility_id,
        paper_id=str(row.id),
        paper=row.kind.value,
        title=row.title,
        number=row.number,
        sha256=row.digest.hex() if row.digest else "",
    )
