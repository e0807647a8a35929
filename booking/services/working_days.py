"""The table of working days: the administrator's own days over those that were published."""

from datetime import date, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from booking.domain.working_days import COUNTRY, WorkingDays
from models import CalendarDay


def known(session: Session, first: date, last: date, *, country: str = COUNTRY) -> WorkingDays:
    """Give what sort the days from the first to the last are, both included; one statement.

    A count that may leave the stretch should be given a wide one: its days are cheap.
    """
    query = select(CalendarDay.day, CalendarDay.kind).where(
        CalendarDay.country == country,
        CalendarDay.day >= date(first.year, 1, 1),
        CalendarDay.day <= date(last.year, 12, 31),
    )
    own = {row.day: row.kind for row in session.execute(query)}
    return WorkingDays(own, frozenset(day.year for day in own))


def around(session: Session, day: date, *, country: str = COUNTRY) -> WorkingDays:
    """Give what sort the days of the year before and the year after a day are, for counts of working days."""
    return known(session, day - timedelta(days=366), day + timedelta(days=366), country=country)
