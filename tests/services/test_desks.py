"""Figures of desks on both engines: known weeks counted by hand, and who may read them."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import event

from booking.domain.access import SYSTEM, Forbidden, NotFound
from booking.domain.hours import WeeklyHours, zone
from booking.domain.lifecycle import Action
from booking.domain.occupation import Item
from booking.domain.rules import Invalid
from booking.domain.spans import Span
from booking.domain.utilisation import HOUR, Hours
from booking.services import bookings, closures, desks
from models import ClosureKind
from tests import cast
from tests.factories import make_facility, make_instrument, make_network

NOW = datetime(2026, 11, 16, 4, tzinfo=UTC)
LONG_BEFORE = datetime(2026, 10, 1, tzinfo=UTC)
MONDAY = date(2026, 11, 2)
NINE_TO_FIVE = tuple(WeeklyHours(weekday, 9 * 60, 17 * 60) for weekday in range(5))
SHANGHAI = zone("Asia/Shanghai")


def at(day: int, hour: float, tz=SHANGHAI, first: date = MONDAY) -> datetime:
    whole = datetime.combine(first, datetime.min.time(), tzinfo=tz)
    return (whole + timedelta(days=day, hours=hour)).astimezone(UTC)


def span(day: int, start: float, end: float, tz=SHANGHAI) -> Span:
    return Span(at(day, start, tz), at(day, end, tz))


def book(session, row, when: Span, *, quantity: int = 1, who=cast.ada):
    actor = cast.actor_of(session, who(session))
    items = [Item(row.id, when, quantity)]
    return bookings.place(session, actor=actor, items=items, now=LONG_BEFORE)


def use(session, booking, came: datetime, went: datetime | None) -> None:
    bookings.check_in(session, actor=SYSTEM, booking_id=booking.id, now=came)
    if went:
        bookings.check_out(session, actor=SYSTEM, booking_id=booking.id, now=went)


def miss(session, booking) -> None:
    bookings.finish(session, actor=SYSTEM, booking=booking, action=Action.MISS, now=booking.ends_at)


def close(session, row, when: Span, kind: ClosureKind) -> None:
    closures.make(
        session,
        actor=SYSTEM,
        facility_id=row.facility_id,
        instrument_id=row.id,
        span=when,
        kind=kind,
        reason="",
        imposed=True,
        now=LONG_BEFORE,
    )


def hours(**found: float) -> Hours:
    missed = int(found.pop("missed", 0))
    return Hours(**{name: round(value * HOUR) for name, value in found.items()}, missed=missed)


@pytest.fixture
def lab(session):
    return make_facility(session, hours=NINE_TO_FIVE)


@pytest.fixture
def tam(session, lab):
    return cast.actor_of(session, cast.tam(session, lab))


def read(session, actor, lab, *, first=MONDAY, days=14, step=7, now=NOW):
    return desks.of_facility(
        session, actor=actor, facility_id=lab.id, first=first, days=days, step=step, now=now
    )


def test_two_weeks_counted_by_hand(session, lab, tam):
    row = make_instrument(session, lab)
    use(
        session, book(session, row, span(0, 9, 11)), at(0, 9.25), at(0, 10.5)
    )  # given back: 1.5 h stay booked
    miss(session, book(session, row, span(1, 13, 16)))
    book(session, row, span(2, 10, 12))  # came and went without a word
    close(session, row, span(3, 15, 20), ClosureKind.BREAKDOWN)  # two hours of it open
    close(session, row, span(7, 0, 24), ClosureKind.CLOSURE)  # a holiday
    late = book(session, row, span(8, 15, 17))
    use(session, late, at(8, 15), at(8, 17.25))
    found = read(session, tam, lab)
    one, two = found.rows[0].stretches
    assert one == hours(open=40, booked=1.5 + 2, used=1.25, down=2, lost=3, missed=1)
    assert two == hours(open=32, booked=2, used=2.25)
    assert found.whole == one + two
    assert found.trend == [one, two]
    assert found.starts == (MONDAY, MONDAY + timedelta(days=7))


def test_a_request_is_not_booked_yet_and_what_is_given_up_is_not_any_more(session, lab, tam):
    row = make_instrument(session, lab, approval_required=True)
    book(session, row, span(0, 9, 11))
    assert read(session, tam, lab).whole.booked == 0
    other = make_instrument(session, lab)
    given_up = book(session, other, span(0, 9, 11))
    assert read(session, tam, lab).whole == hours(open=160, booked=2)
    bookings.cancel(
        session, actor=SYSTEM, booking_id=given_up.id, reason="", now=LONG_BEFORE + timedelta(days=1)
    )
    assert read(session, tam, lab).whole == hours(open=160)


def test_a_unit_counts_as_its_part_of_the_instrument(session, lab, tam):
    row = make_instrument(session, lab, units=4)
    book(session, row, span(0, 9, 11), quantity=3)
    book(session, row, span(0, 10, 12))
    assert read(session, tam, lab, days=7).whole == hours(open=40, booked=2)


def test_what_spans_midnight_between_two_weeks_counts_in_both(session, tam, lab):
    row = make_instrument(session, lab, hours=[WeeklyHours(day, 0, 1440) for day in range(7)])
    use(session, book(session, row, Span(at(6, 22), at(7, 3))), at(6, 22), at(7, 3))
    one, two = read(session, tam, lab).rows[0].stretches
    assert (one.booked, two.booked) == (2 * HOUR, 3 * HOUR)
    assert (one.used, two.used) == (2 * HOUR, 3 * HOUR)


def test_who_is_there_now_uses_it_until_now(session, tam, lab):
    row = make_instrument(session, lab)
    use(session, book(session, row, span(0, 9, 17)), at(0, 9), None)
    found = read(session, tam, lab, days=1, now=at(0, 12))
    assert found.whole == hours(open=8, booked=8, used=3)


def test_the_week_in_which_the_clocks_change_where_the_facility_stands(session):
    berlin = zone("Europe/Berlin")
    far = make_facility(session, zone="Europe/Berlin")
    row = make_instrument(session, far)
    tam = cast.actor_of(session, cast.tam(session, far))
    first = date(2026, 10, 19)
    # Sunday the 25th has 25 hours: from one to four by the clock are four hours.
    when = Span(
        datetime(2026, 10, 25, 1, tzinfo=berlin).astimezone(UTC),
        datetime(2026, 10, 25, 4, tzinfo=berlin).astimezone(UTC),
    )
    book(session, row, when)
    one, two = read(session, tam, far, first=first).rows[0].stretches
    assert one == hours(open=169, booked=4)
    assert two == hours(open=168)


def test_statements_do_not_grow_with_instruments_or_days(session, lab, tam, engine):
    seen: list[str] = []
    event.listen(engine, "before_cursor_execute", note := lambda *given: seen.append(given[2]))
    book(session, make_instrument(session, lab), span(0, 9, 11))
    session.flush()
    seen.clear()
    read(session, tam, lab, days=7)
    before = len(seen)
    for _ in range(20):
        book(session, make_instrument(session, lab), span(0, 9, 11))
    session.flush()
    seen.clear()
    read(session, tam, lab, days=364)
    event.remove(engine, "before_cursor_execute", note)
    assert len(seen) == before <= 8


def test_figures_are_for_staff_and_officers_of_the_network_and_for_nobody_else(session, lab, tam):
    row = make_instrument(session, lab)
    net = make_network(session, lab)
    other = make_facility(session)
    nora = cast.actor_of(session, cast.nora(session, net))
    asked = {"first": MONDAY, "days": 7, "now": NOW}
    for actor in (tam, nora):
        assert read(session, actor, lab, days=7).whole.open == 40 * HOUR
        assert desks.of_instrument(session, actor=actor, code=row.code, **asked).whole.open == 40 * HOUR
        with pytest.raises(Forbidden):
            read(session, actor, other)
    for person in (cast.ada, cast.cleo):
        actor = cast.actor_of(session, person(session))
        with pytest.raises(Forbidden):
            read(session, actor, lab)
        with pytest.raises(Forbidden):
            desks.of_instrument(session, actor=actor, code=row.code, **asked)
        with pytest.raises(Forbidden):
            desks.of_network(session, actor=actor, network_id=net.id, **asked)
    with pytest.raises(NotFound):
        desks.of_instrument(session, actor=tam, code="NONE", **asked)
    with pytest.raises(Invalid):
        read(session, tam, lab, days=367)


def test_a_network_counts_what_its_facilities_have_published(session, lab):
    far = make_facility(session, zone="Europe/Berlin")
    net = make_network(session, lab, far)
    nora = cast.actor_of(session, cast.nora(session, net))
    make_instrument(session, lab)
    make_instrument(session, lab, published=False)
    row = make_instrument(session, far)
    make_instrument(session)  # in no network
    book(session, row, span(0, 9, 11, zone("Europe/Berlin")))
    found = desks.of_network(session, actor=nora, network_id=net.id, first=MONDAY, days=7, now=NOW)
    assert [one.place.facility_id for one in found.rows] == [lab.id, far.id]
    assert found.whole == hours(open=40 + 168, booked=2)
