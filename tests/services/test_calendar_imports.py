"""Files of calendars taken over once: whose booking, what closure, what not and why; all or nothing, never twice."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from booking.domain.access import Forbidden, Role
from booking.domain.calendar_sources import Entry, Reading
from booking.domain.lifecycle import State
from booking.domain.occupation import Item
from booking.domain.rules import Invalid
from booking.domain.spans import Span
from booking.services import bookings, calendar_imports
from booking.services.calendar_imports import Became, Changed
from models import Booking, Closure, Event, ImportedEvent, Membership, Occupation, PersonState
from tests import cast
from tests.factories import make_facility, make_instrument

NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)


def entry(start: float, end: float, uid="e1", who="ada@example.org", **more) -> Entry:
    span = Span(NOW + timedelta(hours=start), NOW + timedelta(hours=end))
    given = {"uid": uid, "recurrence": "", "span": span, "all_day": False, "title": "Films", "organizer": who}
    return Entry(**given | more)


@pytest.fixture
def furnace(session):
    return make_instrument(session, facility=make_facility(session), notice_minutes=24 * 60, step_minutes=60)


@pytest.fixture
def tam(session, furnace):
    person = cast.tam(session)
    session.add(Membership(person_id=person.id, role=Role.MANAGER, facility_id=furnace.facility_id))
    session.flush()
    return cast.actor_of(session, person)


@pytest.fixture
def ada(session):
    return cast.ada(session)


def how(actor, furnace, *entries, closing=True, **more):
    given = {"actor": actor, "instrument": furnace, "reading": Reading("", entries), "closing": closing}
    return {**given, "words": "Taken over from a calendar", "now": NOW, **more}


def became(plan):
    return [(line.entry.uid, line.became.value, line.why) for line in plan.lines]


def count(session, table):
    return session.scalar(select(func.count()).select_from(table))


def test_what_belongs_to_somebody_known_is_theirs_and_the_rest_closes(session, tam, ada, furnace):
    ben = cast.ben(session)
    plan = calendar_imports.apply(
        session,
        **how(
            tam,
            furnace,
            entry(1.25, 2, "a", ada.email),
            entry(3, 4, "b", "", people=("nobody@example.net", ben.email)),
            entry(5, 6, "c", "stranger@example.net"),
        ),
    )
    assert became(plan) == [("a", "booking", ""), ("b", "booking", ""), ("c", "closure", "")]
    rows = session.scalars(select(Booking).order_by(Booking.starts_at)).all()
    assert [(row.person_id, row.booked_by_id, row.purpose, row.state) for row in rows] == [
        (ada.id, tam.person_id, "Films", State.CONFIRMED),
        (ben.id, tam.person_id, "Films", State.CONFIRMED),
    ]
    closure = session.scalars(select(Closure)).one()
    assert (closure.instrument_id, closure.reason, closure.imposed) == (furnace.id, "", False)
    assert count(session, Occupation) == 3
    told = session.scalars(select(Event).where(Event.kind == "bookings.taken_over")).all()
    assert sorted(event.data["person_id"] for event in told) == sorted(map(str, (ada.id, ben.id)))
    placed = session.scalars(select(Event).where(Event.kind == "booking.placed")).all()
    assert [bool(event.data["series"]) for event in placed] == [True, True]


def test_what_is_left_out_is_said_and_why(session, tam, ada, furnace):
    cleo = cast.cleo(session)
    cleo.state = PersonState.DISABLED
    ben = cast.ben(session)
    ben.email_confirmed_at = None
    bookings.place(
        session,
        actor=tam,
        items=[Item(furnace.id, entry(30, 31).span)],
        override="a reason",
        now=NOW,
    )
    plan = calendar_imports.apply(
        session,
        **how(
            tam,
            furnace,
            entry(-1, 1, "begun"),
            entry(1, 2, "off", status="CANCELLED"),
            entry(1, 2, "free", transparent=True),
            entry(2, 2, "point"),
            entry(3, 4, "disabled", cleo.email),
            entry(3, 4, "unconfirmed", ben.email),
            entry(24 * 400, 24 * 400 + 1, "far"),
            entry(30.5, 31.5, "taken"),
            closing=False,
        ),
    )
    assert {line.entry.uid: line.why for line in plan.lines} == {
        "begun": "past",
        "off": "cancelled",
        "free": "free",
        "point": "no_time",
        "disabled": "nobody",
        "unconfirmed": "nobody",
        "far": "far",
        "taken": "refused",
    }
    assert [reason.code for line in plan.lines for reason in line.reasons] == ["taken"]
    assert count(session, Booking) == 1
    assert count(session, ImportedEvent) == 0


def test_looking_writes_nothing_and_two_that_clash_are_seen(session, tam, ada, furnace):
    given = how(tam, furnace, entry(1, 3, "a"), entry(2, 4, "b"), entry(5, 6, "c", ""))
    plan = calendar_imports.check(session, **given)
    assert became(plan) == [("a", "booking", ""), ("b", "nothing", "refused"), ("c", "closure", "")]
    for table in (Booking, Closure, Occupation, ImportedEvent, Event):
        assert count(session, table) == 0
    assert calendar_imports.apply(session, **given, seen=plan.fingerprint).count(Became.BOOKING) == 1


def test_the_same_file_brings_nothing_twice_though_events_have_moved(session, tam, ada, furnace):
    first = entry(1, 2, "a"), entry(3, 4, "r", recurrence="20261102T110000Z"), entry(5, 6, "c", "")
    calendar_imports.apply(session, **how(tam, furnace, *first))
    again = calendar_imports.apply(session, **how(tam, furnace, *first[1:], entry(10, 11, "a")))
    assert {why for _, _, why in became(again)} == {"known"}
    more = entry(7, 8, "r", recurrence="20261103T110000Z")
    assert calendar_imports.apply(session, **how(tam, furnace, *first, more)).count(Became.BOOKING) == 1
    assert (count(session, Booking), count(session, Closure)) == (3, 1)


def test_what_is_no_longer_as_it_was_seen_is_not_taken_over(session, tam, ada, furnace):
    given = how(tam, furnace, entry(1, 2, "a"), entry(3, 4, "b"))
    seen = calendar_imports.check(session, **given).fingerprint
    bookings.place(
        session, actor=tam, items=[Item(furnace.id, entry(3, 4).span)], override="a reason", now=NOW
    )
    with pytest.raises(Changed) as changed, session.begin_nested():
        calendar_imports.apply(session, **given, seen=seen)
    assert became(changed.value.plan) == [("a", "booking", ""), ("b", "nothing", "refused")]
    assert count(session, Booking) == 1


def test_an_outsider_takes_nothing_over_and_a_file_has_an_end(session, tam, ada, furnace):
    cleo = cast.actor_of(session, cast.cleo(session))
    for take in (calendar_imports.check, calendar_imports.apply):
        with pytest.raises(Forbidden):
            take(session, **how(cleo, furnace, entry(1, 2)))
        with pytest.raises(Invalid):
            take(session, **how(tam, furnace, entry(1, 2, "a"), entry(3, 4, "b")), most=1)
