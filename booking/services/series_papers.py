"""Papers of a series: put beside each date that is still ahead, and taken away from all of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking.domain.access import Actor, Forbidden, NotFound, require
from booking.domain.rules import Reason, Refused
from booking.services import bookings, papers, series
from booking.services.papers import ACTION, Paper
from booking.services.series import Whole
from models import Booking, BookingPaper


@dataclass(frozen=True, slots=True)
class Shared:
    """A paper of a series: one of its rows to be read by, and beside how many dates it stands."""

    paper: BookingPaper
    dates: int


def listing(session: Session, *, actor: Actor, series_id: UUID, now: datetime) -> list[Shared]:
    """Give the papers of a series, each once, without their contents.

    :raises NotFound: if there is no such series for this actor
    """
    return of(session, series.get(session, actor=actor, series_id=series_id, now=now))


def of(session: Session, whole: Whole) -> list[Shared]:
    """Give the papers that stand beside the dates of a series, for who has been let see it."""
    found: dict[UUID, list[BookingPaper]] = {}
    for row in _rows(session, [one.booking for one in whole.dates if one.booking]):
        found.setdefault(row.same_as or row.id, []).append(row)
    return [Shared(rows[0], len(rows)) for rows in found.values()]


def _rows(session: Session, dates: Iterable[Booking]) -> Sequence[BookingPaper]:
    of_dates = BookingPaper.booking_id.in_([booking.id for booking in dates])
    return session.scalars(
        select(BookingPaper).where(of_dates).order_by(BookingPaper.added_at, BookingPaper.id)
    ).all()


def add(session: Session, *, actor: Actor, series_id: UUID, paper: Paper, now: datetime) -> Shared:
    """Put a paper to every date of a series that is still ahead; its content is kept once.

    :raises NotFound: if there is no such series for this actor
    :raises Forbidden: if the actor may see but not change it
    :raises Invalid: if the paper makes no sense, or is of a kind that is not kept
    :raises Refused: if no date is ahead, or one of them has too many
    """
    require(actor, ACTION)
    papers.check(paper)
    dates = series.lock_ahead(session, actor=actor, series_id=series_id, action="booking.change", now=now)
    if not dates:
        raise Refused([Reason("nothing_ahead")])
    return Shared(papers.put(session, actor=actor, to=dates, paper=paper, now=now), len(dates))


def remove(session: Session, *, actor: Actor, series_id: UUID, paper_id: UUID, now: datetime) -> None:
    """Take a paper away from every date of a series that is still ahead; those that are over keep it.

    `paper_id` names it by any of its dates.

    :raises NotFound: if there is none that this actor may see
    :raises Forbidden: if they neither added it nor manage the facility
    """
    require(actor, ACTION)
    whole = series.get(session, actor=actor, series_id=series_id, now=now)
    rows = _rows(session, [one.booking for one in whole.dates if one.booking])
    named = next((row for row in rows if row.id == paper_id), None)
    if named is None:
        raise NotFound("paper", paper_id)
    if named.added_by != actor.person_id and not any(
        bookings.may_on(actor, "booking.approve", one.booking) for one in whole.dates if one.booking
    ):
        raise Forbidden(ACTION)
    dates = series.lock_ahead(session, actor=actor, series_id=series_id, action="booking.see", now=now)
    root = named.same_as or named.id
    of = {booking.id: booking for booking in dates}
    standing = [row for row in _rows(session, dates) if (row.same_as or row.id) == root]
    if not standing:
        raise Refused([Reason("nothing_ahead")])
    # Copies first, so that the content moves once at most.
    for row in sorted(standing, key=lambda row: row.same_as is None):
        papers.take_away(session, actor=actor, booking=of[row.booking_id], row=row, now=now)
