"""Papers of a booking: safety data sheets, protocols, permits; seen by those who may see the booking."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

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
    paper = Paper(kind, title, number, content)
    check(paper)
    booking = bookings.lock_for(session, actor=actor, booking_id=booking_id, action="booking.change")
    if booking.state not in HOLDS:
        raise Refused([Reason("no_papers_any_more")])
    return put(session, actor=actor, to=[booking], paper=paper, now=now)


@dataclass(frozen=True, slots=True)
class Paper:
    """What somebody wants to put to a booking, or to many dates of a series."""

    kind: PaperKind
    title: str
    number: str = ""
    content: bytes | None = None


def check(paper: Paper) -> str:
    """Tell of what type a paper's file is, nothing of one that is a number alone.

    :raises Invalid: if the paper makes no sense, or is of a kind that is not kept
    """
    return _check(paper.kind, paper.title, paper.number, paper.content)


def put(
    session: Session, *, actor: Actor, to: Sequence[Booking], paper: Paper, now: datetime
) -> BookingPaper:
    """Put a paper to bookings that are locked; the first of them keeps its content for the others.

    :raises Invalid: if the paper makes no sense
    :raises Refused: if one of them has too many
    """
    media = check(paper)
    if max(counts(session, booking_ids=[booking.id for booking in to]).values(), default=0) >= papers.MOST:
        raise Refused([Reason("too_many_papers", {"most": papers.MOST})])
    first: BookingPaper | None = None
    for booking in to:
        row = BookingPaper(
            id=uuid4(),
            booking_id=booking.id,
            kind=paper.kind,
            title=paper.title,
            number=paper.number,
            media_type=media,
            digest=hashlib.sha256(paper.content).digest() if paper.content else None,
            same_as=first.id if first else None,
            content=None if first else paper.content or None,
            added_by=actor.person_id,
            added_at=now,
        )
        session.add(row)
        session.flush()
        _record(session, actor, "paper.added", booking, row, now)
        first = first or row
    if first is None:
        raise Refused([Reason("no_papers_any_more")])
    return first


def carry(session: Session, *, from_id: UUID, to_id: UUID) -> None:
    """Put to a new date of a series the papers of another one."""
    for row in of_booking(session, booking_id=from_id):
        told = {
            name: getattr(row, name)
            for name in ("kind", "title", "number", "media_type", "digest", "added_by", "added_at")
        }
        session.add(BookingPaper(booking_id=to_id, same_as=row.same_as or row.id, **told))
    session.flush()


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
    take_away(session, actor=actor, booking=booking, row=row, now=now)


def take_away(session: Session, *, actor: Actor, booking: Booking, row: BookingPaper, now: datetime) -> None:
    """Take a paper from a locked booking; where other dates need its content, one of them keeps it from now on."""
    heir = session.scalar(
        select(BookingPaper.id).where(BookingPaper.same_as == row.id).order_by(BookingPaper.id).limit(1)
    )
    if heir is not None:
        kept = select(BookingPaper.content).where(BookingPaper.id == row.id).scalar_subquery()
        _set(session, BookingPaper.id == heir, content=kept, same_as=None)
        _set(session, BookingPaper.same_as == row.id, same_as=heir)
    session.delete(row)
    _record(session, actor, "paper.removed", booking, row, now)
    session.flush()


def _set(session: Session, which: ColumnElement[bool], **values: object) -> None:
    session.execute(
        update(BookingPaper).where(which).values(values).execution_options(synchronize_session="fetch")
    )


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
    row = _one(session, actor, booking_id, paper_id, now=now)
    kept_by = BookingPaper.id == (row.same_as or row.id)
    content = session.scalar(select(BookingPaper.content).where(kept_by))
    if content is None:
        raise NotFound("paper", paper_id)
    return row, content


def _one(
    session: Session,
    actor: Actor,
    booking_id: UUID,
    paper_id: UUID,
    *,
    now: datetime | None = None,
) -> BookingPaper:
    bookings.get(session, actor=actor, booking_id=booking_id, now=now)
    query = select(BookingPaper).where(BookingPaper.id == paper_id, BookingPaper.booking_id == booking_id)
    row = session.scalar(query)
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
