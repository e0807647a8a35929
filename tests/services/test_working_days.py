"""The table of working days over the published ones."""

from datetime import date

from sqlalchemy.orm import Session

from booking.domain.working_days import COUNTRY, DayKind
from booking.services import working_days
from models import CalendarDay


def test_own_days_win_and_announce_their_year(session: Session) -> None:
    new_year = date(2027, 1, 1)
    before = working_days.known(session, new_year, new_year)
    assert (before.kind(new_year), before.announced(2027)) == (DayKind.WORKING, False)
    session.add(CalendarDay(country=COUNTRY, day=new_year, kind=DayKind.HOLIDAY, name="元旦"))
    session.add(CalendarDay(country=COUNTRY, day=date(2026, 10, 10), kind=DayKind.REST))
    session.flush()
    after = working_days.around(session, new_year)
    assert (after.kind(new_year), after.announced(2027)) == (DayKind.HOLIDAY, True)
    assert after.kind(date(2026, 10, 10)) is DayKind.REST  # published as worked instead
    assert after.kind(date(2026, 10, 1)) is DayKind.HOLIDAY
