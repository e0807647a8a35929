"""What an instrument bears of those who come late, stay too long or cancel late, by the rules in force."""

from datetime import datetime

from sqlalchemy import and_, exists, func, or_, select
from sqlalchemy.orm import Session

from booking.domain import attendance
from booking.domain.attendance import Manners
from booking.domain.occupation import Item, Kind
from booking.domain.policy import RuleKind
from booking.domain.spans import Span
from booking.services import policies
from models import Booking, Occupation


def of(session: Session, booking: Booking) -> Manners:
    """Give what counts for a booking: the rules of its first instrument, for its person, at its start."""
    first = min(booking.items, key=lambda item: (item.starts_at, item.position))
    item = Item(first.instrument_id, Span(first.starts_at, first.ends_at), first.quantity)
    (found,) = policies.winning(
        session,
        kind=RuleKind.SETTING,
        items=[item],
        instruments={first.instrument_id: first.instrument},
        person_id=booking.person_id,
    )
    return attendance.manners({name: rule.value for name, rule in found.items()})


def span_of(booking: Booking) -> Span:
    """Give the span of all its items."""
    return Span(booking.starts_at, booking.ends_at)


def follows_at(session: Session, booking: Booking) -> datetime | None:
    """Give when the next one's use begins on an instrument that a booking has alone, None if nobody follows."""
    alone = [item.instrument_id for item in booking.items if item.instrument.units == 1]
    query = select(func.min(Occupation.use_starts_at)).where(
        Occupation.instrument_id.in_(alone),
        Occupation.starts_at >= booking.starts_at,
        Occupation.use_starts_at >= booking.ends_at,
        Occupation.kind == Kind.BOOKING,
        Occupation.booking_id != booking.id,
    )
    return session.scalar(query)


def closed_over(session: Session, booking: Booking) -> bool:
    """Tell whether the facility has closed any of a booking's time."""
    met = [
        and_(
            Occupation.instrument_id == item.instrument_id,
            Occupation.starts_at < item.ends_at,
            Occupation.ends_at > item.starts_at,
        )
        for item in booking.items
    ]
    return bool(session.scalar(select(exists().where(Occupation.imposed, or_(*met)))))
