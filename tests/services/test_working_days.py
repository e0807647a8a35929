"""The table of working days over the published ones."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from booking.domain.access import Forbidden
from booking.domain.occupation import Item
from booking.domain.spans import Span
from booking.domain.working_days import COUNTRY, Announced, DayKind, read
from booking.services import bookings, working_days
from models import CalendarDay
from tests import cast
from tests.factories import make_instrument


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


def test_an_announcement_names_the_bookings_on_days_that_turn(session: Session, now):
    instrument = make_instrument(session)
    ben = cast.actor_of(session, cast.ben(session))
    start = datetime(2027, 2, 4, 16, 30, tzinfo=UTC)  # Friday in Guangdong, Thursday in Greenwich
    for day in range(3):
        at = start + timedelta(days=day)
        items = [Item(instrument.id, Span(at, at + timedelta(hours=1)))]
        bookings.place(session, actor=ben, items=items, now=now)
    days = read("date,kind,name\n2027-02-05,holiday,春节\n2027-02-06,rest\n2027-02-07,makeup_workday,春节\n")
    with pytest.raises(Forbidden):
        working_days.announce(session, actor=ben, days=days, source="test", now=now)
    root = cast.actor_of(session, cast.root(session))
    with pytest.raises(Forbidden):
        working_days.check(session, actor=ben, days=days, now=now)
    tried = working_days.check(session, actor=root, days=days, now=now)
    assert working_days.listed(session, 2027) == []
    outcome = working_days.announce(session, actor=root, days=days, source="test", now=now)
    assert outcome == tried
    assert outcome.turned == 2
    assert [booking.starts_at for booking in outcome.standing] == [start, start + timedelta(days=2)]
    assert [row.day.day for row in working_days.listed(session, 2027)] == [5, 6, 7]
    again = working_days.announce(session, actor=root, days=days, source="test", now=now)
    assert (again.turned, again.standing) == (0, [])
    back = [Announced(date(2027, 2, day), None) for day in (5, 6, 7)]
    assert working_days.announce(session, actor=root, days=back, source="", now=now).turned == 2
    assert working_days.listed(session, 2027) == []


def test_published_days_are_listed_until_the_table_says_otherwise(session: Session):
    kinds = {row.day: row.kind for row in working_days.listed(session, 2026)}
    assert kinds[date(2026, 10, 1)] is DayKind.HOLIDAY
    assert kinds[date(2026, 10, 10)] is DayKind.WORKING
    assert date(2026, 10, 11) not in kinds
